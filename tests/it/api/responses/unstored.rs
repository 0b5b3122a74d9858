//! A response that is not stored: nobody finds it again but who repeats its key.

use serde_json::json;
use turnwise_tests::app::TestApp;

use super::{CHAT, RESPONSES, after, asking, check_error, ok, parrot, respond, sent, with};

#[tokio::test]
async fn without_a_key_nothing_of_it_is_kept() {
    let app = TestApp::start().await;
    let response = respond(&app, &with(asking("hello"), "store", false)).await;
    assert_eq!((&response["store"], &response["status"]), (&json!(false), &json!("completed")));
    assert_eq!(app.get(&super::path(&response)).await.status, 404);
    let rows = app.table.rows().await;
    assert!(rows.iter().all(|row| !turnwise_tests::table::text(row, "pk").starts_with("C#")), "{rows:?}");
    let reply = app.post(RESPONSES, &after(&response, "and?")).await;
    check_error(&reply, 404, "previous_response_not_found", "previous_response_id");
}

#[tokio::test]
async fn with_a_key_its_retry_gets_the_same_bytes() {
    let app = TestApp::start().await;
    let key = [("idempotency-key", "s:1")];
    let asked = with(asking("hello"), "store", false);
    let first = app.post_with(RESPONSES, &key, &asked).await;
    let again = app.post_with(RESPONSES, &key, &asked).await;
    assert_eq!((again.is_replay(), &again.body), (true, &first.body));
    let response = ok(&first);
    assert_eq!(app.get(&super::path(&response)).await.status, 404);
    assert_eq!(app.get("/v1/threads").await.json()["data"], json!([]));
    // A stored one of the same key is another turn, and its id is not this one's.
    let stored = app.post_with(RESPONSES, &key, &asking("hello")).await;
    assert_ne!(ok(&stored)["id"], response["id"]);
    assert_eq!(app.provider.calls(), 2);
}

#[tokio::test]
async fn it_may_follow_another_and_leaves_no_trace_there() {
    let app = parrot(&["one", "two", "three"]).await;
    let one = respond(&app, &asking("one")).await;
    for key in [&[][..], &[("idempotency-key", "k")], &[("idempotency-key", "k")]] {
        let two = with(with(after(&one, "two"), "store", false), "instructions", "Be brief.");
        let two = ok(&app.post_with(RESPONSES, key, &two).await);
        assert_eq!((super::text(&two), &two["previous_response_id"]), ("re-two", &one["id"]));
        assert_eq!(sent(&app), ["system: Be brief.", "user: one", "assistant: re-one", "user: two"]);
    }
    assert_eq!(app.provider.calls(), 3, "the key's retry is a replay");
    respond(&app, &after(&one, "three")).await;
    assert_eq!(sent(&app), ["user: one", "assistant: re-one", "user: three"]);
}

#[tokio::test]
async fn a_conversation_keeps_what_is_said_in_it() {
    let app = TestApp::start().await;
    app.post(CHAT, &json!({"message": "first", "session_id": "s"})).await;
    let asked = with(with(asking("hello"), "conversation", "s"), "store", false);
    check_error(&app.post(RESPONSES, &asked).await, 400, "invalid_request", "store");
    let asked = with(with(asking("hello"), "background", true), "store", false);
    check_error(&app.post(RESPONSES, &asked).await, 400, "invalid_request", "background");
}
