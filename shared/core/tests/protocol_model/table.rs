//! The table: one conversation's rows and the transactions on them.

use std::collections::{BTreeMap, BTreeSet};

use turnwise_core::turn::{Acquire, Delivery, Outcome, Previous};

use crate::Flaw;
use crate::hashed::{Plain, Taken};
use crate::rows::{Answer, Attempt, Holder, Input, Key, Meta, State, Turn};

/// What DynamoDB holds of one conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Table {
    pub(crate) meta: Option<Meta>,
    pub(crate) turns: BTreeMap<Key, Turn>,
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

/// A transaction, with the values its sender puts into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    /// T1.
    Take { attempt: Attempt, key: Key, input: Input, delivery: Plain<Delivery>, taken: Taken },
    /// T2. Its sender must name the row `M#n`, so it brings the number it was
    /// given with the lock.
    Commit { attempt: Attempt, epoch: u64, number: u64, answer: Answer },
    /// T2f.
    Fail { attempt: Attempt, key: Key, epoch: u64, outcome: Plain<Outcome> },
    /// The head raised apart from T2: only [`Flaw::HeadOutsideCommit`] does so.
    RaiseHead { attempt: Attempt, epoch: u64 },
}

/// A client request token: one for a write and all its resends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token {
    pub(crate) attempt: Attempt,
    epoch: u64,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    Begin,
    End,
    RaiseHead,
}

impl Write {
    pub(crate) fn token(&self) -> Token {
        let (attempt, epoch, phase) = match self {
            Self::Take { attempt, taken, .. } => (attempt, taken.0.epoch, Phase::Begin),
            Self::Commit { attempt, epoch, .. } | Self::Fail { attempt, epoch, .. } => (attempt, *epoch, Phase::End),
            Self::RaiseHead { attempt, epoch } => (attempt, *epoch, Phase::RaiseHead),
        };
        Token { attempt: *attempt, epoch, phase }
    }
}

impl Table {
    /// Applies `write` if its conditions hold, and tells whether they did.
    pub(crate) fn apply(&mut self, write: &Write, flaw: Option<Flaw>) -> bool {
        match write {
            Write::Take { attempt, key, input, delivery, taken } => {
                let accepted = self.accepts(*key, &taken.0, flaw);
                if accepted {
                    // The first request of a key decides what may happen after a
                    // crash; a retry that asks for something else does not change it.
                    let first = self.turns.get(key).filter(|_| flaw != Some(Flaw::DeliveryReplaced));
                    let delivery = first.map_or(*delivery, |turn| turn.delivery);
                    self.take(*attempt, *key, *input, delivery, &taken.0);
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
            Write::Fail { attempt, key, epoch, outcome } => {
                let accepted = self.is_held_by(*attempt, *epoch) && self.is_processing(*key, *epoch);
                if accepted {
                    self.end(*key, State::Failed(*outcome), flaw);
                }
                accepted
            }
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

    /// Takes the lock from whoever holds it, as an administrator or `interrupt` does.
    pub(crate) fn force_release(&mut self) {
        if let Some(meta) = &mut self.meta {
            meta.fence += 1;
            meta.holder = None;
        }
    }

    pub(crate) fn fence(&self) -> u64 {
        self.meta.as_ref().map_or(0, |meta| meta.fence)
    }

    pub(crate) fn head(&self) -> u64 {
        self.meta.as_ref().map_or(0, |meta| meta.head)
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
        let number_is_next = self.head() + 1 == acquire.number || flaw == Some(Flaw::HeadNotSeen);
        let turn = self.turns.get(&key).map(|turn| (turn.epoch, turn.state));
        let turn_as_seen = match acquire.previous {
            Previous::Absent => turn.is_none(),
            Previous::Queued { .. } => false,
            Previous::Failed { epoch } => turn == Some((epoch, State::Failed(Plain(Outcome::Retryable)))),
            Previous::Lost { epoch } => turn == Some((epoch, State::Processing)),
        };
        fence_as_seen && lock_free && number_is_next && turn_as_seen
    }

    fn take(&mut self, attempt: Attempt, key: Key, input: Input, delivery: Plain<Delivery>, acquire: &Acquire) {
        let Acquire { epoch, attempts, .. } = *acquire;
        let holder = Holder { attempt, key, lapsed: false };
        self.meta = Some(Meta { fence: epoch, holder: Some(holder), head: self.head() });
        self.turns.insert(key, Turn { input, delivery, epoch, attempt, attempts, state: State::Processing });
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
        }
    }

    fn is_held_by(&self, attempt: Attempt, epoch: u64) -> bool {
        self.fence() == epoch && self.holder().is_some_and(|holder| holder.attempt == attempt)
    }

    fn is_processing(&self, key: Key, epoch: u64) -> bool {
        self.turns.get(&key).is_some_and(|turn| turn.state == State::Processing && turn.epoch == epoch)
    }

    fn set_lapsed(&mut self, lapsed: bool) {
        if let Some(holder) = self.meta.as_mut().and_then(|meta| meta.holder.as_mut()) {
            holder.lapsed = lapsed;
        }
    }
}
