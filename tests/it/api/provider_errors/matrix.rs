//! Signal by signal: category, status, code, severity, and whether it is tried again.

use serde_json::{Value, json};
use turnwise_tests::app::{PROVIDER_KEY, Reply, TestApp};
use turnwise_tests::scripted::{Script, ScriptedProvider};

use super::super::retries::policy;
use super::super::{COMPLETIONS, check_error};

/// A provider of ours: its name, what its base URL ends in, a model of it.
#[derive(Debug, Clone, Copy)]
struct Upstream(&'static str, &'static str, &'static str);

const OPENAI: Upstream = Upstream("openai", "/v1", "openai/gpt-4o-mini");
const ANTHROPIC: Upstream = Upstream("anthropic", "", "anthropic/claude-sonnet-4-5");
const GEMINI: Upstream = Upstream("gemini", "/v1beta", "gemini/gemini-2.5-flash");
const OPENROUTER: Upstream = Upstream("openrouter", "/api/v1", "openrouter/openai/gpt-4o-mini");
const OLLAMA: Upstream = Upstream("ollama", "/v1", "ollama/llama3");

/// What the client gets: status, category, code, severity, `retryable`.
type Expected = (u16, &'static str, &'static str, &'static str, bool);

const UPSTREAM: Expected = (502, "API_ERROR", "upstream_error", "HIGH", true);
const SPENT: Expected = (502, "COST_LIMIT_ERROR", "insufficient_quota", "HIGH", false);
const LIMITED: Expected = (429, "RATE_LIMIT_ERROR", "rate_limit_exceeded", "LOW", true);
const LATE: Expected = (504, "TIMEOUT_ERROR", "timeout", "MEDIUM", true);
const KEY_REFUSED: Expected = (502, "AUTHENTICATION_ERROR", "provider_auth_failed", "CRITICAL", false);
const DENIED: Expected = (502, "AUTHORIZATION_ERROR", "provider_access_denied", "HIGH", false);
const BLOCKED: Expected = (403, "AUTHORIZATION_ERROR", "content_blocked", "MEDIUM", false);
const ABSENT: Expected = (404, "NOT_FOUND_ERROR", "model_not_found", "LOW", false);
const INVALID: Expected = (400, "VALIDATION_ERROR", "invalid_request", "LOW", false);
const TOO_LARGE: Expected = (413, "VALIDATION_ERROR", "request_too_large", "LOW", false);
const UNREACHED: Expected = (502, "NETWORK_ERROR", "network_error", "MEDIUM", true);

/// Calls that one request makes of a provider that goes on failing, where that may pass.
const ALL_CALLS: usize = 4;

/// Checks what comes of `script`: with calls that are repeated, whole and as a stream, and
/// with one call a request.
async fn check(upstream: Upstream, script: Script, expected: Expected) {
    check_asked(upstream, &script, expected, true).await;
    check_asked(upstream, &script, expected, false).await;
    let (app, provider) = start(upstream, &script, false).await;
    let reply = ask(&app, upstream, false).await;
    check_reply(&reply, &script, expected);
    let should_retry = if expected.4 { "" } else { "false" };
    assert_eq!((reply.header("x-should-retry"), provider.calls()), (should_retry, 1), "{script:?}");
}

/// The same with calls that are repeated, and as a stream or whole.
async fn check_asked(upstream: Upstream, script: &Script, expected: Expected, stream: bool) {
    let (app, provider) = start(upstream, script, true).await;
    let reply = ask(&app, upstream, stream).await;
    check_reply(&reply, script, expected);
    // Whoever repeats the request at once only multiplies the calls.
    let calls = if expected.4 { ALL_CALLS } else { 1 };
    assert_eq!((reply.header("x-should-retry"), provider.calls()), ("false", calls), "{script:?}");
}

fn check_reply(reply: &Reply, script: &Script, (status, category, code, severity, retryable): Expected) {
    let error = reply.json()["error"].take();
    let seen = (&error["category"], &error["code"], &error["severity"], &error["retryable"]);
    let expected = (&json!(category), &json!(code), &json!(severity), &json!(retryable));
    assert_eq!(seen, expected, "{script:?}: {error}");
    check_error(reply, status, code, error["param"].as_str().unwrap_or_default());
    assert!(!reply.text().contains(PROVIDER_KEY) && !reply.text().contains("127.0.0.1"), "{error}");
}

async fn start(upstream: Upstream, script: &Script, repeats: bool) -> (TestApp, ScriptedProvider) {
    let provider = ScriptedProvider::start().await;
    provider.otherwise(script.clone());
    let base_url = format!("{}{}", provider.address(), upstream.1);
    let app = TestApp::builder().with_provider(upstream.0, &base_url, PROVIDER_KEY);
    let app = if repeats { app.with_calls(policy()) } else { app };
    (app.start().await, provider)
}

async fn ask(app: &TestApp, upstream: Upstream, stream: bool) -> Reply {
    let messages = json!([{"role": "user", "content": "hello"}]);
    app.post(COMPLETIONS, &json!({"model": upstream.2, "messages": messages, "stream": stream})).await
}

/// A refusal with an `error` object of these fields.
fn refusal(status: u16, fields: Value) -> Script {
    Script::refuse_with(status, &json!({ "error": fields }))
}

#[tokio::test]
async fn openai() {
    let error = |kind: &str, code: &str| json!({"message": "m", "type": kind, "param": null, "code": code});
    for (script, expected) in [
        (refusal(429, error("insufficient_quota", "insufficient_quota")), SPENT),
        (refusal(429, error("requests", "rate_limit_exceeded")).header("retry-after-ms", "1"), LIMITED),
        (refusal(401, error("invalid_request_error", "invalid_api_key")), KEY_REFUSED),
        (refusal(403, error("invalid_request_error", "unsupported_country_region_territory")), DENIED),
        (refusal(404, error("invalid_request_error", "model_not_found")), ABSENT),
        (refusal(500, error("server_error", "")), UPSTREAM),
        (refusal(503, error("service_unavailable", "")), UPSTREAM),
        (Script::hang_up(), UNREACHED),
    ] {
        check(OPENAI, script, expected).await;
    }
}

#[tokio::test]
async fn anthropic() {
    let error = |status: u16, kind: &str, message: &str| {
        let error = json!({"type": kind, "message": message});
        Script::refuse_with(status, &json!({"type": "error", "error": error, "request_id": "req_011C"}))
    };
    for (script, expected) in [
        (error(529, "overloaded_error", "Overloaded"), UPSTREAM),
        (error(500, "api_error", "Internal server error"), UPSTREAM),
        (error(504, "timeout_error", "Timed out"), LATE),
        (error(402, "billing_error", "Pay first."), SPENT),
        (error(400, "invalid_request_error", "Your credit balance is too low to access the API."), SPENT),
        (error(400, "invalid_request_error", "You have reached your specified API usage limits."), SPENT),
        (error(429, "rate_limit_error", "This would exceed your workspace's spend limit."), SPENT),
        (error(429, "rate_limit_error", "Slow down.").header("retry-after-ms", "1"), LIMITED),
        (error(413, "request_too_large", "Request exceeds the maximum size"), TOO_LARGE),
        (error(400, "invalid_request_error", "max_tokens: Field required"), INVALID),
        (error(401, "authentication_error", "invalid x-api-key"), KEY_REFUSED),
        (error(403, "permission_error", "Not for your key."), DENIED),
        (error(404, "not_found_error", "model: claude-0"), ABSENT),
    ] {
        check(ANTHROPIC, script, expected).await;
    }
}

#[tokio::test]
async fn gemini() {
    let error = |status: u16, name: &str, details: Value| {
        let body = json!({"error": {"code": status, "message": "m", "status": name, "details": details}});
        Script::refuse_with(status, &body)
    };
    let reason = |reason: &str| json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]);
    let pause = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.001s"}]);
    for (script, expected) in [
        (error(400, "INVALID_ARGUMENT", reason("API_KEY_INVALID")), KEY_REFUSED),
        (error(400, "INVALID_ARGUMENT", json!([])), INVALID),
        (error(402, "RESOURCE_EXHAUSTED", json!([])), SPENT),
        (error(403, "PERMISSION_DENIED", json!([])), DENIED),
        (error(403, "PERMISSION_DENIED", reason("BILLING_DISABLED")), SPENT),
        (error(404, "NOT_FOUND", json!([])), ABSENT),
        (error(429, "RESOURCE_EXHAUSTED", pause), LIMITED),
        (error(429, "RESOURCE_EXHAUSTED", json!([{"violations": [{"quotaId": "RequestsPerDay"}]}])), SPENT),
        (error(500, "INTERNAL", json!([])), UPSTREAM),
        (error(503, "UNAVAILABLE", json!([])), UPSTREAM),
        (error(504, "DEADLINE_EXCEEDED", json!([])), LATE),
    ] {
        check(GEMINI, script, expected).await;
    }
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    check_asked(GEMINI, &Script::refuse_with(200, &blocked), BLOCKED, false).await;
}

#[tokio::test]
async fn openrouter() {
    let moderated = json!({"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"]}});
    for (script, expected) in [
        (refusal(402, json!({"code": 402, "message": "Insufficient credits"})), SPENT),
        (refusal(403, moderated), BLOCKED),
        (refusal(408, json!({"code": 408, "message": "Timed out"})), LATE),
        (refusal(502, json!({"code": 502, "message": "Provider returned error"})), UPSTREAM),
        // HTTP 200, and the error in the body.
        (refusal(200, json!({"code": 402, "message": "m"})), SPENT),
        (refusal(200, json!({"code": 429, "message": "m"})), LIMITED),
        (refusal(200, json!({"code": 408, "message": "m"})), LATE),
        (refusal(200, json!({"code": 502, "message": "m"})), UPSTREAM),
        (refusal(200, json!({"code": 401, "message": "m"})), KEY_REFUSED),
    ] {
        check(OPENROUTER, script, expected).await;
    }
}

#[tokio::test]
async fn an_error_among_the_events_of_openrouter() {
    for (code, expected) in [(402, SPENT), (408, LATE), (429, LIMITED), (502, UPSTREAM)] {
        let event = format!("data: {{\"error\":{{\"code\":{code},\"message\":\"m\"}},\"choices\":[]}}\n\n");
        let script = Script::pieces(&[b": OPENROUTER PROCESSING\n\n", event.as_bytes()]);
        check_asked(OPENROUTER, &script, expected, true).await;
    }
}

/// As its endpoint for OpenAI's format shows them.
#[tokio::test]
async fn bedrock() {
    let error = |status: u16, name: &str| {
        let body = json!({"__type": format!("com.amazon.coral.service#{name}"), "message": "m"});
        Script::refuse_with(status, &body)
    };
    for (script, expected) in [
        (error(429, "ThrottlingException"), LIMITED),
        (error(429, "ModelNotReadyException"), UPSTREAM),
        (error(408, "ModelTimeoutException"), LATE),
        (error(424, "ModelErrorException"), UPSTREAM),
        (error(403, "AccessDeniedException"), DENIED),
    ] {
        check(OPENAI, script, expected).await;
    }
}

#[tokio::test]
async fn ollama() {
    let absent = json!({"message": "model \"llama3\" not found, try pulling it first", "type": "api_error"});
    check(OLLAMA, refusal(404, absent), ABSENT).await;

    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/v1", socket.local_addr().unwrap());
    drop(socket);
    let app = TestApp::builder().with_provider(OLLAMA.0, &base_url, PROVIDER_KEY).with_calls(policy());
    let reply = ask(&app.start().await, OLLAMA, false).await;
    check_reply(&reply, &Script::hang_up(), UNREACHED);
    assert!(reply.text().contains("4 calls were made"), "{}", reply.text());
}

#[tokio::test]
async fn the_refusal_of_our_key_is_never_the_refusal_of_the_clients() {
    for upstream in [OPENAI, ANTHROPIC, GEMINI, OPENROUTER, OLLAMA] {
        for body in [json!(null), json!("no"), json!({"error": {"code": 401, "type": "authentication_error"}})] {
            for stream in [false, true] {
                let (app, _provider) = start(upstream, &Script::refuse_with(401, &body), false).await;
                let reply = ask(&app, upstream, stream).await;
                check_reply(&reply, &Script::refuse_with(401, &body), KEY_REFUSED);
                assert_eq!(reply.header("www-authenticate"), "");
            }
        }
    }
}
