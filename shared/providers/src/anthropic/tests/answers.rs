//! Answers as they are told on.

use serde_json::{Value, json};
use turnwise_core::category::Category;

use super::{ANSWERS, call, chunks, fixture, json, read, target};
use crate::anthropic::response::completion;
use crate::chunks as told;

/// The completion that `message` amounts to, or the code of its error.
fn of(message: &Value) -> Result<Value, String> {
    let completion = completion(&target(), &call(), message.to_string().as_bytes());
    completion.map(|answer| serde_json::from_str(answer.body.get()).unwrap()).map_err(|error| error.code.to_string())
}

/// A whole message of `content` that stopped for `reason`.
fn message(content: &Value, reason: &str) -> Value {
    json!({"id": "msg", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": reason,
           "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 2}})
}

#[test]
fn every_answer_is_the_same_whole_and_streamed() {
    for name in ANSWERS {
        let expected = json(&format!("answers/{name}.completion.json"));
        let whole = completion(&target(), &call(), fixture(&format!("answers/{name}.json")).as_bytes()).unwrap();
        assert_eq!(serde_json::from_str::<Value>(whole.body.get()).unwrap(), expected, "{name}, whole");
        let (events, result) = read(&[fixture(&format!("answers/{name}.sse")).as_bytes()]);
        assert!(result.is_ok(), "{name}");
        let streamed = told::completion(&events, "");
        assert_eq!(serde_json::from_str::<Value>(streamed.body.get()).unwrap(), expected, "{name}, streamed");
        assert_eq!((streamed.usage, streamed.digest), (whole.usage, whole.digest), "{name}");
    }
}

#[test]
fn calls_are_numbered_anew_and_named_once() {
    let (events, _) = read(&[fixture("answers/tools.sse").as_bytes()]);
    assert_eq!(json!(chunks(&events)), json("answers/tools.chunks.json"));
}

#[test]
fn a_server_that_does_not_stream_is_understood() {
    for name in ANSWERS {
        let (events, result) = read(&[fixture(&format!("answers/{name}.json")).as_bytes()]);
        assert!(result.is_ok(), "{name}");
        let answer = serde_json::from_str::<Value>(told::completion(&events, "").body.get()).unwrap();
        assert_eq!(answer, json(&format!("answers/{name}.completion.json")), "{name}");
    }
}

#[test]
fn every_reason_to_stop_has_its_finish() {
    let text = json!([{"type": "text", "text": "a"}]);
    let called = json!([{"type": "tool_use", "id": "t", "name": "f", "input": {}}]);
    let rows = [
        (&text, "end_turn", "stop"),
        (&text, "stop_sequence", "stop"),
        (&text, "max_tokens", "length"),
        (&text, "model_context_window_exceeded", "length"),
        (&text, "pause_turn", "length"),
        (&text, "refusal", "content_filter"),
        (&called, "tool_use", "tool_calls"),
        (&text, "tool_use", "stop"),
        (&text, "a_new_reason", "stop"),
    ];
    for (content, reason, finish) in rows {
        let choice = of(&message(content, reason)).unwrap()["choices"][0].clone();
        assert_eq!((&choice["finish_reason"], &choice["native_finish_reason"]), (&json!(finish), &json!(reason)));
    }
}

#[test]
fn what_is_no_message_is_an_error() {
    let rows = [
        (json!(null), "malformed_answer"),
        (json!({"type": "message"}), "malformed_answer"),
        (json!({"content": "text"}), "malformed_answer"),
        (json!({"content": [], "stop_reason": null}), "malformed_answer"),
        (json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}), "upstream_error"),
        (json!({"type": "error", "error": {"type": "rate_limit_error"}}), "rate_limit_exceeded"),
    ];
    for (body, code) in rows {
        assert_eq!(of(&body), Err(code.to_owned()), "{body}");
    }
    assert_eq!(&*completion(&target(), &call(), b"<html>").unwrap_err().code, "malformed_answer");
}

#[test]
fn an_answer_without_blocks_says_nothing() {
    let answer = of(&message(&json!([]), "end_turn")).unwrap();
    assert_eq!(answer["choices"][0]["message"], json!({"role": "assistant", "content": null, "refusal": null}));
}

#[test]
fn blocks_of_no_known_form_do_no_harm() {
    let content = json!([7, null, {}, {"type": "hologram", "text": "x"}, {"type": "text"}, {"type": "thinking"},
                         {"type": "text", "text": "a"}, {"type": "tool_use"}]);
    let answer = of(&message(&content, "end_turn")).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], json!("a"));
    let call = json!({"id": "", "type": "function", "function": {"name": "", "arguments": "{}"}});
    assert_eq!(answer["choices"][0]["message"]["tool_calls"], json!([call]));
}

#[test]
fn an_answer_without_usage_is_estimated() {
    let mut message = message(&json!([{"type": "text", "text": "abcd"}]), "end_turn");
    message["usage"] = json!(null);
    let answer = completion(&target(), &call(), message.to_string().as_bytes()).unwrap();
    assert_eq!(answer.usage.source, turnwise_core::usage::Source::Estimated);
}

#[test]
fn an_overloaded_upstream_may_be_asked_again() {
    let body = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let error = completion(&target(), &call(), body.to_string().as_bytes()).unwrap_err();
    assert_eq!((error.category, error.retryable), (Category::ApiError, true));
}
