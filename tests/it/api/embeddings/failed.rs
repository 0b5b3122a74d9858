//! Providers that do not make them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use turnwise_core::limits::DEADLINE_MARGIN;
use turnwise_core::time::Timestamp;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_tests::app::{PROVIDER_KEY, TestApp};
use turnwise_tests::scripted::{Gate, Script};

use super::{asking, check_error, embed};

/// Time enough for a call to be on its way before the request's time is over.
const LEFT: Duration = Duration::from_secs(1);

/// Checks what a client gets for what the provider does, and that nothing is charged for it.
async fn check(script: Script, status: u16, code: &str, param: &str, retryable: bool) {
    let app = TestApp::start().await;
    let shown = format!("{script:?}");
    app.provider.otherwise(script);
    let reply = embed(&app, &asking(json!(["one", "two"]))).await;
    check_error(&reply, status, code, param);
    assert_eq!(reply.json()["error"]["retryable"], retryable, "{shown}");
    assert_eq!(reply.header("x-should-retry"), if retryable { "" } else { "false" }, "{shown}");
    assert_eq!(reply.header("turnwise-model"), "openai/text-embedding-3-small");
    assert!(!reply.text().contains(PROVIDER_KEY) && !reply.text().contains("127.0.0.1"), "{}", reply.text());
    assert_eq!((app.provider.calls(), app.table.rows().await.len()), (1, 0), "{shown}");
}

#[tokio::test]
async fn a_status_becomes_a_category_of_ours() {
    for (upstream, status, code, retryable) in [
        (400, 400, "invalid_request", false),
        (401, 502, "provider_auth_failed", false),
        (402, 502, "insufficient_quota", false),
        (404, 404, "model_not_found", false),
        (429, 429, "rate_limit_exceeded", true),
        (500, 502, "upstream_error", true),
        (504, 504, "timeout", true),
    ] {
        check(Script::refuse(upstream), status, code, "", retryable).await;
    }
    let words = json!({"error": {"message": "too long", "param": "input", "code": "context_length_exceeded"}});
    check(Script::refuse_with(400, &words), 400, "context_length_exceeded", "input", false).await;
    check(Script::hang_up(), 502, "network_error", "", true).await;
}

#[tokio::test]
async fn an_answer_that_is_not_what_was_asked_for_is_none() {
    let item = |index: u8, embedding: Value| json!({"index": index, "embedding": embedding});
    for data in [
        json!([]),
        json!([item(0, json!([1]))]),
        json!([item(0, json!([1])), item(1, json!([1])), item(2, json!([1]))]),
        json!([item(0, json!([1])), item(0, json!([1]))]),
        json!([item(1, json!([1])), item(2, json!([1]))]),
        json!([item(0, json!([1])), item(1, json!([1, 2]))]),
        json!([item(0, json!([])), item(1, json!([]))]),
        json!([item(0, json!([1])), item(1, json!([null]))]),
        json!([item(0, json!([1])), item(1, json!("not base64"))]),
        json!([item(0, json!([1])), item(1, json!("AACAfw=="))]),
        json!({}),
    ] {
        let body = json!({"object": "list", "data": data}).to_string();
        check(Script::pieces(&[body.as_bytes()]), 502, "malformed_answer", "", true).await;
    }
    check(Script::pieces(&[b"<html>"]), 502, "malformed_answer", "", true).await;
    check(Script::pieces(&[br#"{"error":{"code":429}}"#]), 429, "rate_limit_exceeded", "", true).await;
}

#[tokio::test]
async fn the_pause_that_a_provider_asks_for_is_passed_on() {
    let app = TestApp::start().await;
    app.provider.otherwise(Script::refuse(429).header("retry-after", "7"));
    let reply = embed(&app, &asking("one")).await;
    assert_eq!((reply.status, reply.header("retry-after"), reply.header("retry-after-ms")), (429, "7", "7000"));
}

#[tokio::test]
async fn an_invocation_that_ends_is_not_waited_for() {
    let app = TestApp::builder().with_time(DEADLINE_MARGIN + LEFT).start().await;
    let gate = Gate::closed();
    app.provider.otherwise(Script::embeddings().gated(&gate));
    let reply = embed(&app, &asking("one")).await;
    check_error(&reply, 504, "timeout", "");
    assert_eq!(reply.json()["error"]["retryable"], true);
    gate.reached().await;
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_given_up() {
    let manual = Manual::new(Timestamp(1_795_165_200_000));
    let app = TestApp::builder().with_clock(Clock::Manual(Arc::clone(&manual))).start().await;
    let gate = Gate::closed();
    app.provider.otherwise(Script::embeddings().gated(&gate));
    let body = asking("one");
    let (reply, ()) = tokio::join!(embed(&app, &body), async {
        gate.reached().await;
        assert!(manual.advance_to_next_timer());
    });
    check_error(&reply, 504, "upstream_timeout", "");
    assert!(reply.text().contains("120 s"), "{}", reply.text());
}

#[tokio::test]
async fn a_server_that_goes_down_says_so() {
    let app = TestApp::start().await;
    let gate = Gate::closed();
    app.provider.otherwise(Script::embeddings().gated(&gate));
    let body = asking("one");
    let (reply, ()) = tokio::join!(embed(&app, &body), async {
        gate.reached().await;
        app.engine.tasks.hand_over();
    });
    check_error(&reply, 503, "handed_over", "");
    assert_eq!(reply.json()["error"]["retryable"], true);
}
