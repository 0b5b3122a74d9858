//! The functions: the real binaries, polling a Runtime API.

mod deployed;
mod events;
mod work;

use std::time::Duration;

use serde_json::{Value, json};
use turnwise_core::id::{Tenant, TurnKey};
use turnwise_core::limits::DEADLINE_MARGIN;
use turnwise_core::turn::{State, Turn};
use turnwise_tests::lambda::{Event, Function, HangUp, Mode, Reply, Setup};
use turnwise_tests::table::Table;

/// Pause of the echo before each word, where a test needs to be there before the end.
const SLOW_MS: u64 = 300;

async fn stream() -> (Table, Function) {
    let table = Table::start().await;
    let function = Function::start("stream", &Setup::of(&table)).await;
    (table, function)
}

fn chat(key: &str, body: &Value) -> Event {
    Event::post("/v1/chat").header("Idempotency-Key", key).json(body)
}

/// A turn that is there.
async fn turn(table: &Table, key: &str) -> Turn {
    let parsed = TurnKey::parse("key", key).unwrap().expect("a key has two halves");
    let found = table.store().turn(&Tenant::default_tenant(), &parsed).await;
    found.expect("the table answers").unwrap_or_else(|| panic!("there is no turn {key}"))
}

async fn is_completed(table: &Table, key: &str) -> bool {
    matches!(turn(table, key).await.state, State::Completed(_))
}

fn replayed(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == Some("true")
}

#[tokio::test]
async fn a_turn_is_answered_once_and_replayed_after_that() {
    let (_table, stream) = stream().await;
    let event = chat("c:1", &json!({"message": "Hello there"}));
    let first = stream.call(&event).await;
    let second = stream.call(&event).await;

    assert_eq!((first.status, first.mode), (200, Mode::Streamed), "{}", first.body);
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert!(first.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
    assert!(!replayed(&first) && replayed(&second));
    assert_eq!(first.body, second.body);
    assert!(first.body.contains("Echo: Hello there"), "{}", first.body);
}

#[tokio::test]
async fn a_stream_arrives_while_it_is_made() {
    let (table, stream) = stream().await;
    let body = json!({"message": "one two three", "stream": true, "echo_delay_ms": SLOW_MS});
    let mut invocation = stream.invoke(&chat("c:1", &body));
    invocation.until("event: delta").await;
    assert!(!invocation.seen().contains("three"), "the first delta came with the last: {}", invocation.seen());
    assert!(!is_completed(&table, "c:1").await);

    let reply = invocation.reply().await;
    assert_eq!((reply.status, reply.mode), (200, Mode::Streamed));
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert_eq!(reply.header("turnwise-turn"), Some("c:1"));
    let names = reply.body.lines().filter_map(|line| line.strip_prefix("event: "));
    let names: Vec<&str> = names.filter(|name| *name != "progress").collect();
    assert_eq!(names, ["turn", "delta", "delta", "delta", "delta", "done"]);
    assert!(is_completed(&table, "c:1").await, "the body ends after the commit");
}

/// The data of a stream's events, without its last word.
fn told(reply: &str) -> Vec<Value> {
    let data = reply.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| panic!("not JSON: {data}"))).collect()
}

#[tokio::test]
async fn another_instance_goes_on_with_a_stream_that_is_being_made() {
    let (table, stream) = stream().await;
    let other = Function::start("stream", &Setup::of(&table)).await;
    let body = json!({"input": "one two three four five", "stream": true, "echo_delay_ms": SLOW_MS});
    let mut invocation = stream.invoke(&Event::post("/v1/responses").json(&body));
    invocation.until("output_text.delta").await;
    let first = invocation.seen().lines().find_map(|line| line.strip_prefix("data: ")).unwrap().to_owned();
    let id = serde_json::from_str::<Value>(&first).unwrap()["response"]["id"].as_str().unwrap().to_owned();
    let resume = Event::get(&format!("/v1/responses/{id}")).query("stream", "true").query("starting_after", "3");
    let resumed = other.call(&resume).await;
    let whole = invocation.reply().await;

    assert_eq!((resumed.status, resumed.mode), (200, Mode::Streamed), "{}", resumed.body);
    assert_eq!(told(&resumed.body), told(&whole.body)[4..]);
    assert!(resumed.body.contains("response.completed"), "{}", resumed.body);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_end_the_invocation_before_the_commit() {
    for how in [HangUp::EarlyReply, HangUp::BrokenConnection] {
        let (table, stream) = stream().await;
        let body = json!({"message": "one two three", "stream": true, "echo_delay_ms": SLOW_MS});
        let mut invocation = stream.invoke(&chat("c:1", &body));
        invocation.until("event: delta").await;
        assert!(!is_completed(&table, "c:1").await, "{how:?}");
        invocation.hang_up(how);

        // With the second poll Lambda may freeze the sandbox.
        stream.polled(2).await;
        assert!(is_completed(&table, "c:1").await, "{how:?}: frozen in mid-turn\n{}", stream.log());

        let buffered = json!({"message": "one two three", "echo_delay_ms": SLOW_MS});
        let retry = stream.call(&chat("c:1", &buffered)).await;
        assert_eq!(retry.status, 200, "{how:?}: {}", retry.body);
        assert!(replayed(&retry), "{how:?}");
        assert_eq!(retry.header("turnwise-attempt"), Some("1"), "{how:?}");
    }
}

#[tokio::test]
async fn a_turn_ends_before_its_invocation() {
    let (table, stream) = stream().await;
    let body = json!({"message": "one two three", "stream": true, "echo_delay_ms": 2000});
    let event = chat("c:1", &body);
    let late = stream.invoke_for(&event, DEADLINE_MARGIN + Duration::from_secs(3)).reply().await;
    assert!(late.body.contains("event: error") && late.body.contains("turn_timeout"), "{}", late.body);
    assert!(late.body.contains("Echo: "), "the partial answer was streamed: {}", late.body);
    assert!(matches!(turn(&table, "c:1").await.state, State::Failed(_)));
    assert_eq!(
        stream.call(&chat("c:1", &json!({"message": "one two three", "echo_delay_ms": 2000}))).await.status,
        200
    );
}

#[tokio::test]
async fn chat_completions_come_whole_and_streamed() {
    let (_table, stream) = stream().await;
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let event = Event::post("/v1/chat/completions");
    let whole = stream.call(&event.clone().json(&json!({"model": "local/echo", "messages": messages}))).await;
    assert_eq!(whole.status, 200, "{}", whole.body);
    assert_eq!(whole.json()["choices"][0]["message"]["content"], "Echo: Hi");

    let body = json!({"model": "local/echo", "messages": messages, "stream": true});
    let streamed = stream.call(&event.json(&body)).await;
    assert_eq!(streamed.header("content-type"), Some("text/event-stream"));
    assert!(streamed.body.ends_with("data: [DONE]\n\n"), "{}", streamed.body);
}

#[tokio::test]
async fn logs_are_json_lines_without_keys_and_prompts() {
    let (_table, stream) = stream().await;
    stream.call(&chat("c:1", &json!({"message": "my secret plan"}))).await;
    stream.polled(2).await;
    let log = stream.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let request = lines.iter().find(|line| line["message"] == "request").expect(&log);
    assert_eq!(request["http.route"], "POST /v1/chat");
    assert_eq!(request["http.status"], 200);
    assert_eq!(request["turn.key"], "c:1");
    assert!(!log.contains("secret plan") && !log.contains(turnwise_tests::lambda::KEY), "{log}");
}
