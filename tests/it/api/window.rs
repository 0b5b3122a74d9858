//! How much of a conversation goes along with a new message.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{CHAT, check_error};

fn turn(name: &str, window: &Value) -> Value {
    let mut body = json!({"message": name, "session_id": "s", "turn_id": name, "model": "gpt-4o-mini"});
    for (field, value) in window.as_object().into_iter().flatten() {
        body[field] = value.clone();
    }
    body
}

/// What the provider was sent last.
fn sent(app: &TestApp) -> Vec<String> {
    let messages = app.provider.requests().pop().unwrap().body["messages"].clone();
    let texts = messages.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap().to_owned());
    texts.collect()
}

async fn talked() -> TestApp {
    let app = TestApp::start().await;
    app.provider.otherwise(Script::answer("yes"));
    for name in ["one", "two", "three"] {
        app.post(CHAT, &turn(name, &json!({}))).await;
    }
    app
}

#[tokio::test]
async fn a_request_says_how_many_turns_and_tokens_go_along() {
    let cases = [
        (json!({}), vec!["one", "yes", "two", "yes", "three", "yes"]),
        (json!({"history_turns": 2}), vec!["two", "yes", "three", "yes"]),
        (json!({"history_turns": 0}), vec![]),
        // A turn of these is eleven tokens, or twelve.
        (json!({"history_tokens": 23}), vec!["two", "yes", "three", "yes"]),
        (json!({"history_tokens": 22}), vec!["three", "yes"]),
        (json!({"history_tokens": 0}), vec![]),
        (json!({"history_turns": 1, "history_tokens": 1000}), vec!["three", "yes"]),
    ];
    for (window, expected) in cases {
        let app = talked().await;
        let reply = app.post(CHAT, &turn("next", &window)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let expected: Vec<String> = expected.into_iter().chain(["next"]).map(str::to_owned).collect();
        assert_eq!(sent(&app), expected, "{window}");
    }
}

#[tokio::test]
async fn the_window_is_a_part_of_what_the_request_means() {
    let app = talked().await;
    app.post(CHAT, &turn("next", &json!({"history_turns": 2}))).await;
    let same = app.post(CHAT, &turn("next", &json!({"history_turns": 2}))).await;
    assert!(same.is_replay());
    let other = app.post(CHAT, &turn("next", &json!({"history_turns": 3}))).await;
    check_error(&other, 422, "idempotency_key_reused", "Idempotency-Key");
}

#[tokio::test]
async fn a_window_that_cannot_be_is_refused() {
    let app = TestApp::start().await;
    for (field, value) in
        [("history_turns", json!(101)), ("history_turns", json!(-1)), ("history_tokens", json!("many"))]
    {
        let body = turn("x", &json!({ field: value }));
        check_error(&app.post(CHAT, &body).await, 400, "invalid_request", field);
    }
}
