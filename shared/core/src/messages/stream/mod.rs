//! An answer as a stream of events, as Anthropic has them.
//!
//! [`MessageStream`] makes the events from a turn's chunks, `events` those of its blocks,
//! which `blocks` describes. Equal chunks give equal events with equal numbers, whoever
//! makes them: that is what a stream is resumed by.

mod blocks;
mod events;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

pub(super) use self::blocks::Block;
pub(super) use self::events::BlockEvents;
use super::answer::{MessageAnswer, stop_reason, stop_sequence, usage};
use crate::position::Position;

/// What the beginning of a stream says of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageHead {
    /// Its id, `msg_...`.
    pub id: String,
    /// The model that answers, `provider/model`.
    pub model: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageEvent {
    /// Its place in the turn's stream.
    pub number: u64,
    /// Its `type`, which is also its name.
    pub name: String,
    /// All of it.
    pub body: Value,
}

/// Makes a message's events.
#[derive(Debug)]
pub struct MessageStream {
    head: MessageHead,
    blocks: BlockEvents,
    /// Of the next event.
    next: Position,
}

impl MessageStream {
    /// How many events come before anything that the model says: the message's beginning.
    pub const PRELUDE: u64 = 1;

    /// Begins before the first event.
    #[must_use]
    pub fn new(head: MessageHead) -> Self {
        Self { head, blocks: BlockEvents::default(), next: Position { stream: 1, index: 0 } }
    }

    /// From here on comes `stream`.
    pub fn begin(&mut self, stream: u32) -> MessageEvent {
        self.next = Position { stream, index: 0 };
        self.blocks = BlockEvents::default();
        // How many tokens went in is known when the upstream says so, at the end.
        let usage = json!({"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0});
        let message = json!({
            "id": self.head.id, "type": "message", "role": "assistant", "model": self.head.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage,
        });
        self.event(json!({"type": "message_start", "message": message}))
    }

    /// A `chat.completion.chunk` of the answer.
    pub fn chunk(&mut self, chunk: &Value) -> Vec<MessageEvent> {
        let bodies = self.blocks.chunk(chunk);
        self.numbered(bodies)
    }

    /// The answer is committed.
    pub fn done(&mut self, answer: &MessageAnswer<'_>) -> Vec<MessageEvent> {
        let mut bodies = self.blocks.finish();
        let sequence = stop_sequence(answer.completion);
        let delta = json!({"stop_reason": stop_reason(answer.completion), "stop_sequence": sequence});
        bodies.push(json!({"type": "message_delta", "delta": delta, "usage": usage(&answer.usage)}));
        bodies.push(json!({"type": "message_stop"}));
        self.numbered(bodies)
    }

    /// There is no answer: the stream ends with `error`, an error's body. A client may have
    /// seen more than was kept: one that has seen number `seen` is told the end behind that.
    pub fn failed(&mut self, error: Value, seen: Option<u64>) -> MessageEvent {
        let seen = seen.map(Position::of).filter(|seen| seen.stream == self.next.stream);
        if let Some(seen) = seen.filter(|seen| seen.index >= self.next.index) {
            self.next.index = seen.index + 1;
        }
        self.event(error)
    }

    fn numbered(&mut self, bodies: Vec<Value>) -> Vec<MessageEvent> {
        bodies.into_iter().map(|body| self.event(body)).collect()
    }

    fn event(&mut self, body: Value) -> MessageEvent {
        let number = self.next.number();
        self.next.index += 1;
        let name = body["type"].as_str().unwrap_or_default().to_owned();
        MessageEvent { number, name, body }
    }
}
