//! What the turns of a conversation came to, and which had the same input.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, add, check_error, create, items_of, list, redacted, say};

async fn stats(app: &TestApp, id: &str) -> Value {
    let reply = app.get(&format!("/v1/threads/{id}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn a_conversation_says_what_its_turns_came_to() {
    let app = TestApp::start().await;
    let first = say(&app, "s", "hello").await;
    let second = say(&app, "s", "again").await;
    let mut found = stats(&app, "s").await;
    found["updated_at"] = json!("[updated_at]");
    insta::assert_json_snapshot!(redacted(found.clone()), @r#"
    {
      "cost_usd": 0.0000078,
      "created_at": "[created_at]",
      "id": "s",
      "input_tokens": 20,
      "messages": 4,
      "object": "thread",
      "output_tokens": 8,
      "project_id": null,
      "queued": 0,
      "running": false,
      "turns": 2,
      "updated_at": "[updated_at]"
    }
    "#);
    let sum = |field: &str| first["usage"][field].as_u64().unwrap() + second["usage"][field].as_u64().unwrap();
    assert_eq!(
        (&found["input_tokens"], &found["output_tokens"]),
        (&json!(sum("input_tokens")), &json!(sum("output_tokens")))
    );
    let cost = first["cost_usd"].as_f64().unwrap() + second["cost_usd"].as_f64().unwrap();
    assert!((found["cost_usd"].as_f64().unwrap() - cost).abs() < 1e-12);
    // A replay is no turn.
    let body = json!({"message": "once", "session_id": "s", "turn_id": "once"});
    app.post(CHAT, &body).await;
    let third = stats(&app, "s").await;
    assert!(app.post(CHAT, &body).await.is_replay());
    assert_eq!((stats(&app, "s").await, &third["turns"]), (third.clone(), &json!(3)));
}

#[tokio::test]
async fn messages_are_counted_as_they_come_and_go() {
    let app = TestApp::start().await;
    let messages = async |id: &str| stats(&app, id).await["messages"].clone();
    let id = create(&app, &["a", "b"]).await;
    assert_eq!(messages(&id).await, 2);
    say(&app, &id, "hello").await;
    assert_eq!(messages(&id).await, 4);
    let added = add(&app, &id, &["c", "d"]).await;
    assert_eq!(messages(&id).await, 6);
    app.delete(&format!("{}/{}", items_of(&id), added[0])).await;
    assert_eq!(messages(&id).await, 5);
    for item in list(&app, &id, "?order=asc").await["data"].as_array().unwrap() {
        app.delete(&format!("{}/{}", items_of(&id), item["id"].as_str().unwrap())).await;
    }
    assert_eq!(messages(&id).await, 0);
    assert_eq!(stats(&app, &id).await["turns"], 1);
}

#[tokio::test]
async fn a_conversation_says_what_runs_and_what_waits() {
    let app = TestApp::start().await;
    let gate = Gate::closed();
    app.provider.enqueue(Script::answer("a").gated(&gate));
    drop(app.open(CHAT, &[], &json!({"message": "a", "session_id": "s", "stream": true})).await);
    gate.reached().await;
    for turn in ["q1", "q2"] {
        let body = json!({"message": "b", "session_id": "s", "turn_id": turn, "on_busy": "enqueue"});
        assert_eq!(app.post(CHAT, &body).await.status, 202);
    }
    let found = stats(&app, "s").await;
    assert_eq!((&found["running"], &found["queued"], &found["turns"]), (&json!(true), &json!(2), &json!(0)));
    gate.open();
}

#[tokio::test]
async fn turns_with_the_same_input_are_found_by_its_digest() {
    let app = TestApp::start().await;
    for (turn, message) in [("1", "same"), ("2", "other"), ("3", "same"), ("4", "same")] {
        app.post(CHAT, &json!({"message": message, "session_id": "s", "turn_id": turn})).await;
    }
    app.provider.enqueue(Script::refuse(400));
    app.post(CHAT, &json!({"message": "same", "session_id": "s", "turn_id": "failed"})).await;
    let hash = app.get("/v1/turns/s:1").await.json()["input_hash"].as_str().unwrap().to_owned();
    let numbers = async |query: &str| {
        let page = app.get(&format!("/v1/threads/s/turns?input_hash={hash}{query}")).await.json();
        let numbers: Vec<u64> =
            page["data"].as_array().unwrap().iter().map(|turn| turn["turn_number"].as_u64().unwrap()).collect();
        (numbers, page["next"].as_u64())
    };
    assert_eq!(numbers("").await, (vec![1, 3, 4], None));
    assert_eq!(numbers("&limit=2").await, (vec![1, 3], Some(3)));
    assert_eq!(numbers("&limit=2&after=3").await, (vec![4], None));
    let upper = app.get(&format!("/v1/threads/s/turns?input_hash={}", hash.to_uppercase())).await.json();
    assert_eq!(upper["data"].as_array().map(Vec::len), Some(3));
    let none = app.get(&format!("/v1/threads/s/turns?input_hash={}", "0".repeat(64))).await.json();
    assert_eq!((&none["data"], &none["total"]), (&json!([]), &json!(4)));
    check_error(&app.get("/v1/threads/s/turns?input_hash=abc").await, 400, "invalid_request", "input_hash");
    check_error(&app.get(&format!("/v1/threads/t/turns?input_hash={hash}")).await, 404, "thread_not_found", "");
}
