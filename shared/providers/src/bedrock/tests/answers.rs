//! Whole answers.

use serde_json::{Value, json};
use turnwise_core::category::Category;
use turnwise_core::usage::Source;

use super::{answer, fixtures, parsed, target};
use crate::bedrock::response;
use crate::error::Error;

fn read(body: &Value, by_tool: bool) -> Result<Value, Error> {
    let completion = response::completion(&target(), body, answer(by_tool), "")?;
    Ok(parsed(completion.body.get()))
}

#[test]
fn answers_are_told_as_their_fixtures_say() {
    for (name, text) in fixtures("answers", "json") {
        let fixture = parsed(&text);
        let mut completion = read(&fixture["answer"], fixture["by_tool"] == true).unwrap();
        // Where an answer's thoughts stood is the fold's to say, and tested there.
        if let Some(message) = completion["choices"][0]["message"].as_object_mut() {
            message.remove("turnwise_order");
        }
        let expected = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "amazon.nova-micro-v1:0",
            "usage": fixture["usage"], "choices": [fixture["choice"]]});
        assert_eq!(completion, expected, "{name}");
    }
}

fn ended(reason: &str) -> Result<Value, Error> {
    let body = json!({"output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}, "stopReason": reason});
    read(&body, false)
}

#[test]
fn every_reason_to_stop_has_its_finish() {
    let rows = [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("tool_use", "tool_calls"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("refusal", "content_filter"),
    ];
    for (reason, finish) in rows {
        let completion = ended(reason).unwrap();
        assert_eq!(completion["choices"][0]["finish_reason"], finish, "{reason}");
        assert_eq!(completion["choices"][0]["native_finish_reason"], reason);
    }
}

#[test]
fn malformed_output_is_an_error_and_never_a_stop() {
    for reason in ["malformed_model_output", "malformed_tool_use"] {
        let error = ended(reason).unwrap_err();
        assert_eq!((error.category, &*error.code), (Category::ApiError, "malformed_answer"), "{reason}");
    }
}

#[test]
fn an_answer_without_a_report_has_estimated_usage() {
    let body = json!({"output": {"message": {"content": [{"text": "hello"}]}}, "stopReason": "end_turn"});
    let completion = response::completion(&target(), &body, answer(false), "abcd").unwrap();
    assert_eq!((completion.usage.source, completion.usage.output), (Source::Estimated, 2));
}

#[test]
fn what_is_no_answer_is_an_error() {
    let rows = [
        json!({}),
        json!([]),
        json!({"output": {}}),
        json!({"output": {"message": {"content": []}}}),
        json!({"output": {"message": {"content": [{"reasoningContent": {"redactedContent": "!"}}]}}, "stopReason": "end_turn"}),
    ];
    for body in rows {
        assert_eq!(&*read(&body, false).unwrap_err().code, "malformed_answer", "{body}");
    }
    assert!(read(&json!({"output": {"message": {"content": []}}, "stopReason": "end_turn"}), false).is_ok());
}
