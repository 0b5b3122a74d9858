//! What a request that can wait is to do, and when a queued turn runs again.

use std::time::Duration;

use super::decide::{Ask, Previous, Standing};
use super::failure::{Failure, Outcome};
use super::record::{Commit, Conversation, State, Turn};
use crate::limits::{MAX_ATTEMPTS, MAX_QUEUED_TURNS, RETRY_FIRST, RETRY_MOST};
use crate::time::Timestamp;

/// What a request that can wait is to do.
#[derive(Debug, Clone)]
pub enum Enqueue {
    /// Give the turn a place in the queue: write T0.
    Join(Place),
    /// It has a place already.
    Waiting,
    /// An attempt is, or was when it died, at work on it.
    Running,
    /// Give the committed answer.
    Replay(Commit),
    /// Give the stored error.
    ReplayFailure(Failure),
    /// The key belongs to a different input.
    KeyReused,
    /// The queue is as long as it may be.
    Full,
    /// It would not be the very next turn, and is that or none.
    Overtaken,
    /// The conversation was erased.
    Erased,
}

/// The write T0: conditions and new values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The queue's tail when it was read; `None` if there was no conversation.
    pub seen_tail: Option<u64>,
    /// What there was of the turn: nothing, or an attempt that failed.
    pub previous: Previous,
    /// The place the turn gets.
    pub place: u64,
    /// Attempts so far.
    pub attempts: u32,
    /// Committed turns when they were counted, for a turn that is the very next or
    /// none: T0 then requires that there are as many still and that nobody runs or waits.
    pub seen_head: Option<u64>,
}

/// Decides what a request that can wait is to do.
///
/// A retryable failure of a client's own turn may go on in the queue. The number a
/// request insists on is not known before the turn runs, and is looked at only where
/// nothing can come before it: see [`Standing::Next`].
#[must_use]
pub fn enqueue(conversation: Option<&Conversation>, turn: Option<&Turn>, ask: &Ask) -> Enqueue {
    let head = conversation.map_or(0, |c| c.head);
    let free = conversation.is_none_or(|c| c.queued == 0 && c.holder.is_none());
    let is_next = free && ask.number.is_none_or(|asked| asked == head + 1);
    let next_or_none = ask.standing == Standing::Next;
    let full = conversation.is_some_and(|c| c.queued >= MAX_QUEUED_TURNS);
    let join = |previous, attempts| {
        if conversation.is_some_and(|c| c.erased) {
            return Enqueue::Erased;
        }
        if full {
            return Enqueue::Full;
        }
        if next_or_none && !is_next {
            return Enqueue::Overtaken;
        }
        let seen_tail = conversation.map(|c| c.queue_tail);
        let seen_head = next_or_none.then_some(head);
        Enqueue::Join(Place { seen_tail, previous, place: seen_tail.unwrap_or(0) + 1, attempts, seen_head })
    };
    match turn {
        None => join(Previous::Absent, 0),
        Some(turn) if turn.input_hash != ask.input_hash => Enqueue::KeyReused,
        Some(turn) => match &turn.state {
            State::Queued { .. } => Enqueue::Waiting,
            State::Processing => Enqueue::Running,
            State::Completed(commit) => Enqueue::Replay(commit.clone()),
            State::Failed(failure) if failure.outcome == Outcome::Retryable && turn.attempts < MAX_ATTEMPTS => {
                join(Previous::Failed { epoch: turn.epoch }, turn.attempts)
            }
            State::Failed(failure) => Enqueue::ReplayFailure(failure.clone()),
        },
    }
}

/// When a turn from the queue whose attempt number `attempts` failed runs again;
/// `None` if it does not.
///
/// `chance`, from 0 to 1, spreads turns that failed together: the pause is between
/// half of its longest and its longest.
#[must_use]
pub fn after_failure(now: Timestamp, failure: &Failure, attempts: u32, chance: f64) -> Option<Timestamp> {
    let runs_again = failure.outcome == Outcome::Retryable && attempts < MAX_ATTEMPTS;
    let doubled = RETRY_FIRST.saturating_mul(2u32.saturating_pow(attempts.saturating_sub(1)));
    let asked = failure.retry_after_ms.map(Duration::from_millis).filter(|asked| *asked <= RETRY_MOST);
    let pause = doubled.min(RETRY_MOST).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
    runs_again.then(|| now + pause.max(asked.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::category::Category;
    use crate::digest::Digest;
    use crate::id::{AttemptId, TurnId};
    use crate::turn::record::Holder;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn failure(outcome: Outcome, retry_after_ms: Option<u64>) -> Failure {
        Failure {
            outcome,
            category: Category::ApiError,
            code: "upstream_error".to_owned(),
            message: String::new(),
            param: None,
            retry_after_ms,
            is_spent: false,
            asked: None,
            request_id: String::new(),
            partial: String::new(),
        }
    }

    fn check(outcome: Outcome, retry_after_ms: Option<u64>, attempts: u32, chance: f64, expected: Option<u64>) {
        let due = after_failure(NOW, &failure(outcome, retry_after_ms), attempts, chance);
        assert_eq!(due.map(|due| due.as_millis() - NOW.as_millis()), expected);
    }

    #[test]
    fn a_failed_turn_of_the_queue_runs_again_later_and_later() {
        check(Outcome::Retryable, None, 1, 1.0, Some(2000));
        check(Outcome::Retryable, None, 1, 0.0, Some(1000));
        check(Outcome::Retryable, None, MAX_ATTEMPTS - 1, 1.0, Some(4000));
        check(Outcome::Retryable, None, MAX_ATTEMPTS, 1.0, None);
        check(Outcome::Final, None, 1, 1.0, None);
        check(Outcome::OutcomeUnknown, None, 1, 1.0, None);
    }

    #[test]
    fn a_turn_that_is_the_next_or_none_waits_behind_nobody() {
        let attempt = AttemptId::new(Uuid::nil());
        let ask =
            Ask { input_hash: Digest::of(""), number: Some(3), attempt: attempt.clone(), standing: Standing::Next };
        let free = Conversation {
            fence: 4,
            holder: None,
            head: 2,
            version: 1,
            queued: 0,
            queue_tail: 1,
            erased: false,
            project: None,
            parent: None,
            created_at: NOW,
            updated_at: NOW,
        };
        let holder = Holder { attempt, turn: TurnId::new(Uuid::nil()), lease_until: Timestamp(0) };
        let check = |conversation: &Conversation, ask: &Ask, expected: Option<Option<u64>>| {
            let decided = enqueue(Some(conversation), None, ask);
            assert!(matches!(decided, Enqueue::Join(_) | Enqueue::Overtaken), "{decided:?}");
            let seen_head = if let Enqueue::Join(place) = decided { Some(place.seen_head) } else { None };
            assert_eq!(seen_head, expected);
        };
        check(&free, &ask, Some(Some(2)));
        check(&Conversation { head: 3, ..free.clone() }, &ask, None);
        check(&Conversation { queued: 1, ..free.clone() }, &ask, None);
        check(&Conversation { holder: Some(holder), ..free.clone() }, &ask, None);
        let behind = Ask { standing: Standing::Behind, ..ask };
        check(&Conversation { head: 3, queued: 1, ..free }, &behind, Some(None));
    }

    #[test]
    fn a_providers_wish_is_heeded_up_to_a_limit() {
        check(Outcome::Retryable, Some(60_000), 1, 1.0, Some(60_000));
        check(Outcome::Retryable, Some(60_001), 1, 1.0, Some(2000));
        check(Outcome::Retryable, Some(5), 1, 1.0, Some(2000));
    }
}
