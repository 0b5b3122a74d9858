//! What OpenAI's clients send passes through, and what they expect comes back.

use http::Method;
use serde_json::{Value, json};
use turnwise_tests::app::{PROVIDER_KEY, Reply, TestApp};
use turnwise_tests::scripted::Script;

use super::{COMPLETIONS, ROUTES, ask, check_error, redacted, with};

/// A body with all kinds of fields, written as nobody's serializer would.
const EVERYTHING: &str = r#"{"model": "openai/my-model",
 "messages": [ {"role":"developer","content":"be brief"},
  {"role":"user","content":[{"type":"text","text":"gr\u00fc\u00df"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}}]},
  {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\": 1.0}"}}]},
  {"role":"tool","tool_call_id":"c1","content":"7"} ],
 "tools": [{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{"x":{"type":"number"}}}}}],
 "tool_choice": "auto", "parallel_tool_calls": false, "temperature": 1.0, "top_p": 1, "max_completion_tokens": 5, "logprobs": true, "top_logprobs": 2,
 "response_format": {"type":"json_schema","json_schema":{"name":"n","schema":{"b":1,"a":2}}},
 "logit_bias": {"50256": -100}, "seed": 12345678901234567890, "stop": ["\n"], "user": "u", "metadata": {"z":"1","a":"2"}, "x_vendor": {"deep": [ 1 , 2 ]} }"#;

async fn send(app: &TestApp, headers: &[(&'static str, &'static str)], body: String) -> Reply {
    let request = headers
        .iter()
        .fold(app.request(Method::POST, COMPLETIONS), |request, (name, value)| request.header(*name, *value));
    Reply::of(request.body(body)).await
}

#[tokio::test]
async fn every_field_is_forwarded_as_it_was_written() {
    for headers in [&[][..], &[("idempotency-key", "k")]] {
        for stream in [false, true] {
            let app = TestApp::start().await;
            let body = format!("{},\"stream\":{stream}}}", EVERYTHING.strip_suffix('}').unwrap());
            assert_eq!(send(&app, headers, body).await.status, 200);
            let sent = app.provider.requests().remove(0);
            assert_eq!((sent.model(), &sent.body["stream"]), ("my-model", &json!(stream)));
            assert_eq!(sent.headers["authorization"], format!("Bearer {PROVIDER_KEY}"));

            let ours = turnwise_core::json::raw_fields(EVERYTHING.as_bytes()).unwrap();
            let theirs = turnwise_core::json::raw_fields(sent.raw.as_bytes()).unwrap();
            for (name, text) in ours.iter().filter(|(name, _)| *name != "model") {
                assert_eq!(theirs.get(name).map(|text| text.get()), Some(text.get()), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_whole_answer_is_the_upstreams_own_bytes() {
    let answer = r#"{ "id":"chatcmpl-1","object":"chat.completion", "created":1,"model":"my-model-2026",
 "x_vendor":{"b":1,"a":2.50}, "choices":[{"index":0,"message":{"role":"assistant","content":"gr\u00fc\u00df","refusal":null,"annotations":[]},
 "logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"cost":0.1},"service_tier":"default"}"#;
    let app = TestApp::start().await;
    let body = answer.as_bytes();
    for headers in [&[][..], &[("idempotency-key", "k")], &[("idempotency-key", "k")]] {
        app.provider.otherwise(Script::pieces(&[body]));
        let reply = send(&app, headers, ask(COMPLETIONS, "hello").to_string()).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, answer));
    }
    assert_eq!(app.provider.calls(), 2);
}

#[tokio::test]
async fn a_tool_call_comes_back_whole() {
    let call = json!([{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let message = json!({"role": "assistant", "content": null, "tool_calls": call});
    let answer = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": message, "logprobs": null, "finish_reason": "tool_calls"}]});
    let app = TestApp::start().await;
    app.provider.otherwise(Script::pieces(&[answer.to_string().as_bytes()]));
    for body in [ask(COMPLETIONS, "hello"), with(ask(COMPLETIONS, "hello"), "stream", true)] {
        let headers = [("idempotency-key", "k")];
        let reply = app.post_with(COMPLETIONS, &headers, &body).await;
        assert_eq!(reply.status, 200);
        assert!(reply.text().contains(r#""name":"f""#), "{}", reply.text());
    }
    // In a conversation the call is remembered as the assistant's message.
    app.post("/v1/chat", &json!({"message": "hello", "session_id": "s"})).await;
    app.post("/v1/chat", &json!({"message": "and?", "session_id": "s"})).await;
    let sent = app.provider.requests().pop().unwrap().body;
    assert_eq!(sent["messages"][1], message);
}

#[tokio::test]
async fn an_error_has_openais_shape() {
    let app = TestApp::start().await;
    let reply = app.post(COMPLETIONS, &json!({"model": "m", "messages": []})).await;
    check_error(&reply, 400, "invalid_request", "messages");
    insta::assert_json_snapshot!(redacted(reply.json()), @r#"
    {
      "error": {
        "category": "VALIDATION_ERROR",
        "code": "invalid_request",
        "faults": [
          {
            "field": "messages",
            "message": "At least one message is required."
          }
        ],
        "message": "messages: At least one message is required.",
        "param": "messages",
        "request_id": "[request_id]",
        "retry_after_s": null,
        "retryable": false,
        "severity": "LOW",
        "type": "invalid_request_error",
        "user_message": "Something in the request isn't valid: messages."
      }
    }
    "#);
}

#[tokio::test]
async fn models_are_listed_in_openais_shape() {
    let app = TestApp::start().await;
    app.provider.list_models(&["my-own"]);
    let list = app.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    for expected in ["local/echo", "openai/gpt-4o-mini", "openai/my-own"] {
        assert!(ids.contains(&expected), "{expected}: {ids:?}");
    }
    for name in ["openai/gpt-4o-mini", "gpt-4o-mini"] {
        let model = app.get(&format!("/v1/models/{name}")).await.json();
        assert_eq!(model["id"], "openai/gpt-4o-mini");
    }
    insta::assert_json_snapshot!(app.get("/v1/models/gpt-4o-mini").await.json(), @r#"
    {
      "capabilities": [
        "tools",
        "parallel_tools",
        "vision",
        "json_schema",
        "pdf",
        "prompt_cache"
      ],
      "context_tokens": 128000,
      "created": 0,
      "dimensions": null,
      "id": "openai/gpt-4o-mini",
      "input_usd_per_mtok": 0.15,
      "max_output_tokens": 16384,
      "mode": "chat",
      "object": "model",
      "output_usd_per_mtok": 0.6,
      "owned_by": "openai"
    }
    "#);
}

#[tokio::test]
async fn a_request_id_is_on_every_answer() {
    let app = TestApp::start().await;
    let mut seen = std::collections::BTreeSet::new();
    for path in ROUTES {
        for body in [ask(path, "hello"), with(ask(path, "hello"), "stream", true), Value::Null] {
            let reply = app.post(path, &body).await;
            super::check_request_id(&reply);
            assert!(seen.insert(reply.header("x-request-id").to_owned()));
        }
    }
    for path in ["/healthz", "/readyz", "/openapi.json", "/v1/models", "/v1/threads", "/nowhere"] {
        super::check_request_id(&app.get(path).await);
    }
}
