//! Mistakes in how the table is used, each with the promise it breaks.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use crate::model::Protocol;
use crate::promises::{
    CANCELLED, CHANGE_SEEN, IN_ORDER, LOCK_AT_WORK, LOG_USED, ONE_CALL, ONE_WRITER, OWN_MESSAGES, PLACE_ONCE,
    QUEUE_COUNTED, QUEUE_EMPTIES, QUEUE_FIRST,
};
use crate::{THREADS, starts};

/// A mistake in how the table is used, which the model must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// T2 does not look at META: neither at the fence nor at the owner.
    CommitWithoutFence,
    /// The head is raised by a write of its own after T2.
    HeadOutsideCommit,
    /// The lock's row is deleted when the lock is free, so its fence starts again.
    LockRowDeleted,
    /// T1 does not check that the head is still the one its number was made from.
    HeadNotSeen,
    /// T1 of a retry replaces the turn's delivery mode with its own.
    DeliveryReplaced,
    /// Only the log of the very last attempt is looked at before rolling forward.
    OlderLogsIgnored,
    /// T1 does not check that the conversation is still as it was read.
    VersionNotSeen,
    /// T1 of a queued turn leaves the row of its place behind.
    QueueRowKept,
    /// T1 of a queued turn checks neither that it waits nor that its place is there.
    QueuedNotAsserted,
    /// A failed turn goes back to the end of the queue.
    RequeuedAtTheEnd,
    /// A client's turn does not look at the queue.
    QueueIgnored,
    /// The head of the queue begins although a dead attempt's turn is before it.
    LapsedHolderOvertaken,
    /// A client's turn takes the lock of a queued turn whose attempt died.
    LapsedLockTaken,
    /// The head of the queue is read before the lock is seen to be free.
    HeadReadFirst,
    /// A turn is ended under its attempt, and the attempt's lock left as it is.
    StopWithoutFence,
}

#[test]
fn a_commit_without_a_fence_is_noticed() {
    check_flaw(Flaw::CommitWithoutFence, OWN_MESSAGES);
}

#[test]
fn a_head_raised_outside_the_commit_is_noticed() {
    check_flaw(Flaw::HeadOutsideCommit, OWN_MESSAGES);
}

#[test]
fn a_deleted_lock_row_is_noticed() {
    check_flaw(Flaw::LockRowDeleted, ONE_WRITER);
}

#[test]
fn a_number_that_is_not_checked_by_t1_is_noticed() {
    check_flaw(Flaw::HeadNotSeen, OWN_MESSAGES);
}

#[test]
fn a_retry_that_changes_the_delivery_mode_is_noticed() {
    check_flaw(Flaw::DeliveryReplaced, ONE_CALL);
}

#[test]
fn a_roll_forward_that_forgets_older_logs_is_noticed() {
    check_flaw(Flaw::OlderLogsIgnored, LOG_USED);
}

#[test]
fn a_change_that_t1_does_not_see_is_noticed() {
    check_queue_flaw(Flaw::VersionNotSeen, CHANGE_SEEN);
}

#[test]
fn a_place_that_is_left_but_not_cleared_is_noticed() {
    check_queue_flaw(Flaw::QueueRowKept, QUEUE_COUNTED);
}

#[test]
fn a_queued_turn_that_t1_does_not_check_is_noticed() {
    check_queue_flaw(Flaw::QueuedNotAsserted, CANCELLED);
}

#[test]
fn a_failed_turn_that_loses_its_place_is_noticed() {
    check_queue_flaw(Flaw::RequeuedAtTheEnd, PLACE_ONCE);
    check_queue_flaw(Flaw::RequeuedAtTheEnd, IN_ORDER);
}

#[test]
fn a_turn_that_ignores_the_queue_is_noticed() {
    check_queue_flaw(Flaw::QueueIgnored, QUEUE_FIRST);
}

#[test]
fn a_queue_that_overtakes_a_dead_attempt_is_noticed() {
    check_queue_flaw(Flaw::LapsedHolderOvertaken, IN_ORDER);
}

#[test]
fn a_turn_that_takes_the_lock_of_a_dead_attempt_of_the_queue_is_noticed() {
    check_queue_flaw(Flaw::LapsedLockTaken, IN_ORDER);
}

#[test]
fn a_head_that_is_read_before_the_lock_is_noticed() {
    check_queue_flaw(Flaw::HeadReadFirst, IN_ORDER);
}

#[test]
fn a_stop_that_leaves_the_lock_is_noticed() {
    check_queue_flaw(Flaw::StopWithoutFence, LOCK_AT_WORK);
    check_queue_flaw(Flaw::StopWithoutFence, QUEUE_EMPTIES);
}

fn check_flaw(flaw: Flaw, property: &'static str) {
    find(flaw, Protocol { starts: starts::pairs(2), queued: false, flaw: Some(flaw) }, property);
}

fn check_queue_flaw(flaw: Flaw, property: &'static str) {
    find(flaw, Protocol { starts: starts::by_day(), queued: true, flaw: Some(flaw) }, property);
}

/// Looks for a state that breaks `property`.
fn find(flaw: Flaw, protocol: Protocol, property: &'static str) {
    let broken = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = protocol.checker().threads(THREADS).finish_when(broken).spawn_bfs().join();

    let path = checker.assert_any_discovery(property);
    eprintln!("{flaw:?}: {property}: {:?}", path.into_actions());
}
