//! Turns running in this process: their events so far and, at the end, their outcome.
//!
//! The producer appends and never waits for a reader. Readers go through the same
//! list at their own pace, from any place: a client that came late, one that is
//! slow and one that came back are the same thing. What is held is bounded by
//! `MAX_ANSWER_BYTES`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use turnwise_core::digest::Digest;
use turnwise_core::generation::Event;
use turnwise_core::id::{ConversationId, Tenant, TurnKey};
use turnwise_core::turn::Failure;

use crate::turn::{Answer, Facts};

/// Most events that a reader takes at a time: a slow one holds no copy of all the others.
const MAX_LOOK_EVENTS: usize = 64;

/// How a running turn ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Its answer is committed.
    Committed(Arc<Answer>),
    /// Its failure is committed.
    Failed(Arc<Failure>),
    /// Another attempt took the lock, or the turn was cancelled: what is stored of the
    /// turn is its result.
    Superseded,
    /// It failed for now and went back to its conversation's queue.
    Requeued,
    /// The end could not be written. The lease will lapse and a retry go on.
    Unwritten(Arc<Failure>),
}

/// A turn running in this process.
#[derive(Debug)]
pub struct LiveTurn {
    /// Digest of its canonical input.
    pub input_hash: Digest,
    /// What its answer's headers say.
    pub facts: Facts,
    progress: Mutex<Progress>,
    changed: watch::Sender<u64>,
    lock_lost: CancellationToken,
}

#[derive(Debug, Default)]
struct Progress {
    /// Which of the turn's streams the events are, once that is known.
    stream: Option<u32>,
    events: Vec<Event>,
    /// How many calls were made after others that failed.
    repeats: usize,
    /// The model that is asked, where it is not the first.
    model: Option<String>,
    outcome: Option<Outcome>,
}

/// What a reader finds at its place.
#[derive(Debug)]
pub enum Look {
    /// The next events from there on.
    Events(Vec<Event>),
    /// A call failed, and another one is made: of this model.
    Repeated(String),
    /// No more events, and this is how it ended.
    Ended(Outcome),
}

impl LiveTurn {
    /// A turn that begins now.
    #[must_use]
    pub fn new(input_hash: Digest, facts: Facts) -> Arc<Self> {
        Arc::new(Self {
            input_hash,
            facts,
            progress: Mutex::default(),
            changed: watch::Sender::new(0),
            lock_lost: CancellationToken::new(),
        })
    }

    /// Notes that the attempt no longer owns the lock: reading on would be paid for
    /// nothing.
    pub fn lose_lock(&self) {
        self.lock_lost.cancel();
    }

    /// Completes when the lock is lost.
    pub async fn lock_lost(&self) {
        self.lock_lost.cancelled().await;
    }

    /// Notes which of the turn's streams the events to come are.
    pub fn begin(&self, stream: u32) {
        self.progress().stream = Some(stream);
        self.changed.send_modify(|version| *version += 1);
    }

    /// Waits until it is known which of the turn's streams the events are; `None` if the
    /// turn has ended before.
    pub async fn begun(&self) -> Option<u32> {
        let mut changed = self.changed.subscribe();
        loop {
            {
                let progress = self.progress();
                if progress.stream.is_some() || progress.outcome.is_some() {
                    return progress.stream;
                }
            }
            let _ = changed.changed().await;
        }
    }

    /// Appends an event.
    pub fn push(&self, event: Event) {
        self.progress().events.push(event);
        self.changed.send_modify(|version| *version += 1);
    }

    /// Notes that a call has failed, now or so lately that it is not made again, and that
    /// another one is made: of `model`.
    pub fn repeat(&self, model: &str) {
        {
            let mut progress = self.progress();
            progress.repeats += 1;
            progress.model = Some(model.to_owned());
        }
        self.changed.send_modify(|version| *version += 1);
    }

    /// How many calls were made after others that failed.
    #[must_use]
    pub fn repeats(&self) -> usize {
        self.progress().repeats
    }

    /// The model that is asked now, where it is not the one that was asked first.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        self.progress().model.clone().filter(|model| self.facts.model.as_ref() != Some(model))
    }

    /// Ends the turn. The first outcome stays.
    pub fn end(&self, outcome: Outcome) {
        self.progress().outcome.get_or_insert(outcome);
        self.changed.send_modify(|version| *version += 1);
    }

    /// The events from number `from` on that are there now.
    #[must_use]
    pub fn events(&self, from: usize) -> Vec<Event> {
        self.progress().events.get(from..).unwrap_or_default().to_vec()
    }

    /// How many events there are now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.progress().events.len()
    }

    /// Bytes of the events from number `from` on that are there now.
    #[must_use]
    pub fn bytes(&self, from: usize) -> usize {
        self.progress().events.get(from..).unwrap_or_default().iter().map(Event::bytes).sum()
    }

    /// Waits for an event number `from`, for another call than the `repeats` that are known,
    /// or for the end.
    pub async fn look(&self, from: usize, repeats: usize) -> Look {
        let mut changed = self.changed.subscribe();
        loop {
            {
                let progress = self.progress();
                if let Some(model) = progress.model.as_ref().filter(|_| progress.repeats > repeats) {
                    return Look::Repeated(model.clone());
                }
                if let Some(events) = progress.events.get(from..)
                    && !events.is_empty()
                {
                    return Look::Events(events.iter().take(MAX_LOOK_EVENTS).cloned().collect());
                }
                if let Some(outcome) = &progress.outcome {
                    return Look::Ended(outcome.clone());
                }
            }
            // The sender is this turn's own: it cannot be gone.
            let _ = changed.changed().await;
        }
    }

    /// Waits for the end.
    pub async fn outcome(&self) -> Outcome {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(outcome) = &self.progress().outcome {
                return outcome.clone();
            }
            let _ = changed.changed().await;
        }
    }

    /// Completes when there are more than `seen` events or the turn has ended.
    pub async fn more_than(&self, seen: usize) {
        let mut changed = self.changed.subscribe();
        loop {
            {
                let progress = self.progress();
                if progress.events.len() > seen || progress.outcome.is_some() {
                    return;
                }
            }
            let _ = changed.changed().await;
        }
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turns running in this process and the doors of their conversations.
#[derive(Debug, Default)]
pub struct Hub {
    running: Mutex<HashMap<(Tenant, TurnKey), Arc<LiveTurn>>>,
    doors: Mutex<HashMap<(Tenant, ConversationId), Weak<Door>>>,
}

/// Where requests for one conversation queue up within this process, so that a
/// thousand equal ones make one write and not a thousand.
#[derive(Debug, Default)]
pub struct Door {
    /// Held while one request reads and takes the lock.
    pub entry: tokio::sync::Mutex<()>,
    /// Rung when a turn of the conversation ends in this process.
    pub released: Notify,
}

impl Hub {
    /// The turn `key`, if it runs in this process.
    #[must_use]
    pub fn running(&self, tenant: &Tenant, key: &TurnKey) -> Option<Arc<LiveTurn>> {
        lock(&self.running).get(&(tenant.clone(), key.clone())).cloned()
    }

    /// Notes that the turn `key` runs in this process.
    pub fn enter(&self, tenant: &Tenant, key: &TurnKey, turn: &Arc<LiveTurn>) {
        lock(&self.running).insert((tenant.clone(), key.clone()), Arc::clone(turn));
    }

    /// Notes that `turn` has ended, and wakes who waits for its conversation.
    pub fn leave(&self, tenant: &Tenant, key: &TurnKey, turn: &Arc<LiveTurn>) {
        let name = (tenant.clone(), key.clone());
        let mut running = lock(&self.running);
        // A takeover within this process may have put its successor there.
        if running.get(&name).is_some_and(|current| Arc::ptr_eq(current, turn)) {
            running.remove(&name);
        }
        drop(running);
        self.door(tenant, &key.conversation).released.notify_waiters();
    }

    /// The door of a conversation; it exists as long as somebody stands at it.
    #[must_use]
    pub fn door(&self, tenant: &Tenant, conversation: &ConversationId) -> Arc<Door> {
        let mut doors = lock(&self.doors);
        let name = (tenant.clone(), conversation.clone());
        if let Some(door) = doors.get(&name).and_then(Weak::upgrade) {
            return door;
        }
        doors.retain(|_, door| door.strong_count() > 0);
        let door = Arc::new(Door::default());
        doors.insert(name, Arc::downgrade(&door));
        door
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
