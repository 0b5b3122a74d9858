use serde_json::{Value, json};

use super::*;

fn read(request: &str, purpose: Purpose) -> Result<RawMap, Faults> {
    chat_fields(&json::raw_fields(request.as_bytes()).unwrap(), purpose)
}

/// A request with these fields besides what every request has, and what it becomes
/// besides that.
fn check(fields: &str, expected: &str) {
    let request = format!(r#"{{"model":"m","max_tokens":5,"messages":[{{"role":"user","content":"a"}}]{fields}}}"#);
    let mut chat = read(&request, Purpose::Answer).unwrap();
    assert_eq!(chat.remove("max_completion_tokens").unwrap().get(), "5");
    assert_eq!(chat.remove("messages").unwrap().get(), r#"[{"content":"a","role":"user"}]"#);
    assert_eq!(serde_json::to_string(&chat).unwrap(), expected, "{fields}");
}

fn messages(said: &Value) -> Value {
    let request = json!({"max_tokens": 1, "messages": said}).to_string();
    serde_json::from_str(read(&request, Purpose::Answer).unwrap()["messages"].get()).unwrap()
}

fn refused(request: &Value, fields: &[&str]) {
    let faults = read(&request.to_string(), Purpose::Answer).unwrap_err();
    let found: Vec<&str> = faults.0.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(found, fields, "{request}: {faults}");
}

fn refused_blocks(role: &str, blocks: &Value, fields: &[&str]) {
    refused(&json!({"max_tokens": 1, "messages": [{"role": role, "content": blocks}]}), fields);
}

#[test]
fn parameters_get_their_names_in_chat_completions() {
    check("", "{}");
    check(
        r#","stop_sequences":["a"],"temperature":1.0,"top_p":0.50,"top_k":4,"stream":true,"metadata":{"user_id":"u"},"service_tier":"standard_only""#,
        r#"{"service_tier":"default","stop":["a"],"temperature":1.0,"top_k":4,"top_p":0.50,"user":"u"}"#,
    );
    check(r#","service_tier":"auto","stop_sequences":[],"temperature":null"#, r#"{"service_tier":"auto"}"#);
    check(
        r#","thinking":{"type":"enabled", "budget_tokens":1024}"#,
        r#"{"thinking":{"type":"enabled", "budget_tokens":1024}}"#,
    );
    check(r#","thinking":{"type":"disabled"}"#, r#"{"thinking":{"type":"disabled"}}"#);
}

#[test]
fn what_nobody_here_knows_is_kept_for_an_upstream_that_does() {
    check(
        r#","inference_geo":"us","container":null,"mcp_servers":[1.0],"echo_delay_ms":0"#,
        r#"{"anthropic":{"inference_geo":"us","mcp_servers":[1.0]},"echo_delay_ms":0}"#,
    );
    check(
        r#","output_config":{"effort":"low","task_budget":{"b":1,"a":2}},"inference_geo":"us""#,
        r#"{"anthropic":{"inference_geo":"us","output_config":{"task_budget":{"b":1,"a":2}}},"reasoning_effort":"low"}"#,
    );
}

#[test]
fn a_schema_keeps_its_order_by_either_name() {
    let expected = r#"{"response_format":{"json_schema":{"name":"answer","schema":{"b":1,"a":2},"strict":true},"type":"json_schema"}}"#;
    check(r#","output_format":{"type":"json_schema","schema":{"b":1,"a":2}}"#, expected);
    check(r#","output_config":{"format":{"type":"json_schema","schema":{"b":1,"a":2}}}"#, expected);
}

#[test]
fn tools_are_functions_as_they_are_written() {
    let tools = r#""tools":[{"name":"f","description":"d","input_schema":{"b":1,"a":2},"cache_control":{"type":"ephemeral"},"strict":true},
        {"type":"custom","name":"g","input_schema":{}}]"#;
    let written = r#""tools":[{"cache_control":{"type":"ephemeral"},"function":{"description":"d","name":"f","parameters":{"b":1,"a":2},"strict":true},"type":"function"},{"function":{"name":"g","parameters":{}},"type":"function"}]"#;
    check(&format!(",{tools}"), &format!("{{{written}}}"));
    for (choice, expected) in [
        (r#"{"type":"auto"}"#, r#""tool_choice":"auto""#),
        (r#"{"type":"none"}"#, r#""tool_choice":"none""#),
        (
            r#"{"type":"any","disable_parallel_tool_use":true}"#,
            r#""parallel_tool_calls":false,"tool_choice":"required""#,
        ),
        (r#"{"type":"tool","name":"f"}"#, r#""tool_choice":{"function":{"name":"f"},"type":"function"}"#),
    ] {
        check(&format!(",{tools},\"tool_choice\":{choice}"), &format!("{{{expected},{written}}}"));
    }
    check(r#","tools":[],"tool_choice":{"type":"auto"}"#, "{}");
}

#[test]
fn the_system_speaks_first() {
    let system = |system: Value| {
        let request =
            json!({"max_tokens": 1, "system": system, "messages": [{"role": "user", "content": "a"}]}).to_string();
        let messages = read(&request, Purpose::Answer).unwrap().remove("messages").unwrap();
        serde_json::from_str::<Value>(messages.get()).unwrap()[0].clone()
    };
    let text = |text: &str| json!({"type": "text", "text": text});
    let cached = json!({"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    let says = |content: Value| json!({"role": "system", "content": content});
    assert_eq!(system(json!("be brief")), says(json!("be brief")));
    assert_eq!(system(json!([text("be brief")])), says(json!("be brief")));
    assert_eq!(system(json!([text("a"), cached])), says(json!([text("a"), cached])));
    for nothing in [json!(""), json!([]), Value::Null] {
        assert_eq!(system(nothing), json!({"role": "user", "content": "a"}));
    }
}

#[test]
fn a_users_blocks_are_parts() {
    let data = "data:image/png;base64,AA==";
    let blocks = json!([
        {"type": "text", "text": "see", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
        {"type": "document", "title": "t.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
        {"type": "document", "title": "t", "context": "c", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
    ]);
    assert_eq!(
        messages(&json!([{"role": "user", "content": blocks}])),
        json!([{"role": "user", "content": [
            {"type": "text", "text": "see", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": data}},
            {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
            {"type": "file", "file": {"filename": "t.pdf", "file_data": "data:application/pdf;base64,AA=="}},
            {"type": "text", "text": "t\nc\nd"},
        ]}])
    );
    assert_eq!(
        messages(&json!([{"role": "user", "content": [{"type": "text", "text": "a"}]}])),
        json!([{"role": "user", "content": "a"}])
    );
}

#[test]
fn results_of_tools_come_before_what_the_user_says_with_them() {
    let blocks = json!([
        {"type": "text", "text": "so?"},
        {"type": "tool_result", "tool_use_id": "t1", "content": "7", "is_error": false},
        {"type": "tool_result", "tool_use_id": "t2", "is_error": true, "cache_control": {"type": "ephemeral"},
         "content": [{"type": "text", "text": "no"}]},
        {"type": "tool_result", "tool_use_id": "t3", "content": [
            {"type": "text", "text": "see"}, {"type": "image", "source": {"type": "url", "url": "u"}}]},
        {"type": "tool_result", "tool_use_id": "t4"},
    ]);
    assert_eq!(
        messages(&json!([{"role": "user", "content": blocks}])),
        json!([
            {"role": "tool", "tool_call_id": "t1", "content": "7"},
            {"role": "tool", "tool_call_id": "t2", "content": "no", "is_error": true, "cache_control": {"type": "ephemeral"}},
            {"role": "tool", "tool_call_id": "t3", "content": [
                {"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "u"}}]},
            {"role": "tool", "tool_call_id": "t4", "content": ""},
            {"role": "user", "content": "so?"},
        ])
    );
}

#[test]
fn what_the_assistant_said_is_one_message() {
    let written = r#"{"max_tokens":1,"messages":[{"role":"assistant","content":[
        {"type":"thinking","thinking":"hm","signature":"s"}, {"type":"redacted_thinking","data":"x"},
        {"type":"text","text":"let me "},{"type":"text","text":"see"},
        {"type":"tool_use","id":"t1","name":"f","input":{"b": 1.0,"a":2},"cache_control":{"type":"ephemeral"}}]}]}"#;
    let read = read(written, Purpose::Answer).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(read["messages"].get()).unwrap(),
        json!([{"role": "assistant", "content": "let me see", "cache_control": {"type": "ephemeral"},
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
                {"type": "reasoning.encrypted", "data": "x", "format": "anthropic-claude-v1", "index": 1}],
            "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"b\": 1.0,\"a\":2}"}}]}])
    );
}

#[test]
fn what_the_assistant_said_keeps_its_order_and_what_others_want_back() {
    let call = json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}, "extra_content": {"google": 1}});
    let blocks = json!([call, {"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "so"}]);
    assert_eq!(
        messages(&json!([{"role": "assistant", "content": blocks}])),
        json!([{"role": "assistant", "content": "so", "reasoning_content": "hm",
            "turnwise_order": [{"call": 0}, {"reasoning": 2}, {"content": 2}],
            "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"},
                            "extra_content": {"google": 1}}]}])
    );
    let only_call = json!([{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]);
    assert_eq!(messages(&json!([{"role": "assistant", "content": only_call}]))[0]["content"], Value::Null);
    assert_eq!(messages(&json!([{"role": "assistant", "content": []}])), json!([{"role": "assistant", "content": ""}]));
}

#[test]
fn how_long_an_answer_may_be_is_asked_only_of_one() {
    let request = r#"{"messages":[{"role":"user","content":"a"}]}"#;
    assert!(read(request, Purpose::Count).is_ok());
    assert_eq!(read(request, Purpose::Answer).unwrap_err().first_field(), Some("max_tokens"));
    refused(&json!({"max_tokens": 0, "messages": [{"role": "user", "content": "a"}]}), &["max_tokens"]);
}

#[test]
fn all_faults_are_told_at_once() {
    refused(&json!({}), &["max_tokens", "messages"]);
    refused(
        &json!({"max_tokens": "1", "stop_sequences": [1], "system": 1, "messages": [1, {"role": "system", "content": 1}, {}],
            "temperature": 2, "top_p": -1, "top_k": 0.5, "service_tier": "fast", "metadata": {"user_id": 1},
            "thinking": {"type": "enabled", "budget_tokens": 1023}, "output_format": {"type": "json_object"},
            "output_config": {"effort": "none", "format": {"type": "json_schema"}}, "tool_choice": {"type": "tool"},
            "tools": [1, {}, {"type": "web_search_20250305", "name": "web_search"}, {"name": "a b", "input_schema": []}]}),
        &[
            "max_tokens",
            "stop_sequences[0]",
            "system",
            "messages[0]",
            "messages[1].role",
            "messages[1].content",
            "messages[2].role",
            "messages[2].content",
            "temperature",
            "top_p",
            "top_k",
            "service_tier",
            "metadata.user_id",
            "thinking.budget_tokens",
            "output_format.type",
            "output_config.effort",
            "output_config.format",
            "output_config.format.schema",
            "tools[0]",
            "tools[1].input_schema",
            "tools[1].name",
            "tools[2].type",
            "tools[3].input_schema",
            "tools[3].name",
            "tool_choice.name",
        ],
    );
    refused(
        &json!({"max_tokens": 1, "messages": [], "thinking": {"type": "enabled"}, "tool_choice": {"type": "any"}}),
        &["messages", "thinking.budget_tokens", "tool_choice"],
    );
}

#[test]
fn faults_of_blocks_name_their_fields() {
    refused_blocks("user", &json!([]), &["messages[0].content"]);
    refused_blocks(
        "user",
        &json!([1, {}, {"type": "text"}, {"type": "image"}, {"type": "image", "source": {"type": "file", "file_id": "f"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/tiff"}},
            {"type": "document", "citations": {"enabled": true}, "source": {"type": "url", "url": "u"}},
            {"type": "thinking", "thinking": "a"}, {"type": "text", "text": "a", "cache_control": 1},
            {"type": "tool_result", "content": [{"type": "tool_use"}]}, {"type": "tool_result", "tool_use_id": "t", "content": 1}]),
        &[
            "messages[0].content[0]",
            "messages[0].content[1].type",
            "messages[0].content[2].text",
            "messages[0].content[3].source",
            "messages[0].content[4].source.type",
            "messages[0].content[5].source.media_type",
            "messages[0].content[5].source.data",
            "messages[0].content[6].citations",
            "messages[0].content[6].source.type",
            "messages[0].content[7].type",
            "messages[0].content[8].cache_control",
            "messages[0].content[9].tool_use_id",
            "messages[0].content[9].content[0].type",
            "messages[0].content[10].content",
        ],
    );
    refused_blocks(
        "assistant",
        &json!([{"type": "tool_use"}, {"type": "thinking"}, {"type": "redacted_thinking"}, {"type": "server_tool_use"}, {"type": "image"}]),
        &[
            "messages[0].content[0].id",
            "messages[0].content[0].name",
            "messages[0].content[0].input",
            "messages[0].content[1].thinking",
            "messages[0].content[2].data",
            "messages[0].content[3].type",
            "messages[0].content[4].type",
        ],
    );
}
