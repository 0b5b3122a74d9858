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
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Logs of this thread, on which its test's whole runtime runs: ours down to the
    /// last detail, those of the libraries as an operator would have them.
    fn begin() -> Self {
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

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn requests(&self) -> Vec<Value> {
        let lines = self.text();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == "request").collect()
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
        "http.route": "POST /v1/chat",
        "http.status": 400,
        "key.id": "c576f2be",
        "outcome": "invalid_request"
      }
    ]
    "#);
}
