//! Random values in every place: whatever comes in, what goes out is an answer or a
//! JSON error of the client's.

use http::{HeaderValue, Method};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use turnwise_tests::app::{Reply, TestApp};

use super::super::{CHAT, COMPLETIONS, ROUTES};

const RESPONSES: &str = "/v1/responses";

/// Routes that take the same body.
const LIKE_RESPONSES: [&str; 3] = [RESPONSES, "/v1/responses/compact", "/v1/responses/input_tokens"];

/// Random requests of each kind.
const CASES: u32 = 150;

const CHAT_FIELDS: [&str; 14] = [
    "message",
    "project_id",
    "thread_id",
    "session_id",
    "turn_id",
    "model",
    "stream",
    "on_busy",
    "wait_timeout_s",
    "delivery",
    "messages",
    "stream_options",
    "temperature",
    "x_unknown",
];

const COMPLETION_FIELDS: [&str; 12] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "temperature",
    "max_tokens",
    "n",
    "tools",
    "top_logprobs",
    "response_format",
    "metadata",
    "x_unknown",
];

const RESPONSE_FIELDS: [&str; 21] = [
    "model",
    "input",
    "instructions",
    "conversation",
    "previous_response_id",
    "store",
    "background",
    "metadata",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "include",
    "truncation",
    "service_tier",
    "temperature",
    "max_output_tokens",
    "project_id",
    "on_busy",
    "wait_timeout_s",
    "x_unknown",
];

const EMBEDDINGS: &str = "/v1/embeddings";

const EMBEDDING_FIELDS: [&str; 6] = ["model", "input", "dimensions", "encoding_format", "user", "x_unknown"];

const HEADERS: [&str; 6] =
    ["idempotency-key", "if-match", "turnwise-delivery", "turnwise-on-busy", "prefer", "content-type"];

/// Values that once made some parser stumble, and random ones.
fn value() -> impl Strategy<Value = Value> {
    let known = [
        json!("hello"),
        json!("local/echo"),
        json!("local/hash-embedding"),
        json!("base64"),
        json!([1, 2, 3]),
        json!([[1], [2]]),
        json!("null"),
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!("\u{0}"),
        json!("\u{202e}#~:"),
        json!("😀".repeat(300)),
        json!([{"role": "user", "content": "hello"}]),
        json!([{"type": "compaction", "encrypted_content": "AUEAvv97InYi"}]),
        json!([{"role": "tool", "content": [{"type": "image_url", "image_url": null}]}]),
        json!({"include_usage": true}),
    ];
    let leaf = prop_oneof![
        prop::sample::select(known.to_vec()),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn body(fields: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let pairs = prop::collection::vec((prop::sample::select(fields), value()), 0..5);
    // Half of the bodies are in order but for what is drawn.
    (any::<bool>(), pairs).prop_map(|(begun, pairs)| {
        let mut body = Map::new();
        if begun {
            body.insert("message".to_owned(), json!("hello"));
            body.insert("messages".to_owned(), json!([{"role": "user", "content": "hello"}]));
            body.insert("input".to_owned(), json!("hello"));
            body.insert("model".to_owned(), json!("local/echo"));
        }
        body.extend(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Value::Object(body)
    })
}

fn check(reply: &Reply, sent: &dyn std::fmt::Debug) {
    assert!(reply.status < 500, "{sent:?} got {} {}", reply.status, reply.text());
    if reply.status >= 400 {
        let body = reply.json();
        assert!(body["error"]["message"].is_string() && body["error"]["code"].is_string(), "{sent:?} got {body}");
    }
    assert!(reply.header("x-request-id").starts_with("req_"));
}

/// Draws `CASES` inputs and does `send` with each, on one app.
fn run<S: Strategy>(strategy: S, send: impl AsyncFn(&TestApp, S::Value)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = runtime.block_on(TestApp::start());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&strategy, |input| {
        runtime.block_on(send(&app, input));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn random_bodies_get_answers_or_errors_of_the_client() {
    let bodies = (body(&CHAT_FIELDS), body(&COMPLETION_FIELDS), body(&RESPONSE_FIELDS), body(&EMBEDDING_FIELDS));
    run(bodies, async |app, (chat, completion, response, embedding)| {
        let responses = LIKE_RESPONSES.map(|path| (path, &response));
        let others = [(CHAT, &chat), (COMPLETIONS, &completion), (EMBEDDINGS, &embedding)];
        for (path, body) in others.into_iter().chain(responses) {
            check(&app.post(path, body).await, body);
        }
    });
}

#[test]
fn random_bytes_get_errors_of_the_client() {
    run(prop::collection::vec(any::<u8>(), 0..64), async |app, bytes| {
        for path in ROUTES.into_iter().chain(LIKE_RESPONSES).chain([EMBEDDINGS]) {
            let reply = Reply::of(app.request(Method::POST, path).body(bytes.clone())).await;
            check(&reply, &bytes);
            assert_eq!(reply.status, 400, "{bytes:?}");
        }
    });
}

#[test]
fn random_headers_get_answers_or_errors_of_the_client() {
    let known = ["s:1", "1", "\"1\"", "at-most-once", "reject", "wait=0", "respond-async, wait=1", "wait=-1;;,=,"];
    let text = prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), "[ -~]{0,40}", "\\PC{0,20}",];
    let headers = prop::collection::vec((prop::sample::select(&HEADERS[..]), text), 1..4);
    run((headers, 0..3_usize), async |app, (headers, route)| {
        let (path, body) = [
            (CHAT, json!({"message": "hello", "wait_timeout_s": 0})),
            (COMPLETIONS, super::super::ask(COMPLETIONS, "hello")),
            (RESPONSES, json!({"model": "gpt-4o-mini", "input": "hello"})),
        ][route]
            .clone();
        let request = headers.iter().fold(app.request(Method::POST, path), |request, (name, value)| {
            request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        check(&Reply::of(request.body(body.to_string())).await, &headers);
    });
}

#[test]
fn random_paths_and_queries_get_answers_or_errors_of_the_client() {
    let text = prop_oneof![any::<String>(), "[0-9]{1,22}", "[ -~]{0,20}", Just("s".to_owned())];
    run((text.clone(), text.clone(), text), async |app, (one, two, three)| {
        let [one, two, three] = [one, two, three].map(|text| encoded(&text));
        let paths = [
            format!("/v1/turns/{one}"),
            format!("/v1/threads/{one}/turns?after={two}&limit={three}"),
            format!("/v1/threads?after={one}&limit={two}&project_id={three}"),
            format!("/v1/models/{one}"),
            format!("/v1/responses/{one}?stream={two}"),
            format!("/v1/responses/resp_{one}/input_items?after={two}&limit={three}"),
            format!("/v1/{one}/{two}"),
        ];
        for path in paths {
            check(&app.get(&path).await, &path);
        }
    });
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
