//! Keys that are accepted, and those that are not.

use std::time::Duration;

use http::Method;
use serde_json::json;
use turnwise_core::access::{KEY_SECRET_CHARS, KeyId, KeyText};
use turnwise_core::time::Timestamp;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::keys::KEY_CACHE_TTL;
use turnwise_tests::app::TestApp;
use turnwise_tests::rig::pass;
use turnwise_tests::table::TABLE;

use super::super::{check_error, check_untouched};
use super::{ask, key_of, make, question, send, text};

/// 2026-11-21T16:00:00Z
const NOW: Timestamp = Timestamp(1_795_276_800_000);

#[tokio::test]
async fn a_key_opens_what_its_scopes_say() {
    let app = TestApp::start().await;
    let reader = text(&make(&app, json!({"name": "reader", "scopes": ["read"]})).await);
    assert_eq!(send(&app, &reader, Method::GET, "/v1/threads", None).await.status, 200);
    check_error(&ask(&app, &reader, &question("local/echo")).await, 403, "insufficient_scope", "");
    check_error(&send(&app, &reader, Method::GET, "/v1/stats", None).await, 403, "insufficient_scope", "");
    check_error(&send(&app, &reader, Method::GET, "/admin/keys", None).await, 403, "admin_key_required", "");
}

#[tokio::test]
async fn a_mistyped_key_is_refused_without_a_look_at_the_table() {
    let app = TestApp::start().await;
    let key = key_of(&app, "default").await;
    app.table.client().delete_table().table_name(TABLE).send().await.unwrap();
    let (head, last) = key.split_at(key.len() - 1);
    let typo = format!("{head}{}", if last == "0" { "1" } else { "0" });
    check_error(&ask(&app, &typo, &question("local/echo")).await, 401, "invalid_api_key", "");
    // Another one of the same form is looked for.
    let unknown = KeyText::new(KeyId::parse("000000000000").unwrap(), &"0".repeat(KEY_SECRET_CHARS));
    assert_eq!(ask(&app, unknown.expose(), &question("local/echo")).await.status, 500);
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_elsewhere_within_a_minute() {
    let manual = Manual::new(NOW);
    let clock = Clock::Manual(manual.clone());
    let app = TestApp::builder().with_clock(clock.clone()).start().await;
    let other = app.second_process().await;
    let made = make(&app, json!({"name": "leaked"})).await;
    let (key, path) = (text(&made), format!("/admin/keys/{}/revoke", made["id"].as_str().unwrap()));
    for process in [&app, &other] {
        assert_eq!(send(process, &key, Method::GET, "/v1/threads", None).await.status, 200);
    }
    let revoked = app.post(&path, &json!({"reason": "it was in a log"})).await.json();
    assert_eq!(revoked["status"], "revoked");
    check_error(&send(&app, &key, Method::GET, "/v1/threads", None).await, 401, "invalid_api_key", "");
    // What the other process has read is good for a minute.
    pass(&clock, &manual, KEY_CACHE_TTL - Duration::from_millis(1)).await;
    assert_eq!(send(&other, &key, Method::GET, "/v1/threads", None).await.status, 200);
    pass(&clock, &manual, Duration::from_millis(1)).await;
    check_error(&send(&other, &key, Method::GET, "/v1/threads", None).await, 401, "invalid_api_key", "");
    // Again: it stays as it was.
    assert_eq!(app.post(&path, &json!({})).await.json()["revoked_at"], revoked["revoked_at"]);
}

#[tokio::test]
async fn a_key_that_has_expired_is_refused() {
    let manual = Manual::new(NOW);
    let clock = Clock::Manual(manual.clone());
    let app = TestApp::builder().with_clock(clock.clone()).start().await;
    let made = make(&app, json!({"name": "trial", "expires_at": "2026-11-21T16:00:10Z"})).await;
    let key = text(&made);
    pass(&clock, &manual, Duration::from_millis(9_999)).await;
    assert_eq!(send(&app, &key, Method::GET, "/v1/threads", None).await.status, 200);
    pass(&clock, &manual, Duration::from_millis(1)).await;
    check_error(&send(&app, &key, Method::GET, "/v1/threads", None).await, 401, "invalid_api_key", "");
    let shown = app.get(&format!("/admin/keys/{}", made["id"].as_str().unwrap())).await.json();
    assert_eq!(shown["status"], "expired");
    assert_eq!(shown["last_used_at"], "2026-11-21T16:00:09.999Z");
}

#[tokio::test]
async fn a_rotated_key_has_a_new_text_and_the_old_one_for_a_while() {
    let manual = Manual::new(NOW);
    let clock = Clock::Manual(manual.clone());
    let app = TestApp::builder().with_clock(clock.clone()).start().await;
    let made = make(&app, json!({"name": "old"})).await;
    let path = format!("/admin/keys/{}/rotate", made["id"].as_str().unwrap());
    let rotated = app.post(&path, &json!({"grace_s": 10})).await.json();
    assert_eq!(rotated["id"], made["id"]);
    let (old, new) = (text(&made), text(&rotated));
    assert_ne!(old, new);
    for key in [&old, &new] {
        assert_eq!(send(&app, key, Method::GET, "/v1/threads", None).await.status, 200);
    }
    pass(&clock, &manual, Duration::from_secs(10)).await;
    check_error(&send(&app, &old, Method::GET, "/v1/threads", None).await, 401, "invalid_api_key", "");
    assert_eq!(send(&app, &new, Method::GET, "/v1/threads", None).await.status, 200);
}

#[tokio::test]
async fn an_unknown_a_revoked_and_a_forged_key_are_answered_alike() {
    let app = TestApp::start().await;
    let made = make(&app, json!({"name": "revoked"})).await;
    let revoked = text(&made);
    app.post(&format!("/admin/keys/{}/revoke", made["id"].as_str().unwrap()), &json!({})).await;
    let unknown = KeyText::new(KeyId::parse("000000000000").unwrap(), &"0".repeat(KEY_SECRET_CHARS));
    let forged = KeyText::new(KeyId::parse(made["id"].as_str().unwrap()).unwrap(), &"0".repeat(KEY_SECRET_CHARS));
    let mut answers = Vec::new();
    for key in [&revoked, unknown.expose(), forged.expose()] {
        let refused = ask(&app, key, &question("local/echo")).await;
        check_error(&refused, 401, "invalid_api_key", "");
        let mut body = refused.json();
        body["error"]["request_id"].take();
        body["error"]["user_message"].take();
        answers.push(body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(app.provider.requests().len(), 0);
}

#[tokio::test]
async fn without_peppers_no_key_of_the_table_is_accepted_or_made() {
    let app = TestApp::start().await;
    let key = key_of(&app, "default").await;
    let bare = TestApp::builder().without_peppers().start_beside(&app).await;
    check_error(&ask(&bare, &key, &question("local/echo")).await, 401, "invalid_api_key", "");
    check_error(&bare.post("/admin/keys", &json!({"name": "x"})).await, 503, "no_key_pepper", "");
}

#[tokio::test]
async fn a_key_of_the_table_sees_its_tenant_alone() {
    let app = TestApp::start().await;
    let (acme, globex) = (key_of(&app, "acme").await, key_of(&app, "globex").await);
    assert_eq!(ask(&app, &acme, &question("local/echo")).await.status, 200);
    for path in ["/v1/turns/s:1", "/v1/threads/s", "/v1/threads/s/turns", "/v1/conversations/s"] {
        assert_eq!(send(&app, &acme, Method::GET, path, None).await.status, 200, "{path}");
        assert_eq!(send(&app, &globex, Method::GET, path, None).await.status, 404, "{path}");
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
    // The same key of a turn in another tenant is another turn.
    let other = ask(&app, &globex, &question("local/echo")).await;
    assert_eq!((other.status, &other.json()["turn_number"]), (200, &json!(1)));
    assert!(!other.is_replay());
}

#[tokio::test]
async fn the_table_is_not_written_to_by_who_is_refused() {
    let app = TestApp::start().await;
    for key in ["", "x", "tw_live_000000000000_", "tw_dev_0"] {
        assert_eq!(ask(&app, key, &question("local/echo")).await.status, 401);
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn the_operator_sees_that_the_table_is_away() {
    let app = TestApp::start().await;
    app.table.client().delete_table().table_name(TABLE).send().await.unwrap();
    let health = app.get("/admin/health").await;
    assert!(health.text().contains("\"table\""), "{}", health.text());
    assert_eq!(app.get("/v1/models").await.status, 200);
    // What may cost something asks what holds for the tenant.
    assert!(app.post("/v1/chat", &question("local/echo")).await.status >= 500);
}
