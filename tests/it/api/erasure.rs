//! Erasures by an administrator: of a conversation, of all that a person said.

use serde_json::json;
use turnwise_core::id::Tenant;
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;
use turnwise_tests::table;

use super::{CHAT, check_error, held_first, named_turn};

const ERASE: &str = "/admin/erase";

/// Has a person say something that nobody else says, in the conversation `session`.
async fn say(app: &TestApp, session: &str) {
    app.provider.on_text("a secret wish", Script::answer("granted"));
    let body = json!({"message": "a secret wish", "session_id": session, "turn_id": "1", "project_id": "p"});
    let reply = app.post(CHAT, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// The actions in the audit log with their subjects, newest first.
async fn told(app: &TestApp) -> Vec<(String, String)> {
    let page = app.get("/admin/audit?limit=100").await.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    page["data"].as_array().unwrap().iter().map(|entry| (text(&entry["action"]), text(&entry["subject"]))).collect()
}

/// Partition keys of the rows that list conversations, and of those with anything said.
async fn left(app: &TestApp) -> Vec<String> {
    let rows = app.table.rows().await;
    let holds = |row: &table::Row| {
        let (pk, sk) = (table::text(row, "pk"), table::text(row, "sk"));
        ["CL#", "CP#", "S#", "D#"].iter().any(|kind| pk.starts_with(kind))
            || sk.starts_with("M#")
            || (sk.starts_with("T#") && row.contains_key("input"))
    };
    rows.iter().filter(|row| holds(row)).map(|row| table::text(row, "pk").to_owned()).collect()
}

#[tokio::test]
async fn a_conversation_erased_by_an_administrator_is_audited() {
    let app = TestApp::start().await;
    say(&app, "s").await;
    assert!(!left(&app).await.is_empty());
    let reply = app.delete("/admin/conversations/s?reason=asked%20for").await;
    assert_eq!((reply.status, &reply.json()["deleted"]), (200, &json!(true)), "{}", reply.text());
    assert!(left(&app).await.is_empty());
    let entry = app.get("/admin/audit").await.json()["data"][0].clone();
    assert_eq!((&entry["action"], &entry["subject"]), (&json!("conversation.erase"), &json!("s")));
    assert_eq!((&entry["reason"], &entry["detail"]), (&json!("asked for"), &json!({"turns": 1})));
    assert!(entry["before"].is_string() && entry["after"].is_null(), "{entry}");

    for path in ["/admin/conversations/s", "/admin/conversations/nobody"] {
        check_error(&app.delete(path).await, 404, "conversation_not_found", "");
    }
    check_error(&app.delete("/admin/conversations/s?reason=").await, 400, "invalid_request", "reason");
    assert_eq!(told(&app).await.len(), 1, "what is not done is not told");
}

#[tokio::test]
async fn a_hidden_conversation_is_erased_by_its_key() {
    let app = TestApp::start().await;
    let body = json!({"model": "local/echo", "messages": [{"role": "user", "content": "hello"}]});
    let reply = app.post_with("/v1/chat/completions", &[("idempotency-key", "k-1")], &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(app.delete("/admin/conversations/~k-1").await.status, 200);
    assert!(left(&app).await.is_empty());
}

#[tokio::test]
async fn a_persons_conversations_are_erased_with_their_lists() {
    let app = TestApp::start().await;
    for n in 0..30 {
        say(&app, &format!("s{n}")).await;
    }
    let (_gate, events) = held_first(&app).await;
    let body = json!({"user": "owner", "reason": "her request"});
    let first = app.post(ERASE, &body).await;
    let expected = json!({"object": "erasure", "user": "owner", "erased": 25, "remaining": 5, "has_more": true});
    assert_eq!((first.status, first.json()), (200, expected), "{}", first.text());
    let second = app.post(ERASE, &body).await.json();
    assert_eq!((&second["erased"], &second["remaining"], &second["has_more"]), (&json!(5), &json!(0), &json!(false)));
    let third = app.post(ERASE, &body).await.json();
    assert_eq!((&third["erased"], &third["has_more"]), (&json!(0), &json!(false)));

    let (action, subject) = ("person.erase".to_owned(), "owner".to_owned());
    assert_eq!(told(&app).await, vec![(action, subject); 3], "once for each request");
    assert_eq!(app.get("/v1/threads?limit=100").await.json()["data"], json!([]));
    let costs = app.table.rows().await.iter().filter(|row| table::text(row, "pk").starts_with("L#")).count();
    assert_eq!(costs, 30, "what it cost stays on the books");
    // What is running has no answer yet and stands in no list.
    assert!(left(&app).await.iter().all(|pk| pk.ends_with("#s") || pk.contains("#s#")), "{:?}", left(&app).await);
    drop(events);
}

#[tokio::test]
async fn an_interrupted_erasure_is_gone_on_with() {
    let app = TestApp::start().await;
    say(&app, "begun").await;
    say(&app, "ended").await;
    let tenant = Tenant::default_tenant();
    let id = |name: &str| turnwise_core::id::ConversationId::from_stored(name.to_owned());
    // One was ended and not emptied. Of the other only its row in the lists is left.
    let now = app.engine.clock.now();
    app.engine.store.begin_erasure(&tenant, &id("begun"), now).await.unwrap();
    let listed = app.engine.store.threads(&tenant, "owner", None, None, 10).await.unwrap();
    assert_eq!(app.delete("/v1/conversations/ended").await.status, 200);
    let row = listed.threads.iter().find(|row| row.conversation == id("ended")).unwrap();
    let (pk, sk) = ("CL#default#owner", list_key(row));
    let client = app.table.client();
    let text = |value: &str| aws_sdk_dynamodb::types::AttributeValue::S(value.to_owned());
    let put = client.put_item().table_name(table::TABLE).item("pk", text(pk)).item("sk", text(&sk));
    let at = aws_sdk_dynamodb::types::AttributeValue::N(row.created_at.as_millis().to_string());
    put.item("conversation", text("ended")).item("created_at", at).send().await.unwrap();

    let done = app.post(ERASE, &json!({"user": "owner", "reason": "again"})).await.json();
    assert_eq!((&done["erased"], &done["remaining"]), (&json!(2), &json!(0)), "{done}");
    assert!(left(&app).await.is_empty(), "{:?}", left(&app).await);
}

/// The sort key of a conversation's row in a list.
fn list_key(row: &turnwise_store::ThreadRow) -> String {
    let digest = turnwise_core::digest::Digest::of(row.conversation.as_str());
    format!("{:015}-{}", row.created_at.as_millis(), &digest.as_str()[..32])
}

#[tokio::test]
async fn an_erasure_has_a_person_a_reason_and_an_administrator() {
    let app = TestApp::start().await;
    for (body, param) in [
        (json!({"reason": "x"}), "user"),
        (json!({"user": "", "reason": "x"}), "user"),
        (json!({"user": "a#b", "reason": "x"}), "user"),
        (json!({"user": 7, "reason": "x"}), "user"),
        (json!({"user": "owner"}), "reason"),
        (json!({"user": "owner", "reason": "x".repeat(501)}), "reason"),
    ] {
        check_error(&app.post(ERASE, &body).await, 400, "invalid_request", param);
    }
    assert!(told(&app).await.is_empty());
    let app = TestApp::builder().without_admin().start().await;
    app.post(CHAT, &named_turn("mine")).await;
    let refused = app.post(ERASE, &json!({"user": "owner", "reason": "x"})).await;
    check_error(&refused, 403, "admin_key_required", "");
    check_error(&app.delete("/admin/conversations/s").await, 403, "admin_key_required", "");
    assert_eq!(app.get("/v1/threads/s").await.status, 200);
}
