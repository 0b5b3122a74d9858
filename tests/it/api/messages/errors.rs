//! Errors in Anthropic's shape, whoever makes them.

use http::Method;
use serde_json::json;
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::Script;

use super::{MESSAGES, check_error, check_error_body, echo, put_together, say, with};
use crate::api::redacted;

#[tokio::test]
async fn an_error_is_in_anthropics_shape() {
    let app = TestApp::start().await;
    let reply = app.post(MESSAGES, &json!({"model": "local/echo", "max_tokens": 1, "messages": []})).await;
    check_error(&reply, 400, "invalid_request_error", "invalid_request");
    insta::assert_json_snapshot!(redacted(reply.json()), @r#"
    {
      "error": {
        "category": "VALIDATION_ERROR",
        "code": "invalid_request",
        "faults": [
          {
            "field": "messages",
            "message": "At least one message is required."
          }
        ],
        "message": "messages: At least one message is required.",
        "param": "messages",
        "request_id": "[request_id]",
        "retry_after_s": null,
        "retryable": false,
        "severity": "LOW",
        "type": "invalid_request_error",
        "user_message": "Something in the request isn't valid: messages."
      },
      "request_id": "[request_id]",
      "type": "error"
    }
    "#);
}

#[tokio::test]
async fn errors_that_no_handler_makes_are_in_the_routes_shape() {
    let app = TestApp::start().await;
    let without_key = |path: &str| app.request_without_key(Method::POST, path).body("{}");
    for path in [MESSAGES, "/v1/messages/count_tokens"] {
        let reply = Reply::of(without_key(path)).await;
        check_error(&reply, 401, "authentication_error", "invalid_api_key");
        check_error(
            &Reply::of(app.request(Method::GET, path)).await,
            405,
            "invalid_request_error",
            "method_not_allowed",
        );
    }
    let batches = app.post("/v1/messages/batches", &json!({})).await;
    check_error(&batches, 404, "not_found_error", "route_not_found");
    let large = app.request(Method::POST, MESSAGES).body(" ".repeat(2 * 1024 * 1024));
    check_error(&Reply::of(large).await, 413, "request_too_large", "body_too_large");
    let broken = app.request(Method::POST, MESSAGES).body("{");
    check_error(&Reply::of(broken).await, 400, "invalid_request_error", "invalid_request");

    let other = Reply::of(without_key("/v1/chat/completions")).await;
    assert_eq!(other.json()["error"]["type"], "authentication_error");
    assert!(other.json().get("type").is_none() && other.header("request-id").is_empty());
}

#[tokio::test]
async fn an_upstreams_refusal_has_its_type_and_says_whether_to_try_again() {
    let app = TestApp::start().await;
    for (status, ours, kind, code) in [
        (429, 429, "rate_limit_error", "rate_limit_exceeded"),
        (500, 502, "api_error", "upstream_error"),
        (504, 504, "timeout_error", "timeout"),
        (401, 502, "api_error", "provider_auth_failed"),
    ] {
        for stream in [false, true] {
            app.provider.otherwise(Script::refuse(status).header("retry-after", "1"));
            let reply = app.post(MESSAGES, &with(say("hello"), "stream", stream)).await;
            check_error(&reply, ours, kind, code);
            assert_eq!(reply.header("x-should-retry") == "false", status == 401, "{status}");
        }
    }
    let app = TestApp::builder().without_openai().start().await;
    let unknown = app.post(MESSAGES, &with(say("hello"), "model", "no/such-model")).await;
    check_error(&unknown, 404, "not_found_error", "model_not_found");
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error_event() {
    let app = TestApp::start().await;
    let events = app.sse(MESSAGES, &echo("one two three four", &json!({"stream": true, "echo_fail_after": 3}))).await;
    let (error, told) = events.split_last().unwrap();
    assert_eq!(error.event, "error");
    check_error_body(&error.json(), "api_error", "upstream_error");
    assert!(error.json()["request_id"].as_str().unwrap().starts_with("req_"));
    let names: Vec<&str> = told.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "content_block_delta"]);
    assert!(!names.contains(&"message_stop"));

    app.provider.otherwise(Script::answer("whole again"));
    put_together(&app.sse(MESSAGES, &with(say("hello"), "stream", true)).await);
}
