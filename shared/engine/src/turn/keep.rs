//! What keeps a running turn alive and seen: its lease renewed, its stream log fed.
//!
//! Runs beside the reading of the provider and never holds it up. A flush that has
//! begun is never abandoned: a late put of fewer events would undo a later one.

use tokio_util::sync::CancellationToken;
use turnwise_core::generation::Event;
use turnwise_core::limits::{FLUSH_BYTES, FLUSH_EVERY, FLUSH_FIRST, HEARTBEAT, LEASE, MAX_BATCH_BYTES};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Claim, lease_until};
use turnwise_store::{Batch, Beat};

use crate::engine::Engine;
use crate::live::LiveTurn;

/// Keeps one attempt.
pub(super) struct Keeper<'a> {
    pub(super) engine: &'a Engine,
    pub(super) claim: &'a Claim,
    pub(super) live: &'a LiveTurn,
    /// Whether the turn has a stream log.
    pub(super) logs: bool,
    /// When the invocation ends.
    pub(super) deadline: Option<Timestamp>,
}

/// How far the stream log got.
#[derive(Default)]
struct Log {
    flushed: usize,
    last_flush: Option<Timestamp>,
    /// A batch whose put had no clear answer; it is put again as it was.
    pending: Option<usize>,
    /// A batch was refused for good: the log stays incomplete.
    broken: bool,
}

impl Keeper<'_> {
    /// Works until `done`, then flushes what is left. The number of events in the
    /// log, if the turn has one and it is complete.
    pub(super) async fn run(&self, done: &CancellationToken) -> Option<u64> {
        let mut log = Log { broken: !self.logs, ..Log::default() };
        let mut next_beat = self.engine.clock.now() + HEARTBEAT;
        loop {
            tokio::select! {
                () = done.cancelled() => break,
                () = self.engine.clock.sleep_until(next_beat) => {
                    next_beat = self.beat(log.flushed).await;
                    continue;
                }
                () = self.flush_due(&log), if !log.broken => {}
            }
            self.flush(&mut log).await;
        }
        self.finish(log).await
    }

    /// Renews the lease; when to do so again.
    async fn beat(&self, logged: usize) -> Timestamp {
        let now = self.engine.clock.now();
        let lease = lease_until(now, self.deadline);
        let logged = u64::try_from(logged).unwrap_or(u64::MAX);
        match self.engine.store.heartbeat(self.claim, lease, logged).await {
            Ok(Beat::Alive) => now + HEARTBEAT,
            Ok(Beat::Lost) => {
                self.live.lose_lock();
                now + LEASE
            }
            // The lease outlives two lost heartbeats, and every late write is fenced.
            Err(error) => {
                tracing::warn!(%error, turn.key = %self.claim.key, "heartbeat failed; it will be tried again");
                now + HEARTBEAT / 4
            }
        }
    }

    /// Completes when the log has waited long enough or holds back enough bytes.
    async fn flush_due(&self, log: &Log) {
        self.live.more_than(log.flushed).await;
        let now = self.engine.clock.now();
        let due = log.last_flush.map_or(now + FLUSH_FIRST, |last| last + FLUSH_EVERY);
        loop {
            // Counted before the bytes: an event that comes in between is looked at again.
            let seen = self.live.count();
            if self.live.bytes(log.flushed) >= FLUSH_BYTES {
                return;
            }
            tokio::select! {
                () = self.engine.clock.sleep_until(due) => return,
                () = self.live.more_than(seen) => {}
            }
        }
    }

    async fn flush(&self, log: &mut Log) {
        while !log.broken {
            let waiting = self.live.events(log.flushed);
            let count = log.pending.unwrap_or_else(|| batch_len(&waiting));
            let Some(events) = waiting.get(..count).filter(|events| !events.is_empty()) else { break };
            let first = u64::try_from(log.flushed).unwrap_or(u64::MAX);
            let (now, model) = (self.engine.clock.now(), self.live.model());
            match self
                .engine
                .store
                .append_events(self.claim, &Batch { first, events, model: model.as_deref() }, now)
                .await
            {
                Ok(()) => {
                    log.flushed += count;
                    log.pending = None;
                }
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, turn.key = %self.claim.key, "stream log not written; it will be tried again");
                    log.pending = Some(count);
                    break;
                }
                Err(error) => {
                    tracing::error!(%error, turn.key = %self.claim.key, "stream log refused; the turn goes on without one");
                    log.broken = true;
                }
            }
        }
        log.last_flush = Some(self.engine.clock.now());
    }

    async fn finish(&self, mut log: Log) -> Option<u64> {
        /// Tries of the last flush: the turn waits for it, its client with it.
        const LAST_TRIES: usize = 3;
        for _ in 0..LAST_TRIES {
            self.flush(&mut log).await;
            let complete = log.flushed == self.live.count();
            if complete && !log.broken {
                return u64::try_from(log.flushed).ok();
            }
        }
        None
    }
}

/// How many of `events` fit in one row.
fn batch_len(events: &[Event]) -> usize {
    let mut sum = 0;
    let fitting = events.iter().take_while(|event| {
        sum += event.bytes();
        sum <= MAX_BATCH_BYTES
    });
    // An event that is too large by itself is tried, and refused by the table.
    fitting.count().max(1)
}
