//! The program with its own engine and data folder, as a newcomer runs it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;
use turnwise_tests::process::{KEY, PATIENCE, Program, Reply, Server};
use turnwise_tests::scripted::{Gate, Script, ScriptedProvider};

use super::client::Request;

fn turn() -> Request {
    Request::chat(json!({"session_id": "c", "turn_id": "1", "message": "hello"}))
}

/// A provider whose first answer stops at `gate` after its second word.
async fn stopping_at(gate: &Gate) -> ScriptedProvider {
    let provider = ScriptedProvider::start().await;
    provider.enqueue(Script::answer("one two three").gated_after(2, gate));
    provider.enqueue(Script::answer("four five six"));
    provider
}

/// Kills the program while its client reads a stream, starts it again on the same
/// folder, and retries once, without waiting for anything.
async fn check_killed_in_mid_stream(delivery: &str, expected: (u16, &str, usize)) {
    let folder = tempfile::tempdir().unwrap();
    let provider = stopping_at(&Gate::closed()).await;
    let program = Program::new(&folder.path().join("data")).provider(provider.base_url());
    let request = turn().header("turnwise-delivery", delivery);

    let server = program.start().await;
    let mut stream = request.clone().streamed(true).open(&server).await.unwrap();
    let mut seen = String::new();
    while !seen.contains("two") {
        let chunk = tokio::time::timeout(PATIENCE, stream.chunk()).await.unwrap();
        seen.push_str(&String::from_utf8_lossy(&chunk.unwrap().expect("the stream goes on")));
    }
    server.kill().await;
    assert!(!seen.contains("event: done"), "{seen}");

    let server = program.start().await;
    let retry = request.clone().header("prefer", "wait=0").send(&server).await.unwrap();
    let replay = request.send(&server).await.unwrap();
    let shown = if retry.status == 200 { &retry.json()["message"] } else { &retry.json()["error"]["code"] };
    assert_eq!((retry.status, shown.as_str().unwrap(), provider.calls()), expected, "{delivery}");
    assert_eq!((replay.status, &replay.body), (retry.status, &retry.body));
    assert_eq!(retry.header("turnwise-attempt"), "2");
}

#[tokio::test]
async fn a_turn_killed_in_mid_stream_is_retried_without_waiting_for_its_lease() {
    check_killed_in_mid_stream("at-least-once", (200, "four five six", 2)).await;
    check_killed_in_mid_stream("at-most-once", (502, "outcome_unknown", 1)).await;
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(&folder.path().join("data"));
    let server = program.start().await;
    let (status, log) = program.run().await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("another Turnwise is running on the data folder"), "{log}");

    assert_eq!(turn().send(&server).await.unwrap().status, 200, "the first one goes on");
    server.kill().await;
    program.start().await;
}

/// Interrupts the program in the middle of a turn and, once it says that it is finishing
/// that, does what `then` does. The turn's reply, and what a retry gets from the
/// program started again on the same folder.
async fn interrupted_in_mid_turn(then: impl FnOnce(&Server, &Gate)) -> [Reply; 2] {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Gate::closed());
    let provider = stopping_at(&gate).await;
    let program = Program::new(&folder.path().join("data")).provider(provider.base_url());

    let server = program.start().await;
    let running = turn();
    let interrupted = async {
        gate.reached().await;
        server.interrupt();
        server.logged("finishing what is running").await;
        then(&server, &gate);
    };
    let (reply, ()) = tokio::join!(running.send(&server), interrupted);
    assert_eq!(server.ended().await.code(), Some(0));

    let retry = turn().header("prefer", "wait=0").send(&program.start().await).await;
    [reply.unwrap(), retry.unwrap()]
}

#[tokio::test]
async fn ctrl_c_lets_a_running_turn_end() {
    let [reply, replay] = interrupted_in_mid_turn(|_, gate| gate.open()).await;
    assert_eq!((reply.status, reply.json()["message"].as_str()), (200, Some("one two three")));
    assert_eq!((replay.header("idempotent-replayed"), &replay.body), ("true", &reply.body));
}

#[tokio::test]
async fn a_second_ctrl_c_hands_a_running_turn_over() {
    let [error, retry] = interrupted_in_mid_turn(|server, _| server.interrupt()).await;
    assert_eq!((error.status, error.json()["error"]["code"].as_str()), (503, Some("handed_over")));
    assert_eq!((retry.status, retry.json()["message"].as_str()), (200, Some("four five six")));
}

/// Permissions of a file.
fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

async fn status(server: &Server) -> u16 {
    server.get("/v1/models").await.unwrap().status
}

#[tokio::test]
async fn a_key_of_its_own_is_kept_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let program = Program::new(&data).own_key();

    let server = program.start().await;
    let kept = std::fs::read_to_string(data.join("key")).unwrap();
    assert_eq!((mode(&data.join("key")), mode(&data)), (0o600, 0o700));
    assert_eq!(status(&server).await, 401);
    assert_eq!(status(&server.with_key(kept.trim())).await, 200);

    assert_eq!(status(&program.start().await.with_key(kept.trim())).await, 200, "it stays the same");
}

#[tokio::test]
async fn a_fixed_key_is_the_only_one_and_is_not_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let server = Program::new(&folder.path().join("data")).start().await;
    assert_eq!(status(&server).await, 200);
    assert_eq!(status(&server.with_key(&KEY.to_uppercase())).await, 401);
    assert!(!folder.path().join("data/key").exists());
}

#[tokio::test]
async fn in_memory_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(&folder.path().join("data")).argument("--memory");

    let (one, other) = (program.start().await, program.start().await);
    let [first, replay]: [Reply; 2] = [turn().send(&one).await.unwrap(), turn().send(&one).await.unwrap()];
    assert_eq!((first.status, &first.body), (200, &replay.body));
    assert_eq!(replay.header("idempotent-replayed"), "true");
    let elsewhere = turn().send(&other).await.unwrap();
    assert_eq!((elsewhere.status, elsewhere.header("idempotent-replayed")), (200, ""));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
