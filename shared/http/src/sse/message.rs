//! The events of a message, as Anthropic has them.

use std::time::Duration;

use axum::response::sse::Event as Sse;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use turnwise_core::messages::{MessageAnswer, MessageEvent, MessageHead, MessageStream};
use turnwise_core::turn::Failure;
use turnwise_engine::turn::Answer;

use super::shape::{Progress, Shape, Told, text};
use crate::error::{ErrorBody, MessageErrorBody};

/// The events of a message. Their names are mandatory for Anthropic's clients, their ids
/// are their places in the turn's stream.
#[derive(Debug)]
pub struct Message(MessageStream);

impl Message {
    /// Begins before the first event.
    #[must_use]
    pub fn new(head: MessageHead) -> Self {
        Self(MessageStream::new(head))
    }
}

impl Shape for Message {
    fn prelude(&self) -> u64 {
        MessageStream::PRELUDE
    }

    fn sums_up(&self) -> bool {
        false
    }

    fn waiting(&mut self, _stream: u32) -> Vec<Told> {
        Vec::new()
    }

    fn began(&mut self, stream: u32, _number: u64) -> Vec<Told> {
        vec![step(&self.0.begin(stream))]
    }

    /// A name that no client of Anthropic's knows, and which they pass over: only who asked
    /// for it reads it.
    fn restarted(&mut self) -> Vec<Told> {
        vec![Told::aside(named("restarted", &json!({"type": "restarted"})))]
    }

    fn chunk(&mut self, chunk: &RawValue) -> Vec<Told> {
        let events = self.0.chunk(&serde_json::from_str(chunk.get()).unwrap_or_default());
        events.iter().map(step).collect()
    }

    fn done(&mut self, answer: &Answer) -> Vec<Told> {
        let completion: Value = serde_json::from_str(answer.output.get()).unwrap_or_default();
        let events = self.0.done(&MessageAnswer { completion: &completion, usage: answer.usage });
        events.iter().map(step).collect()
    }

    fn failed(&mut self, _failure: &Failure, error: ErrorBody, seen: Option<u64>) -> Vec<Told> {
        let event = self.0.failed(json!(MessageErrorBody::from(error.error)), seen);
        vec![Told::end(event.number, written(&event))]
    }

    fn broken(&mut self, error: ErrorBody) -> Vec<Told> {
        vec![Told::aside(named("error", &json!(MessageErrorBody::from(error.error))))]
    }

    /// The standard has an event that says as much as that somebody is there; what is beside
    /// its type its clients pass over.
    fn progress(&mut self, tokens: u64, elapsed: Duration) -> Progress {
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(0);
        Progress::Event(named("ping", &json!({"type": "ping", "output_tokens": tokens, "elapsed_ms": elapsed_ms})))
    }
}

fn step(event: &MessageEvent) -> Told {
    Told::step(event.number, written(event))
}

fn written(event: &MessageEvent) -> Sse {
    named(&event.name, &event.body).id(event.number.to_string())
}

fn named(name: &str, body: &Value) -> Sse {
    Sse::default().event(name).data(text(body))
}
