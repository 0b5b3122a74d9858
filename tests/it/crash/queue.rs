//! Queues under kill -9: what was accepted runs, each turn once and in its order.

use std::time::Duration;

use serde_json::{Value, json};
use turnwise_tests::heavy;
use turnwise_tests::process::{PATIENCE, Program, Server};
use turnwise_tests::scripted::{Gate, Script, ScriptedProvider};

use super::client::Request;
use super::table::{Held, Table};

/// Turns that wait when the process is killed.
const TURNS: usize = 50;

/// Pause between two looks at the last turn.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

fn message(n: usize) -> String {
    format!("message {n:02}")
}

fn turn(n: usize) -> Request {
    let body = json!({"session_id": "c", "turn_id": format!("t{n}"), "message": message(n)});
    Request::chat(body).header("prefer", "respond-async")
}

/// A provider that answers everything but stops in the middle of one message's answer.
async fn stopping_in(message: &str, gate: &Gate) -> ScriptedProvider {
    let provider = ScriptedProvider::start().await;
    provider.on_text(message, Script::answer("never heard").gated(gate));
    provider.on_text(message, Script::answer("answered again"));
    provider
}

/// Has [`TURNS`] turns accepted, one after the other.
async fn fill(server: &Server) {
    for n in 0..TURNS {
        let reply = turn(n).send(server).await.unwrap();
        assert_eq!(reply.status, 202, "{}", reply.text());
    }
}

/// Waits until the last turn has its answer, and checks them all.
async fn check_all(server: &Server, provider: &ScriptedProvider, killed_in: usize) {
    let last = format!("/v1/turns/c:t{}", TURNS - 1);
    let done = async {
        while server.get(&last).await.unwrap().json()["status"] != "COMPLETED" {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE * 2, done).await;
    assert!(in_time.is_ok(), "the queue does not empty: {}", server.get(&last).await.unwrap().text());
    for n in 0..TURNS {
        let stored: Value = server.get(&format!("/v1/turns/c:t{n}")).await.unwrap().json();
        assert_eq!(stored["turn_number"], n + 1, "a turn's number is its place's: {stored}");
        // The attempt that was killed had called the provider; nobody can know what came of it.
        let calls = if n == killed_in { 2 } else { 1 };
        assert_eq!(provider.calls_with(&message(n)), calls, "{}", message(n));
    }
}

#[tokio::test]
async fn fifty_queued_turns_survive_kill_9_and_run_once_each() {
    let _turn = heavy().lock().await;
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::closed());
    let provider = stopping_in(&message(3), &gate).await;
    let program = Program::new(&folder.path().join("data")).provider(provider.base_url());
    let server = program.start().await;
    fill(&server).await;
    gate.reached().await;
    server.kill().await;

    check_all(&program.start().await, &provider, 3).await;
}

#[tokio::test]
async fn a_queue_goes_on_in_another_process_on_the_same_table() {
    let _turn = heavy().lock().await;
    let (folder, gate, table) = (tempfile::tempdir().unwrap(), Gate::closed(), Table::start());
    let provider = stopping_in(&message(0), &gate).await;
    let program = |name: &str| {
        let program = Program::new(&folder.path().join(name)).provider(provider.base_url()).table(table.url());
        program.argument("--sweep-every-s=1")
    };
    let (first, second) = (program("first").start().await, program("second").start().await);
    fill(&first).await;
    gate.reached().await;
    // The owner's lease lapses by itself: this table belongs to nobody alone.
    first.kill().await;

    check_all(&second, &provider, 0).await;
    assert_eq!(table.counted_commits().await, TURNS as u64);
    let fence = TURNS as u64 + 1;
    assert_eq!(table.lock("#c").await, Held { head: TURNS as u64, fence, owned: false });
}
