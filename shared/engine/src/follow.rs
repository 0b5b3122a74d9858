//! A turn's events as a stream: followed while it is made here, read from its log
//! while it is made elsewhere, or played back.
//!
//! A stream goes on wherever its turn goes: from the process that makes it to its log, to
//! another process that took it over, to the stored answer. Whoever reads it is told
//! which of the turn's streams the events are; only the same one may be spliced.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use turnwise_core::generation::Event;
use turnwise_core::id::{Tenant, TurnKey};
use turnwise_core::rebuild;
use turnwise_core::turn::{Failure, State, Streamed, Turn};
use turnwise_store::LogPage;

use crate::engine::Engine;
use crate::error::Error;
use crate::live::{LiveTurn, Look, Outcome};
use crate::stateless::died;
use crate::turn::{Answer, Caller, Source, TurnRequest};

/// Pause between two looks at a log that is growing, and at one that is not.
const LOG_POLL_MOVING: Duration = Duration::from_millis(400);
/// See [`LOG_POLL_MOVING`].
const LOG_POLL_IDLE: Duration = Duration::from_secs(1);

/// One item of a turn's stream.
#[derive(Debug)]
pub enum Frame {
    /// The turn waits in its conversation's queue.
    Waiting {
        /// The stream that its next attempt will be.
        stream: u32,
    },
    /// From here on come the events of one of the turn's streams, from its first one.
    Began {
        /// Which stream, from 1.
        stream: u32,
        /// The number the turn gets if this is committed; 0 for what is no turn.
        number: u64,
        /// It is made from the answer alone, because the events of this one, which said
        /// the same, were not kept.
        instead_of: Option<u32>,
    },
    /// A call of a provider failed before it said anything, now or lately, and another one
    /// is made.
    Repeated {
        /// The model that is asked now, `provider/model`.
        model: String,
    },
    /// An event of the answer.
    Event(Event),
    /// The answer is committed. The last item.
    Done(Arc<Answer>),
    /// The turn ended without an answer. The last item.
    Failed {
        /// Why.
        failure: Arc<Failure>,
        /// Whether all events that anybody has seen were told.
        is_whole: bool,
    },
    /// It cannot be followed any further; the turn may go on. The last item.
    Broken(Error),
}

/// A turn's stream. Ends with [`Frame::Done`], [`Frame::Failed`] or [`Frame::Broken`],
/// never without.
pub type Frames = BoxStream<'static, Frame>;

/// What is stored of a turn's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The number the turn has, or gets.
    pub(crate) number: u64,
    streams: u32,
    streamed: Option<Streamed>,
}

impl Marks {
    pub(crate) const fn of(turn: &Turn) -> Self {
        Self { number: turn.number, streams: turn.streams, streamed: turn.streamed }
    }

    /// The stream that comes behind all that clients were shown.
    pub(crate) const fn next(&self) -> u32 {
        self.streams.saturating_add(1)
    }

    /// Whether the running attempt cannot come to show the events of an earlier one.
    const fn is_first(&self) -> bool {
        self.streams <= 1
    }
}

/// Who follows a turn.
pub(crate) enum Reader {
    /// A request for it: the turn is made if nobody makes it.
    Owner(Arc<TurnRequest>),
    /// Somebody who looks on.
    Observer(Caller, TurnKey),
}

/// Follows a turn from its first event, which is found at `first`.
pub(crate) fn turn(engine: Engine, reader: Reader, first: Source) -> Frames {
    let follower = Follower {
        engine,
        reader,
        source: Some(first),
        ready: VecDeque::new(),
        stream: None,
        seen: 0,
        logged: 0,
        repeats: 0,
        is_moving: false,
        waits: None,
        ended: false,
    };
    follower.into_frames()
}

/// Follows work that is no turn.
pub(crate) fn live(live: Arc<LiveTurn>) -> Frames {
    fn ended(outcome: Outcome) -> Frame {
        match outcome {
            Outcome::Committed(answer) => Frame::Done(answer),
            Outcome::Failed(failure) | Outcome::Unwritten(failure) => Frame::Failed { failure, is_whole: true },
            // It belongs to nobody else.
            Outcome::Superseded | Outcome::Requeued => Frame::Failed { failure: Arc::new(died()), is_whole: true },
        }
    }
    let began = Frame::Began { stream: 1, number: 0, instead_of: None };
    let rest = stream::unfold(Some((0, 0)), move |seen| {
        let live = Arc::clone(&live);
        async move {
            let (seen, repeats): (usize, usize) = seen?;
            match live.look(seen, repeats).await {
                Look::Events(events) => {
                    let seen = seen + events.len();
                    Some((events.into_iter().map(Frame::Event).collect::<Vec<_>>(), Some((seen, repeats))))
                }
                Look::Repeated(model) => Some((vec![Frame::Repeated { model }], Some((seen, live.repeats())))),
                Look::Ended(outcome) => Some((vec![ended(outcome)], None)),
            }
        }
    });
    stream::iter([began]).chain(rest.flat_map(stream::iter)).boxed()
}

struct Follower {
    engine: Engine,
    reader: Reader,
    /// Where to go on; `None` to look anew.
    source: Option<Source>,
    /// Frames that wait to be taken.
    ready: VecDeque<Frame>,
    /// The stream that is told.
    stream: Option<u32>,
    /// Events of it that were told.
    seen: usize,
    /// Events of it that were read from its log: a batch of it begins behind them.
    logged: usize,
    /// Calls after others that failed, as far as they were told.
    repeats: usize,
    /// Whether its log was growing at the last look.
    is_moving: bool,
    /// The stream that is waited for, once that was told.
    waits: Option<u32>,
    ended: bool,
}

impl Follower {
    fn into_frames(self) -> Frames {
        stream::unfold(self, |mut follower| async move {
            let frame = follower.next().await?;
            Some((frame, follower))
        })
        .boxed()
    }

    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.ended {
                return None;
            }
            if let Err(error) = Box::pin(self.step()).await {
                self.end(Frame::Broken(error));
            }
        }
    }

    async fn step(&mut self) -> Result<(), Error> {
        let source = match self.source.take() {
            Some(source) => source,
            None => self.look().await?,
        };
        match source {
            Source::Waiting(marks) => self.wait(&marks).await,
            Source::Live(live) => self.follow_live(live).await,
            Source::Elsewhere(marks) => return self.follow_log(marks).await,
            Source::Answer { answer, marks } => return self.play_back(answer, &marks).await,
            Source::Failed { failure, marks } => return self.play_failure(failure, &marks).await,
        }
        Ok(())
    }

    async fn wait(&mut self, marks: &Marks) {
        let stream = marks.next();
        if self.waits != Some(stream) {
            self.waits = Some(stream);
            self.ready.push_back(Frame::Waiting { stream });
        } else {
            self.engine.clock.sleep(LOG_POLL_IDLE).await;
        }
    }

    async fn follow_live(&mut self, live: Arc<LiveTurn>) {
        if let Some(stream) = live.begun().await {
            self.begin(stream, live.facts.number.unwrap_or(0), None);
        }
        if !self.ready.is_empty() {
            // Nobody waits for the first event to be told that it comes.
            self.source = Some(Source::Live(live));
            return;
        }
        match live.look(self.seen, self.repeats).await {
            Look::Events(events) => {
                self.tell(events);
                self.source = Some(Source::Live(live));
            }
            Look::Repeated(model) => {
                self.repeats = live.repeats();
                self.ready.push_back(Frame::Repeated { model });
                self.source = Some(Source::Live(live));
            }
            Look::Ended(Outcome::Committed(answer)) => self.tell_answer(answer),
            Look::Ended(Outcome::Failed(failure)) => self.end(Frame::Failed { failure, is_whole: true }),
            Look::Ended(Outcome::Unwritten(failure)) => {
                let facts = Some(Box::new(live.facts.clone()));
                self.end(Frame::Broken(Error::Failed { failure, facts, replayed: false }));
            }
            // What is stored tells what has become of it.
            Look::Ended(Outcome::Superseded | Outcome::Requeued) => self.engine.clock.sleep(LOG_POLL_MOVING).await,
        }
    }

    /// Reads the log of a turn that another process makes.
    async fn follow_log(&mut self, marks: Marks) -> Result<(), Error> {
        if std::mem::take(&mut self.is_moving) {
            self.engine.clock.sleep(LOG_POLL_MOVING).await;
        }
        if marks.is_first() {
            self.begin(1, marks.number, None);
        }
        if !self.ready.is_empty() {
            self.source = Some(Source::Elsewhere(marks));
            return Ok(());
        }
        if let Some(streamed) = marks.streamed {
            let page = match self.read_log(&streamed).await {
                Err(Error::Store(error)) if error.is_transient() => LogPage::default(),
                page => page?,
            };
            if !page.events.is_empty() {
                self.begin(streamed.stream, marks.number, None);
                self.tell_logged(page.events);
                self.source = Some(Source::Elsewhere(marks));
                self.is_moving = page.end.is_none();
                return Ok(());
            }
        }
        // Ended, or silent: the turn itself tells. Looking is also what takes over a turn
        // whose attempt has died.
        let now = self.look().await?;
        if matches!(&now, Source::Elsewhere(now) if *now == marks) {
            self.engine.clock.sleep(LOG_POLL_IDLE).await;
        }
        self.source = Some(now);
        Ok(())
    }

    /// Plays a committed turn back: from its log, event by event as it was, or rebuilt
    /// from the answer where there is no log, or none any more.
    async fn play_back(&mut self, answer: Arc<Answer>, marks: &Marks) -> Result<(), Error> {
        let Some(streamed) = marks.streamed else {
            self.begin(marks.next(), marks.number, None);
            self.tell_answer(answer);
            return Ok(());
        };
        let page = self.read_log(&streamed).await?;
        if page.end.is_some_and(|end| end.committed) {
            self.begin(streamed.stream, marks.number, None);
            self.tell_logged(page.events);
            self.end(Frame::Done(answer));
        } else {
            self.begin(marks.next(), marks.number, Some(streamed.stream));
            self.tell_answer(answer);
        }
        Ok(())
    }

    /// Plays a failed turn back, as far as its events were kept.
    async fn play_failure(&mut self, failure: Arc<Failure>, marks: &Marks) -> Result<(), Error> {
        let is_whole = match marks.streamed {
            Some(streamed) => {
                let page = self.read_log(&streamed).await?;
                self.begin(streamed.stream, marks.number, None);
                self.tell_logged(page.events);
                page.end.is_some()
            }
            None => {
                self.begin(marks.next(), marks.number, None);
                true
            }
        };
        self.end(Frame::Failed { failure, is_whole });
        Ok(())
    }

    /// What the log of `streamed` has behind what was read of it.
    async fn read_log(&self, streamed: &Streamed) -> Result<LogPage, Error> {
        let from = if self.stream == Some(streamed.stream) { self.logged } else { 0 };
        let from = u64::try_from(from).unwrap_or(u64::MAX);
        let (tenant, key) = self.reader.turn();
        let (store, epoch) = (&self.engine.store, streamed.epoch);
        Ok(self.engine.retry(|_| store.read_events(tenant, key, epoch, from)).await?)
    }

    async fn look(&self) -> Result<Source, Error> {
        match &self.reader {
            Reader::Owner(request) => match self.engine.start_turn(request).await {
                Ok(started) => Ok(started.source),
                Err(Error::Failed { failure, facts, replayed }) => {
                    let (tenant, key) = self.reader.turn();
                    match self.engine.retry(|_| self.engine.store.turn(tenant, key)).await? {
                        Some(turn @ Turn { state: State::Failed(_), .. }) => {
                            Ok(Source::Failed { failure, marks: Marks::of(&turn) })
                        }
                        Some(_) | None => Err(Error::Failed { failure, facts, replayed }),
                    }
                }
                Err(error) => Err(error),
            },
            Reader::Observer(caller, key) => self.engine.observe(caller, key).await,
        }
    }

    /// Goes over to `stream`, if it is not that already.
    fn begin(&mut self, stream: u32, number: u64, instead_of: Option<u32>) {
        if self.stream != Some(stream) {
            (self.stream, self.seen, self.logged, self.repeats) = (Some(stream), 0, 0, 0);
            self.ready.push_back(Frame::Began { stream, number, instead_of });
        }
    }

    /// Tells events that were read from the log, but for those that were told before.
    fn tell_logged(&mut self, events: Vec<Event>) {
        let told = self.seen - self.logged.min(self.seen);
        self.logged += events.len();
        self.tell(events.into_iter().skip(told).collect());
    }

    fn tell(&mut self, events: Vec<Event>) {
        self.seen += events.len();
        self.ready.extend(events.into_iter().map(Frame::Event));
    }

    /// Ends with `answer`, whose events are made from it where none have been told.
    fn tell_answer(&mut self, answer: Arc<Answer>) {
        if self.seen == 0 {
            self.tell(rebuild::events(&answer.output));
        }
        self.end(Frame::Done(answer));
    }

    fn end(&mut self, last: Frame) {
        self.ready.push_back(last);
        self.ended = true;
    }
}

impl Reader {
    fn turn(&self) -> (&Tenant, &TurnKey) {
        match self {
            Self::Owner(request) => (&request.caller.tenant, &request.key),
            Self::Observer(caller, key) => (&caller.tenant, key),
        }
    }
}
