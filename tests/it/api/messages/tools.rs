//! A tool is called, and its result answered.

use serde_json::json;
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{MESSAGES, answered, echo, kept, ok, say};

#[tokio::test]
async fn a_tool_is_called_and_its_result_answered() {
    let app = TestApp::builder().without_openai().start().await;
    let schema = json!({"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]});
    let tools = json!([{"name": "get_time", "input_schema": {"type": "object"}}, {"name": "get_weather", "input_schema": schema}]);
    for (choice, called) in [
        (json!({"type": "auto"}), "get_time"),
        (json!({"type": "any"}), "get_time"),
        (json!({"type": "tool", "name": "get_weather"}), "get_weather"),
    ] {
        let body = echo("please", &json!({"tools": tools, "tool_choice": choice}));
        let message = answered(&app, &body).await;
        assert_eq!(message["stop_reason"], "tool_use");
        let call = &message["content"][0];
        assert_eq!((&call["type"], &call["name"]), (&json!("tool_use"), &json!(called)), "{choice}");
        assert_eq!(call["input"]["place"].is_string(), called == "get_weather", "{call}");

        let mut next = body.clone();
        let messages = next["messages"].as_array_mut().unwrap();
        messages.push(json!({"role": "assistant", "content": message["content"]}));
        messages.push(json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": "sunny"}]}]}));
        let message = answered(&app, &next).await;
        assert_eq!(message["content"], json!([{"type": "text", "text": "Echo: sunny"}]));
    }
    let none = echo("please", &json!({"tools": tools, "tool_choice": {"type": "none"}}));
    assert_eq!(answered(&app, &none).await["stop_reason"], "end_turn");
}

#[tokio::test]
async fn what_was_said_comes_back_to_the_upstream_as_it_said_it() {
    let app = TestApp::start().await;
    let call = json!([{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1,\"a\":2.0}"},
                       "extra_content": {"google": {"thought_signature": "t"}}}]);
    let details = json!([{"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
                         {"type": "reasoning.encrypted", "data": "xyz", "format": "anthropic-claude-v1", "index": 1}]);
    let said = json!({"role": "assistant", "content": "so", "reasoning_details": details, "tool_calls": call});
    let mut delta = said.clone();
    delta["tool_calls"][0]["index"] = json!(0);
    app.provider.on_text("first", Script::deltas(&[delta]).finish_reason("tool_calls"));
    let message = kept(&app, "first", &say("first")).await;

    let mut next = say("first");
    next["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": message["content"]}),
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "7"}]}),
    ]);
    ok(&app.post(MESSAGES, &next).await);
    let sent = app.provider.requests().pop().unwrap().body;
    let mut expected = said;
    // The client has it as an object, and an object's fields have no order here.
    expected["tool_calls"][0]["function"]["arguments"] = json!("{\"a\":2.0,\"b\":1}");
    assert_eq!(sent["messages"][1], expected);
    assert_eq!(sent["messages"][2], json!({"role": "tool", "tool_call_id": "c1", "content": "7"}));
    assert_eq!(sent["messages"].as_array().map(Vec::len), Some(3));
}
