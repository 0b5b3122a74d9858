//! Locks as an operator sees them, and takes them away.

use serde_json::{Value, json};
use turnwise_tests::app::TestApp;
use turnwise_tests::table;

use super::{CHAT, check_error, held_first, named_turn, text_in, with};

#[tokio::test]
async fn a_held_lock_shows_its_owner_and_a_free_one_nobody() {
    let app = TestApp::start().await;
    let (gate, events) = held_first(&app).await;
    app.post(CHAT, &with(named_turn("second"), "on_busy", "enqueue")).await;
    let lock = app.get("/admin/locks/s").await.json();
    assert_eq!(app.get("/admin/locks").await.json()["data"][0]["owner"], lock["owner"]);
    assert_eq!((&lock["held"], &lock["turn_id"], &lock["lapsed"]), (&json!(true), &json!("first"), &json!(false)));
    assert_eq!((&lock["attempts"], &lock["fence"], &lock["queued"]), (&json!(1), &json!(1), &json!(1)));
    assert!(lock["age_s"].as_f64().is_some_and(|age| (0.0..60.0).contains(&age)), "{lock}");

    gate.open();
    events.rest().await;
    let lock = app.get("/admin/locks/s").await.json();
    assert_eq!((&lock["held"], &lock["owner"], &lock["fence"]), (&json!(false), &Value::Null, &json!(1)));
    assert_eq!(app.get("/admin/locks").await.json()["data"], json!([]));
}

#[tokio::test]
async fn a_lock_taken_away_is_audited_and_its_owner_is_refused() {
    let app = TestApp::start().await;
    let other = app.second_process().await;
    let (gate, events) = held_first(&app).await;
    let reply = other.post("/admin/locks/s/release", &json!({"reason": "  stuck for an hour "})).await;
    assert_eq!((reply.status, &reply.json()["held"]), (200, &json!(false)), "{}", reply.text());
    assert_eq!(reply.json()["fence"], 2);
    let rows = app.table.rows().await;
    let audit: Vec<_> = rows.iter().filter(|row| table::text(row, "pk").starts_with("A#default#")).collect();
    assert_eq!(audit.len(), 1);
    assert_eq!(table::text(audit[0], "action"), "lock.release");
    assert_eq!((table::text(audit[0], "subject"), table::text(audit[0], "reason")), ("s", "stuck for an hour"));

    assert_eq!(other.post(CHAT, &named_turn("second")).await.json()["turn_number"], 1, "the conversation goes on");
    gate.open();
    let events = events.rest().await;
    let last = events.last().unwrap();
    // Its commit was refused; the answer is whole in its log, and another attempt commits it.
    assert_eq!((last.event.as_str(), &last.json()["turn_number"]), ("done", &json!(2)));
    assert_eq!((text_in(&events), app.provider.calls()), ("one two ".to_owned(), 2));
    let retry = app.post(CHAT, &named_turn("first")).await;
    assert_eq!((retry.status, retry.text()), (200, last.data.clone()));
}

#[tokio::test]
async fn a_lock_is_taken_away_for_a_reason_and_from_somebody() {
    let app = TestApp::start().await;
    let (_gate, _events) = held_first(&app).await;
    let release = |body: Value| {
        let app = &app;
        async move { app.post("/admin/locks/s/release", &body).await }
    };
    for body in [json!({}), json!({"reason": ""}), json!({"reason": "  "}), json!({"reason": "x".repeat(501)})] {
        check_error(&release(body).await, 400, "invalid_request", "reason");
    }
    check_error(&release(json!({"reason": 7})).await, 400, "invalid_request", "reason");
    assert_eq!(app.get("/admin/locks/s").await.json()["held"], true);
    check_error(&app.get("/admin/locks/nobody").await, 404, "conversation_not_found", "");
    let nobody = app.post("/admin/locks/nobody/release", &json!({"reason": "why not"})).await;
    check_error(&nobody, 404, "conversation_not_found", "");
    assert_eq!(release(json!({"reason": "stuck"})).await.status, 200);
    check_error(&release(json!({"reason": "stuck"})).await, 409, "lock_not_held", "");
}

#[tokio::test]
async fn health_tells_of_table_queue_and_locks() {
    let app = TestApp::start().await;
    let (_gate, _events) = held_first(&app).await;
    let health = app.get("/admin/health").await.json();
    assert_eq!(
        (&health["status"], &health["locks_held"], &health["locks_lapsed"]),
        (&json!("ok"), &json!(1), &json!(0))
    );
    assert!(health["table"]["latency_ms"].as_f64().is_some_and(|took| took >= 0.0), "{health}");
}

#[tokio::test]
async fn admin_routes_want_an_administrators_key() {
    let app = TestApp::builder().without_admin().start().await;
    for path in ["/admin/locks", "/admin/locks/s", "/admin/dead-letters", "/admin/health"] {
        check_error(&app.get(path).await, 403, "admin_key_required", "");
    }
    check_error(&app.post("/admin/locks/s/release", &json!({"reason": "x"})).await, 403, "admin_key_required", "");
    assert_eq!(app.get("/v1/models").await.status, 200);
}
