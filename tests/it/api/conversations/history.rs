//! What a model is told of a conversation that was changed by hand.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{add, create, items_of, list, say};

fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

/// The messages of the newest call.
fn sent(app: &TestApp) -> Value {
    app.provider.requests().pop().unwrap().body["messages"].clone()
}

#[tokio::test]
async fn a_model_is_told_what_was_added() {
    let app = TestApp::start().await;
    let id = create(&app, &["I am Ada."]).await;
    app.provider.enqueue(Script::answer("Hello Ada."));
    say(&app, &id, "hello").await;
    assert_eq!(sent(&app), json!([message("user", "I am Ada."), message("user", "hello")]));

    let items = json!([
        {"role": "developer", "content": "Be short."},
        {"type": "function_call", "call_id": "c1", "name": "clock", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "noon"},
    ]);
    app.post(&items_of(&id), &json!({ "items": items })).await;
    say(&app, &id, "What time is it?").await;
    let call = json!({"id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}});
    assert_eq!(
        sent(&app),
        json!([
            message("user", "I am Ada."),
            message("user", "hello"),
            message("assistant", "Hello Ada."),
            message("system", "Be short."),
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "noon"},
            message("user", "What time is it?"),
        ])
    );
}

#[tokio::test]
async fn a_model_is_not_told_what_was_deleted() {
    let app = TestApp::start().await;
    let id = create(&app, &["keep", "a secret"]).await;
    app.provider.enqueue(Script::answer("first answer"));
    say(&app, &id, "first question").await;
    app.provider.enqueue(Script::answer("second answer"));
    say(&app, &id, "second question").await;
    add(&app, &id, &["another secret"]).await;
    let page = list(&app, &id, "?order=asc").await;
    for gone in ["a secret", "first answer", "second question", "another secret"] {
        let items = page["data"].as_array().unwrap();
        let item = items.iter().find(|item| super::text_of(item) == gone).unwrap();
        let reply = app.delete(&format!("{}/{}", items_of(&id), item["id"].as_str().unwrap())).await;
        assert_eq!(reply.status, 200, "{gone}: {}", reply.text());
    }
    say(&app, &id, "third question").await;
    assert_eq!(
        sent(&app),
        json!([
            message("user", "keep"),
            message("user", "first question"),
            message("assistant", "second answer"),
            message("user", "third question"),
        ])
    );
    assert_eq!(app.get(&format!("/v1/threads/{id}/turns")).await.json()["total"], 3, "numbers have no gaps");
}
