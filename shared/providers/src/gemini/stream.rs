//! A streamed answer: each event a piece of it, the end of the body its end.

use serde_json::Value;
use turnwise_core::generation::Event;

use super::response::Answer;
use crate::error::{self, Error};
use crate::sse::Frame;
use crate::stream::{Progress, Reading};

impl Reading for Answer {
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<Progress, Error> {
        let not_json = |cause| error::malformed(self.target(), "has an event that is not JSON").with_source(cause);
        let piece: Value = serde_json::from_str(frame.data.trim()).map_err(not_json)?;
        // No event says that it is the last one: usage may come behind the finish reason.
        self.take(&piece, events).map(|()| Progress::More)
    }

    fn whole(&mut self, body: &[u8], events: &mut Vec<Event>) -> Result<(), Error> {
        Self::whole(self, body, events)
    }

    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        if Self::end(self, events) { Ok(()) } else { Err(error::truncated(self.target())) }
    }
}
