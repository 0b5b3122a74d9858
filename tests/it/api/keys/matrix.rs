//! Every operation with every kind of key, made from the route table.

use http::Method;
use serde_json::{Value, json};
use turnwise_core::access::Scope;
use turnwise_http::routes::{Entry, ROUTES};
use turnwise_tests::app::{Reply, TestApp};

use super::super::check_error;
use super::{make, text};

/// Every operation, with something in its path where that has a hole.
fn operations() -> impl Iterator<Item = (Method, String, Entry)> {
    ROUTES.iter().map(|route| {
        let path = route.path.replace("models/{id}", "models/local/echo").replace("{key}", "s:1");
        let path =
            ["{id}", "{conversation}", "{item}", "{tenant}"].iter().fold(path, |path, hole| path.replace(hole, "s"));
        (route.method.parse().unwrap(), path, route.entry)
    })
}

/// A body that no operation takes: what is let in is refused for it, or has no use for one.
async fn send(app: &TestApp, key: Option<&str>, method: Method, path: &str) -> Reply {
    let request = app.request_without_key(method, path).body(r#"{"x-unknown":0}"#);
    Reply::of(match key {
        Some(key) => request.header("x-api-key", key),
        None => request,
    })
    .await
}

async fn key(app: &TestApp, body: Value) -> (String, String) {
    let made = make(app, body).await;
    (made["id"].as_str().unwrap().to_owned(), text(&made))
}

#[tokio::test]
async fn a_key_comes_in_where_it_has_the_scope_and_nowhere_else() {
    let app = TestApp::start().await;
    for scope in Scope::ALL {
        let (_, key) = key(&app, json!({"name": "one scope", "scopes": [scope.name()]})).await;
        for (method, path, entry) in operations() {
            let reply = send(&app, Some(&key), method.clone(), &path).await;
            // A file of several lines is no JSON, and no error.
            let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let code = body["error"]["code"].as_str().unwrap_or_default().to_owned();
            match entry {
                Entry::Open => assert_eq!(reply.status, 200, "{path}"),
                Entry::Keyed(asked) if asked == scope => {
                    let is_refused = ["insufficient_scope", "admin_key_required", "invalid_api_key"].contains(&&*code);
                    assert!(!is_refused, "{scope} at {method} {path}: {code}");
                }
                Entry::Keyed(Scope::Admin) => check_error(&reply, 403, "admin_key_required", ""),
                Entry::Keyed(_) => check_error(&reply, 403, "insufficient_scope", ""),
            }
        }
    }
}

#[tokio::test]
async fn keys_that_are_not_accepted_come_in_nowhere() {
    let app = TestApp::start().await;
    let scopes = ["generate", "read", "reports", "admin"];
    let (id, revoked) = key(&app, json!({"name": "revoked", "scopes": scopes})).await;
    app.post(&format!("/admin/keys/{id}/revoke"), &json!({})).await;
    let (_, foreign) = key(&TestApp::start().await, json!({"name": "of another deployment", "scopes": scopes})).await;
    let mistyped = format!("{}x", &revoked[..revoked.len() - 1]);
    let before = app.table.rows().await.len();
    for key in [None, Some(""), Some(&*revoked), Some(&*foreign), Some(&*mistyped)] {
        for (method, path, entry) in operations() {
            let reply = send(&app, key, method, &path).await;
            match entry {
                Entry::Open => assert_eq!(reply.status, 200, "{path}"),
                Entry::Keyed(_) => check_error(&reply, 401, "invalid_api_key", ""),
            }
        }
    }
    // But for the line of the audit log that tells of them.
    let audit = |row: &turnwise_tests::table::Row| turnwise_tests::table::text(row, "pk").starts_with("A#");
    assert_eq!(app.table.rows().await.iter().filter(|row| !audit(row)).count(), before - 2);
    assert_eq!(app.provider.calls(), 0);
}
