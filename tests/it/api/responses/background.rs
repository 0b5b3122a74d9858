//! Responses made in the background.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, RESPONSES, after, asking, cancel, get, ok, parrot, respond, sent, text, with};

/// The response once it has `status`.
async fn once(app: &TestApp, response: &Value, status: &str) -> Value {
    let looking = async {
        loop {
            let now = get(app, response).await;
            if now["status"] == status {
                return now;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(turnwise_tests::app::PATIENCE, looking).await;
    in_time.unwrap_or_else(|_| panic!("{response} did not become {status}"))
}

fn in_background(body: Value) -> Value {
    with(body, "background", true)
}

#[tokio::test]
async fn it_is_queued_then_made_then_read() {
    let mut app = TestApp::start().await;
    let asked = in_background(with(asking("later"), "metadata", json!({"a": "b"})));
    let queued = respond(&app, &asked).await;
    assert_eq!((&queued["status"], &queued["output"], &queued["usage"]), (&json!("queued"), &json!([]), &Value::Null));
    assert_eq!((&queued["background"], &queued["metadata"]), (&json!(true), &json!({"a": "b"})));
    assert_eq!(queued["model"], "openai/gpt-4o-mini");
    assert_eq!((get(&app, &queued).await, app.provider.calls()), (queued.clone(), 0));

    let gate = Gate::closed();
    app.provider.otherwise(Script::answer("at last").gated(&gate));
    app.work();
    gate.reached().await;
    assert_eq!(get(&app, &queued).await["status"], "in_progress");
    gate.open();
    let done = once(&app, &queued, "completed").await;
    assert_eq!(
        (text(&done), &done["created_at"], &done["metadata"]),
        ("at last", &queued["created_at"], &json!({"a": "b"}))
    );
}

#[tokio::test]
async fn a_preference_for_an_answer_later_is_the_same() {
    let mut app = TestApp::start().await;
    let headers = [("prefer", "respond-async"), ("idempotency-key", "k")];
    let reply = app.post_with(RESPONSES, &headers, &asking("later")).await;
    let queued = ok(&reply);
    assert_eq!((&queued["status"], &queued["background"]), (&json!("queued"), &json!(true)));
    assert_eq!(reply.header("preference-applied"), "respond-async");
    assert_eq!(ok(&app.post_with(RESPONSES, &headers, &asking("later")).await), queued);
    app.work();
    let done = once(&app, &queued, "completed").await;
    let again = app.post_with(RESPONSES, &headers, &asking("later")).await;
    assert_eq!((again.is_replay(), ok(&again), app.provider.calls()), (true, done, 1));
}

#[tokio::test]
async fn one_that_follows_another_is_the_next_turn_or_a_fork() {
    let mut app = parrot(&["one", "two", "other"]).await;
    let one = respond(&app, &asking("one")).await;
    let two = respond(&app, &in_background(after(&one, "two"))).await;
    let other = respond(&app, &in_background(after(&one, "other"))).await;
    app.work();
    for (response, word) in [(&two, "two"), (&other, "other")] {
        assert_eq!(text(&once(&app, response, "completed").await), format!("re-{word}"));
    }
    for request in &app.provider.requests()[1..] {
        assert_eq!(request.body["messages"].as_array().map(Vec::len), Some(3), "{}", request.raw);
    }
    let threads = app.get("/v1/threads").await.json();
    assert_eq!(threads["data"].as_array().map(Vec::len), Some(2), "{threads}");
    respond(&app, &after(&get(&app, &two).await, "end")).await;
    assert_eq!(sent(&app), ["user: one", "assistant: re-one", "user: two", "assistant: re-two", "user: end"]);
}

#[tokio::test]
async fn in_a_busy_conversation_it_can_be_enqueued() {
    let mut app = TestApp::start().await;
    app.post(CHAT, &json!({"message": "first", "session_id": "s"})).await;
    let gate = Gate::closed();
    app.provider.on_text("slow", Script::answer("at last").gated(&gate));
    let request = json!({"message": "slow", "session_id": "s"});
    let slow = app.post(CHAT, &request);
    let enqueued = async {
        gate.reached().await;
        let asked = with(with(asking("next"), "conversation", "s"), "on_busy", "enqueue");
        let queued = respond(&app, &asked).await;
        assert_eq!((&queued["status"], &queued["background"]), (&json!("queued"), &json!(false)));
        gate.open();
        queued
    };
    let (_, queued) = tokio::join!(slow, enqueued);
    app.work();
    once(&app, &queued, "completed").await;
    assert_eq!(sent(&app).len(), 5);
}

#[tokio::test]
async fn a_queued_one_is_cancelled_and_never_made() {
    let mut app = TestApp::start().await;
    let queued = respond(&app, &in_background(with(asking("later"), "instructions", "Be brief."))).await;
    let cancelled = ok(&cancel(&app, &queued).await);
    assert_eq!((&cancelled["status"], &cancelled["output"]), (&json!("cancelled"), &json!([])));
    // What was asked is still known.
    assert_eq!((&cancelled["instructions"], &cancelled["model"]), (&json!("Be brief."), &json!("openai/gpt-4o-mini")));
    app.work();
    assert_eq!(ok(&cancel(&app, &queued).await), cancelled);
    assert_eq!((get(&app, &queued).await, app.provider.calls()), (cancelled, 0));
}

#[tokio::test]
async fn a_running_one_is_cancelled() {
    let mut app = TestApp::start().await;
    let gate = Gate::closed();
    app.provider.otherwise(Script::answer("too late").gated(&gate));
    let queued = respond(&app, &in_background(asking("later"))).await;
    app.work();
    gate.reached().await;
    assert_eq!(ok(&cancel(&app, &queued).await)["status"], "cancelled");
    gate.open();
    assert_eq!(get(&app, &queued).await["status"], "cancelled");
}

#[tokio::test]
async fn one_that_has_ended_is_not_cancelled() {
    let app = TestApp::start().await;
    let done = respond(&app, &asking("hello")).await;
    super::check_error(&cancel(&app, &done).await, 400, "invalid_request", "response_id");
    assert_eq!(get(&app, &done).await["status"], "completed");
    let unknown = json!({"id": "resp_unknown"});
    super::check_error(&cancel(&app, &unknown).await, 404, "response_not_found", "");
}
