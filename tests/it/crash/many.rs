//! Hundreds of streams at once: each takes what its own answer takes, and no more.

use futures_util::future::join_all;
use serde_json::json;
use turnwise_tests::heavy;
use turnwise_tests::process::{PATIENCE, Program, Reply, Server, allow_sockets};
use turnwise_tests::scripted::{Gate, Script, ScriptedProvider};

use super::table::Table;

/// Streams of the first wave, and of the second, which comes on top.
const WAVES: [usize; 2] = [100, 400];

/// Words of each answer: all but the last are told before memory is looked at.
const WORDS: usize = 60;

/// Most memory of one stream, in bytes: two connections with their buffers, its tasks, some
/// 10 KB of chunks, and what the allocator keeps. About half of that is used.
const MOST_BYTES: u64 = 512 * 1024;

/// A stream that was opened and has had its first word.
async fn opened(server: &Server, turn: usize) -> reqwest::Response {
    let body = json!({"session_id": format!("c{turn}"), "turn_id": "1", "message": "hello", "stream": true});
    let mut response = server.post("/v1/chat", body.to_string(), &[]).await.unwrap();
    let mut seen = String::new();
    while !seen.contains("event: delta") {
        let chunk = tokio::time::timeout(PATIENCE, response.chunk()).await.expect("the stream goes on");
        seen.push_str(&String::from_utf8_lossy(&chunk.unwrap().expect("the stream goes on")));
    }
    response
}

async fn wave(server: &Server, gate: &Gate, from: usize, streams: usize) -> Vec<reqwest::Response> {
    let opened = join_all((from..from + streams).map(|turn| opened(server, turn))).await;
    gate.reached_by(from + streams).await;
    opened
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_streams_at_once_take_little_memory_each() {
    let _turn = heavy().lock().await;
    allow_sockets();
    let (gate, provider) = (Gate::closed(), ScriptedProvider::start().await);
    provider.otherwise(Script::chunks(std::iter::repeat_n("word ", WORDS)).gated_after(WORDS - 1, &gate));
    let (folder, table) = (tempfile::tempdir().unwrap(), Table::start());
    let program = Program::new(&folder.path().join("data")).table(table.url()).provider(provider.base_url());
    let server = program.start().await;

    let (mut streams, mut each, mut before) = (Vec::new(), Vec::new(), server.memory_bytes());
    for size in WAVES {
        let from = streams.len();
        streams.extend(wave(&server, &gate, from, size).await);
        let after = server.memory_bytes();
        each.push(after.saturating_sub(before) / size as u64);
        before = after;
    }
    println!("{each:?} bytes a stream, {before} with {}", streams.len());
    assert!(each.iter().all(|bytes| *bytes < MOST_BYTES), "{each:?} bytes a stream");

    gate.open();
    let replies = join_all(streams.into_iter().map(Reply::read)).await;
    for reply in replies {
        let text = reply.unwrap().text();
        assert!(text.contains("event: done"), "{text}");
    }
    assert_eq!(table.counted_commits().await, (WAVES[0] + WAVES[1]) as u64);
}
