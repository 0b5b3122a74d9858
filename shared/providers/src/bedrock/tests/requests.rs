//! Requests as they are written for Converse.

use serde_json::{Value, json};

use super::{fixtures, generation, parsed};
use crate::bedrock::{count, request};

/// What is written of a fixture's request: body, names left out, whether by tool; or the
/// fields at fault.
fn written(fixture: &Value) -> Value {
    let generation = generation(fixture["model"].as_str().unwrap(), &fixture["request"]);
    match request::write("bedrock", &generation) {
        Ok(request) => {
            json!({"body": request.written.body, "dropped": request.written.dropped, "by_tool": request.by_tool})
        }
        Err(faults) => json!({"faults": faults.0.iter().map(|fault| &fault.field).collect::<Vec<_>>()}),
    }
}

#[test]
fn requests_are_written_as_their_fixtures_say() {
    for (name, text) in fixtures("requests", "json") {
        for fixture in parsed(&text).as_array().unwrap() {
            let expected = if fixture["faults"].is_array() {
                json!({"faults": fixture["faults"]})
            } else {
                let dropped = if fixture["dropped"].is_null() { json!([]) } else { fixture["dropped"].clone() };
                json!({"body": fixture["body"], "dropped": dropped, "by_tool": fixture["by_tool"] == true})
            };
            assert_eq!(written(fixture), expected, "{name}: {}", fixture["fact"]);
        }
    }
}

fn body(model: &str, request: Value) -> Value {
    let request = request::write("bedrock", &generation(model, &request)).unwrap();
    request.written.body
}

#[test]
fn all_results_of_parallel_calls_go_in_one_message() {
    let called = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let gave = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": id});
    let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "tool_calls": [called("a"), called("b"), called("c")]},
        gave("a"), gave("b"), gave("c")]);
    let body = body("amazon.nova-lite-v1:0", json!({ "messages": messages }));
    assert_eq!(body["messages"].as_array().unwrap().len(), 3);
    assert_eq!(body["messages"][2]["content"].as_array().unwrap().len(), 3);
}

#[test]
fn no_block_of_text_is_empty() {
    let messages = json!([{"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "a"}]},
        {"role": "assistant", "content": "", "reasoning_details": [{"type": "reasoning.text", "text": "t", "signature": "s",
            "format": "bedrock-converse-v1"}]},
        {"role": "user", "content": "b"}]);
    let body = body("amazon.nova-lite-v1:0", json!({ "messages": messages }));
    let expected = json!([{"role": "user", "content": [{"text": "a"}]}, {"role": "assistant", "content": [{"text": "."}]},
        {"role": "user", "content": [{"text": "b"}]}]);
    assert_eq!(body["messages"], expected);
}

#[test]
fn arguments_are_an_object_and_nothing_means_an_empty_one() {
    for (arguments, input) in
        [("", json!({})), (r#"{"a":1}"#, json!({"a": 1})), ("[1]", json!({"raw_arguments": "[1]"}))]
    {
        let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}});
        let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": "x"}]);
        let body = body("amazon.nova-lite-v1:0", json!({ "messages": messages }));
        assert_eq!(body["messages"][1]["content"][0]["toolUse"]["input"], input, "{arguments}");
    }
}

#[test]
fn what_is_counted_is_what_the_model_reads() {
    let request = json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}], "max_tokens": 5,
        "tools": [{"type": "function", "function": {"name": "f"}}], "bedrock": {"requestMetadata": {"a": "b"}}});
    let body = body("amazon.nova-lite-v1:0", request);
    let counted = count::body(&body);
    assert_eq!(
        counted,
        json!({"input": {"converse": {"messages": body["messages"], "system": body["system"], "toolConfig": body["toolConfig"]}}})
    );
}
