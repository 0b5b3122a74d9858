//! A thousand clients at once, all with the same request.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use turnwise_tests::heavy;
use turnwise_tests::process::{Program, Reply, allow_sockets};
use turnwise_tests::scripted::{Gate, Script, ScriptedProvider};

use super::client::{Ended, Request, read};
use super::table::{Held, Table};

const CLIENTS: usize = 1000;

/// Sends `request` a thousand times at once: every connection stands and waits before
/// the first body goes out, and the provider answers only when its call has come.
async fn check(request: Request, turn: &str, conversation: &str) {
    allow_sockets();
    let (gate, provider) = (Gate::closed(), ScriptedProvider::start().await);
    provider.otherwise(Script::answer("The one answer").gated(&gate));
    let (folder, table) = (tempfile::tempdir().unwrap(), Table::start());
    let program = Program::new(&folder.path().join("data")).table(table.url()).provider(provider.base_url());
    let server = Arc::new(program.start().await);

    let together = Arc::new(Barrier::new(CLIENTS));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (request, server, together) = (request.clone(), Arc::clone(&server), Arc::clone(&together));
        clients.spawn(async move {
            let bytes = Bytes::from(request.body.to_string());
            let body = stream::once(async move {
                together.wait().await;
                Ok::<_, Infallible>(bytes)
            });
            let response = request.open_with(&server, reqwest::Body::wrap_stream(body)).await.unwrap();
            match read(&Reply::read(response).await.unwrap()) {
                Ok(ended) => ended,
                // A 409, as documented.
                Err(wait) => {
                    tokio::time::sleep(wait).await;
                    request.until_ended(&server).await
                }
            }
        });
    }
    gate.reached().await;
    gate.open();

    let answers = clients.join_all().await;
    let Ended::Answered(answer) = &answers[0] else { panic!("{:?}", answers[0]) };
    assert!(answer.contains("The one answer"), "{answer}");
    assert_eq!(answers.len(), CLIENTS);
    assert!(answers.iter().all(|other| *other == answers[0]), "every client gets the same bytes");
    assert_eq!(provider.calls(), 1);
    assert_eq!(table.ledger(turn).await, ["settled"]);
    assert_eq!(table.counted_commits().await, 1);
    assert_eq!(table.lock(conversation).await, Held { head: 1, fence: 1, owned: false });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_equal_turns_at_once_are_one() {
    let _turn = heavy().lock().await;
    let body = json!({"session_id": "c", "turn_id": "1", "message": "hello"});
    check(Request::chat(body), "c:1", "#c").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_equal_completions_with_one_key_are_one() {
    let _turn = heavy().lock().await;
    let body = json!({"model": "openai/scripted", "messages": [{"role": "user", "content": "hello"}]});
    let request = Request { path: "/v1/chat/completions", body, headers: Vec::new() };
    check(request.header("idempotency-key", "order-66"), "order-66", "order-66").await;
}
