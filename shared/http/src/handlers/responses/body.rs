//! A turn as a response object. What a first reply shows comes from what was committed,
//! as what every later one shows: they are the same bytes.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use turnwise_core::id::TurnKey;
use turnwise_core::items::{ResponseObject, ResponseState, RowId, output_items, response_id, with_ids};
use turnwise_core::json::RawMap;
use turnwise_core::turn::State;
use turnwise_engine::responses::FoundResponse;
use turnwise_engine::turn::Answer;

use crate::render;

/// A response that has its answer.
pub(super) fn answered(key: &TurnKey, answer: &Answer) -> Vec<u8> {
    let completion: Value = serde_json::from_str(answer.output.get()).unwrap_or_default();
    let row = RowId::of_turn(answer.number.unwrap_or(0));
    ResponseObject {
        id: &response_id(key),
        created_at: answer.created_at,
        state: ResponseState::of_completion(&completion, answer.completed_at),
        model: &answer.model,
        output: with_ids(output_items(&completion), &key.conversation, row, answer.inputs),
        usage: Some(answer.usage),
        previous_response_id: text(&answer.echo, "previous_response_id").as_deref(),
        conversation: text(&answer.echo, "conversation").as_deref(),
        echo: &answer.echo,
    }
    .to_json()
    .to_string()
    .into_bytes()
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
    let turn = &response.found.turn;
    let (state, partial) = match &turn.state {
        State::Queued { .. } => (ResponseState::Queued, ""),
        // Its answer is given elsewhere; without one it is still being made.
        State::Processing | State::Completed(_) => (ResponseState::InProgress, ""),
        State::Failed(failure) => (ResponseState::of_failure(failure), failure.partial.as_str()),
    };
    let nothing = RawMap::new();
    let echo = response.input.as_ref().map_or(&nothing, |input| &input.echo);
    let inputs = response.input.as_ref().and_then(|input| input.items.as_ref());
    let inputs = inputs.and_then(|items| serde_json::from_str::<Vec<Value>>(items.get()).ok()).unwrap_or_default();
    let row = RowId::of_turn(0);
    ResponseObject {
        id: &response_id(&turn.key),
        created_at: turn.created_at,
        state,
        model: &response.model,
        output: with_ids(broken_off(partial), &turn.key.conversation, row, inputs.len()),
        usage: None,
        previous_response_id: text(echo, "previous_response_id").as_deref(),
        conversation: text(echo, "conversation").as_deref(),
        echo,
    }
    .to_json()
    .to_string()
    .into_bytes()
}

/// What had arrived of an answer, as the item that it was to become.
fn broken_off(partial: &str) -> Vec<Value> {
    if partial.is_empty() {
        return Vec::new();
    }
    let mut items = output_items(&json!({"choices": [{"message": {"role": "assistant", "content": partial}}]}));
    for item in &mut items {
        item["status"] = json!("incomplete");
    }
    items
}

fn text(echo: &RawMap, name: &str) -> Option<String> {
    echo.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok())
}
