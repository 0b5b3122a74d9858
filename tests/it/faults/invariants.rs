//! What must hold of the table when a run is over.

use std::collections::{BTreeMap, BTreeSet};

use turnwise_core::id::Tenant;
use turnwise_core::ledger::check::{Compared, compared};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::Delivery;
use turnwise_tests::faults::kinds::{Fault, Operation};
use turnwise_tests::faults::{Coverage, Net};
use turnwise_tests::scripted::ScriptedProvider;
use turnwise_tests::table::{Row, Table, number, text};

use super::world::{Got, Summary, Wanted};

pub(super) async fn check(
    table: &Table,
    net: &Net,
    provider: &ScriptedProvider,
    wanted: &[Wanted],
    got: &[Got],
) -> Summary {
    let rows = table.rows().await;
    let starting = |prefix: &str| rows.iter().filter(|row| text(row, "sk").starts_with(prefix)).collect::<Vec<_>>();
    let meta = starting("META")[0];
    let turns = starting("T#");
    let messages = starting("M#");

    numbers_have_no_gaps(meta, &messages);
    one_answer_for_each_key(&turns, &messages, got);
    one_ledger_line_for_each_answer(&rows, wanted, &turns);
    counters_count_commits(&rows, messages.len());
    money_adds_up(table, &rows, meta).await;
    one_writer_for_each_epoch(net, &[meta]);
    at_most_one_call_where_promised(provider, wanted);
    assert!(meta.get("owner").is_none(), "the lock is free at the end");
    for turn in &turns {
        assert_ne!(text(turn, "state"), "PROCESSING", "every turn ends: {turn:?}");
        assert!(!turn.contains_key("g1pk"), "an ended turn is in no index");
    }
    summary(&rows, &net.coverage(), provider, wanted)
}

pub(super) fn numbers_have_no_gaps(meta: &Row, messages: &[&Row]) {
    let mut numbers: Vec<u64> = messages.iter().map(|row| text(row, "sk")[2..].parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=number(meta, "head")).collect::<Vec<_>>());
    assert_eq!(number(meta, "version"), number(meta, "head"));
}

pub(super) fn one_answer_for_each_key(turns: &[&Row], messages: &[&Row], got: &[Got]) {
    let mut answers: BTreeMap<usize, Vec<&Result<String, _>>> = BTreeMap::new();
    for client in got {
        answers.entry(client.turn).or_default().push(&client.result);
    }
    for (turn, results) in answers {
        let name = format!("turn-{turn}");
        let state = turns.iter().find(|row| text(row, "sk") == format!("T#{name}")).map(|row| text(row, "state"));
        let committed = messages.iter().filter(|row| text(row, "turn") == name).count();
        assert_eq!(committed, usize::from(state == Some("COMPLETED")), "{name}: one row for a committed answer");
        let expected = results[results.len() - 1];
        assert_eq!(expected.is_ok(), state == Some("COMPLETED"), "{name}");
        for result in results {
            // An error seen before the turn was retried may differ; an answer never.
            if result.is_ok() {
                assert_eq!(result, expected, "{name}: every client gets the one answer");
            }
        }
    }
}

pub(super) fn one_ledger_line_for_each_answer(rows: &[Row], wanted: &[Wanted], turns: &[&Row]) {
    for wanted in wanted {
        let kept = rows.iter().filter(|row| {
            let phase = text(row, "sk").rsplit('#').next().unwrap_or_default();
            text(row, "pk").starts_with("L#")
                && text(row, "turn") == wanted.key.to_string()
                && ["settled", "estimated"].contains(&phase)
        });
        let sk = format!("T#{}", wanted.key.turn);
        let completed = turns.iter().any(|row| text(row, "sk") == sk && text(row, "state") == "COMPLETED");
        assert_eq!(kept.count(), usize::from(completed), "{}: one line in the ledger", wanted.key);
    }
}

pub(super) fn counters_count_commits(rows: &[Row], commits: usize) {
    let counted: u64 =
        rows.iter().filter(|row| text(row, "pk").starts_with("U#")).map(|row| number(row, "requests")).sum();
    assert_eq!(counted, commits as u64, "usage counters count commits");
}

/// Counters are what the ledger's lines come to, and what was charged for kept answers is what
/// their conversation says that they cost.
async fn money_adds_up(table: &Table, rows: &[Row], meta: &Row) {
    let (store, tenant) = (table.store(), Tenant::default_tenant());
    let ledger = rows.iter().filter_map(|row| text(row, "pk").strip_prefix("L#"));
    let days: BTreeSet<&str> = ledger.filter_map(|rest| rest.split('#').nth(1)).collect();
    let mut charged = 0;
    for day in days {
        let day = Timestamp::parse_day(&format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..])).unwrap();
        let lines = store.ledger_of_day(&tenant, day).await.unwrap();
        let counters = store.usage_rows(&tenant, day, day).await.unwrap();
        assert_eq!(compared(&lines, &counters), Compared::default(), "counters say what the ledger says");
        let kept = lines.iter().filter(|line| line.phase.is_kept());
        charged += kept.map(|line| line.cost.unwrap_or_default().0).sum::<i128>();
    }
    let told = if meta.contains_key("cost_pico_usd") { number(meta, "cost_pico_usd") } else { 0 };
    assert_eq!(i128::from(told), charged, "answers cost what the ledger says");
}

pub(super) fn one_writer_for_each_epoch(net: &Net, metas: &[&Row]) {
    let mut owners: BTreeMap<(String, u64), String> = BTreeMap::new();
    for begun in net.applied().into_iter().filter(|written| written.operation == Operation::Begin) {
        // The same attempt may be confirmed twice, when its write was sent twice.
        let first = owners.entry((begun.conversation, begun.epoch)).or_insert_with(|| begun.attempt.clone());
        assert_eq!(*first, begun.attempt, "epoch {} has one writer", begun.epoch);
    }
    for meta in metas {
        let epochs: Vec<u64> = owners
            .keys()
            .filter(|(conversation, _)| conversation == text(meta, "pk"))
            .map(|(_, epoch)| *epoch)
            .collect();
        let newest = epochs.iter().max().copied().unwrap_or(0);
        assert!(newest <= number(meta, "fence"), "the fence never goes back");
        assert!(epochs.len() as u64 <= number(meta, "fence"));
    }
}

pub(super) fn at_most_one_call_where_promised(provider: &ScriptedProvider, wanted: &[Wanted]) {
    for wanted in wanted.iter().filter(|wanted| wanted.delivery == Delivery::AtMostOnce) {
        let calls = wanted.calls(provider);
        assert!(calls <= 1, "{}: {calls} calls in at-most-once mode", wanted.key);
    }
}

/// The rows of the crash table, and how often this run reached each.
fn summary(rows: &[Row], coverage: &Coverage, provider: &ScriptedProvider, wanted: &[Wanted]) -> Summary {
    let hit = |operation: Operation, faults: &[Fault]| coverage.hits(operation, faults);
    let lost = [Fault::LostReply, Fault::TokenMismatch, Fault::StopAfter, Fault::Duplicate];
    let dead = [Fault::LostRequest, Fault::StopBefore];
    let state = |state: &str| rows.iter().filter(|row| text(row, "state") == state).count();
    let wasted = rows.iter().filter(|row| text(row, "sk").ends_with("#wasted")).count();
    let called_again = wanted.iter().filter(|wanted| wanted.calls(provider) > 1).count();
    Summary(vec![
        ("it dies before T1", hit(Operation::Begin, &dead)),
        ("T1 applied, reply lost", hit(Operation::Begin, &lost)),
        ("it dies during the provider call", hit(Operation::Heartbeat, &dead) + hit(Operation::Log, &dead)),
        ("it dies after the answer, before T2", hit(Operation::Commit, &dead)),
        ("T2 applied, reply lost", hit(Operation::Commit, &lost)),
        ("T2f applied, reply lost", hit(Operation::Fail, &lost)),
        ("superseded: the answer is thrown away and its cost recorded", wasted),
        ("the provider called again after a crash", called_again),
        ("turns completed", state("COMPLETED")),
        ("turns failed", state("FAILED")),
    ])
}
