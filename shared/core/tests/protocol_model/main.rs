//! A model of the durable turn, checked in every state it can reach.
//!
//! What is done is decided by the code that runs in production,
//! `turnwise_core::turn::{begin, plan, enqueue, after_failure, revoke}`. Around it the
//! model puts the table with its conditional transactions, the network and the clock,
//! and tries every order of events with every combination of a few faults:
//!
//! - a process dies at any point; its client asks again with the same key
//! - a reply is lost; the write is resent within the window of its token, or after it
//! - a write is held back and arrives later, after a takeover or after its sender's death
//! - a lease looks lapsed at any moment, early as well: clocks may be wrong without bound
//! - rows are read at different times
//! - an administrator takes the lock away
//! - the provider refuses, for now or for good, or says nothing
//! - the conversation changes between two turns
//!
//! Turns are asked for directly, by way of the queue, or by an interruption, and they are
//! cancelled. A worker runs the queue and finishes what the dead have left.
//!
//! A process that pauses needs no fault of its own: any step may come late.
//!
//! What is left out, and why that loses nothing: time is one bit of the lease,
//! as nothing else depends on it; a lost request is one that has not arrived yet; a read
//! is one step unless it is torn; a heartbeat is one step, as its conditions are those of
//! any late write; a client that waits is one that has not looked again yet. A hint may
//! be lost, doubled, late and out of order, and the sweep may always send one more: so
//! one may come to the worker at any time. The pause before a queued turn runs again is a
//! hint that comes late.
//! Dead letters, budgets and the text of streams are not modelled.
//!
//! Every pull request checks all pairs of clients under two faults, and the queue under
//! two or, with more turns in it, one;
//! `cargo xtask nightly` checks more faults, and three clients at once.
//!
//! - [`starts`]: which clients meet
//! - [`model`]: what may happen next; [`look`]: what is read, and what core makes of it;
//!   [`attempt`]: what an attempt does
//! - [`world`]: one state; [`history`]: what of the past it remembers
//! - [`table`] and [`places`]: the transactions; [`writes`]: how they are sent;
//!   [`rows`]: the rows as core sees them
//! - [`promises`]: what must hold in every state; [`progress`]: that nobody waits for
//!   ever; [`situations`]: what must happen in some
//! - [`flaws`]: mistakes that must be noticed

mod attempt;
mod flaws;
mod hashed;
mod history;
mod look;
mod model;
mod places;
mod progress;
mod promises;
mod rows;
mod situations;
mod starts;
mod table;
mod world;
mod writes;

use stateright::{Checker, Model};

use crate::model::Protocol;
use crate::world::World;

/// Checkers at work: the cores of a CI machine.
const THREADS: usize = 2;

#[test]
fn pairs_of_clients_keep_every_promise_under_two_faults() {
    check(starts::pairs(2), false, 90_000);
}

#[test]
fn queues_keep_every_promise_under_two_faults_or_one() {
    check(starts::by_day(), true, 180_000);
}

#[test]
#[ignore = "a minute; run by `cargo xtask nightly`"]
fn pairs_of_clients_keep_every_promise_under_four_faults() {
    check(starts::pairs(4), false, 7_000_000);
}

#[test]
#[ignore = "five minutes; run by `cargo xtask nightly`"]
fn trios_of_clients_keep_every_promise_under_three_faults() {
    check(starts::trios(3), false, 24_000_000);
}

#[test]
#[ignore = "a minute; run by `cargo xtask nightly`"]
fn queues_keep_every_promise_under_three_faults_or_two() {
    check(starts::by_night(), true, 3_300_000);
}

#[test]
#[ignore = "a minute; run by `cargo xtask nightly`"]
fn crowds_at_a_queue_keep_every_promise_under_a_fault() {
    check(starts::crowds(1), true, 1_900_000);
}

/// Visits every state. `at_least` states must be there, so that the model cannot
/// shrink unnoticed.
fn check(starts: Vec<World>, queued: bool, at_least: usize) {
    let checker = Protocol { starts, queued, flaw: None }.checker().threads(THREADS).spawn_bfs().join();

    let states = checker.unique_state_count();
    eprintln!("{states} unique states, {} steps, {} deep", checker.state_count(), checker.max_depth());
    checker.assert_properties();
    assert!(states >= at_least, "{states} unique states are fewer than the {at_least} there used to be");
}
