//! Bad input is refused whole, with every fault, before anything is done.

use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};

use super::{MESSAGES, check_error, say, with};
use crate::api::check_untouched;

fn faults(reply: &Reply) -> Vec<String> {
    check_error(reply, 400, "invalid_request_error", "invalid_request");
    let body = reply.json();
    let faults = body["error"]["faults"].as_array().unwrap();
    faults.iter().map(|fault| fault["field"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn all_faults_are_told_at_once() {
    let app = TestApp::start().await;
    let check = async |headers: &[(&str, &str)], body: Value, expected: &[&str]| {
        assert_eq!(faults(&app.post_with(MESSAGES, headers, &body).await), expected, "{body}");
    };
    check(&[], json!({}), &["model", "max_tokens", "messages"]).await;
    check(
        &[],
        json!({"model": 1, "max_tokens": 0, "messages": "a", "stream": 1}),
        &["stream", "model", "max_tokens", "messages"],
    )
    .await;
    check(
        &[("idempotency-key", "a#b"), ("last-event-id", "x")],
        with(say("a"), "model", " "),
        &["last-event-id", "model", "Idempotency-Key"],
    )
    .await;
    let blocks = json!([{"type": "image"}, {"type": "tool_result"}, {"type": "search_result"}]);
    let messages = json!([{"role": "user", "content": blocks}, {"role": "tool", "content": 1}]);
    check(
        &[],
        with(say("a"), "messages", messages),
        &[
            "messages[0].content[0].source",
            "messages[0].content[1].tool_use_id",
            "messages[0].content[2].type",
            "messages[1].role",
            "messages[1].content",
        ],
    )
    .await;
    check_untouched(&app).await;
}

#[tokio::test]
async fn tools_that_run_at_anthropic_are_refused_by_name() {
    let app = TestApp::start().await;
    for kind in ["web_search_20250305", "bash_20250124", "computer_20250124", "code_execution_20250825"] {
        let reply = app.post(MESSAGES, &with(say("a"), "tools", json!([{"type": kind, "name": "x"}]))).await;
        assert_eq!(faults(&reply), ["tools[0].type"]);
        let body = reply.json();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(kind) && message.contains("not supported"), "{message}");
    }
    check_untouched(&app).await;
}
