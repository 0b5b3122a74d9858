//! Keys that may ask some models only.

use http::Method;
use serde_json::json;
use turnwise_tests::app::{PATIENCE, TestApp};

use super::super::check_error;
use super::{ask, make, question, send, text};

#[tokio::test]
async fn only_the_models_of_its_list_are_asked() {
    let app = TestApp::start().await;
    let key = text(&make(&app, json!({"name": "echo", "models": ["local/*"]})).await);
    check_error(&ask(&app, &key, &question("openai/gpt-4o-mini")).await, 403, "model_not_allowed", "model");
    // The refusal burnt no key.
    assert_eq!(ask(&app, &key, &question("local/echo")).await.status, 200);
    let hello = json!([{"role": "user", "content": "hello"}]);
    for (path, body) in [
        ("/v1/chat/completions", json!({"model": "openai/gpt-4o-mini", "messages": hello})),
        ("/v1/messages", json!({"model": "openai/gpt-4o-mini", "messages": hello, "max_tokens": 9})),
        ("/v1/responses", json!({"model": "openai/gpt-4o-mini", "input": "hello"})),
        ("/v1/responses/compact", json!({"model": "openai/gpt-4o-mini", "input": "hello"})),
        ("/v1/embeddings", json!({"model": "openai/text-embedding-3-small", "input": "hello"})),
    ] {
        assert_eq!(send(&app, &key, Method::POST, path, Some(&body)).await.status, 403, "{path}");
    }
    assert_eq!(app.provider.requests().len(), 0);
}

#[tokio::test]
async fn what_it_may_not_ask_is_not_fallen_back_to() {
    let app = TestApp::start().await;
    let key = text(&make(&app, json!({"name": "echo", "models": ["local/*"]})).await);
    let request = app.request_without_key(Method::POST, "/v1/chat").header("x-api-key", &key);
    let request = request.header("turnwise-fallback-models", "openai/gpt-4o-mini");
    let body = json!({"message": "hello", "model": "local/echo", "echo_fail_after": 0});
    let reply = turnwise_tests::app::Reply::of(request.body(body.to_string())).await;
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert_eq!(app.provider.requests().len(), 0);
}

#[tokio::test]
async fn models_it_may_not_ask_are_not_listed() {
    let app = TestApp::start().await;
    let key = text(&make(&app, json!({"name": "echo", "models": ["local/*"]})).await);
    let listed = send(&app, &key, Method::GET, "/v1/models", None).await.json();
    let ids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(!ids.is_empty() && ids.iter().all(|id| id.starts_with("local/")), "{ids:?}");
    assert_eq!(send(&app, &key, Method::GET, "/v1/models/openai/gpt-4o-mini", None).await.status, 404);
}

#[tokio::test]
async fn a_turn_of_the_queue_does_not_run_for_a_key_that_was_revoked() {
    let mut app = TestApp::start().await;
    let made = make(&app, json!({"name": "soon gone"})).await;
    let request = app.request_without_key(Method::POST, "/v1/chat").header("x-api-key", text(&made));
    let request = request.header("prefer", "respond-async").body(question("openai/gpt-4o-mini").to_string());
    assert_eq!(turnwise_tests::app::Reply::of(request).await.status, 202);
    app.post(&format!("/admin/keys/{}/revoke", made["id"].as_str().unwrap()), &json!({})).await;
    app.work();
    let ended = tokio::time::timeout(PATIENCE, app.turn_in("s:1", "FAILED")).await.unwrap();
    assert_eq!(ended["error"]["code"], "key_not_active");
    assert_eq!(app.provider.requests().len(), 0);
}
