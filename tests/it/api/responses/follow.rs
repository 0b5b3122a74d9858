//! A response behind the newest one of its conversation.

use serde_json::json;
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, RESPONSES, after, asking, check_error, get, parrot, respond, respond_with, sent, with};

#[tokio::test]
async fn a_response_goes_on_where_the_newest_one_ended() {
    let app = parrot(&["one", "two", "three"]).await;
    let one = respond(&app, &asking("one")).await;
    let two = respond(&app, &after(&one, "two")).await;
    let three = respond(&app, &after(&two, "three")).await;
    assert_eq!(three["previous_response_id"], two["id"]);
    assert_eq!(three["conversation"], json!(null));
    assert_eq!(sent(&app), ["user: one", "assistant: re-one", "user: two", "assistant: re-two", "user: three"]);
    let threads = app.get("/v1/threads").await.json();
    assert_eq!(threads["data"].as_array().map(Vec::len), Some(1), "one conversation: {threads}");
    assert_eq!(get(&app, &three).await, three);
}

#[tokio::test]
async fn a_turn_of_another_route_in_between_makes_a_fork() {
    let app = parrot(&["one", "two", "three"]).await;
    app.post(CHAT, &json!({"message": "one", "session_id": "s"})).await;
    let two = respond(&app, &with(asking("two"), "conversation", "s")).await;
    app.post(CHAT, &json!({"message": "slips in", "session_id": "s"})).await;
    respond(&app, &after(&two, "three")).await;
    assert_eq!(sent(&app), ["user: one", "assistant: re-one", "user: two", "assistant: re-two", "user: three"]);
    assert_eq!(app.get("/v1/threads/s/turns").await.json()["total"], 3);
}

#[tokio::test]
async fn only_a_response_that_is_there_can_be_followed() {
    let app = TestApp::start().await;
    for unknown in ["resp_unknown", "resp_", "", "msg_1", "resp_Yzp0"] {
        let reply = app.post(RESPONSES, &with(asking("hello"), "previous_response_id", unknown)).await;
        check_error(&reply, 404, "previous_response_not_found", "previous_response_id");
    }
    super::check_untouched(&app).await;
}

#[tokio::test]
async fn a_response_without_an_answer_cannot_be_followed() {
    let app = TestApp::start().await;
    let queued = respond(&app, &with(asking("later"), "background", true)).await;
    let reply = app.post(RESPONSES, &after(&queued, "hello")).await;
    check_error(&reply, 400, "invalid_request", "previous_response_id");
    assert_eq!(app.provider.calls(), 0);
}

#[tokio::test]
async fn a_number_that_is_asserted_forbids_the_fork() {
    let app = parrot(&["one", "two"]).await;
    let one = respond(&app, &asking("one")).await;
    respond_with(&app, &[("if-match", "2")], &after(&one, "two")).await;
    let reply = app.post_with(RESPONSES, &[("if-match", "2")], &after(&one, "two again")).await;
    check_error(&reply, 412, "turn_number_mismatch", "If-Match");
    assert_eq!(app.provider.calls(), 2);
}

#[tokio::test]
async fn a_response_does_not_wait_for_another_that_follows_the_same() {
    let app = parrot(&["one", "quick"]).await;
    let one = respond(&app, &asking("one")).await;
    let gate = Gate::closed();
    app.provider.on_text("slow", Script::answer("at last").gated(&gate));
    let slow_request = after(&one, "slow");
    let slow = respond(&app, &slow_request);
    let quick = async {
        gate.reached().await;
        let quick = respond(&app, &after(&one, "quick")).await;
        assert_eq!(sent(&app), ["user: one", "assistant: re-one", "user: quick"]);
        gate.open();
        quick
    };
    let (slow, quick) = tokio::join!(slow, quick);
    // Both can be followed, each where it stands.
    respond(&app, &after(&slow, "more")).await;
    assert_eq!(sent(&app)[2..], ["user: slow", "assistant: at last", "user: more"]);
    respond(&app, &after(&quick, "more")).await;
    assert_eq!(sent(&app)[2..], ["user: quick", "assistant: re-quick", "user: more"]);
}
