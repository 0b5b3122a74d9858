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
    /// End it, and take the lock from its attempt, which must have it still.
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
///
/// The two rows need not be of one instant. Only a fence beyond the turn's epoch proves
/// that its attempt has lost the lock, as fences do not go back. A conversation that was
/// read before the attempt began proves nothing: to end the turn alone would leave its
/// lock behind, with no turn that anybody could finish to free it.
#[must_use]
pub fn revoke(conversation: Option<&Conversation>, turn: &Turn) -> Revoke {
    match &turn.state {
        State::Queued { .. } => Revoke::Withdraw { place: turn.place.unwrap_or(0) },
        State::Processing if conversation.is_some_and(|c| c.fence > turn.epoch) => Revoke::End { epoch: turn.epoch },
        State::Processing => Revoke::Stop { epoch: turn.epoch },
        State::Failed(failure) if failure.outcome == Outcome::Cancelled => Revoke::Cancelled,
        State::Completed(_) | State::Failed(_) => Revoke::Ended,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::digest::Digest;
    use crate::id::{AttemptId, ConversationId, TurnId, TurnKey};
    use crate::time::Timestamp;
    use crate::turn::record::{Delivery, Holder};

    const NOW: Timestamp = Timestamp(1_000_000);

    fn conversation(fence: u64, holder: Option<u128>) -> Conversation {
        let holder = holder.map(|n| Holder {
            attempt: AttemptId::new(Uuid::from_u128(n)),
            turn: TurnId::parse("turn_id", "t").unwrap(),
            lease_until: NOW,
        });
        Conversation {
            fence,
            holder,
            head: 0,
            version: 0,
            queued: 0,
            queue_tail: 0,
            erased: false,
            project: None,
            parent: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    fn turn(epoch: u64, place: Option<u64>, state: State) -> Turn {
        Turn {
            key: TurnKey::new("key", ConversationId::parse("c", "c").unwrap(), TurnId::parse("t", "t").unwrap())
                .unwrap(),
            input_hash: Digest::of("input"),
            delivery: Delivery::AtLeastOnce,
            epoch,
            attempt: AttemptId::new(Uuid::from_u128(1)),
            attempts: 1,
            created_at: NOW,
            updated_at: NOW,
            input: None,
            place,
            number: 0,
            streams: 0,
            streamed: None,
            deleted_at: None,
            state,
        }
    }

    #[test]
    fn a_queued_turn_is_withdrawn_from_its_place() {
        let queued = turn(4, Some(3), State::Queued { due: NOW });
        assert_eq!(revoke(Some(&conversation(4, None)), &queued), Revoke::Withdraw { place: 3 });
    }

    #[test]
    fn a_running_turn_is_stopped_with_its_lock() {
        let running = turn(4, None, State::Processing);
        assert_eq!(revoke(Some(&conversation(4, Some(1))), &running), Revoke::Stop { epoch: 4 });
    }

    #[test]
    fn a_turn_that_has_lost_its_lock_is_ended_alone() {
        let lost = turn(4, None, State::Processing);
        assert_eq!(revoke(Some(&conversation(5, None)), &lost), Revoke::End { epoch: 4 });
        assert_eq!(revoke(Some(&conversation(5, Some(2))), &lost), Revoke::End { epoch: 4 });
    }

    #[test]
    fn a_turn_that_began_after_its_conversation_was_read_is_stopped_with_its_lock() {
        let begun = turn(4, None, State::Processing);
        assert_eq!(revoke(None, &begun), Revoke::Stop { epoch: 4 });
        assert_eq!(revoke(Some(&conversation(3, None)), &begun), Revoke::Stop { epoch: 4 });
        assert_eq!(revoke(Some(&conversation(3, Some(2))), &begun), Revoke::Stop { epoch: 4 });
    }
}
