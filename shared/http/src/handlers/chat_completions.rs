//! `POST /v1/chat/completions`: OpenAI's route. Stateless, and idempotent with a key.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use turnwise_core::digest::Digest;
use turnwise_core::json::{self, RawMap, kind_of};
use turnwise_engine::turn::Answer;

use super::Manner;
use super::keyed::{self, Keyed};
use super::turn_responses::TurnResponses;
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::params::TurnHeaders;
use crate::sse;

/// See the same constant of `/v1/chat`.
const INPUT_VERSION: u32 = 1;

/// Fields that say how to answer, not what.
const TRANSPORT_FIELDS: [&str; 4] = ["model", "restartable", "stream", "stream_options"];

const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

/// Completes a chat, in OpenAI's shape.
///
/// Every field of OpenAI's request is accepted and forwarded. More tokens in `max_tokens` or
/// `max_completion_tokens` than the model gives are refused with `max_tokens_exceeded`, and
/// messages that are surely more than it takes with `context_length_exceeded`.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "chat", request_body = Object,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request a durable turn: a retry gets the same bytes."),
        ("Prefer" = Option<String>, Header, description = "`wait=n`: seconds to wait for the same request when it is running."),
        ("Last-Event-ID" = Option<u64>, Header, description = "With `stream` and the same key: goes on behind this event."),
        ("Turnwise-Delivery" = Option<String>, Header, description = "`at-least-once` or `at-most-once`."),
        ("Turnwise-Task" = Option<String>, Header, description = "What the request is for: a label of 1 to 64 of `a-z`, `0-9`, `_`, `.`, `-`. Usage is summed up by it."),
    ),
    responses(
        (status = 200, description = "OpenAI's chat.completion object, or its stream",
            content((Object = "application/json"), (String = "text/event-stream"))),
        (status = 404, description = "Unknown model", body = ErrorBody),
        (status = 409, description = "The same request is running", body = ErrorBody),
        TurnResponses,
    ),
)]
pub(crate) async fn create_chat_completion(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let mut body = JsonBody::read(body).await?;
    let turn_headers = TurnHeaders::read(&headers, &mut body.faults);
    let stream = body.flag("stream").unwrap_or(false);
    let include_usage = include_usage(&mut body);
    let manner = Manner::read(&turn_headers, &mut body);
    check(&mut body);
    let key = keyed::key(&turn_headers, &mut body.faults);
    body.faults.clone().into_result().map_err(Error::Invalid)?;

    let request = Keyed {
        input_hash: input_hash(&body),
        model: body.text("model"),
        fields: fields(&mut body),
        key,
        headers: turn_headers,
        manner,
        stream,
    };
    let shape = sse::ChatCompletion::new(include_usage);
    keyed::answer(&app, &principal, context, request, |_| shape, |_, answer| verbatim(answer)).await
}

/// The answer as the upstream wrote it.
fn verbatim(answer: &Answer) -> Vec<u8> {
    answer.output.get().as_bytes().to_vec()
}

/// All fields but those that say how to answer.
fn fields(body: &mut JsonBody) -> RawMap {
    let mut fields = std::mem::take(&mut body.raw);
    fields.retain(|name, _| !TRANSPORT_FIELDS.contains(&name.as_str()));
    fields
}

fn input_hash(body: &JsonBody) -> Digest {
    let mut fields = body.fields.clone();
    fields.retain(|name, _| name == "model" || !TRANSPORT_FIELDS.contains(&name.as_str()));
    let input = json!({"version": INPUT_VERSION, "route": "/v1/chat/completions", "fields": fields});
    Digest::of(json::canonical(&input))
}

fn include_usage(body: &mut JsonBody) -> bool {
    let options = body.typed("stream_options", "an object", |value| value.as_object().cloned());
    match options.as_ref().and_then(|options| options.get("include_usage")) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(wanted)) => *wanted,
        Some(other) => {
            body.faults.add("stream_options.include_usage", format!("Expected true or false, got {}.", kind_of(other)));
            false
        }
    }
}

/// What every upstream would refuse: told here at once and with the field's name.
/// The rest is the upstream's to judge.
fn check(body: &mut JsonBody) {
    match body.text("model") {
        Some(model) if model.trim().is_empty() => body.faults.add("model", "The model must not be empty."),
        None if !body.fields.contains_key("model") => body.faults.add("model", "A model is required."),
        Some(_) | None => {}
    }
    for field in ["temperature", "top_p", "presence_penalty", "frequency_penalty"] {
        let _ = body.typed(field, "a number", Value::as_f64);
    }
    for field in ["max_tokens", "max_completion_tokens", "n", "top_logprobs"] {
        let _ = body.count(field);
    }
    let _ = body.typed("tools", "an array", |value| value.is_array().then_some(()));
    match body.fields.get("messages").cloned() {
        Some(Value::Array(messages)) if !messages.is_empty() => {
            for (index, message) in messages.iter().enumerate() {
                check_message(body, index, message);
            }
        }
        Some(Value::Array(_)) => body.faults.add("messages", "At least one message is required."),
        Some(other) => body.faults.add("messages", format!("Expected an array, got {}.", kind_of(&other))),
        None => body.faults.add("messages", "Messages are required."),
    }
}

fn check_message(body: &mut JsonBody, index: usize, message: &Value) {
    let faults = &mut body.faults;
    let Some(message) = message.as_object() else {
        faults.add(format!("messages[{index}]"), format!("Expected an object, got {}.", kind_of(message)));
        return;
    };
    match message.get("role") {
        Some(Value::String(role)) if ROLES.contains(&role.as_str()) => {}
        Some(Value::String(role)) => {
            faults
                .add(format!("messages[{index}].role"), format!("Expected one of {}, got {role:?}.", ROLES.join(", ")));
        }
        Some(other) => {
            faults.add(format!("messages[{index}].role"), format!("Expected a string, got {}.", kind_of(other)));
        }
        None => faults.add(format!("messages[{index}].role"), "A role is required."),
    }
    match message.get("content") {
        None | Some(Value::Null | Value::String(_) | Value::Array(_)) => {}
        Some(other) => faults.add(
            format!("messages[{index}].content"),
            format!("Expected a string or an array, got {}.", kind_of(other)),
        ),
    }
}
