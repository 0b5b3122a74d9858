//! Turns of a queue that ended without an answer: listed, and put back.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;
use turnwise_tests::table;

use super::{CHAT, check_error, named_turn};

async fn send(app: &TestApp, name: &str) {
    let reply = app.post_with(CHAT, &[("prefer", "respond-async")], &named_turn(name)).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
}

async fn redrive(app: &TestApp, body: Value) -> Value {
    let reply = app.post("/admin/dead-letters/redrive", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn a_refused_turn_of_the_queue_is_a_dead_letter_and_can_be_put_back() {
    let mut app = TestApp::start().await;
    app.provider.on_text("bad", Script::refuse(400));
    app.provider.on_text("bad", Script::answer("good after all"));
    app.work();
    send(&app, "bad").await;
    send(&app, "good").await;
    let good = app.turn_in("s:good", "COMPLETED").await;
    assert_eq!(good["turn_number"], 1, "a dead letter does not hold the queue up");

    let letters = app.get("/admin/dead-letters").await.json();
    assert_eq!(letters["data"].as_array().map(Vec::len), Some(1), "{letters}");
    assert_eq!((&letters["data"][0]["key"], &letters["has_more"]), (&json!("s:bad"), &json!(false)));

    let done = redrive(&app, json!({})).await;
    assert_eq!((&done["turns"], &done["skipped"], &done["messages"]), (&json!(["s:bad"]), &json!([]), &json!(0)));
    let bad = app.turn_in("s:bad", "COMPLETED").await;
    assert_eq!((&bad["turn_number"], &bad["message"]), (&json!(2), &json!("good after all")));
    assert_eq!(app.get("/admin/dead-letters").await.json()["data"], json!([]));
    assert_eq!(redrive(&app, json!({})).await["turns"], json!([]), "again: nothing to do");
    let rows = app.table.rows().await;
    let audited = rows.iter().filter(|row| table::text(row, "pk").starts_with("A#default#"));
    assert_eq!(audited.map(|row| table::text(row, "action")).collect::<Vec<_>>(), ["dead_letter.redrive"]);
}

#[tokio::test]
async fn one_letter_is_put_back_by_its_key() {
    let mut app = TestApp::start().await;
    for name in ["one", "two"] {
        app.provider.on_text(name, Script::refuse(400));
        app.provider.on_text(name, Script::answer("good after all"));
        send(&app, name).await;
    }
    app.work();
    for name in ["one", "two"] {
        app.turn_in(&format!("s:{name}"), "FAILED").await;
    }
    assert_eq!(redrive(&app, json!({"key": "s:two"})).await["turns"], json!(["s:two"]));
    app.turn_in("s:two", "COMPLETED").await;
    let left = app.get("/admin/dead-letters").await.json();
    assert_eq!(
        left["data"].as_array().map(|data| data.iter().map(|letter| &letter["key"]).collect::<Vec<_>>()),
        Some(vec![&json!("s:one")])
    );
}

#[tokio::test]
async fn pages_and_keys_that_were_made_up_are_refused() {
    let app = TestApp::start().await;
    check_error(&app.get("/admin/dead-letters?after=nonsense").await, 400, "invalid_request", "after");
    check_error(&app.get("/admin/dead-letters?limit=0").await, 400, "invalid_request", "limit");
    let bad = app.post("/admin/dead-letters/redrive", &json!({"key": "a#b"})).await;
    check_error(&bad, 400, "invalid_request", "key");
    check_error(&app.post("/admin/dead-letters/redrive", &json!({"key": 7})).await, 400, "invalid_request", "key");
}
