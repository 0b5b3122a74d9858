//! A streamed answer of Anthropic's: its events, and when they are whole.
//!
//! The reason to stop, which comes shortly before the last event, is the signal that the
//! answer is whole: after it there is nothing but `message_stop`, and some servers leave
//! that out. Without a reason the stream was cut, also where `message_stop` came.

use serde_json::Value;
use turnwise_core::generation::Event;

use super::response::Answer;
use crate::call::{Call, Target};
use crate::error::{self, Error};
use crate::sse::Frame;
use crate::stream::{Progress, Reading};

/// What servers that also speak OpenAI's format send as the last event.
const DONE: &str = "[DONE]";

/// The index of an event that names no block: it stands for no block at all.
const NO_BLOCK: u64 = u64::MAX;

/// What was read so far.
#[derive(Debug)]
pub(super) struct Messages(Answer);

impl Messages {
    pub(super) fn new(target: Target, call: &Call) -> Self {
        Self(Answer::new(target, call))
    }
}

impl Reading for Messages {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<Progress, Error> {
        let Self(answer) = self;
        let data = frame.data.trim();
        if frame.event == "ping" {
            return Ok(Progress::More);
        }
        if data == DONE {
            return answer.finish(true, events).map(|()| Progress::Done);
        }
        let event: Value = serde_json::from_str(data)
            .map_err(|cause| error::malformed(answer.target(), "has an event that is not JSON").with_source(cause))?;
        if error::is_error(&event) || frame.event == "error" {
            return Err(error::in_body(answer.target(), &event));
        }
        if !event.is_object() {
            return Err(error::malformed(answer.target(), "has an event that is no object"));
        }
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(NO_BLOCK);
        match event["type"].as_str().unwrap_or(&frame.event) {
            "message_start" => answer.begin(&event["message"]),
            "content_block_start" => answer.open(index, &event["content_block"], events)?,
            "content_block_delta" => answer.more(index, &event["delta"], events)?,
            "content_block_stop" => answer.close(index, events),
            "message_delta" => {
                answer.took(&event["usage"]);
                answer.stopped(&event["delta"]);
            }
            "message_stop" => return answer.finish(true, events).map(|()| Progress::Done),
            // `ping`, and what is yet to be invented.
            _ => {}
        }
        Ok(Progress::More)
    }

    fn whole(&mut self, body: &[u8], events: &mut Vec<Event>) -> Result<(), Error> {
        self.0.whole(body, events)
    }

    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        self.0.finish(false, events)
    }
}
