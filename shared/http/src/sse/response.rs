//! The events of a response, as Open Responses has them.

use axum::response::sse::Event as Sse;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use turnwise_core::items::{Answered, ResponseEvent, ResponseHead, ResponseStream};
use turnwise_core::turn::Failure;
use turnwise_engine::turn::Answer;

use super::shape::{Shape, Told, text};
use crate::error::ErrorBody;

/// The events of a response. They have no SSE ids, which the standard advises against:
/// their numbers are in their bodies.
#[derive(Debug)]
pub struct Response(ResponseStream);

impl Response {
    /// Begins before the first event.
    #[must_use]
    pub fn new(head: ResponseHead) -> Self {
        Self(ResponseStream::new(head))
    }
}

impl Shape for Response {
    fn prelude(&self) -> u64 {
        self.0.prelude()
    }

    fn sums_up(&self) -> bool {
        true
    }

    fn waiting(&mut self, stream: u32) -> Vec<Told> {
        told(self.0.waiting(stream))
    }

    fn began(&mut self, stream: u32, number: u64) -> Vec<Told> {
        told(self.0.begin(stream, number))
    }

    /// The stream itself tells: the response is created once more.
    fn restarted(&mut self) -> Vec<Told> {
        vec![Told::aside(Sse::default().comment("restarted"))]
    }

    fn chunk(&mut self, chunk: &RawValue) -> Vec<Told> {
        told(self.0.chunk(&serde_json::from_str(chunk.get()).unwrap_or_default()))
    }

    fn done(&mut self, answer: &Answer) -> Vec<Told> {
        let completion: Value = serde_json::from_str(answer.output.get()).unwrap_or_default();
        let (usage, completed_at) = (answer.usage, answer.completed_at);
        let mut events = told(self.0.done(&Answered { completion: &completion, usage, completed_at }));
        events.push(over());
        events
    }

    fn failed(&mut self, failure: &Failure, error: ErrorBody, seen: Option<u64>) -> Vec<Told> {
        let mut events = told(self.0.failed(failure, &payload(&error), seen));
        events.push(over());
        events
    }

    /// The event has the number of the one before it: it is no part of the stream, and a
    /// client that goes on from it misses nothing.
    fn broken(&mut self, error: ErrorBody) -> Vec<Told> {
        let event = self.0.error_aside(&payload(&error));
        vec![Told::aside(written(&event)), over()]
    }
}

/// What the standard ends every stream with.
fn over() -> Told {
    Told::aside(Sse::default().data("[DONE]"))
}

fn told(events: Vec<ResponseEvent>) -> Vec<Told> {
    let told = events.into_iter().map(|event| Told {
        number: Some(event.number),
        sums_up: event.sums_up(),
        event: written(&event),
    });
    told.collect()
}

fn written(event: &ResponseEvent) -> Sse {
    Sse::default().event(&event.name).data(text(&event.body))
}

fn payload(error: &ErrorBody) -> Value {
    let error = &error.error;
    json!({
        "type": error.kind,
        "code": error.code,
        "message": error.message,
        "user_message": error.user_message,
        "param": error.param,
        "retryable": error.retryable,
        "request_id": error.request_id,
    })
}
