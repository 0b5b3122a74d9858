//! What of a turn's stream is told to one client, and when.

use std::time::Duration;

use axum::response::sse::Event as Sse;
use futures_util::StreamExt as _;
use turnwise_core::fault::Fault;
use turnwise_core::generation::Event;
use turnwise_core::limits::HAND_OVER_MARGIN;
use turnwise_core::position::Position;
use turnwise_core::time::Timestamp;
use turnwise_engine::clock::Clock;
use turnwise_engine::follow::Frame;
use turnwise_engine::turn::Facts;

use super::Stream;
use super::shape::{Progress, Shape, Told};
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody, StreamEnd};

/// How often a client is told how far its answer is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How soon a client that was sent away comes back.
const COME_BACK_AFTER: Duration = Duration::from_secs(1);

/// Tells a stream to one client.
pub(super) struct Teller<S> {
    stream: Stream<S>,
    context: RequestContext,
    clock: Clock,
    /// The turn's stream that is told.
    current: Option<u32>,
    /// Whether anything of it that the model said was told, here or before.
    has_content: bool,
    /// Whether only what sums up is told.
    sums_up: bool,
    /// The largest number so far, told or left out.
    last: Option<u64>,
    /// Whether the reply's status is known: something was said, or the stream is over.
    has_spoken: bool,
    /// Whether a call failed before it said anything, and another one is made.
    is_repeating: bool,
    status_sent: bool,
    ended: bool,
    tokens: u64,
    next_progress: Timestamp,
}

/// How a stream that comes relates to what its client has seen.
enum Match {
    /// It is what it was reading, or all that it has seen is the same in this one.
    Same,
    /// It is made from the answer alone, in place of what it was reading.
    Instead,
    /// It says something else.
    Other,
    /// It comes before what the client claims to have seen.
    Beyond,
}

impl<S: Shape> Teller<S> {
    pub(super) fn new(stream: Stream<S>, context: RequestContext, clock: Clock) -> Self {
        context.note(|line| {
            line.outcome = Some("client_left".to_owned());
            (line.model, line.why) = (stream.facts.model.clone(), stream.facts.why.clone());
        });
        let next_progress = clock.now() + PROGRESS_EVERY;
        Self {
            stream,
            context,
            clock,
            current: None,
            has_content: false,
            sums_up: false,
            last: None,
            has_spoken: false,
            is_repeating: false,
            status_sent: false,
            ended: false,
            tokens: 0,
            next_progress,
        }
    }

    /// Whether the reply's status is known.
    pub(super) const fn has_spoken(&self) -> bool {
        self.has_spoken
    }

    /// Whether a call failed before it said anything, and another one is made.
    pub(super) const fn is_repeating(&self) -> bool {
        self.is_repeating
    }

    /// What is known of the turn by now.
    pub(super) const fn facts(&self) -> &Facts {
        &self.stream.facts
    }

    /// What says, in a long silence, that somebody is there; `None` for a comment.
    pub(super) fn still_there(&self) -> Option<Sse> {
        self.stream.shape.still_there()
    }

    /// From here on, errors are events.
    pub(super) const fn status_is_sent(&mut self) {
        self.status_sent = true;
    }

    /// What is told next, perhaps nothing; `None` at the end.
    ///
    /// # Errors
    /// What is wrong with the request, or with its turn, as long as the status is not sent.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<Sse>, Error>> {
        if self.ended {
            return None;
        }
        let frame = match self.context.deadline() {
            None => self.stream.frames.next().await,
            Some(deadline) => tokio::select! {
                biased;
                frame = self.stream.frames.next() => frame,
                () = self.clock.sleep_until(deadline - HAND_OVER_MARGIN) => return Some(Ok(self.hand_over())),
            },
        };
        // The engine ends every stream with a frame that says so.
        let told = self.frame(frame?);
        Some(told)
    }

    fn frame(&mut self, frame: Frame) -> Result<Vec<Sse>, Error> {
        match frame {
            Frame::Waiting { stream } => {
                self.has_spoken = true;
                match self.compare(stream, None) {
                    Match::Same => {
                        self.rebase(stream);
                        let told = self.stream.shape.waiting(stream);
                        Ok(self.pass(told))
                    }
                    // It will be seen when it begins.
                    Match::Instead | Match::Other | Match::Beyond => Ok(Vec::new()),
                }
            }
            Frame::Began { stream, number, instead_of } => self.begin(stream, number, instead_of),
            Frame::Repeated { model } => {
                self.context.note(|line| line.model = Some(model.clone()));
                self.stream.facts.model = Some(model);
                self.is_repeating = true;
                Ok(Vec::new())
            }
            Frame::Event(Event::Chunk(chunk)) => {
                let told = self.stream.shape.chunk(&chunk);
                self.tokens += 1;
                if told.is_empty() {
                    return Ok(Vec::new());
                }
                self.has_content = true;
                let mut events = self.pass(told);
                if let Some(last) = events.pop() {
                    self.has_spoken = true;
                    match self.progress() {
                        None => events.push(last),
                        Some(Progress::Event(progress)) => events.extend([last, progress]),
                        Some(Progress::Comment(text)) => events.push(last.comment(text)),
                    }
                }
                Ok(events)
            }
            Frame::Event(Event::Finished) => Ok(Vec::new()),
            Frame::Done(answer) => {
                let replayed = self.stream.replayed;
                self.context.note(|line| {
                    line.usage = Some(answer.usage);
                    line.cost = answer.cost;
                    line.outcome = Some(if replayed { "replayed" } else { "completed" }.to_owned());
                });
                let told = self.stream.shape.done(&answer);
                self.end(told)
            }
            Frame::Failed { failure, is_whole } => {
                let facts = Some(Box::new(self.stream.facts.clone()));
                let replayed = self.stream.replayed;
                let error = turnwise_engine::Error::Failed { failure: failure.clone(), facts, replayed };
                if self.stream.refuses && !self.status_sent && !self.has_spoken {
                    return self.refuse(error.into());
                }
                let error = self.body(&error.into());
                let seen = self.stream.resume.after.filter(|_| !is_whole);
                let seen = seen.filter(|after| Some(Position::of(*after).stream) == self.current);
                let told = self.stream.shape.failed(&failure, error, seen);
                self.end(told)
            }
            Frame::Broken(error) => self.stop(error.into()),
        }
    }

    fn begin(&mut self, stream: u32, number: u64, instead_of: Option<u32>) -> Result<Vec<Sse>, Error> {
        let mut told = Vec::new();
        let had_content = self.reading().is_some_and(|(_, content)| content);
        match self.compare(stream, instead_of) {
            Match::Same => {
                self.has_content = had_content;
                self.rebase(stream);
            }
            Match::Instead if self.stream.shape.sums_up() => {
                self.sums_up = true;
                self.stream.resume.after = None;
            }
            Match::Instead => return self.stop(Error::Stream(StreamEnd::Incomplete)),
            Match::Other if self.stream.resume.restartable => {
                (self.stream.resume.after, self.has_content) = (None, false);
                told = self.stream.shape.restarted();
            }
            Match::Other => return self.stop(Error::Stream(StreamEnd::TakenOver)),
            Match::Beyond => return self.stop(self.beyond()),
        }
        self.current = Some(stream);
        told.extend(self.stream.shape.began(stream, number));
        Ok(self.pass(told))
    }

    /// What the client was reading, and whether the model had said anything by then.
    fn reading(&self) -> Option<(u32, bool)> {
        let here = self.current.map(|current| (current, self.has_content));
        here.or_else(|| {
            let before = Position::of(self.stream.resume.after?);
            Some((before.stream, before.index >= self.stream.shape.prelude()))
        })
    }

    fn compare(&self, stream: u32, instead_of: Option<u32>) -> Match {
        match self.reading() {
            None => Match::Same,
            Some((reading, _)) if reading == stream => Match::Same,
            Some((reading, _)) if reading > stream && self.current.is_none() => Match::Beyond,
            Some((_, false)) => Match::Same,
            Some((reading, true)) if instead_of == Some(reading) => Match::Instead,
            Some((_, true)) => Match::Other,
        }
    }

    /// What was seen of an earlier stream's beginning, here or before, was seen of this one's.
    fn rebase(&mut self, stream: u32) {
        let after = self.stream.resume.after.max(self.last).map(Position::of);
        if let Some(after) = after.filter(|after| after.stream != stream) {
            self.stream.resume.after = Some(Position { stream, ..after }.number());
        }
    }

    /// Leaves out what the client has seen, or does not need.
    fn pass(&mut self, told: Vec<Told>) -> Vec<Sse> {
        let mut events = Vec::with_capacity(told.len());
        for told in told {
            self.last = self.last.max(told.number);
            let seen = told.number.is_some_and(|number| self.stream.resume.after >= Some(number));
            if !seen && (told.sums_up || !self.sums_up) {
                events.push(told.event);
            }
        }
        events
    }

    fn end(&mut self, told: Vec<Told>) -> Result<Vec<Sse>, Error> {
        (self.ended, self.has_spoken) = (true, true);
        let events = self.pass(told);
        if self.stream.resume.after > self.last {
            return self.stop(self.beyond());
        }
        Ok(events)
    }

    /// Ends the stream with what is no part of it.
    fn stop(&mut self, error: Error) -> Result<Vec<Sse>, Error> {
        // What a client has seen makes it a stream that ends, not a request that is refused.
        if !self.status_sent && !matches!(error, Error::Stream(_)) {
            return self.refuse(error);
        }
        (self.ended, self.has_spoken) = (true, true);
        let body = self.body(&error);
        let told = self.stream.shape.broken(body);
        Ok(self.pass(told))
    }

    fn refuse(&mut self, error: Error) -> Result<Vec<Sse>, Error> {
        self.ended = true;
        Err(error)
    }

    /// Sends the client away before its function ends under it: the turn goes on, and so
    /// may the client.
    fn hand_over(&mut self) -> Vec<Sse> {
        (self.ended, self.has_spoken) = (true, true);
        let body = self.body(&Error::Stream(StreamEnd::HandedOver));
        let told = self.stream.shape.broken(body);
        let mut events = vec![Sse::default().retry(COME_BACK_AFTER)];
        events.extend(self.pass(told));
        events
    }

    fn body(&self, error: &Error) -> ErrorBody {
        let object = error.object(self.context.id());
        self.context.note(|line| line.failed(error.trouble(&object)));
        ErrorBody { error: object }
    }

    fn progress(&mut self) -> Option<Progress> {
        let now = self.clock.now();
        if now < self.next_progress {
            return None;
        }
        self.next_progress = now + PROGRESS_EVERY;
        let began = self.stream.facts.created_at.unwrap_or(now);
        Some(self.stream.shape.progress(self.tokens, now.since(began)))
    }

    fn beyond(&self) -> Error {
        let message = "The stream has no event with this number, nor any behind it.";
        Error::Invalid(Fault::new(self.stream.resume.field, message).into())
    }
}
