//! How a turn is stopped from outside: by its cancellation, or by a turn that
//! interrupts it.
//!
//! The stop is a write of its own, not a wish that the attempt reads: the fence is
//! raised and the turn ended in one transaction, so that the answer "cancelled" is
//! final at once, whether the attempt lives, sleeps or is dead. What the attempt still
//! writes is refused.

use super::failure::Outcome;
use super::record::{Conversation, State, Turn};

/// What stopping a turn comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoke {
    /// Take it out of the queue.
    Withdraw {
        /// Its place there.
        place: u64,
    },
    /// End it, and take the lock from its attempt.
    Stop {
        /// The epoch of the attempt.
        epoch: u64,
    },
    /// End it; its dead attempt has lost the lock already.
    End {
        /// The epoch of the attempt.
        epoch: u64,
    },
    /// It was cancelled before.
    Cancelled,
    /// It has ended otherwise.
    Ended,
}

/// Decides what stopping `turn` comes to.
#[must_use]
pub fn revoke(conversation: Option<&Conversation>, turn: &Turn) -> Revoke {
    match &turn.state {
        State::Queued { .. } => Revoke::Withdraw { place: turn.place.unwrap_or(0) },
        State::Processing if conversation.is_some_and(|c| c.is_held_by(turn)) => Revoke::Stop { epoch: turn.epoch },
        State::Processing => Revoke::End { epoch: turn.epoch },
        State::Failed(failure) if failure.outcome == Outcome::Cancelled => Revoke::Cancelled,
        State::Completed(_) | State::Failed(_) => Revoke::Ended,
    }
}
