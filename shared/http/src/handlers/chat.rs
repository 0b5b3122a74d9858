//! `POST /v1/chat`: a turn of a conversation, for people with curl.

use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use turnwise_core::digest::Digest;
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::id::{ConversationId, ProjectId, TurnId, TurnKey, parse_thread};
use turnwise_core::json::{self, RawMap};
use turnwise_core::limits::{BUSY_WAIT, MAX_HISTORY_TURNS, MAX_MESSAGE_BYTES};
use turnwise_core::task::Task;
use turnwise_core::turn::{Lineage, OnBusy};
use turnwise_core::window::Window;
use turnwise_engine::turn::{Input, TurnRequest};
use utoipa::ToSchema;

use super::turn_responses::TurnResponses;
use super::{Manner, caller, standing, turn};
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::params::{TurnHeaders, parse_delivery, parse_on_busy};
use crate::render::TurnBody;
use crate::sse;

/// Version of the canonical input; a change of its form must not look like a
/// change of the request.
const INPUT_VERSION: u32 = 1;

/// Longest `wait_timeout_s`, in seconds: a turn of the longest kind before this one.
const MAX_WAIT_S: u64 = 900;

/// A message for a conversation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ChatRequest {
    /// What the user says.
    pub message: String,
    /// A project's name or UUID. Trimmed and case-folded; empty and `system-master` mean none.
    pub project_id: Option<String>,
    /// The conversation; null, missing or "null" begins a new one.
    pub thread_id: Option<String>,
    /// The conversation, under its other name.
    pub session_id: Option<String>,
    /// The turn's name in its conversation. With `session_id` it makes the idempotency key `session:turn`.
    pub turn_id: Option<String>,
    /// `provider/model`, a bare name or `auto`.
    pub model: Option<String>,
    /// Answer as server-sent events.
    pub stream: Option<bool>,
    /// With `stream`: whether another attempt's text may take the place of what was sent, should the attempt
    /// that sends it die. Otherwise the stream ends with an error then.
    pub restartable: Option<bool>,
    /// While another turn of the conversation is running: `wait` (default), `reject`, `enqueue` (202; it
    /// runs in its order) or `interrupt` (the running one is cancelled).
    pub on_busy: Option<String>,
    /// How long to wait, in seconds; 25 unless given.
    pub wait_timeout_s: Option<u64>,
    /// `at-least-once` (default) or `at-most-once`.
    pub delivery: Option<String>,
    /// What the request is for, as the header `Turnwise-Task`: 1 to 64 of `a-z`, `0-9`, `_`, `.`, `-`.
    pub task: Option<String>,
    /// How many of the conversation's newest turns are sent along, 0 to 100; 20 unless given.
    pub history_turns: Option<u64>,
    /// How many tokens of them, as estimated; three quarters of the model's context unless given.
    pub history_tokens: Option<u64>,
}

/// Fields that say which turn it is or how to answer; everything else goes to the model.
const OWN_FIELDS: [&str; 14] = [
    "history_turns",
    "history_tokens",
    "restartable",
    "message",
    "project_id",
    "thread_id",
    "session_id",
    "turn_id",
    "model",
    "stream",
    "on_busy",
    "wait_timeout_s",
    "delivery",
    "task",
];

/// Fields of other routes that would be ignored here, with the one to use instead.
const FOREIGN_FIELDS: [(&str, &str); 2] = [("messages", "message"), ("input", "message")];

/// Takes a turn of a conversation.
#[utoipa::path(
    post, path = "/v1/chat", tag = "chat", request_body = ChatRequest,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Names the turn: `session:turn`, or any other text for a turn of a new conversation."),
        ("If-Match" = Option<String>, Header, description = "The number the turn must have."),
        ("Prefer" = Option<String>, Header, description = "`wait=n`: seconds to wait for a turn that is running. `respond-async`: 202 at once; the turn runs in the background."),
        ("Last-Event-ID" = Option<u64>, Header, description = "With `stream`: goes on behind this event of the same turn."),
        ("Turnwise-Delivery" = Option<String>, Header, description = "`at-least-once` or `at-most-once`."),
        ("Turnwise-On-Busy" = Option<String>, Header, description = "`wait`, `reject`, `enqueue` or `interrupt`."),
        ("Turnwise-Task" = Option<String>, Header, description = "What the request is for: a label of 1 to 64 of `a-z`, `0-9`, `_`, `.`, `-`. Usage is summed up by it."),
    ),
    responses(
        (status = 200, description = "The committed turn, or its stream",
            content((TurnBody = "application/json"), (String = "text/event-stream"))),
        (status = 404, description = "Unknown model or thread", body = ErrorBody),
        (status = 409, description = "The conversation is busy, or the turn is running", body = ErrorBody),
        (status = 412, description = "The turn has another number", body = ErrorBody),
        TurnResponses,
    ),
)]
pub(crate) async fn chat(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let mut body = JsonBody::read(body).await?;
    let turn_headers = TurnHeaders::read(&headers, &mut body.faults);
    let manner = Manner::read(&turn_headers, &mut body);
    let stream = body.flag("stream").unwrap_or(false);
    let request = turn_request(&app, &principal, &context, turn_headers, body, stream)?;
    let key = request.key.clone();
    turn(
        &app,
        context,
        request,
        manner,
        |facts| sse::Chat::new(key.clone(), facts.project.clone()),
        |facts, answer| {
            let project = facts.project.as_ref().map(ToString::to_string);
            serde_json::to_vec(&TurnBody::committed(&key, project, answer)).unwrap_or_default()
        },
    )
    .await
}

fn turn_request(
    app: &App,
    principal: &Principal,
    context: &RequestContext,
    headers: TurnHeaders,
    mut body: JsonBody,
    stream: bool,
) -> Result<TurnRequest, Error> {
    let message = message(&mut body);
    let model = body.text("model");
    let key = key(app, headers.key.as_deref(), &mut body);
    let project = body.text("project_id");
    let project = project.and_then(|name| body.faults.keep(ProjectId::parse("project_id", &name))).flatten();
    let delivery = body.text("delivery");
    let delivery = delivery.and_then(|text| body.faults.keep(parse_delivery("delivery", &text)));
    let on_busy = on_busy(&mut body, headers.on_busy);
    let task = task(&mut body, headers.task);
    let window = window(&mut body);
    for (field, instead) in FOREIGN_FIELDS {
        if body.fields.contains_key(field) {
            body.faults.add(field, format!("This route takes \"{instead}\"; send \"{field}\" to its own route."));
        }
    }

    let (Some(message), Some(key)) = (message, key) else { return Err(Error::Invalid(body.faults)) };
    body.faults.clone().into_result().map_err(Error::Invalid)?;
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(Error::FieldTooLarge { field: "message", limit: MAX_MESSAGE_BYTES });
    }

    let input_hash = input_hash(&body, &message, model.as_deref(), window);
    let mut fields = body.raw;
    fields.retain(|name, _| !OWN_FIELDS.contains(&name.as_str()) && name != "stream_options");
    fields.insert("messages".to_owned(), json::raw(&json!([{"role": "user", "content": message}])));
    Ok(TurnRequest {
        caller: caller(principal, context),
        key,
        input_hash,
        number: headers.number,
        delivery: headers.delivery.or(delivery).unwrap_or_default(),
        on_busy,
        wait: headers.prefer.patience(),
        project,
        input: Input {
            model,
            fallbacks: headers.fallbacks,
            fields,
            items: None,
            instructions: None,
            echo: RawMap::new(),
            remembers: true,
            window,
            api_key: principal.api_key.clone(),
            user: principal.user.clone(),
            stream,
            task,
            needs_text: false,
        },
        background: headers.prefer.respond_async && !stream,
        standing: standing(on_busy),
        lineage: Lineage::default(),
    })
}

fn message(body: &mut JsonBody) -> Option<String> {
    let message = body.text("message");
    match (&message, body.fields.get("message")) {
        (None, None | Some(Value::Null)) => body.faults.add("message", "A message is required."),
        (Some(text), _) if text.trim().is_empty() => body.faults.add("message", "The message must not be empty."),
        (Some(_) | None, _) => {}
    }
    message
}

/// What the request is for, by body or by header.
fn task(body: &mut JsonBody, header: Option<Task>) -> Option<Task> {
    let named = body.text("task");
    let named = named.and_then(|label| body.faults.keep(Task::parse("task", &label)));
    if named.is_some() && header.is_some() && named != header {
        body.faults.add("task", "The header Turnwise-Task names another task; give one of the two.");
    }
    named.or(header)
}

/// How much of the conversation goes along.
fn window(body: &mut JsonBody) -> Window {
    let turns = body.count("history_turns").and_then(|turns| {
        let turns = usize::try_from(turns).ok().filter(|turns| *turns <= MAX_HISTORY_TURNS);
        if turns.is_none() {
            body.faults.add("history_turns", format!("At most {MAX_HISTORY_TURNS} turns."));
        }
        turns
    });
    Window { turns, tokens: body.count("history_tokens"), ..Window::default() }
}

/// What to do while another turn is running, and how long to wait for it.
pub(super) fn on_busy(body: &mut JsonBody, header: Option<OnBusy>) -> OnBusy {
    let named = body.text("on_busy");
    let named = named.and_then(|text| body.faults.keep(parse_on_busy("on_busy", &text)));
    let longest = body.count("wait_timeout_s").filter(|seconds| {
        let fits = *seconds <= MAX_WAIT_S;
        if !fits {
            body.faults.add("wait_timeout_s", format!("At most {MAX_WAIT_S} seconds."));
        }
        fits
    });
    match header.or(named).unwrap_or_default() {
        OnBusy::Wait(_) => OnBusy::Wait(longest.map_or(BUSY_WAIT, Duration::from_secs)),
        other @ (OnBusy::Reject | OnBusy::Enqueue | OnBusy::Interrupt) => other,
    }
}

/// Which turn the request names, by body, by header or by neither.
fn key(app: &App, header: Option<&str>, body: &mut JsonBody) -> Option<TurnKey> {
    let (session, thread, turn) = (body.text("session_id"), body.text("thread_id"), body.text("turn_id"));
    let named = named_key(header, session.as_deref(), thread.as_deref(), turn.as_deref(), &mut body.faults)?;

    let now = app.engine.clock.now();
    let (conversation, turn) = match named {
        Named::Turn(key) => return Some(key),
        Named::Parts(conversation, turn) => (conversation, turn),
    };
    let conversation = conversation.unwrap_or_else(|| ConversationId::new(app.engine.random.uuid_v4()));
    let turn = turn.unwrap_or_else(|| TurnId::new(app.engine.random.uuid_v7(now)));
    body.faults.keep(TurnKey::new("turn_id", conversation, turn))
}

enum Named {
    Turn(TurnKey),
    Parts(Option<ConversationId>, Option<TurnId>),
}

fn named_key(
    header: Option<&str>,
    session: Option<&str>,
    thread: Option<&str>,
    turn: Option<&str>,
    faults: &mut Faults,
) -> Option<Named> {
    let session = faults.keep(parse_thread("session_id", session))?;
    let thread = faults.keep(parse_thread("thread_id", thread))?;
    let turn = faults.keep(turn.map(|turn| TurnId::parse("turn_id", turn)).transpose())?;
    let conversation = match (session, thread) {
        (Some(session), Some(thread)) if session != thread => {
            faults.add("thread_id", "session_id and thread_id name different conversations.");
            return None;
        }
        (session, thread) => session.or(thread),
    };
    let Some(header) = header else { return Some(Named::Parts(conversation, turn)) };
    faults.keep(from_header(header, conversation, turn))
}

/// The turn that `Idempotency-Key` names, with what the body says of it.
fn from_header(header: &str, conversation: Option<ConversationId>, turn: Option<TurnId>) -> Result<Named, Fault> {
    const FIELD: &str = "Idempotency-Key";
    let differs = || {
        Fault::new(FIELD, "The header and the body's session_id and turn_id name different turns; give one of the two.")
    };
    if let Some(key) = TurnKey::parse(FIELD, header)? {
        let same_conversation = conversation.is_none_or(|named| named == key.conversation);
        let same_turn = turn.is_none_or(|named| named == key.turn);
        return if same_conversation && same_turn { Ok(Named::Turn(key)) } else { Err(differs()) };
    }
    let name = TurnId::parse(FIELD, header)?;
    if turn.is_some_and(|turn| turn != name) {
        return Err(differs());
    }
    // A retry must find the conversation that the first request began.
    let conversation = conversation
        .unwrap_or_else(|| ConversationId::new(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, header.as_bytes())));
    TurnKey::new(FIELD, conversation, name).map(Named::Turn)
}

/// Digest of what the request means: not of how it is to be answered.
fn input_hash(body: &JsonBody, message: &str, model: Option<&str>, window: Window) -> Digest {
    let mut fields = body.fields.clone();
    fields.retain(|name, _| !OWN_FIELDS.contains(&name.as_str()) && name != "stream_options");
    let mut input = json!({
        "version": INPUT_VERSION,
        "route": "/v1/chat",
        "message": message,
        "model": model,
        "fields": fields,
    });
    // What the model is told of the conversation is a part of what the request means.
    if !window.is_usual() {
        input["window"] = json!(window);
    }
    Digest::of(json::canonical(&input))
}
