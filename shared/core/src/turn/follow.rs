//! In which conversation a turn runs that follows a given one.
//!
//! A conversation is a list: only one turn can follow another in it. Whoever comes
//! first goes on there; for anybody else a new conversation branches off. As a retry
//! must come out where its first try did, each request has exactly two places where it
//! can stand, the conversation of the turn it follows and one fork named after the two,
//! and looks for itself in both before it decides.

use super::decide::Standing;
use super::failure::Outcome;
use super::record::{Conversation, Parent, State, Turn};
use crate::limits::MAX_ATTEMPTS;

/// What there is when a request wants to follow a turn.
#[derive(Debug, Clone, Copy, Default)]
pub struct Following<'a> {
    /// The turn it wants to follow.
    pub previous: Option<&'a Turn>,
    /// That one's conversation.
    pub conversation: Option<&'a Conversation>,
    /// The request's own turn in that conversation.
    pub here: Option<&'a Turn>,
    /// The request's own turn in the fork.
    pub there: Option<&'a Turn>,
}

/// Where the request's turn runs, or is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follow {
    /// It stands in the conversation already, and stays.
    Here,
    /// It goes on in the conversation, as the turn of this number and no other.
    Next(u64),
    /// It stands in the fork already.
    There,
    /// It begins in the fork.
    Fork(Parent),
    /// There is nothing to follow.
    Unknown,
    /// What it wants to follow has no answer.
    Unanswered,
    /// What it wants to follow was erased with its conversation.
    Erased,
}

/// Decides where a request's turn runs that follows another.
///
/// A turn that runs, waits or has ended for good stays where it is, whatever has become
/// of the conversation. Only one that failed and may run again looks for its place anew,
/// and only while its fork does not have it.
#[must_use]
pub fn follow(seen: &Following<'_>) -> Follow {
    if seen.here.is_some_and(|turn| !may_begin(turn)) {
        return Follow::Here;
    }
    if seen.there.is_some() {
        return Follow::There;
    }
    let Some(previous) = seen.previous.filter(|previous| previous.deleted_at.is_none()) else {
        return Follow::Unknown;
    };
    let State::Completed(commit) = &previous.state else { return Follow::Unanswered };
    if seen.conversation.is_some_and(|c| c.erased) {
        return Follow::Erased;
    }
    let is_newest = seen.conversation.is_some_and(|c| c.head == commit.number);
    // What a dead attempt left may still be finished, and would come first.
    let is_free = seen.conversation.is_some_and(|c| c.holder.is_none() && c.queued == 0);
    if is_newest && is_free {
        return Follow::Next(commit.number + 1);
    }
    Follow::Fork(Parent { conversation: previous.key.conversation.clone(), number: commit.number })
}

impl Follow {
    /// Where such a turn stands toward the queue of the conversation it runs in.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        match self {
            Self::Next(_) => Standing::Next,
            Self::Here | Self::There | Self::Fork(_) | Self::Unknown | Self::Unanswered | Self::Erased => {
                Standing::Behind
            }
        }
    }
}

/// Whether the same key would begin the turn anew.
fn may_begin(turn: &Turn) -> bool {
    match &turn.state {
        State::Failed(failure) => failure.outcome == Outcome::Retryable && turn.attempts < MAX_ATTEMPTS,
        State::Queued { .. } | State::Processing | State::Completed(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::category::Category;
    use crate::digest::Digest;
    use crate::id::{AttemptId, ConversationId, TurnId, TurnKey};
    use crate::time::Timestamp;
    use crate::turn::failure::Failure;
    use crate::turn::record::{Commit, Delivery, Holder};
    use crate::usage::Usage;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn turn(name: &str, state: State) -> Turn {
        Turn {
            key: TurnKey {
                conversation: ConversationId::parse("c", "c").unwrap(),
                turn: TurnId::parse("t", name).unwrap(),
            },
            input_hash: Digest::of("input"),
            delivery: Delivery::AtLeastOnce,
            epoch: 1,
            attempt: AttemptId::new(Uuid::nil()),
            attempts: 1,
            created_at: NOW,
            updated_at: NOW,
            input: None,
            place: None,
            number: 0,
            streams: 0,
            streamed: None,
            deleted_at: None,
            state,
        }
    }

    fn completed(number: u64) -> State {
        State::Completed(Commit {
            number,
            response_hash: Digest::of("answer"),
            model: "local/echo".to_owned(),
            usage: Usage::estimate("", ""),
            cost: None,
            completed_at: NOW,
        })
    }

    fn failed(outcome: Outcome) -> State {
        State::Failed(Failure {
            outcome,
            category: Category::ApiError,
            code: "upstream_error".to_owned(),
            message: String::new(),
            param: None,
            retry_after_ms: None,
            is_spent: false,
            asked: None,
            request_id: String::new(),
            partial: String::new(),
        })
    }

    fn conversation(head: u64) -> Conversation {
        Conversation {
            fence: 4,
            holder: None,
            head,
            version: 1,
            queued: 0,
            queue_tail: 0,
            erased: false,
            project: None,
            parent: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    /// Checks what a request comes to that follows turn 2 of `conversation`, with its
    /// own turn `here` or `there` in these states.
    fn check(conversation: &Conversation, here: Option<State>, there: Option<State>, expected: &str) {
        let previous = turn("previous", completed(2));
        let (here, there) = (here.map(|state| turn("own", state)), there.map(|state| turn("own", state)));
        let seen = Following {
            previous: Some(&previous),
            conversation: Some(conversation),
            here: here.as_ref(),
            there: there.as_ref(),
        };
        let got = match follow(&seen) {
            Follow::Fork(parent) => format!("fork of {} {}", parent.conversation, parent.number),
            other @ (Follow::Here
            | Follow::Next(_)
            | Follow::There
            | Follow::Unknown
            | Follow::Unanswered
            | Follow::Erased) => format!("{other:?}"),
        };
        assert_eq!(got, expected, "{seen:?}");
    }

    #[test]
    fn the_newest_turn_is_continued_and_an_older_one_forked() {
        check(&conversation(2), None, None, "Next(3)");
        check(&conversation(3), None, None, "fork of c 2");
    }

    #[test]
    fn a_conversation_at_work_is_forked() {
        let holder =
            Holder { attempt: AttemptId::new(Uuid::nil()), turn: TurnId::new(Uuid::nil()), lease_until: Timestamp(0) };
        check(&Conversation { holder: Some(holder), ..conversation(2) }, None, None, "fork of c 2");
        check(&Conversation { queued: 1, ..conversation(2) }, None, None, "fork of c 2");
    }

    #[test]
    fn a_turn_is_found_where_it_stands() {
        for state in [State::Queued { due: NOW }, State::Processing, completed(3), failed(Outcome::Final)] {
            for head in [2, 3] {
                check(&conversation(head), Some(state.clone()), None, "Here");
                check(&conversation(head), None, Some(state.clone()), "There");
            }
        }
        check(&conversation(2), None, Some(failed(Outcome::Retryable)), "There");
        check(&conversation(2), Some(failed(Outcome::Cancelled)), None, "Here");
    }

    #[test]
    fn a_turn_that_may_run_again_finds_its_place_anew() {
        let again = || Some(failed(Outcome::Retryable));
        check(&conversation(2), again(), None, "Next(3)");
        check(&conversation(3), again(), None, "fork of c 2");
        check(&conversation(2), again(), again(), "There");
        check(&conversation(2), again(), Some(completed(1)), "There");
    }

    #[test]
    fn only_an_answer_that_is_there_can_be_followed() {
        let of = |previous: Option<&Turn>| {
            let conversation = conversation(2);
            follow(&Following { previous, conversation: Some(&conversation), ..Following::default() })
        };
        assert_eq!(of(None), Follow::Unknown);
        let deleted = Turn { deleted_at: Some(NOW), ..turn("previous", completed(2)) };
        assert_eq!(of(Some(&deleted)), Follow::Unknown);
        for state in [State::Queued { due: NOW }, State::Processing, failed(Outcome::Final)] {
            assert_eq!(of(Some(&turn("previous", state))), Follow::Unanswered);
        }
        check(&Conversation { erased: true, ..conversation(2) }, None, None, "Erased");
    }

    #[test]
    fn a_retry_finds_its_turn_although_what_it_followed_is_gone() {
        let own = turn("own", completed(3));
        assert_eq!(follow(&Following { here: Some(&own), ..Following::default() }), Follow::Here);
        assert_eq!(follow(&Following { there: Some(&own), ..Following::default() }), Follow::There);
    }
}
