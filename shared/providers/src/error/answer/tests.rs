use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;

use super::*;

fn target() -> Target {
    Target { provider: "openai".to_owned(), model: "gpt-x".to_owned() }
}

fn refusal(status: u16, body: &Value) -> Error {
    refused(&target(), status, &HeaderMap::new(), body.to_string().as_bytes())
}

#[test]
fn every_status_has_its_category() {
    use Category::*;
    use Dispatched::*;
    let rows = [
        (302, ApiError, "unexpected_redirect", false, No),
        (400, ValidationError, "invalid_request", false, No),
        (401, AuthenticationError, "provider_auth_failed", false, No),
        (402, CostLimitError, "insufficient_quota", false, No),
        (403, AuthorizationError, "provider_access_denied", false, No),
        (404, NotFoundError, "model_not_found", false, No),
        (408, TimeoutError, "timeout", true, Maybe),
        (409, ApiError, "upstream_error", true, No),
        (413, ValidationError, "request_too_large", false, No),
        (418, ValidationError, "invalid_request", false, No),
        (422, ValidationError, "invalid_request", false, No),
        (424, ApiError, "upstream_error", true, Maybe),
        (429, RateLimitError, "rate_limit_exceeded", true, No),
        (500, ApiError, "upstream_error", true, Maybe),
        (501, ApiError, "upstream_error", false, Maybe),
        (502, ApiError, "upstream_error", true, Maybe),
        (503, ApiError, "upstream_error", true, No),
        (504, TimeoutError, "timeout", true, Maybe),
        (529, ApiError, "upstream_error", true, No),
    ];
    for (status, category, code, retryable, dispatched) in rows {
        let error = refusal(status, &json!({"error": {"message": "no"}}));
        let seen = (error.category, &*error.code, error.retryable, error.dispatched);
        assert_eq!(seen, (category, code, retryable, dispatched), "HTTP {status}");
    }
}

#[test]
fn a_name_can_be_more_exact_than_its_status() {
    let rows = [
        (429, json!({"error": {"code": "insufficient_quota"}}), Category::CostLimitError, "insufficient_quota"),
        (429, json!({"error": {"type": "insufficient_quota"}}), Category::CostLimitError, "insufficient_quota"),
        (429, json!({"error": {"type": "invalid_request_error"}}), Category::RateLimitError, "rate_limit_exceeded"),
        (400, json!({"error": {"code": "API_KEY_INVALID"}}), Category::AuthenticationError, "provider_auth_failed"),
        (403, json!({"error": {"code": "model_not_found"}}), Category::NotFoundError, "model_not_found"),
        (
            403,
            json!({"error": {"code": 403, "metadata": {"reasons": ["violence"]}}}),
            Category::AuthorizationError,
            "content_blocked",
        ),
        (401, json!({"error": {"code": "insufficient_quota"}}), Category::AuthenticationError, "provider_auth_failed"),
        (500, json!({"error": {"code": "invalid_api_key"}}), Category::ApiError, "upstream_error"),
    ];
    for (status, body, category, code) in rows {
        let error = refusal(status, &body);
        assert_eq!((error.category, &*error.code), (category, code), "HTTP {status} {body}");
    }
}

#[test]
fn googles_details_are_more_exact_than_its_status() {
    let error = |status: u16, name: &str, details: Value| {
        let body = json!({"error": {"code": status, "message": "m", "status": name, "details": details}});
        refusal(status, &body)
    };
    let pause = |seconds: &str| json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": seconds});
    let quota =
        |id: &str| json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]});
    let rows = [
        (error(400, "INVALID_ARGUMENT", json!([{"reason": "API_KEY_INVALID"}])), "provider_auth_failed", None),
        (error(400, "INVALID_ARGUMENT", json!([])), "invalid_request", None),
        (error(402, "RESOURCE_EXHAUSTED", json!([])), "insufficient_quota", None),
        (error(403, "PERMISSION_DENIED", json!([])), "provider_access_denied", None),
        (error(403, "PERMISSION_DENIED", json!([{"reason": "API_KEY_INVALID"}])), "provider_auth_failed", None),
        (error(403, "PERMISSION_DENIED", json!([{"reason": "BILLING_DISABLED"}])), "insufficient_quota", None),
        (error(404, "NOT_FOUND", json!(null)), "model_not_found", None),
        (error(429, "RESOURCE_EXHAUSTED", json!([pause("17s")])), "rate_limit_exceeded", Some(17_000)),
        (error(429, "RESOURCE_EXHAUSTED", json!([pause("0.5s")])), "rate_limit_exceeded", Some(500)),
        (error(429, "RESOURCE_EXHAUSTED", json!([pause("61s")])), "rate_limit_exceeded", None),
        (error(429, "RESOURCE_EXHAUSTED", json!([quota("RequestsPerMinute")])), "rate_limit_exceeded", None),
        (error(429, "RESOURCE_EXHAUSTED", json!([quota("RequestsPerDay"), pause("17s")])), "insufficient_quota", None),
        (error(500, "INTERNAL", json!(7)), "upstream_error", None),
        (error(503, "UNAVAILABLE", json!([pause("2s")])), "upstream_error", Some(2_000)),
        (error(504, "DEADLINE_EXCEEDED", json!([])), "timeout", None),
    ];
    for (error, code, pause_ms) in rows {
        assert_eq!((&*error.code, error.retry_after), (code, pause_ms.map(Duration::from_millis)), "{error}");
    }
}

#[test]
fn bedrock_says_in_aws_names_what_its_status_does_not() {
    let rows = [
        (429, "ThrottlingException", "rate_limit_exceeded", true),
        (429, "ModelNotReadyException", "upstream_error", true),
        (408, "ModelTimeoutException", "timeout", true),
        (424, "ModelErrorException", "upstream_error", true),
        (403, "AccessDeniedException", "provider_access_denied", false),
        (400, "AccessDeniedException", "provider_access_denied", false),
        (400, "ValidationException", "invalid_request", false),
    ];
    for (status, name, code, retryable) in rows {
        let bodies = [
            json!({"__type": format!("com.amazon.coral.service#{name}"), "message": "m"}),
            json!({"error": {"type": name, "message": "m"}}),
        ];
        for body in bodies {
            let error = refusal(status, &body);
            assert_eq!((&*error.code, error.retryable), (code, retryable), "HTTP {status} {body}");
        }
        let value = HeaderValue::from_str(&format!("{name}:http://internal.amazon.com/")).unwrap();
        let headers = [(HeaderName::from_static("x-amzn-errortype"), value)].into_iter().collect();
        let error = refused(&target(), status, &headers, br#"{"message": "m"}"#);
        assert_eq!((&*error.code, error.retryable), (code, retryable), "HTTP {status} {name}");
    }
}

#[test]
fn an_empty_purse_is_told_by_its_words() {
    let purse = (Category::CostLimitError, "insufficient_quota");
    let invalid = (Category::ValidationError, "invalid_request");
    let rows = [
        (400, "invalid_request_error", "Your credit balance is too low to access the API.", purse),
        (400, "invalid_request_error", "You have reached your specified API usage limits.", purse),
        (400, "invalid_request_error", "messages.0: \"Your credit balance is too low\" is no role", invalid),
        (400, "invalid_request_error", "a text about a spend limit", invalid),
        (429, "rate_limit_error", "This exceeds your workspace's spend limit.", purse),
        (429, "rate_limit_error", "Slow down.", (Category::RateLimitError, "rate_limit_exceeded")),
        (402, "billing_error", "Pay first.", purse),
    ];
    for (status, kind, message, expected) in rows {
        let body = json!({"type": "error", "error": {"type": kind, "message": message}});
        let error = refusal(status, &body);
        assert_eq!((error.category, &*error.code), expected, "HTTP {status} {message}");
        let error = in_body(&target(), &body);
        assert_eq!((error.category, &*error.code), expected, "in a body: {message}");
    }
}

#[test]
fn a_pause_in_a_header_goes_before_one_in_the_body() {
    let body = br#"{"error": {"details": [{"retryDelay": "9s"}]}}"#;
    let headers = [(HeaderName::from_static("retry-after"), HeaderValue::from_static("2"))].into_iter().collect();
    assert_eq!(refused(&target(), 429, &headers, body).retry_after, Some(Duration::from_secs(2)));
    assert_eq!(refused(&target(), 429, &HeaderMap::new(), body).retry_after, Some(Duration::from_secs(9)));
}

#[test]
fn an_error_in_a_body_goes_by_its_code() {
    let rows = [
        (json!({"error": {"code": 402, "message": "credits"}}), Category::CostLimitError, "insufficient_quota"),
        (json!({"error": {"code": "429"}}), Category::RateLimitError, "rate_limit_exceeded"),
        (json!({"error": {"code": 502}}), Category::ApiError, "upstream_error"),
        (json!({"error": {"type": "rate_limit_error"}}), Category::RateLimitError, "rate_limit_exceeded"),
        (json!({"error": {"type": "overloaded_error"}}), Category::ApiError, "upstream_error"),
        (json!({"error": {"type": "api_error"}}), Category::ApiError, "upstream_error"),
        (json!({"error": {"type": "timeout_error"}}), Category::TimeoutError, "timeout"),
        (json!({"error": {"type": "billing_error"}}), Category::CostLimitError, "insufficient_quota"),
        (json!({"error": {"type": "authentication_error"}}), Category::AuthenticationError, "provider_auth_failed"),
        (json!({"error": {"type": "permission_error"}}), Category::AuthorizationError, "provider_access_denied"),
        (json!({"error": {"type": "not_found_error"}}), Category::NotFoundError, "model_not_found"),
        (json!({"error": {"type": "request_too_large"}}), Category::ValidationError, "request_too_large"),
        (json!({"error": {"type": "invalid_request_error"}}), Category::ValidationError, "invalid_request"),
        (json!({"error": {"code": "server_error"}}), Category::ApiError, "upstream_error"),
        (json!({"error": "out of memory"}), Category::ApiError, "upstream_error"),
        (json!({"object": "error", "code": 400}), Category::ValidationError, "invalid_request"),
        (json!([{"error": {"code": 503}}]), Category::ApiError, "upstream_error"),
    ];
    for (body, category, code) in rows {
        let error = in_body(&target(), &body);
        let seen = (error.category, &*error.code, error.dispatched);
        assert_eq!(seen, (category, code, Dispatched::Maybe), "{body}");
    }
}

#[test]
fn a_validation_error_keeps_what_helps_its_client() {
    let body = json!({"error": {"message": "Too long: «my secret diary»", "type": "invalid_request_error",
                                "param": "messages", "code": "context_length_exceeded"}});
    let error = refusal(400, &body);
    assert_eq!((&*error.code, error.param.as_deref()), ("context_length_exceeded", Some("messages")));
    assert_eq!(error.detail.as_ref().map(Secret::expose), Some("Too long: «my secret diary»"));
    assert_eq!(error.to_string(), "openai/gpt-x answered with HTTP 400: it refused the request as invalid (messages).");
}

#[test]
fn dialects_of_the_error_body_are_understood() {
    let rows = [
        (json!({"object": "error", "message": "m", "type": "BadRequestError", "param": null, "code": 400}), "m"),
        (json!({"object": "error", "message": {"detail": ["x"]}, "code": null}), r#"{"detail":["x"]}"#),
        (json!({"code": "Client specified an invalid argument", "error": "m"}), "m"),
        (json!({"detail": [{"loc": ["body"]}]}), r#"[{"loc":["body"]}]"#),
        (json!([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}]), "m"),
    ];
    for (body, detail) in rows {
        let error = refusal(422, &body);
        assert_eq!(
            (error.detail.as_ref().map(Secret::expose), &*error.code),
            (Some(detail), "invalid_request"),
            "{body}"
        );
    }
    assert_eq!(refused(&target(), 400, &HeaderMap::new(), b"<html>").detail, None);
}

#[test]
fn a_rejected_key_is_not_repeated() {
    let error = refusal(401, &json!({"error": {"message": "Incorrect API key provided: sk-123"}}));
    assert!(!format!("{error:?}").contains("sk-123"));
}

#[test]
fn an_upstreams_words_stay_out_of_logs() {
    let error = refusal(400, &json!({"error": {"message": "Bad word: diary"}}));
    assert!(!format!("{error:?} {error}").contains("diary"));
}

#[test]
fn a_pause_is_taken_within_its_limits() {
    let check = |headers: &[(&'static str, &'static str)], expected_ms: Option<u64>| {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let error = refused(&target(), 429, &headers, b"{}");
        assert_eq!(error.retry_after, expected_ms.map(Duration::from_millis), "{headers:?}");
    };
    check(&[("retry-after", "2")], Some(2000));
    check(&[("retry-after", "1.5")], Some(1500));
    check(&[("retry-after", "60")], Some(60_000));
    check(&[("retry-after", "61")], None);
    check(&[("retry-after", "0")], None);
    check(&[("retry-after", "-1")], None);
    check(&[("retry-after", "NaN")], None);
    check(&[("retry-after", "2"), ("retry-after-ms", "250")], Some(250));
    check(&[("retry-after", "2"), ("retry-after-ms", "90000")], Some(2000));
}
