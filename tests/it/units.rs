//! Write units of a turn, counted from the sizes of the rows it writes, row by row.
//! The table in ARCHITECTURE.md shows these numbers.

use std::sync::Arc;
use std::time::Duration;

use turnwise_engine::turn::TurnRequest;
use turnwise_tests::rig;
use turnwise_tests::scripted::{Gate, Script, ScriptedProvider};
use turnwise_tests::table::{Row, Table, text};

/// English as people write it: what a message of a conversation compresses like.
const PROSE: &str = include_str!("../fixtures/prose.txt");

/// Bytes of the question and of the answer.
const QUESTION: usize = 1200;
const ANSWER: usize = 2400;

/// Write units of the base turn: buffered, in a conversation that exists.
const BASE: [(&str, u64); 10] = [
    ("T1  META (lock)", 2),
    ("T1  T# (turn, with its input)", 2),
    ("T1  index of running turns: in", 1),
    ("T2  META (number, unlock)", 2),
    ("T2  T# (turn, without its input)", 2),
    ("T2  index of running turns: out", 1),
    ("T2  M# (messages, packed)", 6),
    ("T2  L# (ledger line)", 2),
    ("T2  U# (usage counter)", 2),
    ("sum", 20),
];

/// The most that the design allows the base turn.
const AIM: u64 = 22;

fn prose(from: usize, bytes: usize) -> String {
    let start = PROSE.floor_char_boundary(from);
    PROSE[start..PROSE.floor_char_boundary(start + bytes)].to_owned()
}

/// Size of a row as DynamoDB counts it, in bytes: names and values; a number takes
/// about a byte for two digits and one more.
fn bytes(row: &Row) -> usize {
    row.iter()
        .map(|(name, value)| {
            let value = match value {
                value if value.is_s() => value.as_s().unwrap().len(),
                value if value.is_n() => value.as_n().unwrap().len().div_ceil(2) + 1,
                value if value.is_b() => value.as_b().unwrap().as_ref().len(),
                value if value.is_bool() => 1,
                other => panic!("no rule for {other:?}"),
            };
            name.len() + value
        })
        .sum()
}

/// Units of a row in a transaction, which counts twice.
fn in_transaction(row: &Row) -> u64 {
    2 * bytes(row).div_ceil(1024) as u64
}

fn find<'a>(rows: &'a [Row], pk: &str, sk: &str) -> &'a Row {
    let found = rows.iter().find(|row| text(row, "pk").starts_with(pk) && text(row, "sk").starts_with(sk));
    found.unwrap_or_else(|| panic!("a row {pk} {sk}"))
}

fn request(turn: &str, message: &str) -> TurnRequest {
    rig::request("thread-6f9619ff-8b86-4d11-b42d-00c04fc964ff", turn, message, "openai/gpt-4o-mini")
}

#[tokio::test]
async fn the_base_turn_costs_what_the_table_says() {
    let table = Table::start().await;
    let provider = ScriptedProvider::start().await;
    let engine = rig::engine(&table, provider.base_url());

    provider.otherwise(Script::answer(&prose(2000, ANSWER)));
    engine.answer(request("first", "hello")).await.unwrap();

    let gate = Gate::closed();
    provider.enqueue(Script::answer(&prose(2000, ANSWER)).gated(&gate));
    let engine = Arc::new(engine);
    let running = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { engine.answer(request("6f9619ff-8b86-4d11-b42d-00c04fc96400", &prose(0, QUESTION))).await }
    });
    tokio::time::timeout(Duration::from_secs(10), gate.reached()).await.expect("the provider is called");
    let begun = table.rows().await;
    gate.open();
    running.await.unwrap().unwrap();
    let ended = table.rows().await;

    let turn = "T#6f9619ff";
    let (turn_begun, turn_ended) = (find(&begun, "C#", turn), find(&ended, "C#", turn));
    assert!(turn_begun.contains_key("g1pk") && !turn_ended.contains_key("g1pk"));
    let mut units = vec![
        in_transaction(find(&begun, "C#", "META")),
        in_transaction(turn_begun),
        1,
        in_transaction(find(&begun, "C#", "META")),
        // A replaced row is charged by the larger of before and after.
        in_transaction(turn_begun).max(in_transaction(turn_ended)),
        1,
        in_transaction(find(&ended, "C#", "M#0000000002")),
        in_transaction(find(&ended, "L#", "")),
        in_transaction(find(&ended, "U#", "")),
    ];
    units.push(units.iter().sum());
    let counted: Vec<(&str, u64)> = BASE.iter().map(|(row, _)| *row).zip(units).collect();
    assert_eq!(
        counted,
        BASE,
        "bytes: turn {} then {}, messages {}",
        bytes(turn_begun),
        bytes(turn_ended),
        bytes(find(&ended, "C#", "M#0000000002"))
    );
    assert!(BASE[BASE.len() - 1].1 <= AIM);
}
