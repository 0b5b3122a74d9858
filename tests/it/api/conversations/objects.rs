//! Conversations created, read and labelled.

use serde_json::{Map, Value, json};
use turnwise_core::limits::{MAX_ITEMS_PER_CALL, MAX_METADATA_PAIRS};
use turnwise_tests::app::TestApp;

use super::{CONVERSATIONS, check_error, create, good, ids_of, list, path, say, texts_of, user};
use crate::api::check_untouched;

#[tokio::test]
async fn a_conversation_is_created_and_read_back() {
    let app = TestApp::start().await;
    let body = json!({"metadata": {"topic": "demo"}, "items": [user("hello")]});
    let created = good(&app.post(CONVERSATIONS, &body).await, "ConversationResource");
    let id = created["id"].as_str().unwrap();
    assert!(id.strip_prefix("conv_").is_some_and(|hex| hex.len() == 32), "{id}");
    let mut shown = created.clone();
    (shown["id"], shown["created_at"]) = (json!("[id]"), json!("[seconds]"));
    insta::assert_json_snapshot!(shown, @r#"
    {
      "created_at": "[seconds]",
      "id": "[id]",
      "metadata": {
        "topic": "demo"
      },
      "object": "conversation"
    }
    "#);
    assert!(created["created_at"].as_u64().is_some_and(|seconds| (1_700_000_000..9_999_999_999).contains(&seconds)));
    assert_eq!(good(&app.get(&path(id)).await, "ConversationResource"), created);
    assert_eq!(texts_of(&list(&app, id, "").await), ["hello"]);
}

#[tokio::test]
async fn a_conversation_may_begin_with_nothing() {
    let app = TestApp::start().await;
    for reply in [
        app.post(CONVERSATIONS, &json!({})).await,
        app.post(CONVERSATIONS, &json!({"metadata": null, "items": null})).await,
        app.post(CONVERSATIONS, &json!({"items": []})).await,
        turnwise_tests::app::Reply::of(app.request(http::Method::POST, CONVERSATIONS)).await,
    ] {
        let created = good(&reply, "ConversationResource");
        assert_eq!(created["metadata"], json!({}));
        let page = list(&app, created["id"].as_str().unwrap(), "").await;
        assert_eq!(page, json!({"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": false}));
    }
}

#[tokio::test]
async fn metadata_is_replaced_as_a_whole() {
    let app = TestApp::start().await;
    let body = json!({"metadata": {"a": "1", "b": "2"}});
    let created = good(&app.post(CONVERSATIONS, &body).await, "ConversationResource");
    let path = path(created["id"].as_str().unwrap());
    for metadata in [json!({"b": "3"}), json!({}), json!({"c": "é".repeat(512)})] {
        let updated = good(&app.post(&path, &json!({"metadata": metadata})).await, "ConversationResource");
        assert_eq!((&updated["metadata"], &updated["created_at"]), (&metadata, &created["created_at"]));
        assert_eq!(app.get(&path).await.json(), updated);
    }
    assert_eq!(app.post(&path, &json!({"metadata": null})).await.json()["metadata"], json!({}));
}

#[tokio::test]
async fn what_is_wrong_with_a_conversation_is_told_all_at_once() {
    let app = TestApp::start().await;
    let pairs: Map<String, Value> = (0..=MAX_METADATA_PAIRS).map(|n| (n.to_string(), json!(""))).collect();
    let items: Vec<Value> = (0..=MAX_ITEMS_PER_CALL).map(|n| user(&n.to_string())).collect();
    let reply = app.post(CONVERSATIONS, &json!({"metadata": pairs, "items": items})).await;
    check_error(&reply, 400, "invalid_request", "metadata");
    assert_eq!(reply.json()["error"]["faults"].as_array().unwrap().len(), 2);
    for (body, param) in [
        (json!({"metadata": []}), "metadata"),
        (json!({"metadata": {"k".repeat(65): ""}}), "metadata"),
        (json!({"metadata": {"k": "v".repeat(513)}}), "metadata.k"),
        (json!({"metadata": {"k": 1}}), "metadata.k"),
        (json!({"items": "hello"}), "items"),
        (json!({"items": [{"type": "web_search_call"}]}), "items[0].type"),
        (json!({"items": [{"type": "item_reference", "id": "msg_ca978112ca1b_1_0_0"}]}), "items[0].id"),
        (json!([]), "body"),
    ] {
        check_error(&app.post(CONVERSATIONS, &body).await, 400, "invalid_request", param);
    }
    let key = app.post_with(CONVERSATIONS, &[("idempotency-key", "a#b")], &json!({})).await;
    check_error(&key, 400, "invalid_request", "Idempotency-Key");
    check_untouched(&app).await;

    let id = create(&app, &[]).await;
    for (body, param) in [(json!({}), "metadata"), (json!({"metadata": {"k": 1}}), "metadata.k")] {
        check_error(&app.post(&path(&id), &body).await, 400, "invalid_request", param);
    }
}

#[tokio::test]
async fn a_retry_finds_the_conversation_that_its_key_created() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let body = json!({"items": [user("hello")], "metadata": {"a": "b"}});
    let key = [("idempotency-key", "order-4711")];
    let replies = futures_util::future::join_all((0..8).map(|n| {
        let process = if n % 2 == 0 { &app } else { &other };
        process.post_with(CONVERSATIONS, &key, &body)
    }))
    .await;
    let first = good(&replies[0], "ConversationResource");
    for reply in &replies {
        assert_eq!(reply.json(), first);
    }
    assert_eq!(replies.iter().filter(|reply| !reply.is_replay()).count(), 1, "one of them created it");
    let id = first["id"].as_str().unwrap();
    assert_eq!(texts_of(&list(&app, id, "").await), ["hello"]);

    let different = app.post_with(CONVERSATIONS, &key, &json!({"items": [user("bye")]})).await;
    check_error(&different, 422, "idempotency_key_reused", "Idempotency-Key");
    app.delete(&path(id)).await;
    check_error(&app.post_with(CONVERSATIONS, &key, &body).await, 410, "conversation_deleted", "");
}

#[tokio::test]
async fn without_a_key_every_call_creates_another() {
    let app = TestApp::start().await;
    assert_ne!(create(&app, &["hello"]).await, create(&app, &["hello"]).await);
}

#[tokio::test]
async fn a_conversation_of_the_chat_is_a_conversation() {
    let app = TestApp::start().await;
    say(&app, "s", "hello").await;
    let read = good(&app.get(&path("s")).await, "ConversationResource");
    assert_eq!((&read["id"], &read["metadata"]), (&json!("s"), &json!({})));
    let labelled = app.post(&path("s"), &json!({"metadata": {"a": "b"}})).await;
    assert_eq!(good(&labelled, "ConversationResource")["metadata"], json!({"a": "b"}));
    assert_eq!(say(&app, "s", "again").await["turn_number"], 2);
    assert_eq!(app.get(&path("s")).await.json(), labelled.json());
}

#[tokio::test]
async fn a_created_conversation_takes_turns_and_is_listed_with_its_first() {
    let app = TestApp::start().await;
    let id = create(&app, &["I am Ada."]).await;
    assert_eq!(app.get("/v1/threads").await.json()["data"], json!([]));
    for (number, name) in [(1, "session_id"), (2, "thread_id")] {
        let reply = app.post("/v1/chat", &json!({"message": "hello", name: id})).await;
        assert_eq!(reply.json()["turn_number"], number, "{}", reply.text());
    }
    let threads = app.get("/v1/threads").await.json();
    assert_eq!(threads["data"].as_array().unwrap().len(), 1);
    assert_eq!(threads["data"][0]["id"], json!(id));
    let items = list(&app, &id, "?order=asc").await;
    let numbers: Vec<&Value> = items["data"].as_array().unwrap().iter().map(|item| &item["turn_number"]).collect();
    assert_eq!(numbers, [&Value::Null, &json!(1), &json!(1), &json!(2), &json!(2)]);
    assert_eq!(ids_of(&items).len(), 5);
}
