//! Requests for responses that are refused.

use serde_json::{Value, json};
use turnwise_core::limits::MAX_RESPONSE_INPUT_BYTES;
use turnwise_tests::app::TestApp;

use super::{RESPONSES, asking, check_error, check_untouched, with};

/// The fields at fault.
async fn fields(app: &TestApp, body: &Value) -> Vec<String> {
    let reply = app.post(RESPONSES, body).await;
    let faults = reply.json()["error"]["faults"].as_array().cloned().unwrap_or_default();
    let fields: Vec<String> = faults.iter().map(|fault| fault["field"].as_str().unwrap().to_owned()).collect();
    check_error(&reply, 400, "invalid_request", fields.first().map_or("", String::as_str));
    fields
}

#[tokio::test]
async fn every_fault_is_told_at_once_and_nothing_is_done() {
    let app = TestApp::start().await;
    let everything = json!({"model": " ", "input": [{"role": "user"}, {"type": "web_search_call"}], "instructions": 1,
        "conversation": 7, "previous_response_id": 8, "store": "no", "background": "yes", "stream": "yes",
        "temperature": 3, "tools": [{"type": "web_search"}], "metadata": {"a": 1}, "max_output_tokens": 1,
        "project_id": 1, "delivery": "never", "on_busy": "shove", "wait_timeout_s": 1000});
    let found = fields(&app, &everything).await;
    for field in [
        "input[0].content",
        "input[1].type",
        "model",
        "instructions",
        "previous_response_id",
        "conversation",
        "store",
        "background",
        "stream",
        "project_id",
        "delivery",
        "on_busy",
        "wait_timeout_s",
        "temperature",
        "tools[0].type",
        "metadata.a",
        "max_output_tokens",
    ] {
        assert_eq!(found.iter().filter(|found| *found == field).count(), 1, "{field}: {found:?}");
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn what_is_missing_or_excludes_each_other_is_told() {
    let app = TestApp::start().await;
    for (body, field) in [
        (json!({"model": "gpt-4o-mini"}), "input"),
        (asking(Value::Null), "input"),
        (asking(json!({})), "input"),
        (with(asking("a"), "conversation", json!({})), "conversation.id"),
        (with(asking("a"), "conversation", json!({"id": "a#b"})), "conversation.id"),
        (with(asking("a"), "conversation", ""), "conversation"),
        (with(with(asking("a"), "conversation", "c"), "previous_response_id", "resp_1"), "previous_response_id"),
        (with(with(asking("a"), "store", false), "background", true), "background"),
        (with(with(asking("a"), "store", false), "conversation", "c"), "store"),
        (with(asking("a"), "truncation", "sometimes"), "truncation"),
        (with(asking("a"), "include", json!([1])), "include[0]"),
        (with(asking("a"), "service_tier", "best"), "service_tier"),
        (with(asking("a"), "user", 1), "user"),
    ] {
        assert_eq!(fields(&app, &body).await, [field], "{body}");
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let app = TestApp::start().await;
    for key in ["", "a#b", &"k".repeat(256)] {
        let reply = app.post_with(RESPONSES, &[("idempotency-key", key)], &asking("a")).await;
        check_error(&reply, 400, "invalid_request", "Idempotency-Key");
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn every_route_asks_for_a_key() {
    let app = TestApp::start().await;
    for (method, path) in [
        ("POST", RESPONSES),
        ("POST", "/v1/responses/compact"),
        ("POST", "/v1/responses/input_tokens"),
        ("GET", "/v1/responses/resp_Yzp0"),
        ("DELETE", "/v1/responses/resp_Yzp0"),
        ("POST", "/v1/responses/resp_Yzp0/cancel"),
        ("GET", "/v1/responses/resp_Yzp0/input_items"),
    ] {
        let request = app.request_without_key(method.parse().unwrap(), path);
        assert_eq!(turnwise_tests::app::Reply::of(request).await.status, 401, "{method} {path}");
    }
}

#[tokio::test]
async fn an_input_that_no_turn_can_keep_is_too_large() {
    /// Bytes of an item and of the parameters around its text.
    const AROUND: usize = 140;
    let app = TestApp::start().await;
    let fits = "a".repeat(MAX_RESPONSE_INPUT_BYTES - AROUND);
    super::respond(&app, &asking(fits.clone())).await;
    let too_long = format!("{fits}{}", "a".repeat(AROUND));
    for body in [asking(too_long.clone()), with(asking(fits), "instructions", "a".repeat(AROUND))] {
        check_error(&app.post(RESPONSES, &body).await, 413, "field_too_large", "input");
    }
    assert_eq!(app.provider.calls(), 1);
    // What is not kept may be as long as a body.
    super::respond(&app, &with(asking(too_long), "store", false)).await;
}
