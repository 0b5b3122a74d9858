//! A stream as Anthropic's clients read it.

use std::time::Duration;

use serde_json::json;
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::{Gate, Script};

use super::{MESSAGES, echo, put_together, say, with};

#[tokio::test]
async fn events_have_names_ids_and_types() {
    let app = TestApp::builder().without_openai().start().await;
    let events = app.open(MESSAGES, &[], &echo("hello", &json!({"stream": true}))).await;
    assert_eq!((events.status, events.header("content-type")), (200, "text/event-stream"));
    assert_eq!(events.header("request-id"), events.header("x-request-id"));
    let events = events.rest().await;
    put_together(&events);
    let told: Vec<String> = events.iter().map(|event| format!("{} {} {}", event.id, event.event, event.data)).collect();
    let id = events[0].json()["message"]["id"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(told.join("\n").replace(&id, "[id]"), @r#"
    0 message_start {"message":{"content":[],"id":"[id]","model":"local/echo","role":"assistant","stop_reason":null,"stop_sequence":null,"type":"message","usage":{"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"input_tokens":0,"output_tokens":0}},"type":"message_start"}
    1 content_block_start {"content_block":{"text":"","type":"text"},"index":0,"type":"content_block_start"}
    2 content_block_delta {"delta":{"text":"Echo: ","type":"text_delta"},"index":0,"type":"content_block_delta"}
    3 content_block_delta {"delta":{"text":"hello","type":"text_delta"},"index":0,"type":"content_block_delta"}
    4 content_block_stop {"index":0,"type":"content_block_stop"}
    5 message_delta {"delta":{"stop_reason":"end_turn","stop_sequence":null},"type":"message_delta","usage":{"cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0},"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"input_tokens":2,"output_tokens":3}}
    6 message_stop {"type":"message_stop"}
    "#);
}

#[tokio::test]
async fn a_stream_that_takes_long_is_pinged() {
    let app = TestApp::start().await;
    app.provider.otherwise(Script::chunks(["one ", "two ", "three"]).paced(Duration::from_millis(700)));
    let mut events = app.open(MESSAGES, &[], &with(say("hello"), "stream", true)).await;
    while events.next().await.is_some() {}
    let is_ping = |aside: &&String| aside.contains("event: ping") && aside.contains("\"type\":\"ping\"");
    assert!(events.asides.iter().filter(is_ping).count() >= 1, "{:?}", events.asides);
}

#[tokio::test]
async fn words_are_told_as_they_come() {
    let app = TestApp::start().await;
    let gate = Gate::closed();
    app.provider.otherwise(Script::chunks(["one ", "two "]).gated_after(1, &gate));
    let mut events = app.open(MESSAGES, &[], &with(say("hello"), "stream", true)).await;
    for name in ["message_start", "content_block_start", "content_block_delta"] {
        assert_eq!(events.next().await.unwrap().event, name);
    }
    gate.reached().await;
    gate.open();
    let rest: Vec<String> = events.rest().await.into_iter().map(|event| event.event).collect();
    assert_eq!(rest, ["content_block_delta", "content_block_stop", "message_delta", "message_stop"]);
}
