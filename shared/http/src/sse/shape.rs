//! How a route writes the frames of a turn.

use std::time::Duration;

use axum::response::sse::Event as Sse;
use serde::Serialize;
use serde_json::value::RawValue;
use turnwise_core::turn::Failure;
use turnwise_engine::turn::Answer;

use crate::error::ErrorBody;

/// An event on its way out.
#[derive(Debug)]
pub struct Told {
    /// Its number; `None` for what is no part of the turn's stream.
    pub number: Option<u64>,
    /// Whether it tells what came of the turn, or of a part of it, whole.
    pub sums_up: bool,
    /// The event.
    pub event: Sse,
}

impl Told {
    /// An event that is no part of the turn's stream: the same client may get it twice.
    #[must_use]
    pub const fn aside(event: Sse) -> Self {
        Self { number: None, sums_up: true, event }
    }

    /// A step of the turn's stream.
    #[must_use]
    pub const fn step(number: u64, event: Sse) -> Self {
        Self { number: Some(number), sums_up: false, event }
    }

    /// The end of the turn's stream.
    #[must_use]
    pub const fn end(number: u64, event: Sse) -> Self {
        Self { number: Some(number), sums_up: true, event }
    }
}

/// How a route writes the frames of a turn. Equal frames give equal events with equal
/// numbers: a stream is resumed by telling it again, and leaving out what was seen.
pub trait Shape: Send + 'static {
    /// How many events come before anything that the model says. They are alike for
    /// every attempt.
    fn prelude(&self) -> u64;

    /// Whether its last events say all that those before them did.
    fn sums_up(&self) -> bool;

    /// The turn waits; its next stream will be `stream`.
    fn waiting(&mut self, stream: u32) -> Vec<Told>;

    /// From here on comes `stream`, of a turn that gets `number`.
    fn began(&mut self, stream: u32, number: u64) -> Vec<Told>;

    /// A client that takes it is told that what comes takes the place of what it has seen.
    fn restarted(&mut self) -> Vec<Told>;

    /// A chunk of the answer.
    fn chunk(&mut self, chunk: &RawValue) -> Vec<Told>;

    /// The committed answer.
    fn done(&mut self, answer: &Answer) -> Vec<Told>;

    /// The turn ended without an answer. `seen` is the number of the last event that the
    /// client has seen, if it came back: more than was kept, it may be.
    fn failed(&mut self, failure: &Failure, error: ErrorBody, seen: Option<u64>) -> Vec<Told>;

    /// The stream cannot go on here; the turn may.
    fn broken(&mut self, error: ErrorBody) -> Vec<Told>;

    /// So many tokens in so much time. Nobody needs to read it.
    fn progress(&mut self, tokens: u64, elapsed: Duration) -> Progress {
        Progress::Comment(format!("progress output_tokens={tokens} elapsed_ms={}", elapsed.as_millis()))
    }

    /// What says, in a long silence, that somebody is there; `None` for a comment.
    fn still_there(&self) -> Option<Sse> {
        None
    }
}

/// How far an answer is.
#[derive(Debug)]
pub enum Progress {
    /// An event of its own.
    Event(Sse),
    /// A comment in an event that goes out anyway. By itself it would end in a blank line,
    /// behind which OpenAI's client for Python reads an event without data, once it has
    /// seen an id: it fails over that.
    Comment(String),
}

/// Compact JSON: one line, as an event's data must not contain a carriage return.
pub(super) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
