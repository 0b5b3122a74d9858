//! What a provider's refusal becomes. `matrix` goes through the signals of each provider.

mod matrix;

use serde_json::{Value, json};
use turnwise_tests::app::{PROVIDER_KEY, TestApp};
use turnwise_tests::scripted::Script;

use super::{ROUTES, ask, check_error};

/// Status and body of a refusal, and what the client gets for it.
type Row = (u16, Value, u16, &'static str, &'static str, bool);

async fn check((upstream, body, status, code, category, retryable): &Row) {
    for path in ROUTES {
        for headers in [&[][..], &[("idempotency-key", "s:1")]] {
            let app = TestApp::start().await;
            app.provider.enqueue(Script::refuse_with(*upstream, body));
            let reply = app.post_with(path, headers, &ask(path, "hello")).await;
            let param = reply.json()["error"]["param"].as_str().unwrap_or_default().to_owned();
            check_error(&reply, *status, code, &param);
            let error = &reply.json()["error"];
            assert_eq!((&error["category"], &error["retryable"]), (&json!(category), &json!(retryable)), "{error}");
            let should_retry = if *retryable { "" } else { "false" };
            assert_eq!(reply.header("x-should-retry"), should_retry);
            assert!(!reply.text().contains(PROVIDER_KEY) && !reply.text().contains("127.0.0.1"), "{error}");
            assert_eq!(app.provider.calls(), 1);
        }
    }
}

fn error(fields: Value) -> Value {
    json!({ "error": fields })
}

#[tokio::test]
async fn a_status_becomes_a_category_of_ours() {
    let plain = || error(json!({"message": "scripted refusal"}));
    let rows: [Row; 12] = [
        (400, plain(), 400, "invalid_request", "VALIDATION_ERROR", false),
        (401, plain(), 502, "provider_auth_failed", "AUTHENTICATION_ERROR", false),
        (402, plain(), 502, "insufficient_quota", "COST_LIMIT_ERROR", false),
        (403, plain(), 502, "provider_access_denied", "AUTHORIZATION_ERROR", false),
        (404, plain(), 404, "model_not_found", "NOT_FOUND_ERROR", false),
        (413, plain(), 413, "request_too_large", "VALIDATION_ERROR", false),
        (422, plain(), 400, "invalid_request", "VALIDATION_ERROR", false),
        (429, plain(), 429, "rate_limit_exceeded", "RATE_LIMIT_ERROR", true),
        (500, plain(), 502, "upstream_error", "API_ERROR", true),
        (503, plain(), 502, "upstream_error", "API_ERROR", true),
        (504, plain(), 504, "timeout", "TIMEOUT_ERROR", true),
        (529, plain(), 502, "upstream_error", "API_ERROR", true),
    ];
    for row in rows {
        check(&row).await;
    }
}

#[tokio::test]
async fn a_name_can_say_more_than_a_status() {
    let rows: [Row; 4] = [
        (429, error(json!({"code": "insufficient_quota"})), 502, "insufficient_quota", "COST_LIMIT_ERROR", false),
        (
            400,
            error(json!({"code": "context_length_exceeded", "message": "too long", "param": "messages"})),
            400,
            "context_length_exceeded",
            "VALIDATION_ERROR",
            false,
        ),
        (
            200,
            error(json!({"code": 429, "message": "slow down"})),
            429,
            "rate_limit_exceeded",
            "RATE_LIMIT_ERROR",
            true,
        ),
        (200, json!({"choices": []}), 502, "malformed_answer", "API_ERROR", true),
    ];
    for row in rows {
        check(&row).await;
    }
}

#[tokio::test]
async fn the_pause_that_a_provider_asks_for_is_passed_on() {
    let rows = [
        (("retry-after-ms", "1500"), ("2", "1500", json!(1.5))),
        (("retry-after", "7"), ("7", "7000", json!(7.0))),
        (("retry-after", "61"), ("", "", Value::Null)),
        (("retry-after", "0"), ("", "", Value::Null)),
    ];
    for ((name, value), (after, after_ms, after_s)) in rows {
        for path in ROUTES {
            let app = TestApp::start().await;
            app.provider.enqueue(Script::refuse(429).header(name, value));
            let reply = app.post(path, &ask(path, "hello")).await;
            assert_eq!(reply.status, 429);
            assert_eq!(
                (reply.header("retry-after"), reply.header("retry-after-ms")),
                (after, after_ms),
                "{name}: {value}"
            );
            assert_eq!(reply.json()["error"]["retry_after_s"], after_s);
        }
    }
}

#[tokio::test]
async fn what_a_provider_says_of_the_request_is_for_the_client() {
    let app = TestApp::start().await;
    let words = json!({"error": {"message": "Unsupported value: 'temperature'", "param": "temperature"}});
    app.provider.enqueue(Script::refuse_with(400, &words));
    let reply = app.post(ROUTES[1], &ask(ROUTES[1], "hello")).await;
    check_error(&reply, 400, "invalid_request", "temperature");
    assert!(reply.text().contains("Unsupported value: 'temperature'"), "{}", reply.text());
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_a_network_error() {
    let app = TestApp::start().await;
    app.provider.otherwise(Script::hang_up());
    for path in ROUTES {
        let reply = app.post(path, &ask(path, "hello")).await;
        check_error(&reply, 502, "network_error", "");
    }
}
