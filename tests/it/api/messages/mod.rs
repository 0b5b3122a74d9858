//! Anthropic's messages: asked as its clients ask, answered as they read.

mod answers;
mod bad_input;
mod count_tokens;
mod errors;
mod keyed;
mod models;
mod requests;
mod stream;
mod tools;

use serde_json::{Map, Value, json};
use turnwise_tests::app::{Reply, Sse, TestApp};

use super::{MESSAGES, with};

/// The scripted provider is asked for `message`.
fn say(message: &str) -> Value {
    json!({"model": "gpt-4o-mini", "max_tokens": 100, "messages": [{"role": "user", "content": message}]})
}

/// `local/echo` is, with more `fields`.
fn echo(message: &str, fields: &Value) -> Value {
    let mut body = with(say(message), "model", "local/echo");
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// The body of a good answer.
fn ok(reply: &Reply) -> Value {
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{}", reply.text());
    assert_eq!(reply.header("request-id"), reply.header("x-request-id"));
    let message = reply.json();
    check_message(&message);
    message
}

/// What every message has.
fn check_message(message: &Value) {
    assert_eq!((&message["type"], &message["role"]), (&json!("message"), &json!("assistant")), "{message}");
    assert!(message["id"].as_str().unwrap().starts_with("msg_"), "{message}");
    assert!(message["content"].is_array() && message["stop_reason"].is_string(), "{message}");
    assert!(message["model"].is_string() && message.get("stop_sequence").is_some(), "{message}");
    for name in ["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"] {
        assert!(message["usage"][name].is_u64(), "{name}: {message}");
    }
}

/// A message as the scripted or the built-in provider answers `body`, whole and streamed:
/// the same but for ids.
async fn answered(app: &TestApp, body: &Value) -> Value {
    let whole = ok(&app.post(MESSAGES, body).await);
    let streamed = put_together(&app.sse(MESSAGES, &with(body.clone(), "stream", true)).await);
    assert_eq!(without_ids(streamed), without_ids(whole.clone()));
    whole
}

/// The message that a stream tells, which is the one that is kept under `key`.
async fn kept(app: &TestApp, key: &str, body: &Value) -> Value {
    let headers = [("idempotency-key", key)];
    let events = app.open(MESSAGES, &headers, &with(body.clone(), "stream", true)).await;
    let streamed = put_together(&events.rest().await);
    assert_eq!(ok(&app.post_with(MESSAGES, &headers, body).await), streamed);
    streamed
}

fn without_ids(mut message: Value) -> Value {
    message["id"] = Value::Null;
    for call in blocks(&mut message).iter_mut().filter(|block| block["type"] == "tool_use") {
        call["id"] = Value::Null;
    }
    message
}

/// Puts a stream's events together as the official clients do, and checks their order.
pub(super) fn put_together(events: &[Sse]) -> Value {
    let mut message = Value::Null;
    let (mut open, mut arguments) = (None, String::new());
    for (place, event) in events.iter().enumerate() {
        let body = event.json();
        assert_eq!((&body["type"], event.id.is_empty()), (&json!(event.event), false), "{event:?}");
        let index = body["index"].as_u64();
        match event.event.as_str() {
            "message_start" => {
                assert_eq!((place, &body["message"]["content"]), (0, &json!([])));
                message = body["message"].clone();
            }
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(blocks(&mut message).len() as u64)), "{event:?}");
                open = index;
                blocks(&mut message).push(body["content_block"].clone());
            }
            "content_block_delta" => {
                assert_eq!(open, index, "{event:?}");
                grow(blocks(&mut message).last_mut().unwrap(), &body["delta"], &mut arguments);
            }
            "content_block_stop" => {
                assert_eq!(open.take(), index, "{event:?}");
                if !arguments.is_empty() {
                    let input: Map<String, Value> = serde_json::from_str(&std::mem::take(&mut arguments)).unwrap();
                    blocks(&mut message).last_mut().unwrap()["input"] = Value::Object(input);
                }
            }
            "message_delta" => {
                assert_eq!(open, None, "{event:?}");
                message["stop_reason"] = body["delta"]["stop_reason"].clone();
                message["stop_sequence"] = body["delta"]["stop_sequence"].clone();
                message["usage"] = body["usage"].clone();
            }
            "message_stop" => assert_eq!(place, events.len() - 1),
            other => panic!("{other}: {event:?}"),
        }
    }
    check_message(&message);
    message
}

fn blocks(message: &mut Value) -> &mut Vec<Value> {
    message["content"].as_array_mut().unwrap()
}

fn grow(block: &mut Value, delta: &Value, arguments: &mut String) {
    let name = match delta["type"].as_str().unwrap() {
        "text_delta" => "text",
        "thinking_delta" => "thinking",
        "signature_delta" => "signature",
        "input_json_delta" => return arguments.push_str(delta["partial_json"].as_str().unwrap()),
        other => panic!("{other}"),
    };
    let text = block[name].as_str().unwrap().to_owned() + delta[name].as_str().unwrap();
    block[name] = json!(text);
}

/// Checks everything that all errors of these routes share, and what tells them apart.
fn check_error(reply: &Reply, status: u16, kind: &str, code: &str) {
    let text = reply.text();
    assert_eq!((reply.status, reply.header("content-type")), (status, "application/json"), "{text}");
    check_error_body(&reply.json(), kind, code);
    assert_eq!(reply.header("request-id"), reply.header("x-request-id"), "{text}");
    assert_eq!(reply.json()["request_id"], reply.header("request-id"), "{text}");
}

fn check_error_body(body: &Value, kind: &str, code: &str) {
    assert_eq!(body["type"], "error", "{body}");
    let error = &body["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!(kind), &json!(code)), "{body}");
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
    assert!(error["category"].is_string() && error["severity"].is_string(), "{body}");
    assert!(error["retryable"].is_boolean() && error.get("retry_after_s").is_some(), "{body}");
}
