//! What a request with a key is to do, decided from what is stored.

use super::failure::{Failure, Outcome};
use super::record::{Commit, Conversation, Delivery, State, Turn};
use crate::digest::Digest;
use crate::id::AttemptId;
use crate::limits::{LEASE, LEASE_GRACE, MAX_ATTEMPTS, MAX_TAKEOVERS};
use crate::time::Timestamp;

/// What a request brings to the decision.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Digest of its canonical input.
    pub input_hash: Digest,
    /// The number it insists on (`If-Match`).
    pub number: Option<u64>,
    /// The attempt it would be, or already is.
    pub attempt: AttemptId,
    /// Where it stands toward the conversation's queue.
    pub standing: Standing,
}

/// Where a request stands toward its conversation's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A client's request: behind whatever waits already.
    Behind,
    /// A client's request that is the very next turn, or none: it waits behind nobody.
    Next,
    /// A client's request that interrupts: ahead of the queue.
    Ahead,
    /// The worker's, for the turn at the queue's head.
    Head {
        /// The conversation's fence when the head was looked for, with nobody at work. An
        /// attempt since then may have put a turn back in front of that head.
        fence: u64,
    },
}

/// What the request is to do.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Take the lock and run the turn: write T1.
    Acquire(Acquire),
    /// T1 was applied although its reply was lost: go on as its owner, with the
    /// [`Acquire`] that was sent.
    Mine,
    /// Another request is running this very turn: wait for it or follow its stream.
    Attach,
    /// Another turn has the conversation's lock, or queued turns come first, or what a
    /// dead attempt left before them.
    Busy,
    /// This very turn waits in the queue.
    Waiting,
    /// Give the committed answer.
    Replay(Commit),
    /// Give the stored error.
    ReplayFailure(Failure),
    /// The key belongs to a different input.
    KeyReused,
    /// The turn has, or would get, this number and not the one asked for.
    WrongNumber(u64),
    /// The conversation was erased: no turn begins in it any more.
    Erased,
}

/// The write T1: conditions and new values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquire {
    /// The conversation's fence when it was read; `None` if there was no conversation.
    pub seen_fence: Option<u64>,
    /// What there was of the turn.
    pub previous: Previous,
    /// The conversation's version when it was read; T1 requires it still, so that the
    /// history an attempt was given is the one it follows. 0 if there was none.
    pub seen_version: u64,
    /// Whether T1 requires that nothing waits in the queue.
    pub behind_queue: bool,
    /// The fence this attempt takes.
    pub epoch: u64,
    /// The number the turn gets if this attempt commits. T1 also requires the head
    /// to be `number - 1` still: a commit frees the lock under the same fence, so
    /// the fence does not tell that another turn has taken this number since.
    pub number: u64,
    /// Attempts, this one included.
    pub attempts: u32,
}

/// What there was of a turn before an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// Nothing.
    Absent,
    /// It waited in the queue.
    Queued {
        /// At this place.
        place: u64,
        /// The epoch of an earlier attempt that failed; 0 if there was none.
        epoch: u64,
    },
    /// An attempt of this epoch that failed and said so.
    Failed {
        /// Its epoch.
        epoch: u64,
    },
    /// An attempt of this epoch whose lease lapsed or whose lock was taken.
    Lost {
        /// Its epoch.
        epoch: u64,
    },
}

/// Decides what a request is to do.
///
/// ```text
/// lease of a live attempt:   T1 |----heartbeat----heartbeat----| lease_until
///                                                                   | skew |
/// a request at this point:      attach ............................ attach | take over
/// ```
#[must_use]
pub fn begin(now: Timestamp, conversation: Option<&Conversation>, turn: Option<&Turn>, ask: &Ask) -> Decision {
    match turn {
        None => acquire(now, conversation, None, Previous::Absent, 1, ask),
        Some(turn) if turn.input_hash != ask.input_hash => Decision::KeyReused,
        Some(turn) => match &turn.state {
            State::Completed(commit) => replay(commit, ask),
            State::Failed(failure) => {
                let may_retry = failure.outcome == Outcome::Retryable && turn.attempts < MAX_ATTEMPTS;
                if !may_retry {
                    return Decision::ReplayFailure(failure.clone());
                }
                let previous = Previous::Failed { epoch: turn.epoch };
                acquire(now, conversation, Some(turn), previous, turn.attempts + 1, ask)
            }
            State::Queued { due } => {
                // Its place is written in the row that T1 takes away: a turn without one
                // cannot be at the head.
                let is_head = match ask.standing {
                    Standing::Head { fence } if conversation.is_none_or(|c| c.fence != fence) => return Decision::Busy,
                    Standing::Head { .. } => *due <= now,
                    Standing::Behind | Standing::Next | Standing::Ahead => false,
                };
                let place = turn.place.filter(|_| is_head);
                place.map_or(Decision::Waiting, |place| {
                    let previous = Previous::Queued { place, epoch: turn.epoch };
                    acquire(now, conversation, Some(turn), previous, turn.attempts + 1, ask)
                })
            }
            State::Processing => {
                let mine = turn.attempt == ask.attempt;
                let holds_lock = conversation.is_some_and(|c| c.is_held_by(turn));
                let lease_lives = conversation.is_some_and(|c| c.is_held(now));

                if mine && holds_lock {
                    return Decision::Mine;
                }
                if holds_lock && lease_lives {
                    return Decision::Attach;
                }
                let previous = Previous::Lost { epoch: turn.epoch };
                acquire(now, conversation, Some(turn), previous, turn.attempts + 1, ask)
            }
        },
    }
}

fn acquire(
    now: Timestamp,
    conversation: Option<&Conversation>,
    turn: Option<&Turn>,
    previous: Previous,
    attempts: u32,
    ask: &Ask,
) -> Decision {
    let fence = conversation.map_or(0, |c| c.fence);
    let number = conversation.map_or(0, |c| c.head) + 1;
    let other_number = ask.number.is_some_and(|asked| asked != number);
    let held = conversation.is_some_and(|c| c.is_held(now));
    // The queue keeps its order: what a dead attempt left at its front is finished first.
    // Whoever took the lock from it would let the rest of the queue pass it by. Where
    // nothing was ever queued, another turn need not wait for the dead one.
    let queued = matches!(previous, Previous::Queued { .. });
    let holder = conversation.and_then(|c| c.holder.as_ref());
    let left_by_another = holder.is_some_and(|holder| turn.is_none_or(|turn| turn.key.turn != holder.turn));
    let has_queue = conversation.is_some_and(|c| c.queue_tail > 0);
    let left_by_dead = (queued && holder.is_some()) || (has_queue && left_by_another);
    let begins_anew = matches!(previous, Previous::Absent | Previous::Failed { .. });
    let behind_queue = begins_anew && matches!(ask.standing, Standing::Behind | Standing::Next);
    let queue_first = behind_queue && conversation.is_some_and(|c| c.queued > 0);

    if conversation.is_some_and(|c| c.erased) {
        return Decision::Erased;
    }
    if held || left_by_dead || queue_first {
        return Decision::Busy;
    }
    if other_number {
        return Decision::WrongNumber(number);
    }
    Decision::Acquire(Acquire {
        seen_fence: conversation.map(|c| c.fence),
        seen_version: conversation.map_or(0, |c| c.version),
        behind_queue,
        previous,
        epoch: fence + 1,
        number,
        attempts,
    })
}

fn replay(commit: &Commit, ask: &Ask) -> Decision {
    match ask.number {
        Some(asked) if asked != commit.number => Decision::WrongNumber(commit.number),
        Some(_) | None => Decision::Replay(commit.clone()),
    }
}

/// What an attempt that owns the lock is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Call the provider.
    Call,
    /// Commit the answer that the lost attempt had received whole.
    RollForward,
    /// End the turn: whether the provider answered is not known, and asking again
    /// is not allowed or has killed too many attempts.
    GiveUp,
}

/// Decides how an attempt goes on once it owns the lock.
///
/// `delivery` is the mode stored with the turn: a retry that asks for another must
/// not loosen it. `log_finished` tells whether the stream log of any earlier attempt
/// ends in the provider's finish: an attempt that dies rolling forward leaves no log
/// of its own.
#[must_use]
pub fn plan(previous: Previous, attempts: u32, delivery: Delivery, log_finished: bool) -> Plan {
    let lost = matches!(previous, Previous::Lost { .. });
    let exhausted = attempts > MAX_TAKEOVERS;
    match (lost, delivery) {
        (false, _) => Plan::Call,
        (true, _) if log_finished => Plan::RollForward,
        (true, Delivery::AtMostOnce) => Plan::GiveUp,
        (true, Delivery::AtLeastOnce) if exhausted => Plan::GiveUp,
        (true, Delivery::AtLeastOnce) => Plan::Call,
    }
}

/// The lease of an attempt: a little longer than its invocation, and never longer
/// than a person should wait for a dead one.
#[must_use]
pub fn lease_until(now: Timestamp, deadline: Option<Timestamp>) -> Timestamp {
    let longest = now + LEASE;
    deadline.map_or(longest, |deadline| longest.min(deadline + LEASE_GRACE))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::category::Category;
    use crate::id::{ConversationId, TurnId, TurnKey};
    use crate::limits::CLOCK_SKEW;
    use crate::turn::record::Holder;
    use crate::usage::Usage;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn attempt(n: u128) -> AttemptId {
        AttemptId::new(Uuid::from_u128(n))
    }

    fn ask() -> Ask {
        Ask { input_hash: Digest::of("input"), number: None, attempt: attempt(9), standing: Standing::Behind }
    }

    fn conversation(fence: u64, holder: Option<(u128, Timestamp)>, head: u64) -> Conversation {
        let holder = holder.map(|(n, lease_until)| Holder {
            attempt: attempt(n),
            turn: TurnId::parse("turn_id", "t").unwrap(),
            lease_until,
        });
        Conversation {
            fence,
            holder,
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

    fn turn(epoch: u64, attempts: u32, state: State) -> Turn {
        Turn {
            key: TurnKey::new("key", ConversationId::parse("c", "c").unwrap(), TurnId::parse("t", "t").unwrap())
                .unwrap(),
            input_hash: Digest::of("input"),
            delivery: Delivery::AtLeastOnce,
            epoch,
            attempt: attempt(1),
            attempts,
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

    fn check(conversation: Option<&Conversation>, turn: Option<&Turn>, ask: &Ask, expected: &str) {
        let got = match begin(NOW, conversation, turn, ask) {
            Decision::Acquire(a) => format!("acquire {:?} epoch {} number {}", a.previous, a.epoch, a.number),
            Decision::Mine => "mine".to_owned(),
            Decision::Attach => "attach".to_owned(),
            Decision::Busy => "busy".to_owned(),
            Decision::Waiting => "waiting".to_owned(),
            Decision::Erased => "erased".to_owned(),
            Decision::Replay(commit) => format!("replay {}", commit.number),
            Decision::ReplayFailure(failure) => format!("failure {:?}", failure.outcome),
            Decision::KeyReused => "key reused".to_owned(),
            Decision::WrongNumber(number) => format!("wrong number {number}"),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn an_absent_turn_takes_a_free_lock() {
        check(None, None, &ask(), "acquire Absent epoch 1 number 1");
        check(Some(&conversation(4, None, 2)), None, &ask(), "acquire Absent epoch 5 number 3");
    }

    #[test]
    fn an_absent_turn_waits_for_a_held_lock_and_takes_a_lapsed_one() {
        let edge = NOW - CLOCK_SKEW;
        check(Some(&conversation(4, Some((1, edge)), 2)), None, &ask(), "busy");
        let lapsed = edge - Duration::from_millis(1);
        check(Some(&conversation(4, Some((1, lapsed)), 2)), None, &ask(), "acquire Absent epoch 5 number 3");
    }

    #[test]
    fn a_running_turn_is_joined_while_its_lease_lives() {
        let running = turn(4, 1, State::Processing);
        let edge = NOW - CLOCK_SKEW;
        check(Some(&conversation(4, Some((1, edge)), 2)), Some(&running), &ask(), "attach");
        let lapsed = edge - Duration::from_millis(1);
        check(
            Some(&conversation(4, Some((1, lapsed)), 2)),
            Some(&running),
            &ask(),
            "acquire Lost { epoch: 4 } epoch 5 number 3",
        );
    }

    #[test]
    fn a_turn_whose_lock_another_has_taken_waits_for_that_one() {
        let lost = turn(4, 1, State::Processing);
        check(Some(&conversation(5, Some((2, NOW)), 2)), Some(&lost), &ask(), "busy");
        check(Some(&conversation(5, None, 3)), Some(&lost), &ask(), "acquire Lost { epoch: 4 } epoch 6 number 4");
    }

    #[test]
    fn a_new_turn_stands_behind_the_queue_unless_it_interrupts() {
        let waiting = Conversation { queued: 1, queue_tail: 3, ..conversation(4, None, 2) };
        check(Some(&waiting), None, &ask(), "busy");
        let interrupting = Ask { standing: Standing::Ahead, ..ask() };
        check(Some(&waiting), None, &interrupting, "acquire Absent epoch 5 number 3");
        let lost = turn(4, 1, State::Processing);
        check(Some(&waiting), Some(&lost), &ask(), "acquire Lost { epoch: 4 } epoch 5 number 3");
    }

    #[test]
    fn a_queued_turn_runs_when_it_is_due_at_the_head_and_nothing_is_left_before_it() {
        let head = Ask { standing: Standing::Head { fence: 4 }, ..ask() };
        let late = Ask { standing: Standing::Head { fence: 3 }, ..ask() };
        let queued = |due| Turn { place: Some(3), ..turn(0, 0, State::Queued { due }) };
        let free = Conversation { queued: 1, queue_tail: 3, ..conversation(4, None, 2) };
        let lapsed = Conversation { queued: 1, ..conversation(4, Some((1, Timestamp(0))), 2) };
        check(Some(&free), Some(&queued(NOW)), &ask(), "waiting");
        check(Some(&free), Some(&queued(NOW + Duration::from_millis(1))), &head, "waiting");
        check(Some(&free), Some(&queued(NOW)), &head, "acquire Queued { place: 3, epoch: 0 } epoch 5 number 3");
        check(Some(&lapsed), Some(&queued(NOW)), &head, "busy");
        check(Some(&free), Some(&queued(NOW)), &late, "busy");
    }

    #[test]
    fn what_a_dead_attempt_left_is_finished_first_in_a_conversation_with_a_queue() {
        let left = Conversation { queue_tail: 3, ..conversation(4, Some((1, Timestamp(0))), 2) };
        let interrupting = Ask { standing: Standing::Ahead, ..ask() };
        let another = |turn: Turn| {
            let conversation = ConversationId::parse("c", "c").unwrap();
            Turn { key: TurnKey { conversation, turn: TurnId::parse("t", "other").unwrap() }, ..turn }
        };
        check(Some(&left), None, &ask(), "busy");
        check(Some(&left), None, &interrupting, "busy");
        check(Some(&left), Some(&another(turn(3, 1, State::Processing))), &ask(), "busy");
        check(Some(&left), Some(&another(turn(3, 1, failed(Outcome::Retryable)))), &ask(), "busy");
        let itself = turn(4, 1, State::Processing);
        check(Some(&left), Some(&itself), &ask(), "acquire Lost { epoch: 4 } epoch 5 number 3");
    }

    #[test]
    fn nothing_begins_in_an_erased_conversation() {
        let erased = Conversation { erased: true, ..conversation(4, None, 2) };
        check(Some(&erased), None, &ask(), "erased");
        check(Some(&erased), Some(&turn(4, 1, State::Processing)), &ask(), "erased");
        check(Some(&erased), Some(&turn(4, 1, completed(2))), &ask(), "replay 2");
    }

    #[test]
    fn an_attempt_recognises_itself() {
        let own = Ask { attempt: attempt(1), ..ask() };
        let running = turn(4, 1, State::Processing);
        check(Some(&conversation(4, Some((1, NOW)), 2)), Some(&running), &own, "mine");
    }

    #[test]
    fn a_committed_turn_is_replayed() {
        check(Some(&conversation(4, None, 3)), Some(&turn(4, 1, completed(3))), &ask(), "replay 3");
    }

    #[test]
    fn a_failed_turn_runs_again_only_if_it_may() {
        let free = conversation(4, None, 2);
        let check = |outcome, attempts, expected: &str| {
            check(Some(&free), Some(&turn(4, attempts, failed(outcome))), &ask(), expected);
        };
        check(Outcome::Retryable, MAX_ATTEMPTS - 1, "acquire Failed { epoch: 4 } epoch 5 number 3");
        check(Outcome::Retryable, MAX_ATTEMPTS, "failure Retryable");
        check(Outcome::Final, 1, "failure Final");
        check(Outcome::Cancelled, 1, "failure Cancelled");
        check(Outcome::OutcomeUnknown, 1, "failure OutcomeUnknown");
    }

    #[test]
    fn a_key_with_another_input_is_refused_in_every_state() {
        let other = Ask { input_hash: Digest::of("other"), ..ask() };
        for state in [State::Processing, completed(1), failed(Outcome::Retryable)] {
            check(Some(&conversation(4, None, 3)), Some(&turn(4, 1, state)), &other, "key reused");
        }
    }

    #[test]
    fn an_asserted_number_must_be_the_turns_own() {
        let asks = |number| Ask { number: Some(number), ..ask() };
        let free = conversation(4, None, 2);
        check(Some(&free), None, &asks(3), "acquire Absent epoch 5 number 3");
        check(Some(&free), None, &asks(2), "wrong number 3");
        check(Some(&free), Some(&turn(4, 1, completed(2))), &asks(2), "replay 2");
        check(Some(&free), Some(&turn(4, 1, completed(2))), &asks(3), "wrong number 2");
    }

    #[test]
    fn a_lost_attempt_is_rolled_forward_repeated_or_given_up() {
        let lost = Previous::Lost { epoch: 1 };
        assert_eq!(plan(Previous::Absent, 1, Delivery::AtMostOnce, false), Plan::Call);
        assert_eq!(plan(Previous::Failed { epoch: 1 }, 2, Delivery::AtMostOnce, false), Plan::Call);
        assert_eq!(plan(lost, 2, Delivery::AtLeastOnce, false), Plan::Call);
        assert_eq!(plan(lost, 2, Delivery::AtLeastOnce, true), Plan::RollForward);
        assert_eq!(plan(lost, 2, Delivery::AtMostOnce, true), Plan::RollForward);
        assert_eq!(plan(lost, 2, Delivery::AtMostOnce, false), Plan::GiveUp);
        assert_eq!(plan(lost, MAX_TAKEOVERS, Delivery::AtLeastOnce, false), Plan::Call);
        assert_eq!(plan(lost, MAX_TAKEOVERS + 1, Delivery::AtLeastOnce, false), Plan::GiveUp);
    }

    #[test]
    fn a_lease_ends_with_its_invocation() {
        assert_eq!(lease_until(NOW, None), NOW + LEASE);
        assert_eq!(lease_until(NOW, Some(NOW + Duration::from_secs(5))), NOW + Duration::from_secs(7));
        assert_eq!(lease_until(NOW, Some(NOW + Duration::from_secs(900))), NOW + LEASE);
    }
}
