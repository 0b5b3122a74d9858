//! The worker: batches of hints about due turns.

use serde_json::{Value, json};
use turnwise_core::id::{Tenant, TurnKey};
use turnwise_engine::Engine;
use turnwise_providers::{Providers, Settings};
use turnwise_store::queue::{Message, Queue};
use turnwise_tests::lambda::{Event, Function, Setup};
use turnwise_tests::table::Table;

use super::{SLOW_MS, chat, is_completed, turn};

fn hint(key: &str) -> String {
    let key = TurnKey::parse("key", key).unwrap().unwrap();
    serde_json::to_string(&Message::Turn { tenant: Tenant::default_tenant(), key }).unwrap()
}

/// A turn whose process was killed while it made it, under a lease that has lapsed.
async fn leave_dead(table: &Table, key: &str) {
    let stream = Function::start("stream", &Setup::of(table)).await;
    let mut invocation = stream.invoke(&slow(key));
    invocation.until("event: delta").await;
    stream.kill().await;
    let engine = Engine::new(table.store(), Queue::in_process().0, Providers::new(&Settings::default()).unwrap());
    assert_eq!(engine.free_dead_turns().await.unwrap(), 1);
}

fn slow(key: &str) -> Event {
    chat(key, &json!({"message": "one two three", "stream": true, "echo_delay_ms": SLOW_MS}))
}

fn failures(response: &Value) -> Vec<&str> {
    let failures = response["batchItemFailures"].as_array().expect("a partial batch response");
    failures.iter().filter_map(|failure| failure["itemIdentifier"].as_str()).collect()
}

#[tokio::test]
async fn only_messages_that_must_come_back_are_reported() {
    let table = Table::start().await;
    leave_dead(&table, "dead:1").await;
    let stream = Function::start("stream", &Setup::of(&table)).await;
    stream.call(&chat("done:1", &json!({"message": "Hi"}))).await;
    // So slow that it outlives the batch.
    let body = json!({"message": "one two three", "stream": true, "echo_delay_ms": 10_000});
    let mut running = stream.invoke(&chat("busy:1", &body));
    running.until("event: turn").await;

    let worker = Function::start("worker", &Setup::of(&table)).await;
    let batch = Event::sqs(&[
        ("due", &hint("dead:1")),
        ("malformed", "not a hint"),
        ("done", &hint("done:1")),
        ("busy", &hint("busy:1")),
        ("unknown", &hint("nobody:1")),
    ]);
    let response = worker.invoke(batch).value().await;
    // A busy turn needs no message: whoever runs it ends it, or its lease does.
    assert_eq!(failures(&response), ["malformed"], "{response}\n{}", worker.log());
    assert!(is_completed(&table, "dead:1").await, "{}", worker.log());
    assert!(worker.log().contains("a message is malformed"));
}

#[tokio::test]
async fn a_message_that_comes_twice_finds_its_turn_done() {
    let table = Table::start().await;
    leave_dead(&table, "dead:1").await;
    let worker = Function::start("worker", &Setup::of(&table)).await;
    for _ in 0..2 {
        let response = worker.invoke(Event::sqs(&[("due", &hint("dead:1"))])).value().await;
        assert_eq!(response, json!({"batchItemFailures": []}));
    }
    assert_eq!(turn(&table, "dead:1").await.attempts, 2, "one attempt died, one committed");
}
