//! What is logged: which request, which turn, what became of it; no key, no prompt.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, Once};

use serde_json::{Value, json};
use tracing::Level;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::prelude::*;
use turnwise_tests::app::{KEY, PROVIDER_KEY, TestApp};
use turnwise_tests::scripted::Script;

use super::{CHAT, COMPLETIONS, ROUTES, ask_as};

/// Words that clients and upstreams say.
const PROMPT: &str = "prompt-canary-31";
const ANSWER: &str = "answer-canary-47";
const REFUSAL: &str = "refusal-canary-59";

thread_local! {
    /// Where this thread's logs go, while a test captures them.
    static CAPTURED: RefCell<Option<Captured>> = const { RefCell::new(None) };
}

/// All that is logged, as lines of JSON.
#[derive(Debug, Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Logs of this thread, on which its test's whole runtime runs: ours down to the
    /// last detail, those of the libraries as an operator would have them.
    pub(super) fn begin() -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            // One subscriber for all threads: what a call site is worth is cached
            // for the process, not for each thread's own.
            let wanted = dynamic_filter_fn(|metadata, _| {
                let detail = metadata.target().starts_with("turnwise") || *metadata.level() <= Level::INFO;
                detail && CAPTURED.with_borrow(Option::is_some)
            });
            let writer = || CAPTURED.with_borrow(Option::clone).unwrap_or_default();
            let layer = tracing_subscriber::fmt::layer().json().with_writer(writer).with_filter(wanted);
            tracing_subscriber::registry().with(layer).init();
        });
        let captured = Self::default();
        CAPTURED.set(Some(captured.clone()));
        captured
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// All lines, whoever wrote them.
    fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The lines of requests, those that failed among them.
    fn requests(&self) -> Vec<Value> {
        let fields = self.lines().into_iter().map(|line| line["fields"].clone());
        let of_requests = |fields: &Value| matches!(fields["message"].as_str(), Some("request" | "request failed"));
        fields.filter(of_requests).collect()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn keys_prompts_and_answers_stay_out_of_the_log() {
    let captured = Captured::begin();
    let app = TestApp::start().await;
    let refusal = json!({"error": {"message": format!("{REFUSAL}: {PROMPT}")}});
    let scripts = [
        Script::answer(ANSWER),
        Script::refuse_with(400, &refusal),
        Script::refuse_with(401, &refusal),
        Script::refuse_with(500, &refusal),
        Script::chunks([ANSWER, ANSWER]).cut_after(1),
        Script::chunks([ANSWER, ANSWER]).malformed_after(1),
        Script::hang_up(),
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        app.provider.on_text(&format!("<{number}>"), script);
        for path in ROUTES {
            for stream in [false, true] {
                let key = format!("s{number}{}{stream}:1", path.len());
                for headers in [&[][..], &[("idempotency-key", key.as_str())]] {
                    app.post_with(path, headers, &ask_as(path, &format!("{PROMPT} <{number}>"), stream)).await;
                }
            }
        }
    }
    app.post(CHAT, &json!({"message": [PROMPT]})).await;
    app.post(COMPLETIONS, &json!({"model": "gpt-4o-mini", "messages": [{"role": PROMPT, "content": PROMPT}]})).await;
    app.request_without_key(http::Method::POST, CHAT).header("x-api-key", "wrong-key-0042").send().await.unwrap();
    app.get("/v1/threads").await;
    app.engine.tasks.idle().await;

    let text = captured.text();
    for secret in [KEY, PROVIDER_KEY, PROMPT, ANSWER, REFUSAL, "wrong-key-0042"] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
    assert!(captured.requests().len() >= 60, "{}", captured.requests().len());
}

#[tokio::test]
async fn a_request_has_one_line_that_says_what_became_of_it() {
    let captured = Captured::begin();
    let app = TestApp::start().await;
    let headers = [("idempotency-key", "s:1")];
    let reply = app.post_with(CHAT, &headers, &ask_as(CHAT, "hello", false)).await;
    app.post_with(CHAT, &headers, &ask_as(CHAT, "hello", false)).await;
    app.sse(COMPLETIONS, &ask_as(COMPLETIONS, "hello", true)).await;
    app.post(CHAT, &json!({})).await;
    app.engine.tasks.idle().await;

    let mut requests = captured.requests();
    assert_eq!(requests[0]["request.id"], reply.header("x-request-id"));
    for request in &mut requests {
        let fields = request.as_object_mut().unwrap();
        assert!(fields.remove("duration_ms").unwrap().is_u64());
        assert!(fields.remove("request.id").unwrap().as_str().unwrap().starts_with("req_"));
        fields.remove("message");
    }
    insta::assert_json_snapshot!(requests, @r#"
    [
      {
        "cost.usd": "0.0000039",
        "http.route": "POST /v1/chat",
        "http.status": 200,
        "key.id": "c576f2be",
        "model.name": "openai/gpt-4o-mini",
        "model.why": "it is the default where openai is configured",
        "outcome": "completed",
        "tokens.input": 10,
        "tokens.output": 4,
        "turn.key": "s:1"
      },
      {
        "cost.usd": "0.0000039",
        "http.route": "POST /v1/chat",
        "http.status": 200,
        "key.id": "c576f2be",
        "model.name": "openai/gpt-4o-mini",
        "model.why": "stored answer",
        "outcome": "replayed",
        "tokens.input": 10,
        "tokens.output": 4,
        "turn.key": "s:1"
      },
      {
        "cost.usd": "0.0000039",
        "http.route": "POST /v1/chat/completions",
        "http.status": 200,
        "key.id": "c576f2be",
        "model.name": "openai/gpt-4o-mini",
        "model.why": "the catalogue lists it under this provider",
        "outcome": "completed",
        "tokens.input": 10,
        "tokens.output": 4
      },
      {
        "error.category": "VALIDATION_ERROR",
        "error.code": "invalid_request",
        "error.retryable": false,
        "error.severity": "LOW",
        "http.route": "POST /v1/chat",
        "http.status": 400,
        "key.id": "c576f2be",
        "outcome": "invalid_request"
      }
    ]
    "#);
}

/// The one line of what a request that `provider` refuses leaves at or above `INFO`.
async fn line_of(app: &TestApp, script: Script, path: &str, stream: bool) -> Value {
    let captured = Captured::begin();
    app.provider.enqueue(script);
    let reply = app.post(path, &ask_as(path, PROMPT, stream)).await;
    assert!(reply.status >= 400, "{}", reply.text());
    app.engine.tasks.idle().await;
    let of_it = |line: &Value| line["fields"]["request.id"] == reply.header("x-request-id");
    let mut lines: Vec<Value> = captured.lines().into_iter().filter(of_it).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

#[tokio::test]
async fn a_failed_request_has_one_line_at_the_level_of_its_severity() {
    for (upstream, level, severity, code, alarm) in [
        (400, "INFO", "LOW", "invalid_request", Value::Null),
        (429, "INFO", "LOW", "rate_limit_exceeded", Value::Null),
        (504, "WARN", "MEDIUM", "timeout", Value::Null),
        (402, "ERROR", "HIGH", "insufficient_quota", Value::Null),
        (500, "ERROR", "HIGH", "upstream_error", Value::Null),
        (401, "ERROR", "CRITICAL", "provider_auth_failed", json!(true)),
    ] {
        for path in ROUTES {
            for stream in [false, true] {
                let app = TestApp::start().await;
                let line = line_of(&app, Script::refuse(upstream), path, stream).await;
                let fields = &line["fields"];
                let seen = (&line["level"], &fields["error.severity"], &fields["error.code"], &fields["alarm"]);
                assert_eq!(seen, (&json!(level), &json!(severity), &json!(code), &alarm), "{line}");
                assert_eq!(fields["message"], "request failed");
            }
        }
    }
}

#[tokio::test]
async fn the_line_of_a_failed_request_says_who_was_asked_and_how_often() {
    let app = TestApp::builder().with_calls(super::retries::policy()).start().await;
    app.provider.otherwise(Script::refuse(503));
    let mut line = line_of(&app, Script::refuse(500), CHAT, false).await["fields"].take();
    let fields = line.as_object_mut().unwrap();
    for varies in ["duration_ms", "request.id", "turn.key"] {
        assert!(fields.remove(varies).is_some(), "{varies}");
    }
    insta::assert_json_snapshot!(line, @r#"
    {
      "error.category": "API_ERROR",
      "error.code": "upstream_error",
      "error.message": "openai/gpt-4o-mini answered with HTTP 503: it had a problem. 4 calls were made.",
      "error.retryable": true,
      "error.severity": "HIGH",
      "http.route": "POST /v1/chat",
      "http.status": 502,
      "key.id": "c576f2be",
      "message": "request failed",
      "model.name": "openai/gpt-4o-mini",
      "outcome": "upstream_error",
      "upstream.calls": 4
    }
    "#);
}

#[tokio::test]
async fn a_stream_that_fails_has_its_error_in_its_line() {
    let captured = Captured::begin();
    let app = TestApp::start().await;
    app.provider.enqueue(Script::answer("one two three").cut_after(2));
    app.sse(CHAT, &ask_as(CHAT, "hello", true)).await;
    app.engine.tasks.idle().await;
    let requests = captured.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    let seen = (&requests[0]["http.status"], &requests[0]["error.code"], &requests[0]["upstream.calls"]);
    assert_eq!(seen, (&json!(200), &json!("stream_truncated"), &json!(1)), "{requests:?}");
}

#[tokio::test]
async fn a_failure_that_is_told_again_says_so() {
    let captured = Captured::begin();
    let app = TestApp::start().await;
    app.provider.enqueue(Script::refuse(401));
    for _ in 0..2 {
        let reply = app.post_with(CHAT, &[("idempotency-key", "s:1")], &ask_as(CHAT, "hello", false)).await;
        assert_eq!(reply.status, 502);
    }
    let told = captured.requests().iter().map(|line| line["error.replayed"].clone()).collect::<Vec<_>>();
    assert_eq!(told, [Value::Null, json!(true)]);
}

#[tokio::test]
async fn a_turn_of_the_queue_that_fails_has_a_line_of_its_own() {
    let captured = Captured::begin();
    let mut app = TestApp::start().await;
    app.provider.enqueue(Script::refuse(401));
    app.work();
    app.post_with(CHAT, &[("prefer", "respond-async")], &super::named_turn("bad")).await;
    app.turn_in("s:bad", "FAILED").await;
    app.engine.tasks.idle().await;
    let is_alarm = |line: &Value| line["fields"]["alarm"] == true;
    let alarms: Vec<Value> = captured.lines().into_iter().filter(is_alarm).collect();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    let fields = &alarms[0]["fields"];
    let seen = (&fields["turn.key"], &fields["error.code"], &fields["model.name"], &fields["upstream.calls"]);
    let expected = (&json!("s:bad"), &json!("provider_auth_failed"), &json!("openai/gpt-4o-mini"), &json!(1));
    assert_eq!(seen, expected, "{fields}");
}
