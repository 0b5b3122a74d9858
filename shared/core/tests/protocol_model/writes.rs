//! What is sent to the table: transactions, each with the values its sender puts into it.

use turnwise_core::turn::{Delivery, Revoke};

use crate::hashed::{Joined, Plain, Revoked, Taken};
use crate::rows::{Answer, Attempt, Input, Key, State};

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    /// T0.
    Join { attempt: Attempt, key: Key, input: Input, delivery: Plain<Delivery>, place: Joined },
    /// T1.
    Take { attempt: Attempt, key: Key, input: Input, delivery: Plain<Delivery>, taken: Taken },
    /// T2. Its sender must name the row `M#n`, so it brings the number it was
    /// given with the lock.
    Commit { attempt: Attempt, epoch: u64, number: u64, answer: Answer },
    /// T2f. `left` is how the turn will stand: FAILED, or QUEUED at its place again.
    Fail { attempt: Attempt, key: Key, epoch: u64, left: State },
    /// A turn is stopped from outside.
    Stop { attempt: Attempt, halt: Halt },
    /// The head raised apart from T2: only [`crate::flaws::Flaw::HeadOutsideCommit`] does so.
    RaiseHead { attempt: Attempt, epoch: u64 },
}

/// Which turn is stopped, as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Halt {
    pub(crate) key: Key,
    pub(crate) epoch: u64,
    pub(crate) owner: Attempt,
    pub(crate) revoked: Revoked,
}

/// A client request token: one for a write and all its resends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token {
    pub(crate) attempt: Attempt,
    /// What tells writes of one attempt and phase apart: an epoch, or a place.
    about: u64,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    Join,
    Begin,
    End,
    Withdraw,
    Stop,
    RaiseHead,
}

impl Write {
    pub(crate) fn token(&self) -> Token {
        let (attempt, about, phase) = match self {
            Self::Join { attempt, place, .. } => (attempt, place.0.place, Phase::Join),
            Self::Take { attempt, taken, .. } => (attempt, taken.0.epoch, Phase::Begin),
            Self::Commit { attempt, epoch, .. } | Self::Fail { attempt, epoch, .. } => (attempt, *epoch, Phase::End),
            Self::Stop { attempt, halt } => match halt.revoked.0 {
                Revoke::Withdraw { place } => (attempt, place, Phase::Withdraw),
                Revoke::Stop { .. } | Revoke::End { .. } | Revoke::Cancelled | Revoke::Ended => {
                    (attempt, halt.epoch, Phase::Stop)
                }
            },
            Self::RaiseHead { attempt, epoch } => (attempt, *epoch, Phase::RaiseHead),
        };
        Token { attempt: *attempt, about, phase }
    }
}
