//! Requests as they go out.

use serde_json::{Value, json};

use super::{fixture, generation, json};
use crate::anthropic::request::write;

const REQUESTS: [&str; 12] = [
    "conversation",
    "tools",
    "thought",
    "budget",
    "attachments",
    "schema",
    "json",
    "schema_in_words",
    "no_forced_tool",
    "own",
    "prefill",
    "faults",
];

/// What becomes of `fields`: the body, what is dropped, the fields at fault.
fn written(model: &str, fields: &Value) -> (Value, Vec<String>, Vec<String>) {
    match write(&generation(model, fields), false) {
        Ok(written) => (written.body, written.dropped, Vec::new()),
        Err(faults) => (Value::Null, Vec::new(), faults.0.into_iter().map(|fault| fault.field).collect()),
    }
}

/// What becomes of a request that has one message and `fields`.
fn asked(model: &str, mut fields: Value) -> (Value, Vec<String>, Vec<String>) {
    fields["messages"] = json!([{"role": "user", "content": "hi"}]);
    written(model, &fields)
}

#[test]
fn every_request_is_written_as_its_fixture_says() {
    for name in REQUESTS {
        let case = json(&format!("requests/{name}.json"));
        let list = |field: &str| serde_json::from_value::<Vec<String>>(case[field].clone()).unwrap_or_default();
        let (body, dropped, faults) = written(case["model"].as_str().unwrap(), &case["request"]);
        assert_eq!(body, case["body"], "{name}");
        assert_eq!((dropped, faults), (list("dropped"), list("faults")), "{name}");
    }
}

#[test]
fn every_fixture_is_used() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/anthropic/requests");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), REQUESTS.len());
    assert!(fixture("requests/own.json").contains("about"));
}

#[test]
fn only_a_stream_is_asked_for_one() {
    let generation = generation("m", &json!({"messages": [{"role": "user", "content": "hi"}]}));
    assert_eq!(write(&generation, true).unwrap().body["stream"], json!(true));
    assert_eq!(write(&generation, false).unwrap().body.get("stream"), None);
}

#[test]
fn a_temperature_above_anthropics_range_is_its_end() {
    let check = |given: f64, expected: f64, is_named: bool| {
        let (body, dropped, _) = asked("claude-haiku-4-5", json!({"temperature": given}));
        assert_eq!((body["temperature"].as_f64(), dropped.is_empty()), (Some(expected), !is_named), "{given}");
    };
    check(0.0, 0.0, false);
    check(1.0, 1.0, false);
    check(1.01, 1.0, true);
    check(2.0, 1.0, true);
}

#[test]
fn a_model_that_thinks_takes_only_the_usual_temperature() {
    let (body, dropped, _) = asked("claude-haiku-4-5", json!({"temperature": 1, "reasoning_effort": "low"}));
    assert_eq!((body["temperature"].as_f64(), dropped.len()), (Some(1.0), 0));
    let (body, dropped, _) = asked("claude-haiku-4-5", json!({"top_p": 0.94, "reasoning_effort": "low"}));
    assert_eq!((body.get("top_p"), dropped), (None, vec!["top_p".to_owned()]));
}

#[test]
fn tools_may_be_called_one_at_a_time() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let check = |choice: Value, parallel: Value, expected: Option<Value>| {
        let fields = json!({"tools": tools, "tool_choice": choice, "parallel_tool_calls": parallel});
        let (body, _, _) = asked("claude-haiku-4-5", fields);
        assert_eq!(body.get("tool_choice"), expected.as_ref(), "{choice} {parallel}");
    };
    check(json!(null), json!(null), None);
    check(json!("auto"), json!(true), None);
    check(json!("auto"), json!(false), Some(json!({"type": "auto", "disable_parallel_tool_use": true})));
    check(json!("required"), json!(null), Some(json!({"type": "any"})));
    check(json!("none"), json!(false), Some(json!({"type": "none"})));
    let (body, _, _) = asked("claude-haiku-4-5", json!({"tool_choice": "required", "parallel_tool_calls": false}));
    assert_eq!(body.get("tool_choice"), None);
}

#[test]
fn a_long_name_of_the_user_is_left_out() {
    let (body, dropped, _) = asked("m", json!({"user": "ü".repeat(256)}));
    assert_eq!((body["metadata"]["user_id"].is_string(), dropped.len()), (true, 0));
    let (body, dropped, _) = asked("m", json!({"user": "ü".repeat(257)}));
    assert_eq!((body.get("metadata"), dropped), (None, vec!["user".to_owned()]));
}

#[test]
fn a_new_model_does_not_go_on_with_the_assistants_words() {
    let fields = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]});
    assert_eq!(written("claude-opus-4-8", &fields).2, ["messages"]);
    assert!(written("claude-haiku-4-5", &fields).2.is_empty());
}

#[test]
fn what_the_client_says_in_anthropics_own_words_is_not_dropped() {
    let fields = json!({"temperature": 2, "seed": 1, "anthropic": {"temperature": 0.3}});
    let (body, dropped, _) = asked("claude-opus-4-8", fields);
    assert_eq!((body["temperature"].as_f64(), dropped), (Some(0.3), vec!["seed".to_owned()]));
}

#[test]
fn the_clients_own_budget_raises_the_default_maximum() {
    let own = json!({"anthropic": {"thinking": {"type": "enabled", "budget_tokens": 9_000}}});
    let (body, _, faults) = asked("claude-haiku-4-5", own);
    assert_eq!((body["max_tokens"].as_u64(), body["thinking"]["budget_tokens"].as_u64()), (Some(17_192), Some(9_000)));
    assert!(faults.is_empty());
}
