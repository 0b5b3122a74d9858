//! Which tools a model may call.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{RESPONSES, asking, check_error, with};

/// A stream that calls `name`.
fn calling(name: &str) -> Script {
    let call = json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}});
    let chunk = |delta: Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        format!("data: {}\n\n", json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}))
    };
    let chunks = [chunk(json!({"tool_calls": [call]}), Value::Null), chunk(json!({}), json!("tool_calls"))];
    Script::pieces(&[chunks.concat().as_bytes(), b"data: [DONE]\n\n"])
}

fn asking_for_f() -> Value {
    let function = |name: &str| json!({"type": "function", "name": name, "parameters": {"type": "object"}});
    let body = with(asking("hello"), "tools", json!([function("f"), function("g")]));
    let only_f = json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]});
    with(with(body, "tool_choice", only_f), "stream", true)
}

#[tokio::test]
async fn a_tool_that_may_not_be_called_is_the_models_error() {
    let app = TestApp::start().await;
    app.provider.enqueue(calling("g"));
    let reply = app.post(RESPONSES, &asking_for_f()).await;
    check_error(&reply, 502, "tool_not_allowed", "");
    assert!(reply.text().contains("\\\"g\\\""), "{}", reply.text());

    app.provider.enqueue(calling("f"));
    let events = app.sse(RESPONSES, &asking_for_f()).await;
    let end = &events[events.len() - 2];
    assert_eq!(end.event, "response.completed");
    assert_eq!(end.json()["response"]["output"][0]["name"], "f");
}
