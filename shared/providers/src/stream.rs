//! A streamed answer: bytes into events, with an end that can be believed.
//!
//! What is common to all formats, and to those that come as server-sent events. What their
//! events mean is a [`Reading`]'s to say; what comes in another frame is an [`Intake`]'s.

use std::time::Duration;

use reqwest::Response;
use turnwise_core::generation::Event;
use turnwise_core::limits::MAX_ANSWER_BYTES;

use crate::call::{EventStream, Target};
use crate::error::{self, Error};
use crate::sse::{Frame, Parser};

/// Longest stream, in bytes on the wire. A chunk wraps a few characters in some
/// hundred bytes, so this is a multiple of the longest answer; none of it is kept.
pub(crate) const MAX_STREAM_BYTES: usize = 32 * MAX_ANSWER_BYTES;

/// How long the end of the body is waited for after the answer's. It usually comes
/// with it, and a body read to its end leaves a connection for the next call.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(50);

/// Whether an answer is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More is to come.
    More,
    /// It ended in order; what else comes is not looked at.
    Done,
}

/// What the events of one wire format mean. Does no I/O.
pub(crate) trait Reading: Send + 'static {
    /// Takes in one event and appends the chunks it amounts to to `events`, also when it
    /// then fails.
    ///
    /// # Errors
    /// When the event is an error, or no event of this format.
    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<Progress, Error>;

    /// Takes in an answer that came whole, from a server that does not stream.
    ///
    /// # Errors
    /// When it is an error, or no answer of this format.
    fn whole(&mut self, body: &[u8], events: &mut Vec<Event>) -> Result<(), Error>;

    /// The body has ended, and in order as far as HTTP can tell.
    ///
    /// # Errors
    /// When the answer has not: no finish signal came.
    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), Error>;
}

/// What takes in the bytes of a streamed answer, in whichever frame they come. Does no I/O.
pub(crate) trait Intake: Send + 'static {
    /// Takes in `bytes` and appends the chunks they complete to `events`, also when it then
    /// fails.
    ///
    /// # Errors
    /// When they hold an error, or what they hold is not understood.
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Progress, Error>;

    /// The body has ended, and in order as far as HTTP can tell.
    ///
    /// # Errors
    /// When the answer has not: no finish signal came.
    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), Error>;
}

/// The events of `response`, which come as server-sent events.
pub(crate) fn events(target: Target, response: Response, reading: impl Reading) -> EventStream {
    events_of(target.clone(), response, Reader::new(target, reading))
}

/// The events of `response` as `intake` understands them.
pub(crate) fn events_of(target: Target, mut response: Response, mut intake: impl Intake) -> EventStream {
    Box::pin(async_stream::stream! {
        let mut events = Vec::new();
        loop {
            let progress = match response.chunk().await {
                Ok(Some(bytes)) => intake.push(&bytes, &mut events),
                Ok(None) => intake.end(&mut events).map(|()| Progress::Done),
                Err(cause) => Err(error::truncated(&target).with_source(cause.without_url())),
            };
            for event in events.drain(..) {
                yield Ok(event);
            }
            match progress {
                Ok(Progress::More) => {}
                Ok(Progress::Done) => break,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            }
        }
        // Whether the body ends in time changes nothing about the answer.
        let drained = async { while let Ok(Some(_)) = response.chunk().await {} };
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, drained).await;
        yield Ok(Event::Finished);
    })
}

/// The events of a stream that was recorded whole.
///
/// # Errors
/// As the stream's, and its events are lost.
pub(crate) fn play(mut intake: impl Intake, recorded: &[u8]) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    if intake.push(recorded, &mut events)? == Progress::More {
        intake.end(&mut events)?;
    }
    events.push(Event::Finished);
    Ok(events)
}

/// A stream read so far; does no I/O.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    target: Target,
    reading: R,
    format: Format,
    pub(crate) bytes: usize,
}

impl<R: Reading> Intake for Reader<R> {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Progress, Error> {
        Self::push(self, bytes, events)
    }

    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        Self::end(self, events)
    }
}

/// What the upstream turned out to send.
#[derive(Debug)]
enum Format {
    /// Nothing but white space so far.
    Unknown,
    /// Server-sent events, as asked.
    Events(Parser),
    /// One JSON value: a plain answer, from a server that does not stream.
    Plain(Vec<u8>),
}

impl<R: Reading> Reader<R> {
    pub(crate) fn new(target: Target, reading: R) -> Self {
        Self { target, reading, format: Format::Unknown, bytes: 0 }
    }

    /// Takes in `bytes` and appends the events they complete to `events`, also
    /// when it then fails.
    pub(crate) fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<Progress, Error> {
        self.bytes += bytes.len();
        if self.bytes > MAX_STREAM_BYTES {
            return Err(error::too_long(&self.target, MAX_STREAM_BYTES));
        }
        let bytes = self.recognize(bytes);
        match &mut self.format {
            Format::Unknown => Ok(Progress::More),
            Format::Plain(body) if body.len() + bytes.len() > MAX_ANSWER_BYTES => {
                Err(error::too_long(&self.target, MAX_ANSWER_BYTES))
            }
            Format::Plain(body) => {
                body.extend_from_slice(bytes);
                Ok(Progress::More)
            }
            Format::Events(parser) => {
                let mut frames = Vec::new();
                let parsed = parser.push(bytes, &mut frames);
                for frame in frames {
                    if self.frame(&frame, events)? == Progress::Done {
                        return Ok(Progress::Done);
                    }
                }
                parsed.map(|()| Progress::More).map_err(|cause| {
                    error::malformed(&self.target, "has an event that is too long").final_one().with_source(cause)
                })
            }
        }
    }

    /// Decides what the upstream sends by its first byte that is not white space, and
    /// returns `bytes` from there. The content type is no help: servers get it wrong
    /// in both directions.
    fn recognize<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if !matches!(self.format, Format::Unknown) {
            return bytes;
        }
        let bytes = bytes.trim_ascii_start();
        match bytes.first() {
            None => {}
            Some(b'{' | b'[') => self.format = Format::Plain(Vec::new()),
            Some(_) => self.format = Format::Events(Parser::default()),
        }
        bytes
    }

    /// The body ended, and in order as far as HTTP can tell.
    pub(crate) fn end(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        match std::mem::replace(&mut self.format, Format::Unknown) {
            Format::Unknown => Err(error::truncated(&self.target)),
            Format::Plain(body) => self.reading.whole(&body, events),
            Format::Events(parser) => {
                if let Some(frame) = parser.end() {
                    // An event without its blank line is either whole or was cut.
                    self.frame(&frame, events).map_err(|error| match &*error.code {
                        "malformed_answer" => error::truncated(&self.target),
                        _ => error,
                    })?;
                }
                self.reading.end(events)
            }
        }
    }

    fn frame(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<Progress, Error> {
        if frame.data.trim().is_empty() { Ok(Progress::More) } else { self.reading.frame(frame, events) }
    }
}
