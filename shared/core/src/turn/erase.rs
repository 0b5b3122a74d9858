//! What is left of a turn whose conversation was erased.

use super::failure::{CONVERSATION_DELETED, Failure, Outcome};
use super::record::{State, Turn};
use crate::category::Category;
use crate::time::Timestamp;

/// The turn as it stays behind: its key, so that it is never taken for a new one, the
/// hashes and numbers of a committed one, and nothing that anybody said. `None` if it
/// is that already.
///
/// What was not committed ends as cancelled: no attempt goes on in a conversation that
/// is not there.
#[must_use]
pub fn tombstone(turn: &Turn, now: Timestamp, request_id: &str) -> Option<Turn> {
    let silent = turn.input.is_none();
    match &turn.state {
        State::Completed(_) if silent => None,
        State::Completed(commit) => Some(Turn { input: None, state: State::Completed(commit.clone()), ..turn.clone() }),
        State::Failed(failure) if silent && failure.code == CONVERSATION_DELETED => None,
        State::Queued { .. } | State::Processing | State::Failed(_) => {
            Some(Turn { input: None, updated_at: now, state: State::Failed(deleted(request_id)), ..turn.clone() })
        }
    }
}

fn deleted(request_id: &str) -> Failure {
    Failure {
        outcome: Outcome::Cancelled,
        category: Category::NotFoundError,
        code: CONVERSATION_DELETED.to_owned(),
        message: "The conversation was deleted.".to_owned(),
        param: None,
        retry_after_ms: None,
        is_spent: false,
        asked: None,
        request_id: request_id.to_owned(),
        partial: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::digest::Digest;
    use crate::id::{AttemptId, ConversationId, TurnId, TurnKey};
    use crate::turn::{Commit, Delivery};
    use crate::usage::Usage;

    const NOW: Timestamp = Timestamp(9);

    fn turn(input: bool, state: State) -> Turn {
        Turn {
            key: TurnKey::new("key", ConversationId::parse("c", "c").unwrap(), TurnId::parse("t", "t").unwrap())
                .unwrap(),
            input_hash: Digest::of("input"),
            delivery: Delivery::AtLeastOnce,
            epoch: 3,
            attempt: AttemptId::new(Uuid::from_u128(1)),
            attempts: 1,
            created_at: Timestamp(1),
            updated_at: Timestamp(2),
            input: input.then(|| crate::json::raw(&serde_json::json!({"secret": 1}))),
            place: None,
            number: 0,
            streams: 0,
            streamed: None,
            deleted_at: None,
            state,
        }
    }

    fn completed() -> State {
        State::Completed(Commit {
            number: 1,
            response_hash: Digest::of("answer"),
            model: "local/echo".to_owned(),
            usage: Usage::estimate("", ""),
            cost: None,
            completed_at: Timestamp(2),
        })
    }

    fn failed(partial: &str) -> State {
        let failure = Failure { outcome: Outcome::Retryable, code: "timeout".to_owned(), ..deleted("req") };
        State::Failed(Failure { partial: partial.to_owned(), ..failure })
    }

    #[test]
    fn a_committed_turn_keeps_its_header() {
        assert!(tombstone(&turn(false, completed()), NOW, "req").is_none());
        let left = tombstone(&turn(true, completed()), NOW, "req").unwrap();
        assert!(left.input.is_none() && matches!(left.state, State::Completed(_)));
    }

    #[test]
    fn every_other_turn_ends_as_cancelled_and_says_nothing() {
        for state in [State::Queued { due: NOW }, State::Processing, failed("half an answer")] {
            let left = tombstone(&turn(true, state), NOW, "req").unwrap();
            let State::Failed(failure) = &left.state else { panic!("{left:?}") };
            assert_eq!((failure.outcome, failure.code.as_str()), (Outcome::Cancelled, CONVERSATION_DELETED));
            assert!(left.input.is_none() && failure.partial.is_empty());
            assert_eq!((left.epoch, left.updated_at), (3, NOW));
            assert!(tombstone(&left, NOW, "req").is_none(), "once is enough");
        }
    }
}
