//! A turn's process killed with SIGKILL before and after everything that leaves it or
//! comes to it.
//!
//! ```text
//! client --> turnwise --> proxy --> table, provider
//!            killed       holds the world still at one boundary
//! ```
//!
//! The tables below list the boundaries. A turn that is not disturbed must cross just
//! these, so that a new one cannot go unproved; and each is where a turn is killed,
//! on both sides and in both delivery modes.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use turnwise_tests::process::{Program, Server, allow_sockets};
use turnwise_tests::proxy::{Crash, Hold, Proxy, Side};
use turnwise_tests::scripted::{Script, ScriptedProvider};

use super::client::{Ended, Request};
use super::table::{Held, Table};

/// What the provider says when it is first called for the turn, and what it says after
/// that: an answer tells which call it came from.
const ANSWERS: [&str; 2] = ["The first call answers", "The second call answers"];

#[derive(Debug, Clone, Copy)]
enum Mode {
    /// A whole answer, which takes longer than the first heartbeat.
    Buffered,
    /// A stream whose first words are logged before the last ones come.
    Streamed,
}

/// How far a turn has come, as far as it matters after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    Nothing,
    /// T1 is applied.
    Begun,
    /// The provider has been called.
    Called,
    /// The stream log holds the provider's finish.
    FinishLogged,
    /// T2 is applied.
    Committed,
}

/// The boundaries of a buffered turn, each with how far it brings the turn. The two
/// reads go out at the same time; the list has them by name.
const BUFFERED: [(&str, Reached); 7] = [
    ("read conversation", Reached::Nothing),
    ("read turn", Reached::Nothing),
    ("T1", Reached::Begun),
    ("provider: call", Reached::Called),
    ("heartbeat", Reached::Called),
    ("provider: answer", Reached::Called),
    ("T2", Reached::Committed),
];

/// The boundaries of a streamed turn.
const STREAMED: [(&str, Reached); 10] = [
    ("read conversation", Reached::Nothing),
    ("read turn", Reached::Nothing),
    ("T1", Reached::Begun),
    ("provider: call", Reached::Called),
    ("provider: first words", Reached::Called),
    ("log: words", Reached::Called),
    ("provider: last words", Reached::Called),
    ("provider: [DONE]", Reached::Called),
    ("log: finish", Reached::FinishLogged),
    ("T2", Reached::Committed),
];

/// Both modes, both delivery modes, both sides of each boundary.
const CASES: usize = (BUFFERED.len() + STREAMED.len()) * 2 * 2;

impl Mode {
    const ALL: [Self; 2] = [Self::Buffered, Self::Streamed];

    const fn boundaries(self) -> &'static [(&'static str, Reached)] {
        match self {
            Self::Buffered => &BUFFERED,
            Self::Streamed => &STREAMED,
        }
    }

    /// What comes first where two things would race.
    const fn hold(self) -> Hold {
        match self {
            Self::Buffered => Hold { boundary: "provider: answer", until: "heartbeat" },
            Self::Streamed => Hold { boundary: "provider: last words", until: "log: words" },
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Delivery {
    AtLeastOnce,
    AtMostOnce,
}

impl Delivery {
    const ALL: [Self; 2] = [Self::AtLeastOnce, Self::AtMostOnce];

    const fn name(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at-least-once",
            Self::AtMostOnce => "at-most-once",
        }
    }
}

/// What a client that retries gets in the end, and what it took.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    /// The answer; none where it must stay unknown whether there was one.
    answer: Option<&'static str>,
    /// Calls of the provider.
    calls: usize,
    /// Attempts at the turn.
    attempts: u64,
}

/// What the promise says, crash by crash.
const fn expected(reached: Reached, delivery: Delivery) -> Expected {
    let [first, second] = [Some(ANSWERS[0]), Some(ANSWERS[1])];
    match (reached, delivery) {
        // Nobody knows of the dead attempt.
        (Reached::Nothing, _) => Expected { answer: first, calls: 1, attempts: 1 },
        (Reached::Begun, Delivery::AtLeastOnce) => Expected { answer: first, calls: 1, attempts: 2 },
        (Reached::Called, Delivery::AtLeastOnce) => Expected { answer: second, calls: 2, attempts: 2 },
        // T1 alone does not tell whether the call was made.
        (Reached::Begun, Delivery::AtMostOnce) => Expected { answer: None, calls: 0, attempts: 2 },
        (Reached::Called, Delivery::AtMostOnce) => Expected { answer: None, calls: 1, attempts: 2 },
        // Rolled forward.
        (Reached::FinishLogged, _) => Expected { answer: first, calls: 1, attempts: 2 },
        (Reached::Committed, _) => Expected { answer: first, calls: 1, attempts: 1 },
    }
}

/// The text of the first `events` events of the first answer's stream: a role, a word
/// each, and what ends it.
fn first_words(events: u64) -> String {
    let words = usize::try_from(events).unwrap().saturating_sub(1);
    ANSWERS[0].split_inclusive(' ').take(words).collect()
}

/// Programs that start at a time: more would only keep each other waiting.
static STARTING: Semaphore = Semaphore::const_new(8);

/// A program with a table and a provider that outlive it, and its proxy.
struct World {
    folder: TempDir,
    table: Table,
    provider: ScriptedProvider,
    proxy: Proxy,
}

impl World {
    async fn new() -> Self {
        let provider = ScriptedProvider::start().await;
        for answer in ANSWERS {
            provider.on_text("second", Script::answer(answer));
        }
        let table = Table::start().await;
        let proxy = Proxy::start(table.url(), provider.base_url()).await;
        Self { folder: tempfile::tempdir().unwrap(), table, provider, proxy }
    }

    /// Starts the program behind the proxy, with one committed turn.
    async fn start_behind_proxy(&self) -> Server {
        let program = Program::new(&self.data_dir()).table(self.proxy.table_url()).provider(self.proxy.provider_url());
        let _turn = STARTING.acquire().await.unwrap();
        let server = program.start().await;
        assert_eq!(number(&turn("first").until_ended(&server).await), 1);
        server
    }

    /// Starts the program again, on the same folder and the same table.
    async fn start_again(&self) -> Server {
        let program = Program::new(&self.data_dir()).table(self.table.url()).provider(self.provider.base_url());
        let _turn = STARTING.acquire().await.unwrap();
        program.start().await
    }

    fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }
}

fn turn(name: &str) -> Request {
    Request::chat(json!({"session_id": "c", "turn_id": name, "message": format!("the {name} question")}))
}

fn second_turn(mode: Mode, delivery: Delivery) -> Request {
    let request = turn("second").header("turnwise-delivery", delivery.name());
    request.streamed(matches!(mode, Mode::Streamed))
}

fn number(ended: &Ended) -> u64 {
    match ended {
        Ended::Answered(body) => serde_json::from_str::<Value>(body).unwrap()["turn_number"].as_u64().unwrap(),
        Ended::Failed(code) => panic!("failed with {code}"),
    }
}

async fn check_boundaries(mode: Mode, delivery: Delivery) {
    let world = World::new().await;
    let server = world.start_behind_proxy().await;
    world.proxy.watch(mode.hold(), None);
    assert_eq!(number(&second_turn(mode, delivery).until_ended(&server).await), 2);

    // A slow machine may log words more than once.
    let mut seen = HashSet::new();
    let mut reached: Vec<String> = world.proxy.reached();
    reached.retain(|name| seen.insert(name.clone()));
    reached[..2].sort();
    let listed: Vec<&str> = mode.boundaries().iter().map(|(name, _)| *name).collect();
    assert_eq!(reached, listed, "{mode:?}, {delivery:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_crosses_the_listed_boundaries_and_no_other() {
    allow_sockets();
    let mut turns = JoinSet::new();
    for mode in Mode::ALL {
        for delivery in Delivery::ALL {
            turns.spawn(check_boundaries(mode, delivery));
        }
    }
    while let Some(turn) = turns.join_next().await {
        turn.unwrap();
    }
}

/// Kills a turn's process at `crash`, and checks what its client gets from the next
/// process and what the table then holds.
async fn check(mode: Mode, delivery: Delivery, crash: Crash, reached: Reached) {
    let world = World::new().await;
    let server = world.start_behind_proxy().await;
    let request = second_turn(mode, delivery);
    world.proxy.watch(mode.hold(), Some(crash));
    let interrupted = request.send(&server);
    tokio::select! {
        reply = interrupted => panic!("the program was not killed in time: {reply:?}"),
        () = world.proxy.crashed() => {}
    }
    server.kill().await;
    let partial = first_words(world.table.logged_events("#c#second").await);

    let server = world.start_again().await;
    let patient = request.clone().header("prefer", "wait=0");
    let ended = patient.until_ended(&server).await;
    let expected = expected(reached, delivery);
    check_replays(&server, &request, &ended, &expected, &partial).await;

    let committed = u64::from(expected.answer.is_some()) + 1;
    assert_eq!(number(&turn("third").until_ended(&server).await), committed + 1);
    let listed = server.get("/v1/threads/c/turns").await.unwrap().json();
    let numbers: Vec<u64> =
        listed["data"].as_array().unwrap().iter().map(|turn| turn["turn_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=committed + 1).collect::<Vec<_>>());

    assert_eq!(world.provider.calls_with("second"), expected.calls);
    let line: &[&str] = if expected.answer.is_some() { &["settled"] } else { &[] };
    assert_eq!(world.table.ledger("c:second").await, line);
    assert_eq!(world.table.counted_commits().await, committed + 1);
    let lock = Held { head: committed + 1, fence: expected.attempts + 2, owned: false };
    assert_eq!(world.table.lock("#c").await, lock);
}

/// The turn is as expected, however often and in whatever form it is asked for.
async fn check_replays(server: &Server, request: &Request, ended: &Ended, expected: &Expected, partial: &str) {
    let replay = request.clone().streamed(false).send(server).await.unwrap();
    let again = request.clone().streamed(false).send(server).await.unwrap();
    assert_eq!(replay.body, again.body);
    assert_eq!(replay.status, again.status);
    for reply in [&replay, &again] {
        assert_eq!(reply.header("idempotent-replayed"), "true");
        assert_eq!(reply.header("turnwise-attempt"), expected.attempts.to_string());
    }

    let mut stored = server.get("/v1/turns/c:second").await.unwrap().json();
    stored.as_object_mut().unwrap().remove("input_hash");
    match expected.answer {
        Some(text) => {
            assert_eq!((replay.status, replay.json()["message"].as_str()), (200, Some(text)));
            assert_eq!(*ended, Ended::Answered(replay.text()));
            assert_eq!(stored, replay.json());
            let [streamed, again] = [(); 2].map(|()| request.clone().streamed(true));
            let (streamed, again) = (streamed.send(server).await.unwrap(), again.send(server).await.unwrap());
            assert_eq!((streamed.status, streamed.body), (200, again.body));
        }
        None => {
            let error = &replay.json()["error"];
            assert_eq!((replay.status, error["code"].as_str()), (502, Some("outcome_unknown")));
            assert_eq!(error["partial_text"].as_str().unwrap_or_default(), partial);
            assert_eq!(*ended, Ended::Failed("outcome_unknown".to_owned()));
            assert_eq!((&stored["status"], &stored["error"]), (&json!("FAILED"), error));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_killed_at_any_boundary_is_made_once() {
    allow_sockets();
    // All at once: most of the time goes by while leases of the dead lapse.
    let (mut cases, mut names) = (JoinSet::new(), HashMap::new());
    for mode in Mode::ALL {
        for delivery in Delivery::ALL {
            let mut before = Reached::Nothing;
            for &(boundary, after) in mode.boundaries() {
                for (side, reached) in [(Side::Before, before), (Side::After, after)] {
                    let crash = Crash { boundary, side };
                    let name = format!("{mode:?}, {delivery:?}, {side:?} {boundary}");
                    let case = cases.spawn(check(mode, delivery, crash, reached));
                    names.insert(case.id(), name);
                }
                before = after;
            }
        }
    }
    assert_eq!(names.len(), CASES);

    let mut failed = Vec::new();
    while let Some(case) = cases.join_next_with_id().await {
        if let Err(error) = case {
            failed.push(names[&error.id()].clone());
        }
    }
    assert!(failed.is_empty(), "{} of {CASES} failed: {failed:#?}", failed.len());
}
