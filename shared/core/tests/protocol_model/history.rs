//! What of the past a state remembers, so that promises about it can be checked.

use std::collections::{BTreeMap, BTreeSet};

use turnwise_core::turn::{Delivery, Previous};

use crate::rows::{Answer, Key, State};
use crate::table::Table;
use crate::world::{Client, Wish};
use crate::writes::Write;

/// What the rows alone do not tell any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    /// Highest fence ever.
    pub(crate) top_fence: u64,
    /// A lock was taken under a fence that had been there table.
    pub(crate) epoch_reused: bool,
    /// Every T2 that was applied, by turn: the number and the answer.
    pub(crate) commits: BTreeMap<Key, Vec<(u64, Answer)>>,
    /// Of each turn that began as at-most-once: its calls that the provider did not refuse.
    pub(crate) unrefused_calls: BTreeMap<Key, u8>,
    /// An answer stood whole in a log, and the attempt that took over asked again or gave up.
    pub(crate) log_ignored: bool,
    /// A T1 was applied to a conversation that had changed since it was read.
    pub(crate) change_missed: bool,
    /// The place that T0 gave to each turn.
    pub(crate) places: BTreeMap<Key, u64>,
    /// T0 gave a place that was not behind all others.
    pub(crate) place_reused: bool,
    /// Turns of the queue that went back to their places.
    pub(crate) requeued: BTreeSet<Key>,
    /// Turns of the queue whose lock a person took away, until they have it again.
    pub(crate) released: BTreeSet<Key>,
    /// A turn of the queue was committed before one that has an earlier place.
    pub(crate) overtaken: bool,
    /// A client's turn began although others waited, and it did not interrupt.
    pub(crate) queue_ignored: bool,
    /// Turns that were stopped from outside.
    pub(crate) cancelled: BTreeSet<Key>,
}

impl History {
    /// Remembers a write that was applied to `table`.
    pub(crate) fn remember(&mut self, write: &Write, table: &Table, clients: &[Client]) {
        match write {
            Write::Join { key, place, .. } => {
                let place = place.0.place;
                self.place_reused |= self.places.values().any(|given| *given >= place);
                self.places.insert(*key, place);
            }
            Write::Take { attempt, key, delivery, taken, .. } => {
                let acquire = &taken.0;
                let first = matches!(acquire.previous, Previous::Absent | Previous::Queued { epoch: 0, .. });
                if delivery.0 == Delivery::AtMostOnce && first {
                    self.unrefused_calls.insert(*key, 0);
                }
                self.epoch_reused |= acquire.epoch <= self.top_fence;
                self.change_missed |= acquire.seen_version != table.version();
                let begins_anew = matches!(acquire.previous, Previous::Absent | Previous::Failed { .. });
                let interrupts = clients.get(attempt.client).is_some_and(|c| c.request.wish == Wish::Interrupt);
                self.queue_ignored |= begins_anew && !interrupts && !table.queue.is_empty();
                self.released.remove(key);
            }
            Write::Commit { number, answer, .. } => {
                self.commits.entry(answer.key).or_default().push((*number, *answer));
                self.overtaken |= self.overtakes(*answer, table);
            }
            Write::Fail { key, left: State::Queued, .. } => {
                self.requeued.insert(*key);
            }
            Write::Stop { halt, .. } => {
                self.cancelled.insert(halt.key);
            }
            Write::Fail { .. } | Write::RaiseHead { .. } => {}
        }
    }

    /// Whether a turn with an earlier place has not ended yet, and no person took its
    /// lock away.
    fn overtakes(&self, answer: Answer, table: &Table) -> bool {
        let Some(place) = self.places.get(&answer.key) else { return false };
        let earlier = self.places.iter().filter(|(key, earlier)| *earlier < place && !self.released.contains(key));
        let mut states = earlier.filter_map(|(key, _)| table.turns.get(key).map(|turn| turn.state));
        states.any(|state| matches!(state, State::Queued | State::Processing))
    }
}
