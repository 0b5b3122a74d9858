//! The table: one conversation's rows, and the transactions T1, T2 and T2f on them.

use std::collections::{BTreeMap, BTreeSet};

use turnwise_core::turn::{Acquire, Delivery, Previous};

use crate::flaws::Flaw;
use crate::hashed::Plain;
use crate::rows::{Answer, Attempt, Holder, Input, Key, Meta, State, Turn};
use crate::writes::Write;

/// What DynamoDB holds of one conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Table {
    pub(crate) meta: Option<Meta>,
    pub(crate) turns: BTreeMap<Key, Turn>,
    /// `Q#n`, the turn that waits at place n.
    pub(crate) queue: BTreeMap<u64, Key>,
    /// `M#n`, the packed messages of turn n.
    pub(crate) messages: BTreeMap<u64, Answer>,
    /// Stream logs that end in the provider's finish. A log is named by its turn
    /// and its attempt's epoch, and so is an answer.
    pub(crate) finished_logs: BTreeSet<Answer>,
    /// Settled lines of the ledger, by turn.
    pub(crate) ledger: Vec<Key>,
    /// The counter of answers.
    pub(crate) usage: usize,
}

impl Table {
    /// Applies `write` if its conditions hold, and tells whether they did.
    pub(crate) fn apply(&mut self, write: &Write, flaw: Option<Flaw>) -> bool {
        match write {
            Write::Join { attempt, key, input, delivery, place } => {
                self.join(*attempt, *key, *input, *delivery, &place.0)
            }
            Write::Take { attempt, key, input, delivery, taken } => {
                let accepted = self.accepts(*key, &taken.0, flaw);
                if accepted {
                    // The first request of a key decides what may happen after a
                    // crash; a retry that asks for something else does not change it.
                    let first = self.turns.get(key).filter(|_| flaw != Some(Flaw::DeliveryReplaced));
                    let delivery = first.map_or(*delivery, |turn| turn.delivery);
                    self.take(*attempt, *key, *input, delivery, &taken.0, flaw);
                }
                accepted
            }
            Write::Commit { attempt, epoch, number, answer } => {
                let fenced = self.is_held_by(*attempt, *epoch) || flaw == Some(Flaw::CommitWithoutFence);
                let accepted = fenced && self.is_processing(answer.key, *epoch);
                if accepted {
                    self.commit(*number, *answer, flaw);
                }
                accepted
            }
            Write::Fail { attempt, key, epoch, left } => {
                let accepted = self.is_held_by(*attempt, *epoch) && self.is_processing(*key, *epoch);
                if accepted {
                    self.end(*key, *left, flaw);
                    if *left == State::Queued {
                        self.rejoin(*key, flaw);
                    }
                }
                accepted
            }
            Write::Stop { halt, .. } => self.stop(halt, flaw),
            Write::RaiseHead { .. } => {
                self.raise_head();
                true
            }
        }
    }

    /// Makes the attempt's lease good again, if it still holds the lock.
    pub(crate) fn renew(&mut self, attempt: Attempt, epoch: u64) {
        if self.is_held_by(attempt, epoch) {
            self.set_lapsed(false);
        }
    }

    /// Lets the lease look lapsed.
    pub(crate) fn lapse(&mut self) {
        self.set_lapsed(true);
    }

    /// Takes the lock from whoever holds it, as an administrator does.
    pub(crate) fn force_release(&mut self) {
        if let Some(meta) = &mut self.meta {
            meta.fence += 1;
            meta.holder = None;
        }
    }

    /// Adds an item to the conversation between its turns.
    pub(crate) fn add_item(&mut self) {
        if let Some(meta) = &mut self.meta {
            meta.version += 1;
        }
    }

    pub(crate) fn fence(&self) -> u64 {
        self.meta.as_ref().map_or(0, |meta| meta.fence)
    }

    pub(crate) fn head(&self) -> u64 {
        self.meta.as_ref().map_or(0, |meta| meta.head)
    }

    pub(crate) fn version(&self) -> u64 {
        self.meta.as_ref().map_or(0, |meta| meta.version)
    }

    pub(crate) fn holder(&self) -> Option<&Holder> {
        self.meta.as_ref().and_then(|meta| meta.holder.as_ref())
    }

    /// The newest of a turn's logs that end in the provider's finish.
    pub(crate) fn newest_finished_log(&self, key: Key) -> Option<Answer> {
        self.finished_logs.iter().rfind(|log| log.key == key).copied()
    }

    /// The conditions of T1.
    fn accepts(&self, key: Key, acquire: &Acquire, flaw: Option<Flaw>) -> bool {
        let fence_as_seen = self.meta.as_ref().map(|meta| meta.fence) == acquire.seen_fence;
        let lock_free = self.holder().is_none_or(|holder| holder.lapsed);
        // A commit raises the version as well, so whoever forgets the head must forget both.
        let head_forgotten = flaw == Some(Flaw::HeadNotSeen);
        let number_is_next = self.head() + 1 == acquire.number || head_forgotten;
        let version_forgotten = head_forgotten || flaw == Some(Flaw::VersionNotSeen);
        let version_as_seen = self.version() == acquire.seen_version || version_forgotten;
        let queue_empty = self.meta.as_ref().is_none_or(|meta| meta.queued == 0);
        let in_order = queue_empty || !acquire.behind_queue;
        let turn_as_seen = match acquire.previous {
            Previous::Absent => !self.turns.contains_key(&key),
            Previous::Queued { .. } if flaw == Some(Flaw::QueuedNotAsserted) => true,
            Previous::Queued { place, epoch } => self.is_queued(key, epoch) && self.queue.contains_key(&place),
            Previous::Failed { epoch } => self.is_failed(key, epoch),
            Previous::Lost { epoch } => self.is_processing(key, epoch),
        };
        fence_as_seen && lock_free && number_is_next && version_as_seen && in_order && turn_as_seen
    }

    fn take(
        &mut self,
        attempt: Attempt,
        key: Key,
        input: Input,
        delivery: Plain<Delivery>,
        acquire: &Acquire,
        flaw: Option<Flaw>,
    ) {
        let Acquire { epoch, attempts, .. } = *acquire;
        if let Previous::Queued { place, .. } = acquire.previous {
            self.leave(place, flaw);
        }
        let meta = self.meta.get_or_insert_default();
        meta.fence = epoch;
        meta.holder = Some(Holder { attempt, key, lapsed: false });
        let place = self.turns.get(&key).and_then(|turn| turn.place);
        self.turns.insert(key, Turn { input, delivery, epoch, attempt, attempts, place, state: State::Processing });
    }

    fn commit(&mut self, number: u64, answer: Answer, flaw: Option<Flaw>) {
        self.messages.insert(number, answer);
        self.ledger.push(answer.key);
        self.usage += 1;
        if flaw != Some(Flaw::HeadOutsideCommit) {
            self.raise_head();
        }
        self.end(answer.key, State::Completed { number, answer }, flaw);
    }

    fn end(&mut self, key: Key, state: State, flaw: Option<Flaw>) {
        if let Some(turn) = self.turns.get_mut(&key) {
            turn.state = state;
        }
        if let Some(meta) = &mut self.meta {
            meta.holder = None;
            if flaw == Some(Flaw::LockRowDeleted) {
                meta.fence = 0;
            }
        }
    }

    fn raise_head(&mut self) {
        if let Some(meta) = &mut self.meta {
            meta.head += 1;
            meta.version += 1;
        }
    }

    pub(crate) fn is_held_by(&self, attempt: Attempt, epoch: u64) -> bool {
        self.fence() == epoch && self.holder().is_some_and(|holder| holder.attempt == attempt)
    }

    pub(crate) fn is_processing(&self, key: Key, epoch: u64) -> bool {
        self.turns.get(&key).is_some_and(|turn| turn.state == State::Processing && turn.epoch == epoch)
    }

    pub(crate) fn is_queued(&self, key: Key, epoch: u64) -> bool {
        self.turns.get(&key).is_some_and(|turn| turn.state == State::Queued && turn.epoch == epoch)
    }

    pub(crate) fn is_failed(&self, key: Key, epoch: u64) -> bool {
        self.turns.get(&key).is_some_and(|turn| matches!(turn.state, State::Failed(_)) && turn.epoch == epoch)
    }

    fn set_lapsed(&mut self, lapsed: bool) {
        if let Some(holder) = self.meta.as_mut().and_then(|meta| meta.holder.as_mut()) {
            holder.lapsed = lapsed;
        }
    }
}
