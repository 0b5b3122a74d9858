//! OpenAI's chat completion chunks, as the upstream sent them.

use axum::response::sse::Event as Sse;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use turnwise_core::position::Position;
use turnwise_core::turn::Failure;
use turnwise_engine::turn::Answer;

use super::shape::{Shape, Told, text};
use crate::error::ErrorBody;

/// OpenAI's chat completion chunks. An event's id is the place of its chunk in the turn's
/// stream, whether all chunks are shown or not.
#[derive(Debug)]
pub struct ChatCompletion {
    /// Whether the client asked for the usage chunk; we ask for it always.
    include_usage: bool,
    next: Position,
}

impl ChatCompletion {
    /// Begins before the first chunk.
    #[must_use]
    pub const fn new(include_usage: bool) -> Self {
        Self { include_usage, next: Position { stream: 1, index: 0 } }
    }

    fn number(&mut self) -> u64 {
        let number = self.next.number();
        self.next.index += 1;
        number
    }
}

impl Shape for ChatCompletion {
    fn prelude(&self) -> u64 {
        0
    }

    fn sums_up(&self) -> bool {
        false
    }

    fn waiting(&mut self, _stream: u32) -> Vec<Told> {
        Vec::new()
    }

    fn began(&mut self, stream: u32, _number: u64) -> Vec<Told> {
        self.next = Position { stream, index: 0 };
        Vec::new()
    }

    /// A chunk that says nothing: a comment would be taken for an event without data.
    fn still_there(&self) -> Option<Sse> {
        let choice = json!({"index": 0, "delta": {}, "finish_reason": null});
        let chunk =
            json!({"id": "", "object": "chat.completion.chunk", "created": 0, "model": "", "choices": [choice]});
        Some(Sse::default().data(text(&chunk)))
    }

    fn restarted(&mut self) -> Vec<Told> {
        let note = json!({"object": "chat.completion.chunk", "choices": [], "turnwise": {"restarted": true}});
        vec![Told::aside(Sse::default().data(text(&note)))]
    }

    fn chunk(&mut self, chunk: &RawValue) -> Vec<Told> {
        let number = self.number();
        let event = Sse::default().id(number.to_string());
        if !self.include_usage && chunk.get().contains("\"usage\"") {
            let left = without_usage(chunk.get());
            return left.map(|chunk| Told::step(number, event.data(chunk))).into_iter().collect();
        }
        vec![Told::step(number, event.data(one_line(chunk.get())))]
    }

    fn done(&mut self, _answer: &Answer) -> Vec<Told> {
        let number = self.number();
        vec![Told::end(number, Sse::default().id(number.to_string()).data("[DONE]"))]
    }

    fn failed(&mut self, _failure: &Failure, error: ErrorBody, seen: Option<u64>) -> Vec<Told> {
        let number = self.number().max(seen.map_or(0, |seen| seen.saturating_add(1)));
        vec![Told::end(number, Sse::default().id(number.to_string()).data(text(&error)))]
    }

    fn broken(&mut self, error: ErrorBody) -> Vec<Told> {
        vec![Told::aside(Sse::default().data(text(&error)))]
    }
}

/// A chunk without its usage; `None` if there was nothing else in it.
fn without_usage(chunk: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(chunk).ok()?;
    let fields = value.as_object_mut()?;
    let usage = fields.remove("usage");
    let says_nothing = fields.get("choices").and_then(Value::as_array).is_some_and(Vec::is_empty);
    if usage.is_some_and(|usage| !usage.is_null()) && says_nothing {
        return None;
    }
    Some(text(&value))
}

/// JSON as it came, without line breaks: those would end the event's data.
fn one_line(chunk: &str) -> std::borrow::Cow<'_, str> {
    if chunk.contains(['\n', '\r']) { chunk.replace(['\n', '\r'], " ").into() } else { chunk.into() }
}
