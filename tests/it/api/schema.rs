//! Our answers against OpenAI's own description of them.

use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use turnwise_core::fold::Fold;
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{COMPLETIONS, ask, check_error, with};

static OPENAI: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../fixtures/openai-subset.json")).unwrap());

/// Checks `body` against OpenAI's `schema`.
pub(super) fn check(body: &Value, schema: &str) {
    let mut root = OPENAI.clone();
    root["$ref"] = json!(format!("#/components/schemas/{schema}"));
    let validator: Validator = jsonschema::options().with_draft(Draft::Draft202012).build(&root).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(body).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert_eq!(faults, Vec::<String>::new(), "{schema}: {body}");
}

#[tokio::test]
async fn whole_answers_are_openais_completions() {
    let app = TestApp::start().await;
    let echo = with(ask(COMPLETIONS, "hello there"), "model", "local/echo");
    check(&app.post(COMPLETIONS, &echo).await.json(), "CreateChatCompletionResponse");

    let streamed = with(ask(COMPLETIONS, "hello"), "stream", true);
    let headers = [("idempotency-key", "k")];
    app.open(COMPLETIONS, &headers, &streamed).await.rest().await;
    let folded = app.post_with(COMPLETIONS, &headers, &ask(COMPLETIONS, "hello")).await;
    assert!(folded.is_replay());
    check(&folded.json(), "CreateChatCompletionResponse");
}

#[tokio::test]
async fn chunks_are_openais_chunks() {
    let app = TestApp::start().await;
    let options = json!({"include_usage": true});
    for model in ["local/echo", "gpt-4o-mini"] {
        let body = with(with(ask(COMPLETIONS, "hello there"), "model", model), "stream", true);
        for body in [body.clone(), with(body, "stream_options", options.clone())] {
            let events = app.sse(COMPLETIONS, &body).await;
            let (done, chunks) = events.split_last().unwrap();
            assert_eq!(done.data, "[DONE]");
            for chunk in chunks {
                check(&chunk.json(), "CreateChatCompletionStreamResponse");
            }
        }
    }
}

#[tokio::test]
async fn whatever_echo_says_is_openais() {
    let app = TestApp::builder().without_openai().start().await;
    let function = json!({"name": "f", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}});
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let echo = with(ask(COMPLETIONS, "hello there"), "model", "local/echo");
    for body in [
        with(echo.clone(), "tools", json!([{"type": "function", "function": function}])),
        with(echo.clone(), "response_format", format),
        with(echo.clone(), "reasoning_effort", "low"),
        with(echo.clone(), "echo_refusal", true),
    ] {
        let whole = app.post(COMPLETIONS, &body).await.json();
        check(&whole, "CreateChatCompletionResponse");
        let streamed = with(with(body, "stream", true), "stream_options", json!({"include_usage": true}));
        let events = app.sse(COMPLETIONS, &streamed).await;
        let mut fold = Fold::default();
        for chunk in events.iter().filter(|event| event.data != "[DONE]").map(|event| event.json()) {
            check(&chunk, "CreateChatCompletionStreamResponse");
            fold.push(&chunk);
        }
        let folded = fold.complete();
        assert_eq!(folded["usage"], whole["usage"]);
        assert_eq!(folded["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"]);
    }
    let failing = app.post(COMPLETIONS, &with(echo.clone(), "echo_fail_after", 1)).await;
    check_error(&failing, 502, "upstream_error", "");
    let events = app.sse(COMPLETIONS, &with(with(echo.clone(), "echo_fail_after", 1), "stream", true)).await;
    let error = events.last().unwrap().json()["error"].clone();
    assert_eq!((&error["code"], &error["partial_text"]), (&json!("upstream_error"), &json!("Echo: ")));
    check_error(&app.post(COMPLETIONS, &with(echo, "echo_refusal", 1)).await, 400, "invalid_request", "echo_refusal");
}

#[tokio::test]
async fn a_stream_rebuilt_from_a_whole_answer_has_openais_chunks() {
    let app = TestApp::start().await;
    let headers = [("idempotency-key", "k")];
    app.post_with(COMPLETIONS, &headers, &ask(COMPLETIONS, "hello")).await;
    let events = app.open(COMPLETIONS, &headers, &with(ask(COMPLETIONS, "hello"), "stream", true)).await.rest().await;
    let (done, chunks) = events.split_last().unwrap();
    assert_eq!((done.data.as_str(), chunks.is_empty()), ("[DONE]", false));
    for chunk in chunks {
        check(&chunk.json(), "CreateChatCompletionStreamResponse");
    }
}

#[tokio::test]
async fn models_are_openais_models() {
    let app = TestApp::start().await;
    check(&app.get("/v1/models").await.json(), "ListModelsResponse");
    check(&app.get("/v1/models/local/echo").await.json(), "Model");
}

#[tokio::test]
async fn errors_are_openais_errors() {
    let app = TestApp::start().await;
    app.provider.otherwise(Script::refuse(500));
    let body = ask(COMPLETIONS, "hello");
    for reply in [
        app.post(COMPLETIONS, &json!({})).await,
        app.post(COMPLETIONS, &body).await,
        app.get("/nowhere").await,
        app.get("/v1/models/groq/x").await,
        app.get("/v1/turns/none").await,
    ] {
        assert!(reply.status >= 400);
        check(&reply.json(), "ErrorResponse");
    }
    app.provider.otherwise(Script::answer("one two").end_after(1));
    let events = app.sse(COMPLETIONS, &with(body, "stream", true)).await;
    check(&events.last().unwrap().json(), "ErrorResponse");
}
