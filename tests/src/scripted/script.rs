//! What the provider does with one call.

use std::time::Duration;

use serde_json::{Value, json};
use turnwise_core::embedding::Encoding;
use turnwise_engine::clock::Clock;

use super::Gate;

/// What the provider does with one call.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) reply: Reply,
    pub(super) headers: Vec<(&'static str, String)>,
    gate: Option<Gate>,
    delay: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// A completion, whole or streamed as the call asks.
    Answer(Answer),
    /// A vector for each input: written as the call asks, or always like this.
    Embeddings(Option<Encoding>),
    /// A status and a body.
    Status(u16, Vec<u8>),
    /// Status 200 and these pieces of a body, as an event stream.
    Pieces(Vec<Vec<u8>>),
    /// The connection is closed without a word.
    HangUp,
}

#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// What each chunk adds to the message.
    pub(super) chunks: Vec<Value>,
    pub(super) finish_reason: String,
    pub(super) usage: Option<Value>,
    pub(super) done: bool,
    pub(super) ignores_stream: bool,
    /// Pause before each chunk.
    pub(super) pace: Duration,
    /// Gates, each after so many chunks.
    pub(super) gates: Vec<(usize, Gate)>,
    /// Bytes sent in between, each after so many chunks.
    pub(super) noise: Vec<(usize, Vec<u8>)>,
    /// How it ends before its time, after so many chunks. A whole answer does so
    /// halfway.
    pub(super) interruption: Option<(usize, Interruption)>,
}

#[derive(Debug, Clone)]
pub(super) enum Interruption {
    /// The connection breaks.
    Cut,
    /// The body ends in order.
    End,
    /// An error object, then the end.
    Error(Value),
    /// JSON that is none, then the end.
    Malformed,
    /// A line that never ends.
    EndlessLine,
}

impl Script {
    /// Answers `text`; streamed, it comes word by word.
    #[must_use]
    pub fn answer(text: &str) -> Self {
        Self::chunks(text.split_inclusive(' '))
    }

    /// Answers the text that `chunks` make; streamed, it comes in these chunks.
    #[must_use]
    pub fn chunks<'a>(chunks: impl IntoIterator<Item = &'a str>) -> Self {
        let deltas: Vec<Value> = chunks.into_iter().map(|text| json!({ "content": text })).collect();
        Self::deltas(&deltas)
    }

    /// Answers the message that `deltas` make; streamed, each comes in a chunk.
    #[must_use]
    pub fn deltas(deltas: &[Value]) -> Self {
        let tokens = deltas.len();
        Self::new(Reply::Answer(Answer {
            chunks: deltas.to_vec(),
            finish_reason: "stop".to_owned(),
            usage: Some(json!({"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens})),
            done: true,
            ignores_stream: false,
            pace: Duration::ZERO,
            gates: Vec::new(),
            noise: Vec::new(),
            interruption: None,
        }))
    }

    /// Answers a vector for each input: its place, its length in bytes and a half.
    #[must_use]
    pub fn embeddings() -> Self {
        Self::new(Reply::Embeddings(None))
    }

    /// The same, in this encoding, whatever the call asks for.
    #[must_use]
    pub fn embeddings_as(encoding: Encoding) -> Self {
        Self::new(Reply::Embeddings(Some(encoding)))
    }

    /// Answers `status` with an error body in OpenAI's shape.
    #[must_use]
    pub fn refuse(status: u16) -> Self {
        Self::refuse_with(status, &json!({"error": {"message": "scripted refusal", "type": null, "code": null}}))
    }

    /// Answers `status` with `body`.
    #[must_use]
    pub fn refuse_with(status: u16, body: &Value) -> Self {
        Self::new(Reply::Status(status, body.to_string().into_bytes()))
    }

    /// Answers status 200 with `pieces` as the body, whatever they are.
    #[must_use]
    pub fn pieces(pieces: &[&[u8]]) -> Self {
        Self::new(Reply::Pieces(pieces.iter().map(|piece| piece.to_vec()).collect()))
    }

    /// Closes the connection without a word.
    #[must_use]
    pub fn hang_up() -> Self {
        Self::new(Reply::HangUp)
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Waits at `gate` before the first byte.
    #[must_use]
    pub fn gated(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Waits so long before the first byte.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits at `gate` after so many chunks.
    #[must_use]
    pub fn gated_after(self, chunks: usize, gate: &Gate) -> Self {
        self.edit(|answer| answer.gates.push((chunks, gate.clone())))
    }

    /// Waits so long before each chunk.
    #[must_use]
    pub fn paced(self, pace: Duration) -> Self {
        self.edit(|answer| answer.pace = pace)
    }

    /// Ends with this reason instead of `stop`.
    #[must_use]
    pub fn finish_reason(self, reason: &str) -> Self {
        self.edit(|answer| reason.clone_into(&mut answer.finish_reason))
    }

    /// Reports `usage`, however impossible.
    #[must_use]
    pub fn usage(self, usage: Value) -> Self {
        self.edit(|answer| answer.usage = Some(usage))
    }

    /// Reports no usage.
    #[must_use]
    pub fn without_usage(self) -> Self {
        self.edit(|answer| answer.usage = None)
    }

    /// Leaves out `[DONE]`.
    #[must_use]
    pub fn without_done(self) -> Self {
        self.edit(|answer| answer.done = false)
    }

    /// Answers whole even when asked to stream.
    #[must_use]
    pub fn ignoring_stream(self) -> Self {
        self.edit(|answer| answer.ignores_stream = true)
    }

    /// Breaks the connection after so many chunks.
    #[must_use]
    pub fn cut_after(self, chunks: usize) -> Self {
        self.interrupted(chunks, Interruption::Cut)
    }

    /// Ends the body in order after so many chunks, without finish or `[DONE]`.
    #[must_use]
    pub fn end_after(self, chunks: usize) -> Self {
        self.interrupted(chunks, Interruption::End)
    }

    /// Sends `error` as an event after so many chunks, and ends.
    #[must_use]
    pub fn error_after(self, chunks: usize, error: Value) -> Self {
        self.interrupted(chunks, Interruption::Error(error))
    }

    /// Sends broken JSON after so many chunks, and ends.
    #[must_use]
    pub fn malformed_after(self, chunks: usize) -> Self {
        self.interrupted(chunks, Interruption::Malformed)
    }

    /// Sends a line without end after so many chunks.
    #[must_use]
    pub fn endless_line_after(self, chunks: usize) -> Self {
        self.interrupted(chunks, Interruption::EndlessLine)
    }

    /// Sends `bytes` after so many chunks, and goes on.
    #[must_use]
    pub fn noise_after(self, chunks: usize, bytes: &[u8]) -> Self {
        self.edit(|answer| answer.noise.push((chunks, bytes.to_vec())))
    }

    /// Sends a chunk with a byte that is no UTF-8 in its text after so many chunks,
    /// and goes on.
    #[must_use]
    pub fn bad_utf8_after(self, chunks: usize) -> Self {
        let chunk = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xFF\"}}]}\n\n";
        self.noise_after(chunks, chunk)
    }

    pub(super) async fn wait(&self, clock: &Clock) {
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
        pause(clock, self.delay).await;
    }

    /// Whether it waits for anything.
    pub(super) fn takes_time(&self) -> bool {
        let within = match &self.reply {
            Reply::Answer(answer) => !answer.pace.is_zero() || !answer.gates.is_empty(),
            Reply::Embeddings(_) | Reply::Status(..) | Reply::Pieces(_) | Reply::HangUp => false,
        };
        within || self.gate.is_some() || !self.delay.is_zero()
    }

    fn new(reply: Reply) -> Self {
        Self { reply, headers: Vec::new(), gate: None, delay: Duration::ZERO }
    }

    fn interrupted(self, chunks: usize, how: Interruption) -> Self {
        self.edit(|answer| answer.interruption = Some((chunks, how)))
    }

    fn edit(mut self, change: impl FnOnce(&mut Answer)) -> Self {
        match &mut self.reply {
            Reply::Answer(answer) => change(answer),
            Reply::Embeddings(_) | Reply::Status(..) | Reply::Pieces(_) | Reply::HangUp => {
                panic!("only an answer can be changed like this")
            }
        }
        self
    }
}

/// Sleeps by `clock`; a clock that stands still is not asked for nothing.
pub(super) async fn pause(clock: &Clock, pause: Duration) {
    if !pause.is_zero() {
        clock.sleep(pause).await;
    }
}
