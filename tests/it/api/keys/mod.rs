//! API keys of the table: made, used, changed, taken back.

mod allowed;
mod canary;
mod foreign;
mod manage;
mod matrix;
mod used;

use http::Method;
use serde_json::{Value, json};
use turnwise_tests::app::{Reply, TestApp};

/// Makes a key; its body, with its text.
async fn make(app: &TestApp, body: Value) -> Value {
    let made = app.post("/admin/keys", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

/// Makes a key that may do everything in `tenant`; its text.
async fn key_of(app: &TestApp, tenant: &str) -> String {
    let scopes = ["generate", "read", "reports", "admin"];
    text(&make(app, json!({"name": "all", "tenant": tenant, "scopes": scopes})).await)
}

fn text(key: &Value) -> String {
    key["key"].as_str().expect("a new key is told").to_owned()
}

/// Sends a request with `key`, and a body where one is given.
async fn send(app: &TestApp, key: &str, method: Method, path: &str, body: Option<&Value>) -> Reply {
    let request = app.request_without_key(method, path).header("authorization", format!("Bearer {key}"));
    Reply::of(match body {
        Some(body) => request.header("content-type", "application/json").body(body.to_string()),
        None => request,
    })
    .await
}

async fn ask(app: &TestApp, key: &str, body: &Value) -> Reply {
    send(app, key, Method::POST, "/v1/chat", Some(body)).await
}

fn question(model: &str) -> Value {
    json!({"message": "hello", "model": model, "session_id": "s", "turn_id": "1"})
}
