//! Responses deleted.

use aws_sdk_dynamodb::types::AttributeValue;
use miniz_oxide::inflate::decompress_to_vec;
use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::{Gate, Script};
use turnwise_tests::table::text as attribute;

use super::{CHAT, RESPONSES, after, asking, check_error, delete, parrot, respond, respond_with, sent, with};

const KEY: [(&str, &str); 1] = [("idempotency-key", "k")];

async fn deleted(app: &TestApp, response: &Value) {
    let reply = delete(app, response).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json(), json!({"id": response["id"], "object": "response", "deleted": true}));
}

/// Whether any row still holds `secret`, packed or not.
async fn is_kept(app: &TestApp, secret: &str) -> bool {
    let rows = app.table.rows().await;
    rows.iter().flat_map(|row| row.values()).any(|value| readable(value).contains(secret))
}

fn readable(value: &AttributeValue) -> String {
    let Ok(packed) = value.as_b() else { return value.as_s().cloned().unwrap_or_default() };
    let bytes = match packed.as_ref().split_first() {
        Some((1, deflated)) => decompress_to_vec(deflated).unwrap(),
        Some((_, plain)) => plain.to_vec(),
        None => Vec::new(),
    };
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_deleted_response_is_not_there_any_more() {
    let app = parrot(&["secret-one"]).await;
    let one = respond_with(&app, &KEY, &asking("secret-one")).await;
    assert!(is_kept(&app, "secret-one").await);
    deleted(&app, &one).await;
    check_error(&app.get(&super::path(&one)).await, 404, "response_not_found", "");
    check_error(&app.get(&format!("{}/input_items", super::path(&one))).await, 404, "response_not_found", "");
    check_error(&super::cancel(&app, &one).await, 404, "response_not_found", "");
    check_error(&delete(&app, &one).await, 404, "response_not_found", "");
    let reply = app.post(RESPONSES, &after(&one, "and?")).await;
    check_error(&reply, 404, "previous_response_not_found", "previous_response_id");
    assert!(!is_kept(&app, "secret-one").await);
    // Its key stays used: it is not made again.
    check_error(&app.post_with(RESPONSES, &KEY, &asking("secret-one")).await, 410, "turn_gone", "");
    check_error(
        &app.post_with(RESPONSES, &KEY, &asking("other")).await,
        422,
        "idempotency_key_reused",
        "Idempotency-Key",
    );
    assert_eq!(app.provider.calls(), 1);
}

#[tokio::test]
async fn what_follows_a_deleted_response_goes_on_without_it() {
    let app = parrot(&["one", "two", "three"]).await;
    let one = respond(&app, &asking("one")).await;
    let two = respond(&app, &after(&one, "two")).await;
    let fork = respond(&app, &after(&one, "fork")).await;
    deleted(&app, &one).await;
    respond(&app, &after(&two, "three")).await;
    assert_eq!(sent(&app), ["user: two", "assistant: re-two", "user: three"]);
    respond(&app, &after(&fork, "end")).await;
    assert_eq!(sent(&app), ["user: fork", "assistant: Hello from the script.", "user: end"]);
}

#[tokio::test]
async fn a_conversation_of_the_clients_keeps_what_was_said() {
    let app = parrot(&["one", "two", "three"]).await;
    app.post(CHAT, &json!({"message": "one", "session_id": "s"})).await;
    let two = respond_with(&app, &KEY, &with(asking("two"), "conversation", "s")).await;
    deleted(&app, &two).await;
    check_error(&app.get(&super::path(&two)).await, 404, "response_not_found", "");
    let retry = app.post_with(RESPONSES, &KEY, &with(asking("two"), "conversation", "s")).await;
    check_error(&retry, 410, "turn_gone", "");
    respond(&app, &with(asking("three"), "conversation", "s")).await;
    assert_eq!(sent(&app), ["user: one", "assistant: re-one", "user: two", "assistant: re-two", "user: three"]);
}

#[tokio::test]
async fn a_response_that_waits_is_cancelled_and_deleted() {
    let mut app = TestApp::start().await;
    let queued = respond(&app, &with(asking("secret"), "background", true)).await;
    deleted(&app, &queued).await;
    check_error(&app.get(&super::path(&queued)).await, 404, "response_not_found", "");
    app.work();
    assert_eq!((app.provider.calls(), is_kept(&app, "secret").await), (0, false));
}

#[tokio::test]
async fn a_failed_response_can_be_deleted() {
    let app = TestApp::start().await;
    app.provider.otherwise(Script::refuse(400));
    app.post_with(RESPONSES, &KEY, &asking("secret")).await;
    let rows = app.table.rows().await;
    let row = rows.iter().find(|row| attribute(row, "sk") == "T#k").unwrap();
    let conversation = attribute(row, "pk").rsplit('#').next().unwrap().to_owned();
    let key = turnwise_core::id::TurnKey::parse("key", &format!("{conversation}:k")).unwrap().unwrap();
    let response = json!({"id": turnwise_core::items::response_id(&key)});
    assert!(is_kept(&app, "secret").await);
    deleted(&app, &response).await;
    check_error(&delete(&app, &response).await, 404, "response_not_found", "");
    assert!(!is_kept(&app, "secret").await);
}

#[tokio::test]
async fn content_is_not_taken_from_under_a_running_turn() {
    let app = parrot(&["one", "three"]).await;
    let one = respond(&app, &asking("one")).await;
    let gate = Gate::closed();
    app.provider.on_text("slow", Script::answer("at last").gated(&gate));
    let request = after(&one, "slow");
    let slow = respond(&app, &request);
    let deleting = async {
        gate.reached().await;
        let opening = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            gate.open();
        };
        tokio::join!(deleted(&app, &one), opening);
    };
    let (slow, ()) = tokio::join!(slow, deleting);
    respond(&app, &after(&slow, "three")).await;
    assert_eq!(sent(&app), ["user: slow", "assistant: at last", "user: three"]);
}
