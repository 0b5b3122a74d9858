//! Turns of the queue: who asked pays, also later.

use super::*;

/// A key of the table with these limits, and what it sends.
async fn key_with(app: &TestApp, allowance: Value) -> String {
    let mut body = json!({"name": "limited", "scopes": ["generate", "read"]});
    for (name, value) in allowance.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = app.post("/admin/keys", &body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["key"].as_str().unwrap().to_owned()
}

async fn later(app: &TestApp, key: &str, turn: &str) -> u16 {
    let body = json!({"message": "hello", "session_id": "s", "turn_id": turn, "model": "gpt-4o-mini"});
    let request = app.request_without_key(http::Method::POST, CHAT).header("authorization", format!("Bearer {key}"));
    let request = request.header("prefer", "respond-async").header("content-type", "application/json");
    request.body(body.to_string()).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_turn_of_the_queue_whose_budget_is_used_up_fails() {
    let mut app = TestApp::start().await;
    let key = key_with(&app, json!({"budget": {"daily_usd": "0.000001"}})).await;
    assert_eq!(later(&app, &key, "1").await, 202);
    app.work();
    app.turn_in("s:1", "FAILED").await;
    let failed = app.get("/v1/turns/s:1").await;
    assert!(failed.text().contains("budget_exceeded"), "{}", failed.text());
    assert_eq!(app.provider.calls(), 0);
}

#[tokio::test]
async fn a_turn_of_the_queue_is_paid_for_by_the_key_that_asked() {
    let mut app = TestApp::start().await;
    let key = key_with(&app, json!({"budget": {"daily_usd": "1"}})).await;
    assert_eq!(later(&app, &key, "1").await, 202);
    app.work();
    app.turn_in("s:1", "COMPLETED").await;
    assert_eq!(check_returned(&app.table).await, USUAL);
}
