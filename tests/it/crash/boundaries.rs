//! A turn's process killed with SIGKILL before and after everything that leaves it or
//! comes to it.
//!
//! ```text
//! client --> turnwise --> proxy --> table, provider
//!            killed       holds the world still at one boundary
//! ```
//!
//! `promise` lists the boundaries. A turn that is not disturbed must cross just these,
//! so that a new one cannot go unproved; and each is where a turn is killed, on both
//! sides and in both delivery modes.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use turnwise_tests::heavy;
use turnwise_tests::process::{Program, Server, allow_sockets};
use turnwise_tests::proxy::{Crash, Proxy};
use turnwise_tests::scripted::{Script, ScriptedProvider};

use super::client::{Ended, Request};
use super::promise::{ANSWERS, BEHIND_REPLY, CASES, Case, Delivery, Expected, Mode, cases, first_words, turns};
use super::table::{Held, Table};

/// Pause between two looks at what a process still has to do.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Programs that start at a time: more would only keep each other waiting.
static STARTING: Semaphore = Semaphore::const_new(8);

/// A table and a provider that outlive every process.
struct World {
    folder: TempDir,
    table: Table,
    provider: ScriptedProvider,
}

impl World {
    async fn new() -> Self {
        let provider = ScriptedProvider::start().await;
        for answer in ANSWERS {
            provider.on_text("second", Script::answer(answer));
        }
        Self { folder: tempfile::tempdir().unwrap(), table: Table::start(), provider }
    }

    /// Starts the program, always on the same folder and the same table. Its
    /// conversation then has one committed turn.
    async fn start(&self) -> Server {
        self.start_with(self.table.url(), self.provider.base_url(), "--sweep-every-s=1").await
    }

    /// Starts the program behind a proxy of its own.
    async fn start_behind_proxy(&self) -> (Server, Proxy) {
        let proxy = Proxy::start(self.table.url(), self.provider.base_url()).await;
        // What is watched is the turn of a client; nobody else is to begin it.
        (self.start_with(proxy.table_url(), proxy.provider_url(), "--sweep-every-s=0").await, proxy)
    }

    async fn start_with(&self, table: &str, provider: &str, sweeps: &'static str) -> Server {
        let data_dir: PathBuf = self.folder.path().join("data");
        let program = Program::new(&data_dir).table(table).provider(provider).argument(sweeps);
        let _turn = STARTING.acquire().await.unwrap();
        let server = program.start().await;
        assert_eq!(number(&turn("first").until_ended(&server).await), 1);
        // What a turn does behind its reply must not be taken for part of the next one.
        let running = async || server.get("/admin/health").await.unwrap().json()["tasks_running"].as_u64();
        while running().await != Some(0) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        server
    }

    /// Sends `request` to a process that is killed at `crash`.
    async fn kill_at(&self, request: &Request, mode: Mode, crash: Crash) {
        let (server, proxy) = self.start_behind_proxy().await;
        let crash_boundary = crash.boundary;
        proxy.watch(mode.hold(), Some(crash));
        let behind_reply = crash_boundary == BEHIND_REPLY;
        tokio::select! {
            reply = request.send(&server), if !behind_reply => panic!("the program was not killed in time: {reply:?}"),
            () = async {
                if behind_reply {
                    request.send(&server).await.expect("the reply comes first");
                }
                proxy.crashed().await;
            } => {}
        }
        server.kill().await;
    }

    /// Brings the second turn to where `mode` begins.
    async fn prepare(&self, request: &Request, mode: Mode) {
        if let Some(crash) = mode.earlier() {
            self.kill_at(request, mode, crash).await;
            self.table.lapse_lease("#c").await;
        }
    }
}

fn turn(name: &str) -> Request {
    Request::chat(json!({"session_id": "c", "turn_id": name, "message": format!("the {name} question")}))
}

fn second_turn(mode: Mode, delivery: Delivery) -> Request {
    turn("second").header("turnwise-delivery", delivery.name()).streamed(mode.streams())
}

fn number(ended: &Ended) -> u64 {
    match ended {
        Ended::Answered(body) => serde_json::from_str::<Value>(body).unwrap()["turn_number"].as_u64().unwrap(),
        Ended::Failed(code) => panic!("failed with {code}"),
    }
}

async fn check_boundaries(mode: Mode, delivery: Delivery) {
    let (world, request) = (World::new().await, second_turn(mode, delivery));
    world.prepare(&request, mode).await;
    let (server, proxy) = world.start_behind_proxy().await;
    proxy.watch(mode.hold(), None);
    request.send(&server).await.unwrap();
    proxy.has_reached(BEHIND_REPLY).await;

    // A slow machine may log words more than once.
    let mut seen = HashSet::new();
    let mut reached = proxy.reached();
    reached.retain(|name| seen.insert(name.clone()));
    reached[..2].sort();
    let listed: Vec<&str> = mode.boundaries().iter().map(|(name, _)| *name).collect();
    assert_eq!(reached, listed, "{mode:?}, {delivery:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_crosses_the_listed_boundaries_and_no_other() {
    let _turn = heavy().lock().await;
    allow_sockets();
    let mut checks = JoinSet::new();
    for (mode, delivery) in turns() {
        checks.spawn(check_boundaries(mode, delivery));
    }
    checks.join_all().await;
}

/// Kills a turn's process, and checks what its client gets from the next process and
/// what the table then holds.
async fn check(case: Case) {
    let Case { mode, delivery, crash, expected } = case;
    let (world, request) = (World::new().await, second_turn(mode, delivery));
    world.prepare(&request, mode).await;
    world.kill_at(&request, mode, crash).await;
    let partial = first_words(world.table.logged_events("#c#second").await);

    let server = world.start().await;
    let ended = request.clone().header("prefer", "wait=0").until_ended(&server).await;
    check_replays(&server, &request, &ended, &expected, &partial).await;

    let commits = if expected.answer.is_some() { 3 } else { 2 };
    assert_eq!(number(&turn("third").until_ended(&server).await), commits);
    let turns = server.get("/v1/threads/c/turns").await.unwrap().json();
    let numbers = turns["data"].as_array().unwrap().iter().map(|turn| turn["turn_number"].as_u64().unwrap());
    assert_eq!(numbers.collect::<Vec<_>>(), (1..=commits).collect::<Vec<_>>());

    assert_eq!(world.provider.calls_with("second"), expected.calls);
    let line: &[&str] = if expected.answer.is_some() { &["settled"] } else { &["released"] };
    assert_eq!(world.table.ledger("c:second").await, line);
    assert_eq!(world.table.counted_commits().await, commits);
    let lock = Held { head: commits, fence: expected.attempts + 2, owned: false };
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
    let _turn = heavy().lock().await;
    allow_sockets();
    // All at once: most of the time goes by while leases of the dead lapse.
    let (mut checks, mut names) = (JoinSet::new(), HashMap::new());
    for case in cases() {
        let Case { mode, delivery, crash: Crash { boundary, side }, .. } = &case;
        let name = format!("{mode:?}, {delivery:?}, {side:?} {boundary}");
        names.insert(checks.spawn(check(case)).id(), name);
    }
    assert_eq!(names.len(), CASES);

    let mut failed = Vec::new();
    while let Some(check) = checks.join_next_with_id().await {
        if let Err(error) = check {
            failed.push(names[&error.id()].clone());
        }
    }
    assert!(failed.is_empty(), "{} of {CASES} failed: {failed:#?}", failed.len());
}
