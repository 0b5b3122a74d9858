//! What must hold of the table and of what clients were told when a run is over.

use std::collections::{BTreeMap, BTreeSet};

use turnwise_core::id::Tenant;
use turnwise_core::limits::MAX_ATTEMPTS;
use turnwise_core::turn::{Outcome, State, Turn};
use turnwise_tests::faults::Net;
use turnwise_tests::faults::courier::{Carried, Fate};
use turnwise_tests::faults::kinds::{Fault, Operation, Written};
use turnwise_tests::scripted::ScriptedProvider;
use turnwise_tests::table::{Row, Table, number, text};

use super::clients::{Cancelled, Told};
use super::plan::Planned;
use crate::faults::invariants::{
    at_most_one_call_where_promised, counters_count_commits, numbers_have_no_gaps, one_answer_for_each_key,
    one_ledger_line_for_each_answer, one_writer_for_each_epoch,
};
use crate::faults::world::{Got, Summary, Wanted};

/// What was planned, and what the clients were told.
pub(super) struct Run<'a> {
    pub(super) turns: &'a [Planned],
    pub(super) told: &'a [(usize, Told)],
    pub(super) cancelled: &'a [(usize, Cancelled)],
    /// What each turn's last client got.
    pub(super) got: &'a [Got],
}

pub(super) async fn check(
    table: &Table,
    net: &Net,
    provider: &ScriptedProvider,
    carried: &Carried,
    run: &Run<'_>,
) -> Summary {
    let rows = table.rows().await;
    let starting = |prefix: &str| rows.iter().filter(|row| text(row, "sk").starts_with(prefix)).collect::<Vec<_>>();
    let (metas, turns, messages) = (starting("META"), starting("T#"), starting("M#"));
    let wanted: Vec<Wanted> = run.turns.iter().map(|planned| planned.wanted.clone()).collect();
    let ended = ended(table, &wanted).await;

    for meta in &metas {
        let [turns, messages] = [&turns, &messages].map(|rows| of_conversation(meta, rows));
        numbers_have_no_gaps(meta, &messages);
        numbers_are_in_the_order_of_places(&turns, &messages);
        places_are_given_once(meta, &net.applied());
        assert!(!meta.contains_key("owner"), "the lock is free at the end");
        assert_eq!(number(meta, "queued"), 0, "nobody is counted as waiting");
    }
    assert_eq!(starting("Q#").len(), 0, "nobody waits");
    assert!(turns.iter().all(|turn| !turn.contains_key("g1pk")), "an ended turn is in no index");

    let mut got = run.got.to_vec();
    got.splice(0..0, run.told.iter().filter_map(answered));
    one_answer_for_each_key(&turns, &messages, &got);
    one_ledger_line_for_each_answer(&rows, &wanted, &turns);
    counters_count_commits(&rows, messages.len());
    one_writer_for_each_epoch(net, &metas);
    at_most_one_call_where_promised(provider, &wanted);
    no_more_calls_than_attempts(provider, &wanted, &ended);
    what_was_cancelled_stays_so(run, &ended);
    dead_letters_are_the_queues_failures(&rows, &ended);
    summary(net, carried, run, &ended)
}

fn of_conversation<'a>(meta: &Row, rows: &[&'a Row]) -> Vec<&'a Row> {
    rows.iter().filter(|row| row["pk"] == meta["pk"]).copied().collect()
}

/// All turns, each of which must have ended for good.
async fn ended(table: &Table, wanted: &[Wanted]) -> Vec<Turn> {
    let (store, tenant) = (table.store(), Tenant::default_tenant());
    let mut turns = Vec::new();
    for Wanted { key, .. } in wanted {
        let turn = store.turn(&tenant, key).await.expect("a turn's row").expect("no turn is lost");
        let for_good = match &turn.state {
            State::Completed(_) => true,
            State::Failed(failure) => failure.outcome != Outcome::Retryable,
            State::Queued { .. } | State::Processing => false,
        };
        assert!(for_good, "every turn ends: {turn:?}");
        turns.push(turn);
    }
    turns
}

fn answered((turn, told): &(usize, Told)) -> Option<Got> {
    match told {
        Told::Queued => None,
        Told::Ended(result) => Some(Got { turn: *turn, result: result.clone() }),
    }
}

/// Turns that were cancelled or failed are left out; ones that never stood in the queue
/// have no place.
fn numbers_are_in_the_order_of_places(turns: &[&Row], messages: &[&Row]) {
    let number_of = |turn: &str| {
        let row = messages.iter().find(|row| text(row, "turn") == turn)?;
        Some(text(row, "sk")[2..].parse::<u64>().unwrap())
    };
    let by_place: BTreeMap<u64, &str> = turns
        .iter()
        .filter(|row| row.contains_key("place"))
        .map(|row| (number(row, "place"), &text(row, "sk")[2..]))
        .collect();
    let numbers: Vec<u64> = by_place.values().filter_map(|turn| number_of(turn)).collect();
    assert!(numbers.is_sorted(), "the queue keeps its order: {by_place:?} has the numbers {numbers:?}");
}

fn places_are_given_once(meta: &Row, applied: &[Written]) {
    let joined = applied
        .iter()
        .filter(|written| written.operation == Operation::Enqueue && written.conversation == text(meta, "pk"));
    let mut given: BTreeMap<u64, &str> = BTreeMap::new();
    for joined in joined {
        let place = joined.place.expect("T0 gives a place");
        // The same turn may be confirmed twice, when its write was sent twice.
        let first = given.entry(place).or_insert(&joined.turn);
        assert_eq!(*first, joined.turn, "place {place} was given twice");
    }
    assert_eq!(given.into_keys().collect::<Vec<_>>(), (1..=number(meta, "queue_tail")).collect::<Vec<_>>());
}

fn no_more_calls_than_attempts(provider: &ScriptedProvider, wanted: &[Wanted], ended: &[Turn]) {
    for (wanted, turn) in wanted.iter().zip(ended) {
        let calls = provider.calls_with(&wanted.text);
        assert!(calls <= turn.attempts as usize, "{}: {calls} calls in {} attempts", wanted.key, turn.attempts);
    }
}

fn what_was_cancelled_stays_so(run: &Run<'_>, ended: &[Turn]) {
    for (turn, cancelled) in run.cancelled {
        let turn = &ended[*turn];
        match cancelled {
            // That it has no messages follows: only a completed turn has any.
            Cancelled::Yes => assert_eq!(outcome(turn), Some(Outcome::Cancelled), "{turn:?} was cancelled"),
            Cancelled::TooLate("COMPLETED") => assert_eq!(outcome(turn), None, "{turn:?} was completed"),
            // A failure may have been one that passes, and the turn gone on.
            Cancelled::TooLate(state) => assert_eq!(*state, "FAILED"),
        }
    }
}

fn dead_letters_are_the_queues_failures(rows: &[Row], ended: &[Turn]) {
    let letters = rows.iter().filter(|row| text(row, "pk").starts_with("D#"));
    let mut letters: Vec<String> = letters.map(|row| text(row, "turn").to_owned()).collect();
    letters.sort();
    let failed = ended.iter().filter(|turn| turn.place.is_some() && outcome(turn) == Some(Outcome::Final));
    let mut failed: Vec<String> = failed.map(|turn| turn.key.turn.to_string()).collect();
    failed.sort();
    assert_eq!(letters, failed, "dead letters are the turns of the queue that failed for good");
}

fn outcome(turn: &Turn) -> Option<Outcome> {
    match &turn.state {
        State::Failed(failure) => Some(failure.outcome),
        State::Queued { .. } | State::Processing | State::Completed(_) => None,
    }
}

fn has_code(turn: &Turn, code: &str) -> bool {
    matches!(&turn.state, State::Failed(failure) if failure.code == code)
}

/// What a run may meet, and how often this one did.
fn summary(net: &Net, carried: &Carried, run: &Run<'_>, ended: &[Turn]) -> Summary {
    let applied = net.applied();
    let names = |operation: Operation| {
        let written = applied.iter().filter(move |written| written.operation == operation);
        written.map(|written| written.turn.as_str()).collect::<BTreeSet<_>>()
    };
    let (requeued, withdrawn, revoked) =
        (names(Operation::Requeue), names(Operation::Withdraw), names(Operation::Revoke));
    let count = |of: &dyn Fn(&Turn) -> bool| ended.iter().filter(|turn| of(turn)).count();
    let among = |names: &BTreeSet<&str>, turn: &Turn| names.contains(turn.key.turn.as_str());
    let fate = |fate: Fate| carried.fates.get(&fate).copied().unwrap_or(0);
    let ends = [Operation::Commit, Operation::Fail, Operation::Requeue];
    let stopped = net.stopped();
    let stops = |fault: Fault, operations: &[Operation]| {
        let of_the_queue = stopped.iter().filter(|(_, written)| written.place.is_some());
        of_the_queue.filter(|(at, written)| *at == fault && operations.contains(&written.operation)).count()
    };
    let during = stops(Fault::StopAfter, &[Operation::Begin]) + stops(Fault::StopBefore, &ends);
    let lost = [Fault::LostReply, Fault::TokenMismatch, Fault::StopAfter, Fault::Duplicate];
    let too_late = run.cancelled.iter().filter(|(_, told)| matches!(told, Cancelled::TooLate(_))).count();
    Summary(vec![
        ("a worker stops before a queued turn", stops(Fault::StopBefore, &[Operation::Begin])),
        ("a worker stops during a queued turn", during),
        ("a worker stops after a queued turn", stops(Fault::StopAfter, &ends)),
        ("T0 applied, reply lost", net.coverage().hits(Operation::Enqueue, &lost)),
        ("hints lost", fate(Fate::Lost)),
        ("hints doubled", fate(Fate::Doubled)),
        ("hints late", fate(Fate::Late)),
        ("hints out of order", fate(Fate::Reordered)),
        ("a hint lost, and a sweep found its turn", carried.found_by_sweep),
        ("a doubled hint that found nothing to do", carried.idle_copies),
        ("a requeued turn that completed", count(&|turn| among(&requeued, turn) && outcome(turn).is_none())),
        (
            "a requeued turn that ran out of attempts",
            count(&|turn| {
                among(&requeued, turn) && outcome(turn) == Some(Outcome::Final) && turn.attempts >= MAX_ATTEMPTS
            }),
        ),
        ("a cancel in the queue", count(&|turn| among(&withdrawn, turn) && has_code(turn, "cancelled"))),
        ("a cancel under a running attempt", count(&|turn| among(&revoked, turn) && has_code(turn, "cancelled"))),
        ("a cancel too late", too_late),
        ("an interrupt", count(&|turn| has_code(turn, "interrupted"))),
        ("turns completed", count(&|turn| outcome(turn).is_none())),
        ("turns of the queue completed", count(&|turn| turn.place.is_some() && outcome(turn).is_none())),
        ("turns failed for good", count(&|turn| outcome(turn) == Some(Outcome::Final))),
        ("turns whose outcome is not known", count(&|turn| outcome(turn) == Some(Outcome::OutcomeUnknown))),
    ])
}
