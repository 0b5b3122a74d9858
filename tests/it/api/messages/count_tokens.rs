//! Tokens are counted without asking a model.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;

use super::{check_error, say, with};
use crate::api::check_untouched;

const COUNT: &str = "/v1/messages/count_tokens";

async fn count(app: &TestApp, body: &Value) -> u64 {
    let reply = app.post(COUNT, body).await;
    assert_eq!((reply.status, reply.header("request-id")), (200, reply.header("x-request-id")), "{}", reply.text());
    assert_eq!(reply.json().as_object().map(serde_json::Map::len), Some(1), "{}", reply.text());
    reply.json()["input_tokens"].as_u64().unwrap()
}

#[tokio::test]
async fn what_would_be_sent_is_counted() {
    let app = TestApp::start().await;
    let mut body = say("the quick brown fox jumps over the lazy dog");
    body.as_object_mut().unwrap().remove("max_tokens");
    let alone = count(&app, &body).await;
    assert!(alone > 10, "{alone}");
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    for (name, value) in [("system", json!("be brief")), ("tools", tools)] {
        assert!(count(&app, &with(body.clone(), name, value)).await > alone, "{name}");
    }
    let stream = with(with(body.clone(), "stream", true), "max_tokens", 5);
    assert_eq!(count(&app, &stream).await, alone, "how it is answered does not matter");
    check_untouched(&app).await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_counted() {
    let app = TestApp::builder().without_openai().start().await;
    check_error(&app.post(COUNT, &json!({"model": "m"})).await, 400, "invalid_request_error", "invalid_request");
    let unknown = app.post(COUNT, &with(say("a"), "model", "no/such-model")).await;
    check_error(&unknown, 404, "not_found_error", "model_not_found");
}
