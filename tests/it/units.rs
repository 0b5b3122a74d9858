//! Write units of a turn, counted from the sizes of the rows it writes, row by row.
//! The tables in ARCHITECTURE.md show these numbers.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::StreamExt as _;
use miniz_oxide::inflate::decompress_to_vec;
use turnwise_core::access::{Budget, Grant, Limits};
use turnwise_core::id::ProjectId;
use turnwise_core::money::PicoUsd;
use turnwise_core::time::Timestamp;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::random::Random;
use turnwise_engine::turn::TurnRequest;
use turnwise_tests::rig;
use turnwise_tests::scripted::{Gate, Script, ScriptedProvider};
use turnwise_tests::table::{Row, Table, number, text};

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

/// Attributes of the base turn that hold packed texts, and the first byte of a deflated one.
const PACKED: [&str; 2] = ["input", "body"];
/// See [`PACKED`].
const DEFLATED: u8 = 1;

/// The most that the design allows the base turn.
const AIM: u64 = 22;

/// The base turn's sum if texts were stored as plain JSON.
const PLAIN_SUM: u64 = 28;

/// Words of the streamed answer: what a quick model says in the second between two batches.
const WORDS: usize = 30;

/// What other turns cost on top.
const MORE: [(&str, u64); 5] = [
    ("first turn: T2 CL# (list of conversations)", 2),
    ("first turn in a project: T2 CP# (its list)", 2),
    ("streamed: S# (a batch of its log, 30 words)", 1),
    ("streamed: T2 S# (end of its log)", 2),
    ("every 10 s: META (heartbeat)", 1),
];

/// What a key or a tenant with limits or a budget adds, each.
const LIMITED: [(&str, u64); 2] = [("before T1: B# (an account, entered)", 1), ("before T2: B# (left)", 1)];

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

/// Units of a row that is written by itself.
fn alone(row: &Row) -> u64 {
    bytes(row).div_ceil(1024) as u64
}

/// Units of a row in a transaction, which counts twice.
fn in_transaction(row: &Row) -> u64 {
    2 * alone(row)
}

/// The rows as they would be if packed texts were stored as plain JSON.
fn plain(rows: &[Row]) -> Vec<Row> {
    let unpack = |(name, value): (&String, &AttributeValue)| {
        let deflated = value.as_b().ok().and_then(|packed| packed.as_ref().strip_prefix(&[DEFLATED]));
        let plain = deflated.filter(|_| PACKED.contains(&name.as_str())).map(|body| decompress_to_vec(body).unwrap());
        (name.clone(), plain.map_or_else(|| value.clone(), |plain| AttributeValue::B(plain.into())))
    };
    rows.iter().map(|row| row.iter().map(unpack).collect()).collect()
}

fn find<'a>(rows: &'a [Row], pk: &str, sk: &str) -> &'a Row {
    let found = rows.iter().find(|row| text(row, "pk").starts_with(pk) && text(row, "sk").starts_with(sk));
    found.unwrap_or_else(|| panic!("a row {pk} {sk}"))
}

fn request(turn: &str, message: &str) -> TurnRequest {
    rig::request("thread-6f9619ff-8b86-4d11-b42d-00c04fc964ff", turn, message, "openai/gpt-4o-mini")
}

/// Units of the base turn, in the order of [`BASE`]: from the table while it runs and
/// once it has ended.
fn base_units(begun: &[Row], ended: &[Row]) -> Vec<u64> {
    let turn = "T#6f9619ff";
    let (turn_begun, turn_ended) = (find(begun, "C#", turn), find(ended, "C#", turn));
    assert!(turn_begun.contains_key("g1pk") && !turn_ended.contains_key("g1pk"));
    let mut units = vec![
        in_transaction(find(begun, "C#", "META")),
        in_transaction(turn_begun),
        1,
        in_transaction(find(begun, "C#", "META")),
        // A replaced row is charged by the larger of before and after.
        in_transaction(turn_begun).max(in_transaction(turn_ended)),
        1,
        in_transaction(find(ended, "C#", "M#0000000002")),
        in_transaction(find(ended, "L#", "")),
        in_transaction(find(ended, "U#", "")),
    ];
    units.push(units.iter().sum());
    units
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

    let counted: Vec<(&str, u64)> = BASE.iter().map(|(row, _)| *row).zip(base_units(&begun, &ended)).collect();
    assert_eq!(
        counted,
        BASE,
        "bytes: turn {} then {}, messages {}",
        bytes(find(&begun, "C#", "T#6f9619ff")),
        bytes(find(&ended, "C#", "T#6f9619ff")),
        bytes(find(&ended, "C#", "M#0000000002"))
    );
    assert!(BASE[BASE.len() - 1].1 <= AIM);
    assert_eq!(base_units(&plain(&begun), &plain(&ended)).pop(), Some(PLAIN_SUM));
}

#[tokio::test]
async fn limits_and_budgets_cost_what_the_table_says() {
    let (table, provider, gate) = (Table::start().await, ScriptedProvider::start().await, Gate::closed());
    let engine = rig::engine(&table, provider.base_url());
    provider.enqueue(Script::answer("a").gated(&gate));
    let mut request = request("first", "hello");
    let budget = Budget { daily: Some(PicoUsd(1_000_000_000_000)), ..Budget::default() };
    let limits = Limits { tokens_per_minute: Some(100_000), concurrent_turns: Some(10), ..Limits::default() };
    request.caller.grant = Arc::new(Grant { budget, limits, ..Grant::default() });
    let answering = engine.answer(request);
    let looking = async {
        gate.reached().await;
        let begun = table.rows().await;
        gate.open();
        begun
    };
    let (answered, begun) = tokio::join!(answering, looking);
    answered.unwrap();
    let (entered, left) = (alone(find(&begun, "B#", "ACCOUNT")), alone(find(&table.rows().await, "B#", "ACCOUNT")));
    let counted: Vec<(&str, u64)> = LIMITED.iter().map(|(row, _)| *row).zip([entered, left]).collect();
    assert_eq!(counted, LIMITED, "bytes: {}", bytes(find(&begun, "B#", "ACCOUNT")));
}

/// The rows once `there` says so, moving the clock when nothing more happens by itself.
async fn rows_once(table: &Table, manual: &Manual, there: impl Fn(&[Row]) -> bool) -> Vec<Row> {
    /// Looks at the table, and the pause between two, before time goes on.
    const LOOKS: usize = 25;
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        for _ in 0..LOOKS {
            let rows = table.rows().await;
            if there(&rows) {
                return rows;
            }
            tokio::time::sleep(PAUSE).await;
        }
        assert!(manual.advance_to_next_timer(), "nothing will happen any more");
    }
}

#[tokio::test]
async fn first_turns_streams_and_heartbeats_cost_what_the_table_says() {
    let (table, provider, gate) = (Table::start().await, ScriptedProvider::start().await, Gate::closed());
    let manual = Manual::new(Timestamp(1_795_276_800_000));
    let engine = rig::engine(&table, provider.base_url());
    let engine = engine.with_time_and_chance(Clock::Manual(Arc::clone(&manual)), Random::seeded(1));
    let answer = prose(2000, ANSWER);
    provider.enqueue(Script::chunks(answer.split_inclusive(' ').take(WORDS)).gated_after(WORDS, &gate));

    let mut request = request("6f9619ff-8b86-4d11-b42d-00c04fc96400", &prose(0, QUESTION));
    request.project = ProjectId::parse("project", "a project").unwrap();
    request.input.stream = true;
    let (_, _, frames) = engine.stream(request).await.unwrap();
    gate.reached().await;
    let logged = |rows: &[Row]| rows.iter().any(|row| text(row, "pk").starts_with("S#"));
    rows_once(&table, &manual, logged).await;
    let beaten = rows_once(&table, &manual, |rows| number(find(rows, "C#", "META"), "logged") > 0).await;
    gate.open();
    frames.collect::<Vec<_>>().await;
    let ended = table.rows().await;

    let batch = find(&ended, "S#", "E000001#0000000000");
    let units = [
        in_transaction(find(&ended, "CL#", "")),
        in_transaction(find(&ended, "CP#", "")),
        alone(batch),
        in_transaction(find(&ended, "S#", "E000001#END")),
        alone(find(&beaten, "C#", "META")),
    ];
    let counted: Vec<(&str, u64)> = MORE.iter().map(|(row, _)| *row).zip(units).collect();
    assert_eq!(counted, MORE, "bytes: batch of {} events {}", number(batch, "count"), bytes(batch));
    // The first chunk says who speaks.
    assert_eq!(number(batch, "count"), 1 + WORDS as u64);
}
