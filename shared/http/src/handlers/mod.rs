//! One file an operation.

use std::sync::Arc;

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use turnwise_core::turn::{OnBusy, Standing};
use turnwise_engine::turn::{Answer, Caller, Facts, TurnRequest};

use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, turn_location};
use crate::params::{LAST_EVENT_ID, Prefer, TurnHeaders};
use crate::render;
use crate::sse::{self, Resume, Shape};
use utoipa::ToSchema;

pub(crate) mod admin;
pub(crate) mod chat;
pub(crate) mod chat_completions;
pub(crate) mod conversations;
pub(crate) mod embeddings;
pub(crate) mod health;
mod keyed;
pub(crate) mod messages;
pub(crate) mod models;
pub(crate) mod openapi;
pub(crate) mod providers;
pub(crate) mod responses;
pub(crate) mod stats;
pub(crate) mod threads;
mod turn_responses;
pub(crate) mod turns;
pub(crate) mod usage;
pub(crate) mod value;

/// Who asks, for the engine.
fn caller(principal: &Principal, context: &RequestContext) -> Caller {
    Caller {
        tenant: principal.tenant.clone(),
        user: principal.user.clone(),
        api_key: principal.api_key.clone(),
        grant: Arc::clone(&principal.grant),
        request_id: context.id().to_owned(),
        deadline: context.deadline(),
    }
}

/// Where a client's request stands toward its conversation's queue.
const fn standing(on_busy: OnBusy) -> Standing {
    match on_busy {
        OnBusy::Wait(_) | OnBusy::Reject | OnBusy::Enqueue => Standing::Behind,
        OnBusy::Interrupt => Standing::Ahead,
    }
}

/// Answers with a durable turn: with its stream in `shape`, or with its committed
/// answer as `body` renders it.
async fn turn<S: Shape>(
    app: &App,
    context: RequestContext,
    request: TurnRequest,
    manner: Manner,
    shape: impl FnOnce(&Facts) -> S,
    body: impl FnOnce(&Facts, &Answer) -> Vec<u8>,
) -> Result<Response, Error> {
    context.note(|line| line.turn = Some(request.key.to_string()));
    if request.input.stream {
        let (facts, replayed, frames) = app.engine.stream(request).await?;
        let (shape, resume) = (shape(&facts), manner.resume);
        let stream = sse::Stream { frames, shape, facts, replayed, resume, refuses: true };
        return sse::reply(stream, context, &app.engine.clock).await;
    }
    match app.engine.answer(request).await {
        Ok((started, answer)) => {
            let facts = &started.facts;
            context.note(|line| line.answered(facts, &answer, started.replayed));
            Ok(render::reply(facts, &answer, started.replayed, body(facts, &answer)))
        }
        Err(error) => accepted(manner.prefer, error),
    }
}

/// How a client wants its turn told.
#[derive(Debug, Clone, Copy)]
struct Manner {
    prefer: Prefer,
    resume: Resume,
}

impl Manner {
    fn read(headers: &TurnHeaders, body: &mut JsonBody) -> Self {
        let restartable = body.flag("restartable").unwrap_or(false);
        let resume = Resume { after: headers.last_event, field: LAST_EVENT_ID, restartable };
        Self { prefer: headers.prefer, resume }
    }
}

/// What a client that will come back gets for a turn that waits or runs: 202 and where
/// to look. Anybody else, and any other error, gets the error.
fn accepted(prefer: Prefer, error: turnwise_engine::Error) -> Result<Response, Error> {
    let (key, status) = if let turnwise_engine::Error::Queued { key } = &error {
        (key, "QUEUED")
    } else if let turnwise_engine::Error::StillRunning { key, .. } = &error
        && prefer.respond_async
    {
        (key, "PROCESSING")
    } else {
        return Err(error.into());
    };
    let location = turn_location(key);
    let body = AcceptedBody { object: "turn", status, key: key.clone(), location: location.clone() };
    let mut response = (StatusCode::ACCEPTED, axum::Json(body)).into_response();
    let mut headers = vec![(header::LOCATION, location)];
    headers.push((HeaderName::from_static("turnwise-turn"), render::path_segment(key)));
    if prefer.respond_async {
        headers.push((HeaderName::from_static("preference-applied"), "respond-async".to_owned()));
    }
    render::put_headers(&mut response, headers);
    Ok(response)
}

/// A turn that is accepted and not yet answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AcceptedBody {
    /// `turn`.
    pub object: &'static str,
    /// `QUEUED` or `PROCESSING`.
    pub status: &'static str,
    /// The turn's key.
    pub key: String,
    /// Where the turn is read.
    pub location: String,
}
