//! A turn that cancels the running one and takes its place.

use serde_json::json;
use turnwise_tests::app::TestApp;

use super::{CHAT, held_first, named_turn, names, with};

#[tokio::test]
async fn an_interrupting_turn_runs_at_once_and_the_partial_answer_is_kept() {
    for elsewhere in [false, true] {
        let app = TestApp::start().await;
        let other = app.second_process().await;
        let (gate, events) = held_first(&app).await;
        let process = if elsewhere { &other } else { &app };
        let reply = process.post(CHAT, &with(named_turn("second"), "on_busy", "interrupt")).await;
        assert_eq!((reply.status, &reply.json()["turn_number"]), (200, &json!(1)), "{}", reply.text());
        gate.open();
        assert_eq!(names(&events.rest().await).last(), Some(&"error"));
        let first = app.turn_in("s:first", "FAILED").await;
        assert_eq!(first["error"]["code"], "interrupted");
        if !elsewhere {
            assert_eq!(first["error"]["partial_text"], "one ");
        }
    }
}

#[tokio::test]
async fn an_interrupting_turn_goes_ahead_of_the_queue() {
    let mut app = TestApp::start().await;
    let (_gate, _events) = held_first(&app).await;
    app.post(CHAT, &with(named_turn("queued"), "on_busy", "enqueue")).await;
    let reply = app.post_with(CHAT, &[("turnwise-on-busy", "interrupt")], &named_turn("urgent")).await;
    assert_eq!(reply.json()["turn_number"], 1, "{}", reply.text());
    app.work();
    assert_eq!(app.turn_in("s:queued", "COMPLETED").await["turn_number"], 2);
}

#[tokio::test]
async fn with_nothing_to_interrupt_it_is_a_turn_like_another() {
    let app = TestApp::start().await;
    let reply = app.post(CHAT, &with(named_turn("first"), "on_busy", "interrupt")).await;
    assert_eq!(reply.json()["turn_number"], 1);
}
