//! A turn as a response object. What a first reply shows comes from what was committed,
//! as what every later one shows: they are the same bytes.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use turnwise_core::id::TurnKey;
use turnwise_core::items::{ResponseHead, ResponseState};
use turnwise_core::turn::State;
use turnwise_engine::responses::FoundResponse;
use turnwise_engine::turn::Answer;

use crate::render;

/// A response that has its answer.
pub(super) fn answered(key: &TurnKey, answer: &Answer) -> Vec<u8> {
    let completion: Value = serde_json::from_str(answer.output.get()).unwrap_or_default();
    let head = ResponseHead {
        key: key.clone(),
        created_at: answer.created_at,
        model: answer.model.clone(),
        echo: answer.echo.clone(),
        number: answer.number.unwrap_or(0),
        inputs: answer.inputs,
        queued: false,
    };
    let state = ResponseState::of_completion(&completion, answer.completed_at);
    bytes(&head.object(state, head.output(&completion), Some(answer.usage)))
}

/// A response as it stands, with the headers that name its turn.
pub(super) fn found(response: &FoundResponse) -> Response {
    let body = match &response.found.answer {
        Some(answer) => answered(&response.found.turn.key, answer),
        None => unanswered(response),
    };
    let mut reply = body.into_response();
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    render::put_headers(&mut reply, render::turn_headers(&response.found.facts()));
    reply
}

fn unanswered(response: &FoundResponse) -> Vec<u8> {
    let (state, partial) = match &response.found.turn.state {
        State::Queued { .. } => (ResponseState::Queued, ""),
        // Its answer is given elsewhere; without one it is still being made.
        State::Processing | State::Completed(_) => (ResponseState::InProgress, ""),
        State::Failed(failure) => (ResponseState::of_failure(failure), failure.partial.as_str()),
    };
    let head = response.head();
    bytes(&head.object(state, head.broken_off(partial), None))
}

fn bytes(object: &Value) -> Vec<u8> {
    object.to_string().into_bytes()
}
