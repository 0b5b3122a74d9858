//! A turn's events as a stream: followed while it is made here, read from its log
//! while it is made elsewhere, or played back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use turnwise_core::generation::Event;
use turnwise_core::rebuild;
use turnwise_core::turn::{Failure, State, Turn};

use crate::engine::Engine;
use crate::error::Error;
use crate::live::{LiveTurn, Look, Outcome};
use crate::turn::Source;
use crate::turn::{Answer, Started, TurnRequest};

/// Pause between two looks at a log that is growing, and at one that is not.
const LOG_POLL_MOVING: Duration = Duration::from_millis(400);
/// See [`LOG_POLL_MOVING`].
const LOG_POLL_IDLE: Duration = Duration::from_secs(1);

/// One item of a turn's stream.
#[derive(Debug)]
pub enum Frame {
    /// An event of the answer.
    Event(Event),
    /// The answer is committed. The last item.
    Done(Arc<Answer>),
    /// There is no answer. The last item.
    Failed(Error),
}

/// A turn's stream. Ends with [`Frame::Done`] or [`Frame::Failed`], never without.
pub type Frames = BoxStream<'static, Frame>;

/// Follows a started turn from its first event.
pub(crate) fn turn(engine: Engine, request: Arc<TurnRequest>, started: Started) -> Frames {
    frames(engine, request, started).boxed()
}

/// Follows work that is no turn.
pub(crate) fn live(live: Arc<LiveTurn>) -> Frames {
    async_stream::stream! {
        let mut seen = 0;
        loop {
            match live.look(seen).await {
                Look::Events(events) => {
                    seen += events.len();
                    for event in events {
                        yield Frame::Event(event);
                    }
                }
                Look::Ended(Outcome::Committed(answer)) => {
                    for event in missing(seen, &answer) {
                        yield Frame::Event(event);
                    }
                    yield Frame::Done(answer);
                    return;
                }
                Look::Ended(Outcome::Failed(failure) | Outcome::Unwritten(failure)) => {
                    yield Frame::Failed(Error::Failed { failure, facts: Some(Box::new(live.facts.clone())), replayed: false });
                    return;
                }
                Look::Ended(Outcome::Superseded | Outcome::Requeued) => {
                    yield moved_on();
                    return;
                }
            }
        }
    }
    .boxed()
}

fn frames(engine: Engine, request: Arc<TurnRequest>, first: Started) -> impl Stream<Item = Frame> + Send {
    async_stream::stream! {
        let mut started = first;
        loop {
            let mut sent = 0;
            let mut inner = match &started.source {
                // It comes to run elsewhere, or here; the pause below, and another look.
                Source::Waiting => futures_util::stream::once(std::future::ready(moved_on())).boxed(),
                Source::Live(turn) => live(Arc::clone(turn)),
                Source::Elsewhere { epoch } => elsewhere(engine.clone(), Arc::clone(&request), *epoch),
                Source::Answer { answer, epoch } => {
                    playback(engine.clone(), Arc::clone(&request), Arc::clone(answer), *epoch)
                }
            };
            let mut has_moved_on = false;
            while let Some(frame) = inner.next().await {
                // Nothing has reached the client yet: whoever has the turn now may
                // give it a fresh stream. After the first byte it must be told.
                if sent == 0 && is_taken_over(&frame) {
                    has_moved_on = true;
                    break;
                }
                sent += 1;
                yield engine.as_stored(&request, frame).await;
            }
            if !has_moved_on {
                return;
            }
            engine.clock.sleep(LOG_POLL_MOVING).await;
            match engine.start_turn(&request).await {
                Ok(next) => started = next,
                Err(error) => {
                    yield Frame::Failed(error);
                    return;
                }
            }
        }
    }
}

impl Engine {
    /// The last frame of a client whose turn has moved on after its first event: the
    /// failure that is stored by now, such as its cancellation, or that another attempt
    /// has it.
    async fn as_stored(&self, request: &TurnRequest, frame: Frame) -> Frame {
        if !is_taken_over(&frame) {
            return frame;
        }
        match self.retry(|_| self.store.turn(&request.caller.tenant, &request.key)).await {
            Ok(Some(Turn { state: State::Failed(failure), .. })) => {
                Frame::Failed(Error::Failed { failure: Arc::new(failure), facts: None, replayed: false })
            }
            // Not known, or not failed: the client asks again, and will be told.
            Ok(Some(_) | None) | Err(_) => frame,
        }
    }
}

/// Reads the log of a turn that another process makes, until its terminal marker.
fn elsewhere(engine: Engine, request: Arc<TurnRequest>, epoch: u64) -> Frames {
    async_stream::stream! {
        let tenant = &request.caller.tenant;
        let mut seen = 0;
        loop {
            let page = match engine.store.read_events(tenant, &request.key, epoch, seen).await {
                Ok(page) => page,
                Err(error) if error.is_transient() => turnwise_store::LogPage::default(),
                Err(error) => {
                    yield Frame::Failed(error.into());
                    return;
                }
            };
            let moved = !page.events.is_empty();
            for event in page.events {
                seen += 1;
                yield Frame::Event(event);
            }
            if moved && page.end.is_none() {
                engine.clock.sleep(LOG_POLL_MOVING).await;
                continue;
            }
            // Ended, or silent: the turn itself tells. Looking is what takes over a
            // turn whose attempt has died.
            match engine.start_turn(&request).await {
                Ok(Started { source: Source::Elsewhere { epoch: now }, .. }) if now == epoch => {}
                Ok(Started { source: Source::Answer { answer, epoch: now }, .. }) if now == epoch || seen == 0 => {
                    // Committed since the last look: the log's last events came with it.
                    for frame in ending(&engine, &request, answer, now, seen).await {
                        yield frame;
                    }
                    return;
                }
                Ok(_) => {
                    yield moved_on();
                    return;
                }
                Err(error) => {
                    yield Frame::Failed(error);
                    return;
                }
            }
            engine.clock.sleep(LOG_POLL_IDLE).await;
        }
    }
    .boxed()
}

/// What is left of a committed turn's stream for a client that has had `seen` events.
async fn ending(engine: &Engine, request: &TurnRequest, answer: Arc<Answer>, epoch: u64, seen: u64) -> Vec<Frame> {
    let page = engine.store.read_events(&request.caller.tenant, &request.key, epoch, seen).await;
    let rest = match page {
        Ok(page) if page.end.is_some_and(|end| end.committed) => page.events,
        // No log, or a log with gaps: a stream that has not begun is rebuilt.
        Ok(_) | Err(_) if seen == 0 => rebuild::events(&answer.output),
        Ok(_) | Err(_) => {
            let failure = Arc::new(incomplete());
            return vec![Frame::Failed(Error::Failed { failure, facts: None, replayed: false })];
        }
    };
    rest.into_iter().map(Frame::Event).chain([Frame::Done(answer)]).collect()
}

/// Plays a committed turn back: from its log, event by event as it was, or rebuilt
/// from the answer where there is no log any more.
fn playback(engine: Engine, request: Arc<TurnRequest>, answer: Arc<Answer>, epoch: u64) -> Frames {
    let frames = async move { ending(&engine, &request, answer, epoch, 0).await };
    futures_util::stream::once(frames).flat_map(futures_util::stream::iter).boxed()
}

/// The events of an answer that was not streamed; none if some were seen.
fn missing(seen: usize, answer: &Answer) -> Vec<Event> {
    if seen > 0 { Vec::new() } else { rebuild::events(&answer.output) }
}

const TAKEN_OVER: &str = "taken_over";

/// The attempt whose events a client was reading no longer makes the turn.
fn moved_on() -> Frame {
    let failure = Arc::new(broken_stream(TAKEN_OVER, "Another attempt took this turn over."));
    Frame::Failed(Error::Failed { failure, facts: None, replayed: false })
}

fn incomplete() -> Failure {
    broken_stream("stream_incomplete", "The turn is committed, but its stream was not kept whole.")
}

fn broken_stream(code: &str, what: &str) -> Failure {
    use turnwise_core::category::Category;
    use turnwise_core::turn::Outcome as Fate;
    Failure {
        outcome: Fate::Retryable,
        category: Category::NetworkError,
        code: code.to_owned(),
        message: format!("{what} Retry with the same key to get its answer."),
        param: None,
        retry_after_ms: None,
        request_id: String::new(),
        partial: String::new(),
    }
}

fn is_taken_over(frame: &Frame) -> bool {
    match frame {
        Frame::Failed(Error::Failed { failure, .. }) => failure.code == TAKEN_OVER,
        Frame::Failed(_) | Frame::Event(_) | Frame::Done(_) => false,
    }
}
