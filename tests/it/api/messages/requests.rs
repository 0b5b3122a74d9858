//! What a client of Anthropic's asks for, as an upstream that speaks OpenAI's completions
//! is asked for it.

use http::Method;
use serde_json::{Value, json};
use turnwise_tests::app::{KEY, Reply, TestApp};

use super::{MESSAGES, ok, say, with};

#[tokio::test]
async fn everything_is_translated_for_the_upstream() {
    let app = TestApp::start().await;
    let body = json!({
        "model": "openai/gpt-4o-mini", "max_tokens": 50, "stop_sequences": ["END"], "temperature": 0.5, "top_p": 0.9, "top_k": 3,
        "metadata": {"user_id": "u1"}, "service_tier": "standard_only", "inference_geo": "us",
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "see"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
            {"role": "assistant", "content": [{"type": "text", "text": "hm"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}}]},
            {"role": "user", "content": [{"type": "text", "text": "so?"},
                {"type": "tool_result", "tool_use_id": "t1", "content": "7", "is_error": true}]},
        ],
    });
    let reply = app.post(MESSAGES, &body).await;
    ok(&reply);
    assert_eq!(reply.header("x-turnwise-dropped-params"), "anthropic");
    let sent = app.provider.requests().remove(0).body;
    assert_eq!(
        sent,
        json!({
            "model": "gpt-4o-mini", "stream": false, "max_completion_tokens": 50, "stop": ["END"], "temperature": 0.5, "top_p": 0.9, "top_k": 3,
            "user": "u1", "service_tier": "default",
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
            "tool_choice": "required", "parallel_tool_calls": false,
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}]},
                {"role": "user", "content": [{"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
                {"role": "assistant", "content": "hm", "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
                {"role": "tool", "tool_call_id": "t1", "content": "7", "is_error": true},
                {"role": "user", "content": "so?"},
            ],
        })
    );
}

#[tokio::test]
async fn a_key_comes_in_as_anthropics_clients_send_it_with_any_version() {
    let app = TestApp::start().await;
    for (version, beta) in
        [("2023-06-01", ""), ("2099-01-01", "interleaved-thinking-2025-05-14,other"), ("anything", "x")]
    {
        let request = app.request_without_key(Method::POST, MESSAGES).header("x-api-key", KEY);
        let request = request.header("anthropic-version", version).header("anthropic-beta", beta);
        ok(&Reply::of(request.body(say("hello").to_string())).await);
    }
    // Some clients ask for `/v1/messages?beta=true`.
    ok(&app.post(&format!("{MESSAGES}?beta=true"), &say("hello")).await);
}

#[tokio::test]
async fn a_request_without_a_key_stores_no_turn() {
    let app = TestApp::start().await;
    let ids: Vec<Value> = [ok(&app.post(MESSAGES, &say("hello")).await), ok(&app.post(MESSAGES, &say("hello")).await)]
        .iter()
        .map(|message| message["id"].clone())
        .collect();
    assert_ne!(ids[0], ids[1]);
    let rows = app.table.rows().await;
    let is_turn = |row: &_| turnwise_tests::table::text(row, "sk").starts_with("T#");
    assert!(!rows.iter().any(is_turn), "{rows:?}");
    let streamed = with(say("hello"), "stream", true);
    let reply = app.post_with(MESSAGES, &[("last-event-id", "3")], &streamed).await;
    super::check_error(&reply, 400, "invalid_request_error", "invalid_request");
}
