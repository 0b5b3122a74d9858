//! What was said is as if it were gone when its time is over, deleted or not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use turnwise_core::time::Timestamp;
use turnwise_engine::Error;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::random::Random;
use turnwise_tests::app::TestApp;
use turnwise_tests::rig;
use turnwise_tests::scripted::ScriptedProvider;
use turnwise_tests::table::{TABLE, Table, number, text};

use super::{CHAT, add, check_error, create, items_of, list, path, say, texts_of, user};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Lets the rows of a conversation expire whose sort keys begin with one of `rows`.
async fn expire(app: &TestApp, id: &str, rows: &[&str]) {
    let now = app.engine.clock.now().as_secs();
    for row in app.table.rows().await {
        let ours = text(&row, "pk") == format!("C#default#{id}");
        if ours && rows.iter().any(|prefix| text(&row, "sk").starts_with(prefix)) {
            assert!(number(&row, "ttl") > now, "{}", text(&row, "sk"));
            let mut row = row;
            row.insert("ttl".to_owned(), aws_sdk_dynamodb::types::AttributeValue::N(now.to_string()));
            app.table.client().put_item().table_name(TABLE).set_item(Some(row)).send().await.unwrap();
        }
    }
}

#[tokio::test]
async fn rows_say_when_their_time_is_over() {
    let app = TestApp::builder().with_retention(30 * DAY).start().await;
    let id = create(&app, &["a"]).await;
    say(&app, &id, "b").await;
    add(&app, &id, &["c"]).await;
    for row in app.table.rows().await {
        let expires = number(&row, "ttl");
        if text(&row, "sk").starts_with("M#") {
            assert_eq!(expires, (Timestamp(number(&row, "completed_at")) + 30 * DAY).as_secs());
        } else {
            assert_eq!(expires, 0, "{} stays", text(&row, "sk"));
        }
    }
    let forever = TestApp::start().await;
    say(&forever, "s", "b").await;
    assert!(forever.table.rows().await.iter().all(|row| !row.contains_key("ttl")));
}

#[tokio::test]
async fn what_has_expired_is_in_no_list_and_no_history() {
    let app = TestApp::builder().with_retention(DAY).start().await;
    let id = create(&app, &["first item"]).await;
    let answer = "Hello from the script.";
    say(&app, &id, "first turn").await;
    add(&app, &id, &["second item"]).await;
    say(&app, &id, "second turn").await;
    let old = list(&app, &id, "?order=asc").await["data"][1]["id"].as_str().unwrap().to_owned();
    expire(&app, &id, &["M#0000000000#", "M#0000000001"]).await;

    assert_eq!(texts_of(&list(&app, &id, "?order=asc").await), ["second turn", answer]);
    assert_eq!(texts_of(&list(&app, &id, "?order=desc&limit=1").await), [answer]);
    assert_eq!(list(&app, &id, "?order=desc&limit=2").await["has_more"], false);
    assert_eq!(texts_of(&list(&app, &id, &format!("?order=asc&limit=1&after={old}")).await), ["second turn"]);
    check_error(&app.get(&format!("{}/{old}", items_of(&id))).await, 404, "item_not_found", "");
    check_error(&app.delete(&format!("{}/{old}", items_of(&id))).await, 404, "item_not_found", "");
    let items = json!({"items": [{"type": "item_reference", "id": old}]});
    check_error(&app.post(&items_of(&id), &items).await, 400, "invalid_request", "items[0].id");

    let turns = app.get(&format!("/v1/threads/{id}/turns")).await.json();
    assert_eq!((turns["data"].as_array().map(Vec::len), &turns["data"][0]["turn_number"]), (Some(1), &json!(2)));
    assert_eq!((&turns["total"], &turns["has_more"]), (&json!(2), &json!(false)));
    // The rows were changed by hand, which makes no new version: only a process that has
    // not read them before can know.
    let other = app.second_process().await;
    say(&other, &id, "third turn").await;
    let sent = app.provider.requests().pop().unwrap().body["messages"].clone();
    assert_eq!(sent, json!([user("second turn"), {"role": "assistant", "content": answer}, user("third turn")]));
    assert_eq!(app.get(&path(&id)).await.status, 200, "the conversation itself stays");
}

#[tokio::test]
async fn a_turn_that_has_expired_is_gone_and_not_forgotten() {
    let app = TestApp::builder().with_retention(DAY).start().await;
    let body = json!({"message": "hello", "session_id": "s", "turn_id": "1"});
    app.post(CHAT, &body).await;
    let hash = app.get("/v1/turns/s:1").await.json()["input_hash"].as_str().unwrap().to_owned();
    expire(&app, "s", &["M#"]).await;
    check_error(&app.post(CHAT, &body).await, 410, "turn_gone", "");
    check_error(&app.post(CHAT, &super::with(body.clone(), "stream", true)).await, 410, "turn_gone", "");
    check_error(&app.get("/v1/turns/s:1").await, 410, "turn_gone", "");
    let other = json!({"message": "other", "session_id": "s", "turn_id": "1"});
    check_error(&app.post(CHAT, &other).await, 422, "idempotency_key_reused", "Idempotency-Key");
    let same = app.get(&format!("/v1/threads/s/turns?input_hash={hash}")).await.json();
    assert_eq!(same["data"], json!([]));
    let turns = app.get("/v1/threads/s/turns").await.json();
    assert_eq!((&turns["data"], &turns["total"], &turns["has_more"]), (&json!([]), &json!(1), &json!(false)));
    assert_eq!(app.provider.calls(), 1, "it is not run again");
    assert_eq!(say(&app, "s", "next").await["turn_number"], 2, "its number is not given twice");
}

#[tokio::test]
async fn what_expires_does_so_to_the_second() {
    let (table, provider) = (Table::start().await, ScriptedProvider::start().await);
    let manual = Manual::new(Timestamp(1_795_276_800_000));
    let clock = Clock::Manual(Arc::clone(&manual));
    let engine = rig::engine(&table, provider.base_url())
        .with_time_and_chance(clock.clone(), Random::seeded(1))
        .with_retention(Some(DAY));
    let request = || rig::request("s", "1", "hello", "openai/gpt-4o-mini");
    engine.answer(request()).await.unwrap();
    let expires = clock.now() + DAY;
    let to = async |at: Timestamp| {
        let until = clock.sleep_until(at);
        tokio::pin!(until);
        while futures_util::poll!(&mut until).is_pending() {
            assert!(manual.advance_to_next_timer());
        }
    };
    to(expires - Duration::from_millis(1)).await;
    assert!(engine.answer(request()).await.is_ok());
    to(expires).await;
    let gone = engine.answer(request()).await;
    assert!(matches!(gone, Err(Error::Gone)), "{gone:?}");

    // What is remembered in the process has its time as well.
    let hits = engine.memory.stats().hits;
    engine.answer(rig::request("s", "2", "next", "openai/gpt-4o-mini")).await.unwrap();
    assert_eq!(engine.memory.stats().hits, hits + 1);
    assert_eq!(provider.requests()[1].body["messages"], json!([user("next")]));
}
