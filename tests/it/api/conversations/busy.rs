//! Changes by hand while a turn runs.

use std::time::Duration;

use serde_json::json;
use turnwise_core::id::{ConversationId, Tenant};
use turnwise_core::time::Timestamp;
use turnwise_engine::Error;
use turnwise_engine::conversations::Addition;
use turnwise_engine::turn::Caller;
use turnwise_tests::app::TestApp;
use turnwise_tests::rig;
use turnwise_tests::scripted::{Gate, Script};
use turnwise_tests::table::{number, text};

use super::{CHAT, add, create, good, items_of, list, path, say, texts_of, with};

/// Starts a turn that is held at its provider.
async fn held(app: &TestApp, id: &str) -> Gate {
    let gate = Gate::closed();
    app.provider.on_text("held", Script::answer("answer").gated(&gate));
    let body = json!({"message": "held", "session_id": id, "turn_id": "held", "stream": true});
    drop(app.open(CHAT, &[], &body).await);
    gate.reached().await;
    gate
}

#[tokio::test]
async fn items_wait_for_the_turn_that_runs() {
    for elsewhere in [false, true] {
        let app = TestApp::start().await;
        let other = app.second_process().await;
        let id = create(&app, &["before"]).await;
        let gate = held(&app, &id).await;
        let process = if elsewhere { &other } else { &app };
        let opened = async {
            app.turn_in(&format!("{id}:held"), "PROCESSING").await;
            tokio::time::sleep(Duration::from_millis(150)).await;
            gate.open();
        };
        tokio::join!(add(process, &id, &["after"]), opened);
        assert_eq!(texts_of(&list(&app, &id, "?order=asc").await), ["before", "held", "answer", "after"]);
    }
}

#[tokio::test]
async fn an_item_is_deleted_once_the_turn_has_ended() {
    let app = TestApp::start().await;
    let id = create(&app, &["before"]).await;
    let item = list(&app, &id, "").await["data"][0]["id"].as_str().unwrap().to_owned();
    let gate = held(&app, &id).await;
    let opened = async {
        app.turn_in(&format!("{id}:held"), "PROCESSING").await;
        gate.open();
    };
    let item = format!("{}/{item}", items_of(&id));
    let (deleted, ()) = tokio::join!(app.delete(&item), opened);
    good(&deleted, "ConversationResource");
    assert_eq!(texts_of(&list(&app, &id, "?order=asc").await), ["held", "answer"]);
}

#[tokio::test]
async fn metadata_does_not_wait() {
    let app = TestApp::start().await;
    let id = create(&app, &[]).await;
    let gate = held(&app, &id).await;
    let reply = app.post(&path(&id), &json!({"metadata": {"a": "b"}})).await;
    assert_eq!(good(&reply, "ConversationResource")["metadata"], json!({"a": "b"}));
    assert_eq!(app.get(&format!("/v1/threads/{id}")).await.json()["running"], true);
    gate.open();
    assert_eq!(app.turn_in(&format!("{id}:held"), "COMPLETED").await["turn_number"], 1);
    assert_eq!(app.get(&path(&id)).await.json(), reply.json());
}

/// A caller whose invocation ends soon: so long a request may wait.
fn hurried(app: &TestApp, wait: Duration) -> Caller {
    let now: Timestamp = app.engine.clock.now();
    Caller { deadline: Some(now + turnwise_core::limits::CHANGE_MARGIN + wait), ..rig::caller() }
}

#[tokio::test]
async fn waiting_ends_after_its_time() {
    let app = TestApp::start().await;
    let id = create(&app, &["before"]).await;
    let item = list(&app, &id, "").await["data"][0]["id"].as_str().unwrap().to_owned();
    let gate = held(&app, &id).await;
    let conversation = ConversationId::parse("c", &id).unwrap();
    let (wait, items) = (Duration::from_millis(300), json!([super::user("late")]));
    let addition = || Addition {
        items: turnwise_core::items::parse_items("items", &items).unwrap(),
        key: None,
        request_hash: turnwise_core::digest::Digest::of(""),
    };
    let began = std::time::Instant::now();
    let added = app.engine.add_items(&hurried(&app, wait), &conversation, addition()).await;
    assert!(matches!(added, Err(Error::ConversationBusy { .. })), "{added:?}");
    assert!(began.elapsed() >= wait);
    let deleted = app.engine.delete_item(&hurried(&app, Duration::ZERO), &conversation, &item).await;
    assert!(matches!(deleted, Err(Error::ConversationBusy { .. })), "{deleted:?}");
    gate.open();
    app.turn_in(&format!("{id}:held"), "COMPLETED").await;
    assert_eq!(texts_of(&list(&app, &id, "?order=asc").await), ["before", "held", "answer"]);
}

#[tokio::test]
async fn a_lock_that_a_dead_attempt_left_is_not_passed_by() {
    let app = TestApp::start().await;
    let id = create(&app, &[]).await;
    let gate = held(&app, &id).await;
    let tenant = Tenant::default_tenant();
    let conversation = ConversationId::parse("c", &id).unwrap();
    for turn in app.engine.store.held_turns().await.unwrap() {
        assert!(app.engine.store.lapse_lease(&turn, 1).await.unwrap());
    }
    let found = app.engine.store.conversation(&tenant, &conversation).await.unwrap().unwrap();
    assert!(!found.is_held(app.engine.clock.now()) && found.holder.is_some());
    let addition = Addition {
        items: turnwise_core::items::parse_items("items", &json!([super::user("late")])).unwrap(),
        key: None,
        request_hash: turnwise_core::digest::Digest::of(""),
    };
    let added = app.engine.add_items(&hurried(&app, Duration::ZERO), &conversation, addition).await;
    assert!(matches!(added, Err(Error::ConversationBusy { .. })), "its owner may still commit: {added:?}");
    gate.open();
    app.turn_in(&format!("{id}:held"), "COMPLETED").await;
}

#[tokio::test]
async fn every_change_of_the_content_raises_the_version() {
    let app = TestApp::start().await;
    let id = create(&app, &["a"]).await;
    let version = async || {
        let rows = app.table.rows().await;
        let meta = rows.iter().find(|row| text(row, "sk") == "META").unwrap();
        number(meta, "version")
    };
    assert_eq!(version().await, 1);
    let item = add(&app, &id, &["b"]).await.remove(0);
    assert_eq!(version().await, 2);
    say(&app, &id, "hello").await;
    assert_eq!(version().await, 3);
    app.delete(&format!("{}/{item}", items_of(&id))).await;
    assert_eq!(version().await, 4);
    app.post(&path(&id), &json!({"metadata": {"a": "b"}})).await;
    assert_eq!(version().await, 4, "metadata is no content");
    app.delete(&path(&id)).await;
    assert_eq!(version().await, 5);
}

#[tokio::test]
async fn turns_and_additions_at_once_all_happen() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let id = create(&app, &[]).await;
    let turns = futures_util::future::join_all((0..6).map(|n| {
        let body = with(json!({"message": format!("turn {n}"), "session_id": id}), "turn_id", n.to_string());
        let process = if n % 2 == 0 { &app } else { &other };
        async move { process.post(CHAT, &body).await.status }
    }));
    let additions = futures_util::future::join_all((0..6).map(|n| {
        let (process, id) = (if n % 2 == 0 { &other } else { &app }, &id);
        async move { add(process, id, &[&format!("item {n}")]).await.len() }
    }));
    let (turns, additions) = tokio::join!(turns, additions);
    assert_eq!((turns, additions), (vec![200; 6], vec![1; 6]));
    let texts = texts_of(&list(&app, &id, "?order=asc&limit=100").await);
    assert_eq!(texts.len(), 18);
    // Each turn was told of exactly what stands before it.
    for request in app.provider.requests() {
        let told = request.body["messages"].as_array().unwrap().clone();
        let told: Vec<&str> = told.iter().map(|message| message["content"].as_str().unwrap()).collect();
        assert_eq!(texts[..told.len()], told);
    }
}
