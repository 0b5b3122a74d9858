//! The HTTP surface from outside: what a client sends, what it gets, what is stored.

mod access;
mod at_most_once;
mod attach;
mod audit;
mod bad_input;
mod broken_streams;
mod budgets;
mod busy;
mod cancel;
mod conversations;
mod dead_letters;
mod edge;
mod embeddings;
mod erasure;
mod failed;
mod history;
mod interrupt;
mod keys;
mod leaving;
mod limits;
mod locks;
mod logs;
mod messages;
mod openai;
mod prices;
mod projects;
mod provider_errors;
mod providers;
mod queue;
mod rate_limits;
mod recent;
mod replay;
mod responses;
mod retries;
mod schema;
mod stats;
mod streams;
mod takeover;
mod tasks;
mod usage;
mod window;

use serde_json::{Value, json};
use turnwise_core::category::Category;
use turnwise_tests::app::{Events, Reply, Sse, TestApp};
use turnwise_tests::scripted::{Gate, Script};

const CHAT: &str = "/v1/chat";
const COMPLETIONS: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

/// The routes that make turns.
const ROUTES: [&str; 2] = [CHAT, COMPLETIONS];

/// A request of `path` with the one user message `message`.
fn ask(path: &str, message: &str) -> Value {
    match path {
        CHAT => json!({ "message": message }),
        _ => json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": message}]}),
    }
}

/// The same, with `stream` as given.
fn ask_as(path: &str, message: &str, stream: bool) -> Value {
    with(ask(path, message), "stream", stream)
}

/// `body` with one more field.
fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

/// The turn `name` of the conversation `s`, which says its own name.
fn named_turn(name: &str) -> Value {
    json!({"message": name, "session_id": "s", "turn_id": name})
}

/// The stream of the turn `first`, whose provider has sent the first of two words and
/// waits at the gate.
async fn held_first(app: &TestApp) -> (Gate, Events) {
    let gate = Gate::closed();
    app.provider.on_text("first", Script::chunks(["one ", "two "]).gated_after(1, &gate));
    let mut events = app.open(CHAT, &[], &with(named_turn("first"), "stream", true)).await;
    events.next().await;
    gate.reached().await;
    (gate, events)
}

/// Checks everything that all error replies share, and the three things that tell
/// them apart. `param` is empty where no field is at fault.
fn check_error(reply: &Reply, status: u16, code: &str, param: &str) {
    let text = reply.text();
    assert_eq!(reply.status, status, "{text}");
    assert_eq!(reply.header("content-type"), "application/json", "{text}");
    let error = &reply.json()["error"];
    assert_eq!(error["code"], code, "{text}");
    assert_eq!(error["param"].as_str().unwrap_or_default(), param, "{text}");
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{text}");
    check_row(error, status);
    assert!(error["retryable"].is_boolean() && error.get("retry_after_s").is_some(), "{text}");
    check_request_id(reply);
    let id = reply.header("x-request-id");
    assert!(reply.is_replay() || error["request_id"] == id, "{id}: {text}");
}

/// Checks that an error's object says of its category and code what the table says.
fn check_row(error: &Value, status: u16) {
    let text = |field: &str| error[field].as_str().unwrap_or_else(|| panic!("{field} is missing: {error}"));
    let category: Category = serde_json::from_value(error["category"].clone()).unwrap();
    let row = category.profile_of(text("code"));
    let is_known = row.code == text("code");
    assert!(is_known || category == Category::ValidationError, "the table has no such code: {error}");
    assert_eq!((text("type"), text("severity")), (row.kind, row.severity.to_string().as_str()), "{error}");
    assert_eq!(status, row.status, "{error}");
    let user_message = text("user_message");
    assert!(user_message.ends_with('.') && !user_message.contains('{'), "{error}");
}

fn check_request_id(reply: &Reply) {
    let id = reply.header("x-request-id");
    assert!(id.starts_with("req_") && id.len() == "req_".len() + 32, "{id:?}");
}

/// Checks that no request has left anything in the table or reached the provider. That keys were
/// refused again and again, or requests for a budget, is told in the audit log, and nothing else is.
async fn check_untouched(app: &TestApp) {
    let mut rows = app.table.rows().await;
    rows.retain(|row| !["auth.failures", "budget.refused"].contains(&turnwise_tests::table::text(row, "action")));
    assert_eq!(rows, Vec::new(), "nothing is stored before T1");
    assert_eq!(app.provider.calls(), 0);
}

/// The text of an answer, in whichever route's shape.
fn text_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    let text = body.get("message").or_else(|| body.pointer("/choices/0/message/content"));
    text.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The text that a stream of either route adds up to.
fn text_in(events: &[Sse]) -> String {
    let pieces = events.iter().filter(|event| event.data != "[DONE]").map(|event| {
        let data = event.json();
        let delta = match event.event.as_str() {
            "delta" => data.get("text").cloned(),
            _ => data.pointer("/choices/0/delta/content").cloned(),
        };
        delta.and_then(|delta| delta.as_str().map(str::to_owned)).unwrap_or_default()
    });
    pieces.collect()
}

/// The names of a stream's events; of one without names, `[DONE]`, `error` or `chunk`.
fn names<'a>(events: &'a [Sse]) -> Vec<&'a str> {
    let name = |event: &'a Sse| match event {
        Sse { event, .. } if !event.is_empty() => event.as_str(),
        Sse { data, .. } if data == "[DONE]" => "[DONE]",
        Sse { data, .. } if data.starts_with("{\"error\"") => "error",
        Sse { .. } => "chunk",
    };
    events.iter().map(name).collect()
}

/// `body` with what differs from run to run replaced: ids that were drawn, times.
fn redacted(mut body: Value) -> Value {
    redact(&mut body);
    body
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), &value) {
                    ("request_id" | "completed_at" | "created_at", Value::String(_)) => {
                        *value = json!(format!("[{name}]"));
                    }
                    _ => redact(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
