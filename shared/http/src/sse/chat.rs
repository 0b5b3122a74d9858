//! The events of `/v1/chat`, for people.

use std::time::Duration;

use axum::response::sse::Event as Sse;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use turnwise_core::id::{ProjectId, TurnKey};
use turnwise_core::position::Position;
use turnwise_core::turn::Failure;
use turnwise_engine::turn::Answer;

use super::shape::{Progress, Shape, Told, text};
use crate::error::ErrorBody;
use crate::render::TurnBody;

/// `/v1/chat`: named events.
///
/// `turn` says which turn it is, `delta` adds text, `done` carries the turn as a
/// buffered reply would, `error` the error. `progress`, which has no number, comes at most
/// once a second, `restarted` before another attempt's text.
#[derive(Debug)]
pub struct Chat {
    key: TurnKey,
    project: Option<ProjectId>,
    /// Whether it was told which turn it is.
    named: bool,
    next: Position,
}

/// Events before the first text: which turn it is.
const PRELUDE: u64 = 1;

impl Chat {
    /// Begins before the first event of the turn `key`.
    #[must_use]
    pub const fn new(key: TurnKey, project: Option<ProjectId>) -> Self {
        Self { key, project, named: false, next: Position { stream: 1, index: 0 } }
    }

    fn event(&mut self, name: &str, data: &impl Serialize) -> (u64, Sse) {
        let number = self.next.number();
        self.next.index += 1;
        (number, event(name, data).id(number.to_string()))
    }

    /// Which turn it is, once.
    fn turn(&mut self) -> Vec<Told> {
        if std::mem::replace(&mut self.named, true) {
            return Vec::new();
        }
        let turn = json!({
            "project_id": self.project,
            "thread_id": self.key.conversation,
            "conversation_id": self.key.conversation,
            "turn_id": self.key.turn,
        });
        let (number, event) = self.event("turn", &turn);
        vec![Told::step(number, event)]
    }
}

impl Shape for Chat {
    fn prelude(&self) -> u64 {
        PRELUDE
    }

    fn sums_up(&self) -> bool {
        true
    }

    fn waiting(&mut self, stream: u32) -> Vec<Told> {
        self.next.stream = stream;
        self.turn()
    }

    fn began(&mut self, stream: u32, _number: u64) -> Vec<Told> {
        self.next.stream = stream;
        let told = self.turn();
        self.next.index = PRELUDE;
        told
    }

    fn restarted(&mut self) -> Vec<Told> {
        let note = json!({"message": "Another attempt answers anew: what comes takes the place of what was sent."});
        vec![Told::aside(event("restarted", &note))]
    }

    fn chunk(&mut self, chunk: &RawValue) -> Vec<Told> {
        let value: Value = serde_json::from_str(chunk.get()).unwrap_or_default();
        let delta = value.pointer("/choices/0/delta/content").and_then(Value::as_str).unwrap_or_default();
        if delta.is_empty() {
            return Vec::new();
        }
        let (number, event) = self.event("delta", &json!({ "text": delta }));
        vec![Told::step(number, event)]
    }

    fn done(&mut self, answer: &Answer) -> Vec<Told> {
        let project = self.project.as_ref().map(ToString::to_string);
        let body = TurnBody::committed(&self.key, project, answer);
        let (number, event) = self.event("done", &body);
        vec![Told::end(number, event)]
    }

    fn failed(&mut self, _failure: &Failure, error: ErrorBody, seen: Option<u64>) -> Vec<Told> {
        let number = self.next.number().max(seen.map_or(0, |seen| seen.saturating_add(1)));
        vec![Told::end(number, event("error", &error).id(number.to_string()))]
    }

    fn broken(&mut self, error: ErrorBody) -> Vec<Told> {
        vec![Told::aside(event("error", &error))]
    }

    fn progress(&mut self, tokens: u64, elapsed: Duration) -> Progress {
        let progress = json!({"output_tokens": tokens, "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(0)});
        Progress::Event(event("progress", &progress))
    }
}

fn event(name: &str, data: &impl Serialize) -> Sse {
    Sse::default().event(name).data(text(data))
}
