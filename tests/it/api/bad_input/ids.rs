//! Names of conversations and turns, and the key that both make.

use serde_json::{Value, json};
use turnwise_core::limits::MAX_KEY_CHARS;
use turnwise_tests::app::{Reply, TestApp};

use super::super::{CHAT, COMPLETIONS, ROUTES, ask, check_error, check_untouched, text_of, with};
use super::{check_invalid, check_invalid_with};

const KEY: &str = "idempotency-key";

/// Names that could break a storage key, a log line or a reader's eye.
const BAD_NAMES: [&str; 10] =
    ["", "a#b", "#", "a\nb", "a\r\nb", "a\u{0}", "\u{7f}", "a\u{85}b", "a\u{202e}b", "\u{feff}a"];

#[tokio::test]
async fn a_name_has_no_control_characters_and_no_hash() {
    let app = TestApp::start().await;
    for field in ["session_id", "thread_id", "turn_id"] {
        for name in BAD_NAMES {
            check_invalid(&app, CHAT, &with(ask(CHAT, "hello"), field, name), field).await;
        }
    }
    for field in ["session_id", "thread_id"] {
        check_invalid(&app, CHAT, &with(ask(CHAT, "hello"), field, "~hidden"), field).await;
    }
    check_invalid(&app, CHAT, &with(ask(CHAT, "hello"), "turn_id", "1:2"), "turn_id").await;
    for name in ["a#b", "a\u{1}"] {
        check_invalid(&app, CHAT, &with(ask(CHAT, "hello"), "project_id", name), "project_id").await;
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn a_key_has_no_control_characters_and_no_hash() {
    let app = TestApp::start().await;
    for path in ROUTES {
        for key in ["", "a#b", "a\tb", "a\u{85}b", "a\u{202e}b"] {
            check_invalid_with(&app, path, &[(KEY, key)], &ask(path, "hello"), "Idempotency-Key").await;
        }
        let not_utf8 = app
            .request(http::Method::POST, path)
            .header(KEY, http::HeaderValue::from_bytes(b"a\xFF").unwrap())
            .body(ask(path, "hello").to_string());
        check_error(&Reply::of(not_utf8).await, 400, "invalid_request", KEY);
    }
    for key in ["~a:1", "a:", ":1"] {
        check_invalid_with(&app, CHAT, &[(KEY, key)], &ask(CHAT, "hello"), "Idempotency-Key").await;
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn a_key_may_have_255_characters_and_not_256() {
    let app = TestApp::start().await;
    let key = |chars: usize| format!("{}:1", "k".repeat(chars - 2));
    for path in ROUTES {
        let too_long = key(MAX_KEY_CHARS + 1);
        check_invalid_with(&app, path, &[(KEY, &too_long)], &ask(path, "hello"), "Idempotency-Key").await;
    }
    let named = |session: usize| with(with(ask(CHAT, "hello"), "session_id", "s".repeat(session)), "turn_id", "1");
    check_invalid(&app, CHAT, &named(MAX_KEY_CHARS - 1), "turn_id").await;
    check_invalid(&app, CHAT, &named(MAX_KEY_CHARS + 1), "session_id").await;
    check_untouched(&app).await;

    for path in ROUTES {
        let reply = app.post_with(path, &[(KEY, &key(MAX_KEY_CHARS))], &ask(path, "hello")).await;
        assert_eq!(text_of(&reply), "Hello from the script.");
    }
    assert_eq!(app.post(CHAT, &named(MAX_KEY_CHARS - 2)).await.status, 200);
}

#[tokio::test]
async fn the_longest_key_may_be_of_the_largest_characters() {
    let app = TestApp::start().await;
    let session = "😀".repeat(MAX_KEY_CHARS - 2);
    let body = with(with(ask(CHAT, "hello"), "session_id", session.as_str()), "turn_id", "1");
    assert_eq!(text_of(&app.post(CHAT, &body).await), "Hello from the script.");
    let listed = app.get("/v1/threads").await.json();
    assert_eq!(listed["data"][0]["id"], session.as_str());

    let body = with(with(ask(CHAT, "hello"), "session_id", "s"), "turn_id", session.as_str());
    assert_eq!(text_of(&app.post(CHAT, &body).await), "Hello from the script.");
    let key = "😀".repeat(MAX_KEY_CHARS);
    let reply = app.post_with(COMPLETIONS, &[(KEY, &key)], &ask(COMPLETIONS, "hello")).await;
    assert_eq!(text_of(&reply), "Hello from the script.");
}

/// Checks that a header `key` and the names in `body` that differ are refused.
async fn check_differs(key: &str, names: &Value, field: &str) {
    let app = TestApp::start().await;
    let mut body = ask(CHAT, "hello");
    for (name, value) in names.as_object().unwrap() {
        body[name] = value.clone();
    }
    check_invalid_with(&app, CHAT, &[(KEY, key)], &body, field).await;
    check_untouched(&app).await;
}

#[tokio::test]
async fn header_and_body_must_name_the_same_turn() {
    check_differs("s:1", &json!({"session_id": "s", "turn_id": "2"}), "Idempotency-Key").await;
    check_differs("s:1", &json!({"session_id": "other"}), "Idempotency-Key").await;
    check_differs("s:1", &json!({"thread_id": "other"}), "Idempotency-Key").await;
    check_differs("s:1", &json!({"turn_id": "2"}), "Idempotency-Key").await;
    check_differs("name", &json!({"turn_id": "other"}), "Idempotency-Key").await;
    check_differs("name", &json!({"session_id": "a", "thread_id": "b"}), "thread_id").await;

    let app = TestApp::start().await;
    let body = with(with(ask(CHAT, "hello"), "session_id", "s"), "turn_id", "1");
    let reply = app.post_with(CHAT, &[(KEY, "s:1")], &with(body, "thread_id", "s")).await;
    assert_eq!((reply.status, reply.header("turnwise-turn")), (200, "s:1"));
}

#[tokio::test]
async fn every_turn_is_found_at_its_address() {
    let app = TestApp::start().await;
    let keys = ["plain", "s:1", "a:b:c", "a b", "50%", "a/b", "a/b:c/d", "a?b=c&d", "ünï:😀", "x:", ":x", "~x"];
    for key in keys {
        let reply = app.post_with(COMPLETIONS, &[(KEY, key)], &ask(COMPLETIONS, key)).await;
        assert_eq!(reply.status, 200, "{key}: {}", reply.text());
        let found = app.get(&format!("/v1/turns/{}", reply.header("turnwise-turn"))).await;
        assert_eq!((found.status, &found.json()["status"]), (200, &json!("COMPLETED")), "{key}: {}", found.text());
    }
}
