//! Requests of routes that are stateless, and durable turns with a key.

use axum::response::Response;
use turnwise_core::digest::Digest;
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::id::TurnKey;
use turnwise_core::json::RawMap;
use turnwise_core::task::Task;
use turnwise_core::turn::{Lineage, OnBusy, Standing};
use turnwise_core::window::Window;
use turnwise_engine::turn::{Answer, Facts, Input, TurnRequest};

use super::{Manner, caller, turn};
use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::Error;
use crate::params::{LAST_EVENT_ID, TurnHeaders};
use crate::render;
use crate::sse::{self, Resume, Shape};

/// A request that is a turn if it has a key.
pub(super) struct Keyed {
    /// Its key; see [`key`].
    pub key: Option<TurnKey>,
    /// Digest of what the request means.
    pub input_hash: Digest,
    /// What else its headers say.
    pub headers: TurnHeaders,
    /// How its client wants to be told.
    pub manner: Manner,
    /// The model asked for.
    pub model: Option<String>,
    /// Fields of a chat completion request.
    pub fields: RawMap,
    /// Whether its client reads a stream.
    pub stream: bool,
}

/// The turn that the header `Idempotency-Key` names, if it is there and valid.
pub(super) fn key(headers: &TurnHeaders, faults: &mut Faults) -> Option<TurnKey> {
    let key = headers.key.as_deref()?;
    faults.keep(TurnKey::hidden("Idempotency-Key", key))
}

/// Answers with a stream in `shape`, or with the answer as `body` renders it.
///
/// # Errors
/// What stops it before its first word.
pub(super) async fn answer<S: Shape>(
    app: &App,
    principal: &Principal,
    context: RequestContext,
    request: Keyed,
    shape: impl FnOnce(&Facts) -> S,
    body: impl FnOnce(&Facts, &Answer) -> Vec<u8>,
) -> Result<Response, Error> {
    let Keyed { key, input_hash, headers, manner, model, fields, stream } = request;
    if stream && key.is_none() && headers.last_event.is_some() {
        let message = "Only the stream of a request with an Idempotency-Key can be resumed.";
        return Err(Error::Invalid(Fault::new(LAST_EVENT_ID, message).into()));
    }
    let asked = Asked { model, fallbacks: headers.fallbacks.clone(), fields, task: headers.task.clone(), stream };
    let input = input(principal, asked);
    let Some(key) = key else { return once(app, principal, context, input, shape, body).await };
    let request = TurnRequest {
        caller: caller(principal, &context),
        key,
        input_hash,
        number: headers.number,
        delivery: headers.delivery.unwrap_or_default(),
        // Its conversation has no other turn to wait for.
        on_busy: OnBusy::default(),
        wait: headers.prefer.patience(),
        project: None,
        input,
        background: headers.prefer.respond_async && !stream,
        standing: Standing::Behind,
        lineage: Lineage::default(),
    };
    turn(app, context, request, manner, shape, body).await
}

async fn once<S: Shape>(
    app: &App,
    principal: &Principal,
    context: RequestContext,
    input: Input,
    shape: impl FnOnce(&Facts) -> S,
    body: impl FnOnce(&Facts, &Answer) -> Vec<u8>,
) -> Result<Response, Error> {
    let caller = caller(principal, &context);
    if input.stream {
        let (facts, frames) = app.engine.stream_once(caller, input).await?;
        let (shape, resume) = (shape(&facts), Resume::default());
        let stream = sse::Stream { frames, shape, facts, replayed: false, resume, refuses: true };
        return sse::reply(stream, context, &app.engine.clock).await;
    }
    let (facts, answer) = app.engine.answer_once(caller, input).await?;
    context.note(|line| line.answered(&facts, &answer, false));
    Ok(render::reply(&facts, &answer, false, body(&facts, &answer)))
}

/// What a request brings to its [`Input`].
struct Asked {
    model: Option<String>,
    fallbacks: Option<Vec<String>>,
    fields: RawMap,
    task: Option<Task>,
    stream: bool,
}

fn input(principal: &Principal, asked: Asked) -> Input {
    let Asked { model, fallbacks, fields, task, stream } = asked;
    Input {
        model,
        fallbacks,
        fields,
        items: None,
        instructions: None,
        echo: RawMap::new(),
        remembers: false,
        window: Window::default(),
        api_key: principal.api_key.clone(),
        user: principal.user.clone(),
        stream,
        task,
        needs_text: false,
    }
}
