//! With a key a message is a durable turn.

use serde_json::json;
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{MESSAGES, check_error, ok, put_together, say, with};
use crate::api::{COMPLETIONS, ask};

const KEY: [(&str, &str); 1] = [("idempotency-key", "k")];

#[tokio::test]
async fn a_retry_gets_the_same_bytes() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let first = app.post_with(MESSAGES, &KEY, &say("hello")).await;
    assert!(!first.is_replay());
    for process in [&app, &other] {
        let retry = process.post_with(MESSAGES, &KEY, &say("hello")).await;
        assert!(retry.is_replay());
        assert_eq!((retry.status, &retry.body), (200, &first.body));
    }
    // A field that is null is one that is not given; how it is told is not what it means.
    let same = with(with(say("hello"), "system", json!(null)), "stream", false);
    assert_eq!(app.post_with(MESSAGES, &KEY, &same).await.body, first.body);
    assert_eq!(app.provider.calls(), 1);
}

#[tokio::test]
async fn a_stream_and_the_whole_answer_are_one_message() {
    let app = TestApp::start().await;
    let events = app.open(MESSAGES, &KEY, &with(say("hello"), "stream", true)).await.rest().await;
    let whole = ok(&app.post_with(MESSAGES, &KEY, &say("hello")).await);
    assert_eq!(put_together(&events), whole, "with its id");

    let again = app.second_process().await.open(MESSAGES, &KEY, &with(say("hello"), "stream", true)).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.rest().await, events);
}

#[tokio::test]
async fn a_stream_goes_on_behind_each_of_its_events() {
    let app = TestApp::start().await;
    let call = json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let deltas = [json!({"reasoning_content": "hm"}), json!({"content": "one "}), json!({"content": "two"}), call];
    app.provider.on_text("hello", Script::deltas(&deltas).finish_reason("tool_calls"));
    let body = with(say("hello"), "stream", true);
    let whole = app.open(MESSAGES, &KEY, &body).await.rest().await;
    let message = put_together(&whole);
    assert_eq!(message["content"].as_array().map(Vec::len), Some(3));
    let other = app.second_process().await;
    for process in [&app, &other] {
        for (place, event) in whole.iter().enumerate() {
            assert_eq!(event.id, place.to_string());
            let headers = [KEY[0], ("last-event-id", event.id.as_str())];
            let rest = process.open(MESSAGES, &headers, &body).await.rest().await;
            assert_eq!(rest, whole[place + 1..], "behind {place}");
        }
    }
}

#[tokio::test]
async fn a_key_means_one_request_of_one_route() {
    let app = TestApp::start().await;
    ok(&app.post_with(MESSAGES, &KEY, &say("hello")).await);
    let other = app.post_with(MESSAGES, &KEY, &say("goodbye")).await;
    check_error(&other, 422, "invalid_request_error", "idempotency_key_reused");
    let elsewhere = app.post_with(COMPLETIONS, &KEY, &ask(COMPLETIONS, "hello")).await;
    assert_eq!(elsewhere.outcome(), (422, "idempotency_key_reused".to_owned()));
}

#[tokio::test]
async fn a_turn_that_failed_for_good_fails_again_in_the_same_words() {
    let app = TestApp::start().await;
    app.provider.on_text("hello", Script::refuse(400));
    let first = app.post_with(MESSAGES, &KEY, &say("hello")).await;
    let again = app.post_with(MESSAGES, &KEY, &say("hello")).await;
    assert_eq!((first.status, first.json()["type"].clone()), (400, json!("error")), "{}", first.text());
    assert!(again.is_replay());
    assert_eq!((again.status, again.body), (first.status, first.body));
}
