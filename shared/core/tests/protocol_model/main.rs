//! A model of the durable turn, checked in every state it can reach.
//!
//! What an attempt does is decided by the code that runs in production,
//! `turnwise_core::turn::{begin, plan}`. Around it the model puts the table with its
//! conditional transactions, the network and the clock, and tries every order of
//! events with every combination of a few faults:
//!
//! - a process dies at any point; its client asks again with the same key
//! - a reply is lost; the write is resent within the window of its token, or after it
//! - a write is held back and arrives later, after a takeover or after its sender's death
//! - a lease looks lapsed at any moment, early as well: clocks may be wrong without bound
//! - META and TURN are read at different times
//! - an administrator takes the lock away
//! - the provider refuses, for now or for good, or says nothing
//!
//! A process that pauses needs no fault of its own: any step may come late.
//!
//! What is left out, and why that loses nothing: time is one bit of the lease,
//! as nothing else depends on it; a lost request is one that has not arrived yet; a read
//! is one step unless it is torn; a heartbeat is one step, as its conditions are those of
//! any late write; a client that waits is one that has not looked again yet.
//! Queued and cancelled turns, budgets and the text of streams are not modelled.
//!
//! Every pull request checks all pairs of clients under two faults;
//! `cargo xtask nightly` checks more faults, and three clients at once.
//!
//! - [`starts`]: which clients meet
//! - [`model`]: what may happen next; [`attempt`]: what an attempt does
//! - [`world`]: one state; [`table`]: the transactions; [`rows`]: the rows as core sees them
//! - [`properties`]: what must hold in every state, and what must happen in some

mod attempt;
mod hashed;
mod model;
mod properties;
mod rows;
mod starts;
mod table;
mod world;

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use crate::model::Protocol;
use crate::properties::{LOG_USED, ONE_CALL, ONE_WRITER, OWN_MESSAGES};

/// Checkers at work: the cores of a CI machine.
const THREADS: usize = 2;

/// A mistake in how the table is used, which the model must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
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
}

#[test]
fn pairs_of_clients_keep_every_promise_under_two_faults() {
    check(Protocol { starts: starts::pairs(2), flaw: None }, 90_000);
}

#[test]
#[ignore = "a minute; run by `cargo xtask nightly`"]
fn pairs_of_clients_keep_every_promise_under_four_faults() {
    check(Protocol { starts: starts::pairs(4), flaw: None }, 7_000_000);
}

#[test]
#[ignore = "five minutes; run by `cargo xtask nightly`"]
fn trios_of_clients_keep_every_promise_under_three_faults() {
    check(Protocol { starts: starts::trios(3), flaw: None }, 24_000_000);
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

/// Visits every state. `at_least` states must be there, so that the model cannot
/// shrink unnoticed.
fn check(protocol: Protocol, at_least: usize) {
    let checker = protocol.checker().threads(THREADS).spawn_bfs().join();

    let states = checker.unique_state_count();
    eprintln!("{states} unique states, {} steps, {} deep", checker.state_count(), checker.max_depth());
    checker.assert_properties();
    assert!(states >= at_least, "{states} unique states are fewer than the {at_least} there used to be");
}

/// Looks for a state that breaks `property`.
fn check_flaw(flaw: Flaw, property: &'static str) {
    let broken = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let protocol = Protocol { starts: starts::pairs(2), flaw: Some(flaw) };
    let checker = protocol.checker().threads(THREADS).finish_when(broken).spawn_bfs().join();

    let path = checker.assert_any_discovery(property);
    eprintln!("{flaw:?}: {:?}", path.into_actions());
}
