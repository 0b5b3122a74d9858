//! A response as a stream of events, as Open Responses has them.
//!
//! [`ResponseStream`] makes the events from a turn's chunks, `items` those of its items.
//! It does no I/O and knows no time: equal chunks give equal events with equal numbers,
//! whoever makes them. That is what a stream is resumed by, in any process and after its
//! end: it is made again from its beginning, and what its client has seen is left out.

mod items;

use serde_json::{Value, json};

use self::items::ItemEvents;
use super::content::Parts;
use super::from_messages::output_items;
use super::id::{RowId, with_ids};
use super::parse::message;
use super::response::{ResponseObject, ResponseState};
use super::response_id::response_id;
use crate::id::TurnKey;
use crate::json::RawMap;
use crate::position::Position;
use crate::time::Timestamp;
use crate::turn::{Failure, Outcome};
use crate::usage::Usage;

/// What every event of a response says of it.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// The turn.
    pub key: TurnKey,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// The model that answers, `provider/model`.
    pub model: String,
    /// The request's own fields that a response repeats.
    pub echo: RawMap,
    /// The number the turn has, or gets when it commits; 0 for a response that has none.
    pub number: u64,
    /// Items that came in with it: what it says is numbered behind them.
    pub inputs: usize,
    /// Whether it waits or waited in its conversation's queue.
    pub queued: bool,
}

impl ResponseHead {
    /// The response in `state`, with `output` and, once they are known, its tokens.
    #[must_use]
    pub fn object(&self, state: ResponseState, output: Vec<Value>, usage: Option<Usage>) -> Value {
        let text = |name: &str| self.echo.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        ResponseObject {
            id: &response_id(&self.key),
            created_at: self.created_at,
            state,
            model: &self.model,
            output,
            usage,
            previous_response_id: text("previous_response_id").as_deref(),
            conversation: text("conversation").as_deref(),
            echo: &self.echo,
        }
        .to_json()
    }

    /// What `completion` says, as items with their ids.
    #[must_use]
    pub fn output(&self, completion: &Value) -> Vec<Value> {
        self.named(output_items(completion))
    }

    /// The text that had arrived of an answer, as the item that it was to become.
    #[must_use]
    pub fn broken_off(&self, partial: &str) -> Vec<Value> {
        if partial.is_empty() {
            return Vec::new();
        }
        let mut item = message("assistant", vec![Parts::Output.text(partial)]);
        item["status"] = json!("incomplete");
        self.named(vec![item])
    }

    fn named(&self, items: Vec<Value>) -> Vec<Value> {
        with_ids(items, &self.key.conversation, RowId::of_turn(self.number), self.inputs)
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponseEvent {
    /// Its `sequence_number`.
    pub number: u64,
    /// Its `type`.
    pub name: String,
    /// All of it.
    pub body: Value,
}

impl ResponseEvent {
    /// Whether it tells what came of the response or of a part of it, whole, and not a
    /// step on the way there.
    #[must_use]
    pub fn sums_up(&self) -> bool {
        const ENDS: [&str; 4] = ["response.completed", "response.incomplete", "response.failed", "error"];
        self.name.ends_with(".done") || ENDS.contains(&self.name.as_str())
    }
}

/// A committed answer, as its stream ends with it.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The `chat.completion` object.
    pub completion: &'a Value,
    /// Tokens.
    pub usage: Usage,
    /// When it was committed.
    pub completed_at: Timestamp,
}

/// Makes a response's events.
#[derive(Debug)]
pub struct ResponseStream {
    head: ResponseHead,
    items: ItemEvents,
    /// Of the next event.
    next: Position,
}

impl ResponseStream {
    /// Begins before the first event.
    #[must_use]
    pub fn new(head: ResponseHead) -> Self {
        let items = ItemEvents::new(&head);
        Self { head, items, next: Position { stream: 1, index: 0 } }
    }

    /// How many events come before anything that the model says: a client that has seen
    /// no more than these may be told of another attempt without noticing.
    #[must_use]
    pub const fn prelude(&self) -> u64 {
        if self.head.queued { 3 } else { 2 }
    }

    /// The response waits; its next stream will be `stream`.
    pub fn waiting(&mut self, stream: u32) -> Vec<ResponseEvent> {
        if !self.head.queued || self.next.index > 0 {
            return Vec::new();
        }
        self.next.stream = stream;
        vec![
            self.state("response.created", ResponseState::Queued),
            self.state("response.queued", ResponseState::Queued),
        ]
    }

    /// From here on comes `stream`, of a turn that gets `number`. If an earlier one had said something, the response
    /// begins again.
    pub fn begin(&mut self, stream: u32, number: u64) -> Vec<ResponseEvent> {
        if self.next.index > self.prelude() {
            self.next.index = 0;
        }
        self.head.number = number;
        self.items = ItemEvents::new(&self.head);
        self.next.stream = stream;
        if self.next.index == self.prelude() {
            return Vec::new();
        }
        let mut events = self.waiting(stream);
        if self.next.index == 0 {
            events.push(self.state("response.created", ResponseState::InProgress));
        }
        events.push(self.state("response.in_progress", ResponseState::InProgress));
        events
    }

    /// A `chat.completion.chunk` of the answer.
    pub fn chunk(&mut self, chunk: &Value) -> Vec<ResponseEvent> {
        let bodies = self.items.chunk(chunk);
        self.numbered(bodies)
    }

    /// The answer is committed.
    pub fn done(&mut self, answer: &Answered<'_>) -> Vec<ResponseEvent> {
        let output = self.head.output(answer.completion);
        let bodies = self.items.finish(&output);
        let mut events = self.numbered(bodies);
        events.push(self.end(answer, output));
        events
    }

    /// There is no answer. What had come of it is told as incomplete, then why it ended, as
    /// the error object `error`. A client may have seen more than was kept: one that has seen
    /// number `seen` is told the end behind that.
    pub fn failed(&mut self, failure: &Failure, error: &Value, seen: Option<u64>) -> Vec<ResponseEvent> {
        let seen = seen.map(Position::of).filter(|seen| seen.stream == self.next.stream).map(|seen| seen.index);
        let (mut bodies, mut output) = self.items.break_off();
        let nothing_kept = output.is_empty();
        if nothing_kept {
            output = self.head.broken_off(&failure.partial);
            if seen.is_none_or(|seen| seen < self.next.index) {
                bodies = self.items.finish(&output);
            }
        }
        // Being cancelled is no error: it was asked for.
        let has_error = failure.outcome != Outcome::Cancelled;
        let last = self.next.index + count(bodies.len()) + u64::from(has_error);
        let most = if nothing_kept { self.next.index } else { last };
        if let Some(seen) = seen.filter(|seen| *seen >= most) {
            self.next.index = seen + 1;
        }
        let mut events = self.numbered(bodies);
        if has_error {
            events.push(self.error(error));
        }
        let response = self.head.object(ResponseState::of_failure(failure), output, None);
        events.push(self.event(json!({"type": "response.failed", "response": response})));
        events
    }

    /// An `error` event with the error object `error`: as Open Responses has it and, for
    /// OpenAI's own clients, once more as they read it.
    pub fn error(&mut self, error: &Value) -> ResponseEvent {
        let (code, message, param) = (&error["code"], &error["message"], &error["param"]);
        self.event(json!({"type": "error", "error": error, "code": code, "message": message, "param": param}))
    }

    /// The same event as no part of the stream: with the number of the one before it.
    #[must_use]
    pub fn error_aside(&mut self, error: &Value) -> ResponseEvent {
        let next = self.next;
        self.next.index = next.index.saturating_sub(1);
        let event = self.error(error);
        self.next = next;
        event
    }

    fn end(&mut self, answer: &Answered<'_>, output: Vec<Value>) -> ResponseEvent {
        let state = ResponseState::of_completion(answer.completion, answer.completed_at);
        let name = match &state {
            ResponseState::Incomplete { .. } => "response.incomplete",
            ResponseState::Queued
            | ResponseState::InProgress
            | ResponseState::Completed { .. }
            | ResponseState::Failed(_)
            | ResponseState::Cancelled => "response.completed",
        };
        let response = self.head.object(state, output, Some(answer.usage));
        self.event(json!({"type": name, "response": response}))
    }

    fn state(&mut self, name: &str, state: ResponseState) -> ResponseEvent {
        let response = self.head.object(state, Vec::new(), None);
        self.event(json!({"type": name, "response": response}))
    }

    fn numbered(&mut self, bodies: Vec<Value>) -> Vec<ResponseEvent> {
        bodies.into_iter().map(|body| self.event(body)).collect()
    }

    fn event(&mut self, mut body: Value) -> ResponseEvent {
        let number = self.next.number();
        self.next.index += 1;
        body["sequence_number"] = json!(number);
        let name = body["type"].as_str().unwrap_or_default().to_owned();
        ResponseEvent { number, name, body }
    }
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
}
