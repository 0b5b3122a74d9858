//! What the work of some days came to.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;

use super::{CHAT, COMPLETIONS, ask, check_error};

async fn say(app: &TestApp, session: &str, message: &str) {
    let reply = app.post(CHAT, &json!({"message": message, "session_id": session})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test]
async fn conversations_messages_tokens_and_memory_are_counted() {
    let app = TestApp::start().await;
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15});
    app.provider.otherwise(Script::answer("yes").usage(usage));
    for (session, message) in [("a", "1"), ("a", "2"), ("b", "3"), ("a", "4")] {
        say(&app, session, message).await;
    }
    // Another process has none of them in memory.
    say(&app.second_process().await, "a", "5").await;
    app.post(COMPLETIONS, &ask(COMPLETIONS, "no turn")).await;

    let stats = app.get("/v1/stats").await.json();
    assert_eq!((&stats["conversations"], &stats["messages"], &stats["requests"]), (&json!(2), &json!(10), &json!(6)));
    assert_eq!((&stats["input_tokens"], &stats["output_tokens"]), (&json!(60), &json!(30)));
    let memory = &stats["memory"];
    assert_eq!((&memory["hits"], &memory["misses"]), (&json!(2), &json!(1)));
    assert!(memory["hit_rate"].as_f64().is_some_and(|rate| (rate - 2.0 / 3.0).abs() < 1e-9), "{memory}");
    assert_eq!(memory["conversations_here"], 2);
    let today = app.get("/v1/stats?days=1").await.json();
    assert_eq!((&today["requests"], today["since"].as_str().map(str::len)), (&json!(6), Some("2026-11-21".len())));
}

#[tokio::test]
async fn nothing_has_no_rate() {
    let app = TestApp::start().await;
    let stats = app.get("/v1/stats").await.json();
    assert_eq!((&stats["requests"], &stats["memory"]["hit_rate"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn days_that_cannot_be_are_refused() {
    let app = TestApp::start().await;
    for days in ["0", "367", "-1", "many"] {
        check_error(&app.get(&format!("/v1/stats?days={days}")).await, 400, "invalid_request", "days");
    }
}
