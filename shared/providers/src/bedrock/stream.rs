//! A streamed answer: its frames, and when they are whole.

use serde_json::Value;
use turnwise_core::generation::Event;

use super::answer::Answer;
use super::frames::{Frame, Frames, Kind};
use crate::call::Target;
use crate::error::{self, Error};
use crate::stream::{Intake, MAX_STREAM_BYTES, Progress};

/// A stream read so far.
#[derive(Debug)]
pub(super) struct Stream {
    target: Target,
    frames: Frames,
    answer: Answer,
    bytes: usize,
}

impl Stream {
    pub(super) fn new(target: Target, answer: Answer) -> Self {
        Self { target, frames: Frames::default(), answer, bytes: 0 }
    }

    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<Progress, Error> {
        match &frame.kind {
            Kind::Event(name) => {
                let payload = serde_json::from_slice(&frame.payload).map_err(|cause| {
                    error::malformed(&self.target, "has an event that is not JSON").with_source(cause)
                })?;
                self.event(name, &payload, events)
            }
            Kind::Exception(name) => {
                let payload = serde_json::from_slice(&frame.payload).unwrap_or_default();
                Err(error::exception(&self.target, name, &payload))
            }
            Kind::Error { code, message } => {
                Err(error::exception(&self.target, code, &serde_json::json!({ "message": message })))
            }
        }
    }

    /// One event; a kind that we do not know is left out.
    fn event(&mut self, name: &str, payload: &Value, events: &mut Vec<Event>) -> Result<Progress, Error> {
        let block = payload.get("contentBlockIndex").and_then(Value::as_u64).unwrap_or(0);
        let text = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str);
        match name {
            "contentBlockStart" => {
                if let Some(name) = text("/start/toolUse/name") {
                    self.answer.call(block, text("/start/toolUse/toolUseId").unwrap_or_default(), name, events);
                }
            }
            "contentBlockDelta" => self.delta(block, &payload["delta"], events)?,
            "contentBlockStop" => self.answer.end(block, events),
            "messageStop" => {
                let reason = text("/stopReason");
                let reason = reason.ok_or_else(|| error::malformed(&self.target, "does not say why it ended"))?;
                self.answer.finish(reason, payload.get("additionalModelResponseFields"), events)?;
            }
            "metadata" => {
                self.answer.usage(&payload["usage"], events);
                // It comes last; without a stop before it, the end of the body is what fails.
                return Ok(if self.answer.is_finished() { Progress::Done } else { Progress::More });
            }
            _ => {}
        }
        Ok(Progress::More)
    }

    fn delta(&mut self, block: u64, delta: &Value, events: &mut Vec<Event>) -> Result<(), Error> {
        let text = |pointer: &str| delta.pointer(pointer).and_then(Value::as_str);
        if let Some(text) = text("/text") {
            self.answer.text(text, events);
        }
        if let Some(input) = text("/toolUse/input") {
            self.answer.input(block, input, events)?;
        }
        if let Some(thought) = text("/reasoningContent/text") {
            self.answer.thought(block, thought, events);
        }
        if let Some(signature) = text("/reasoningContent/signature") {
            self.answer.signature(block, signature, events);
        }
        if let Some(secret) = text("/reasoningContent/redactedContent") {
            self.answer.secret(block, secret)?;
        }
        Ok(())
    }
}

impl Intake for Stream {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Progress, Error> {
        self.bytes += bytes.len();
        if self.bytes > MAX_STREAM_BYTES {
            return Err(error::too_long(&self.target, MAX_STREAM_BYTES));
        }
        self.frames.push(bytes);
        loop {
            let frame = self.frames.next();
            let frame = frame.map_err(|cause| {
                error::malformed(&self.target, "has a frame that cannot be read").with_source(cause)
            })?;
            let Some(frame) = frame else { return Ok(Progress::More) };
            if self.frame(&frame, events)? == Progress::Done {
                return Ok(Progress::Done);
            }
        }
    }

    fn end(&mut self, _events: &mut Vec<Event>) -> Result<(), Error> {
        // What was cut off behind the stop is the usage, which can be estimated.
        if self.answer.is_finished() { Ok(()) } else { Err(error::truncated(&self.target)) }
    }
}
