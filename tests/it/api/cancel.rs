//! Turns cancelled: in the queue, while they run here and elsewhere, and too late.

use serde_json::json;
use turnwise_tests::app::{Reply, TestApp};
use turnwise_tests::scripted::{Gate, Script};
use turnwise_tests::table;

use super::{CHAT, check_error, named_turn, names, text_in, with};

async fn cancel(app: &TestApp, key: &str) -> Reply {
    app.post(&format!("/v1/turns/{key}/cancel"), &json!({})).await
}

fn check_cancelled(reply: &Reply, partial: &str) {
    let body = reply.json();
    assert_eq!((reply.status, &body["status"]), (200, &json!("FAILED")), "{}", reply.text());
    assert_eq!(body["error"]["code"], "cancelled");
    assert_eq!(body["error"]["partial_text"].as_str().unwrap_or_default(), partial);
}

/// A turn `first` whose provider has sent two words and no more.
async fn held(app: &TestApp) -> (Gate, turnwise_tests::app::Events) {
    let gate = Gate::closed();
    app.provider.on_text("first", Script::chunks(["one ", "two ", "three"]).gated_after(2, &gate));
    let mut events = app.open(CHAT, &[], &with(named_turn("first"), "stream", true)).await;
    for _ in 0..3 {
        events.next().await;
    }
    gate.reached().await;
    (gate, events)
}

#[tokio::test]
async fn a_running_turn_ends_as_cancelled_with_what_had_arrived() {
    let app = TestApp::start().await;
    let (_gate, events) = held(&app).await;
    check_cancelled(&cancel(&app, "s:first").await, "one two ");
    let rest = events.rest().await;
    assert_eq!(names(&rest), ["error"]);
    assert_eq!(rest[0].json()["error"]["code"], "cancelled");
    // Again: the same.
    check_cancelled(&cancel(&app, "s:first").await, "one two ");
    let retry = app.post(CHAT, &named_turn("first")).await;
    check_error(&retry, 409, "cancelled", "");
    assert!(retry.is_replay());

    app.engine.tasks.idle().await;
    let rows = app.table.rows().await;
    let ledger: Vec<&str> =
        rows.iter().map(|row| table::text(row, "sk")).filter(|sk| sk.ends_with("#wasted")).collect();
    assert_eq!(ledger.len(), 1, "what was paid for it is in the ledger: {ledger:?}");
    let next = app.post(CHAT, &named_turn("second")).await;
    assert_eq!(next.json()["turn_number"], 1, "a cancelled turn has no number");
}

#[tokio::test]
async fn a_turn_that_runs_in_another_process_is_cancelled_at_once() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let (gate, events) = held(&app).await;
    let cancelled = cancel(&other, "s:first").await;
    assert_eq!(cancelled.json()["error"]["code"], "cancelled", "{}", cancelled.text());
    // The conversation is free although the attempt does not know yet.
    assert_eq!(other.post(CHAT, &named_turn("second")).await.json()["turn_number"], 1);
    gate.open();
    let rest = events.rest().await;
    assert_eq!(names(&rest).last(), Some(&"error"), "{:?}", text_in(&rest));
    assert_eq!(app.get("/v1/turns/s:first").await.json()["error"]["code"], "cancelled", "its commit was refused");
}

#[tokio::test]
async fn a_queued_turn_is_taken_out_of_the_queue() {
    let mut app = TestApp::start().await;
    for name in ["first", "second", "third"] {
        app.post_with(CHAT, &[("prefer", "respond-async")], &named_turn(name)).await;
    }
    check_cancelled(&cancel(&app, "s:second").await, "");
    assert_eq!(app.turn_in("s:third", "QUEUED").await["queue_position"], 2);
    app.work();
    assert_eq!(app.turn_in("s:third", "COMPLETED").await["turn_number"], 2);
    assert_eq!(app.provider.calls_with("second"), 0);
}

#[tokio::test]
async fn a_turn_that_has_ended_cannot_be_cancelled() {
    let app = TestApp::start().await;
    app.post(CHAT, &named_turn("done")).await;
    let reply = cancel(&app, "s:done").await;
    check_error(&reply, 409, "turn_ended", "");
    assert_eq!(reply.header("location"), "/v1/turns/s:done");
    app.provider.on_text("bad", Script::refuse(400));
    app.post(CHAT, &named_turn("bad")).await;
    check_error(&cancel(&app, "s:bad").await, 409, "turn_ended", "");
}

#[tokio::test]
async fn what_is_not_there_cannot_be_cancelled() {
    let app = TestApp::start().await;
    check_error(&cancel(&app, "s:none").await, 404, "turn_not_found", "");
}
