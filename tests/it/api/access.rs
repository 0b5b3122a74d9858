//! Who may come in.

use http::Method;
use turnwise_http::routes::{Entry, ROUTES};
use turnwise_tests::app::{KEY, Reply, TestApp};

use super::{CHAT, ask, check_error, check_request_id, check_untouched, redacted};

/// Every operation, with an id where its path has one.
fn operations() -> impl Iterator<Item = (Method, String, Entry)> {
    ROUTES.iter().map(|route| {
        let path = route.path.replace("models/{id}", "models/local/echo").replace("{key}", "s:1");
        let path = path.replace("{id}", "s").replace("{conversation}", "s").replace("{item}", "x");
        (route.method.parse().unwrap(), path, route.entry)
    })
}

/// Sends every operation with `header` and without another key.
async fn check(app: &TestApp, header: Option<(&str, &str)>, comes_in: bool) {
    for (method, path, entry) in operations() {
        let request = app.request_without_key(method, &path).body(ask(CHAT, "hello").to_string());
        let reply =
            Reply::of(header.into_iter().fold(request, |request, (name, value)| request.header(name, value))).await;
        check_request_id(&reply);
        match (entry, comes_in) {
            (Entry::Keyed(_), false) => {
                check_error(&reply, 401, "invalid_api_key", "");
                assert_eq!(reply.header("www-authenticate"), "Bearer");
            }
            (Entry::Keyed(_), true) => assert_ne!(reply.status, 401, "{path}"),
            (Entry::Open, _) => assert_eq!(reply.status, 200, "{path}"),
        }
    }
}

#[tokio::test]
async fn either_header_brings_the_key() {
    let app = TestApp::start().await;
    check(&app, Some(("authorization", &format!("Bearer {KEY}"))), true).await;
    check(&app, Some(("x-api-key", KEY)), true).await;
}

#[tokio::test]
async fn without_the_key_every_keyed_route_is_closed() {
    let app = TestApp::start().await;
    check(&app, None, false).await;
    for header in [
        ("authorization", "Bearer wrong"),
        ("authorization", KEY),
        ("authorization", "Bearer "),
        ("authorization", &format!("Basic {KEY}")),
        ("authorization", &format!("Bearer {KEY}x")),
        ("x-api-key", ""),
        ("x-api-key", &KEY[1..]),
        ("cookie", KEY),
    ] {
        check(&app, Some(header), false).await;
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn without_configured_keys_nobody_comes_in() {
    let app = TestApp::builder().without_keys().start().await;
    check(&app, None, false).await;
    check(&app, Some(("authorization", &format!("Bearer {KEY}"))), false).await;
    check(&app, Some(("authorization", "Bearer ")), false).await;
    check(&app, Some(("x-api-key", "")), false).await;
    check_untouched(&app).await;
}

#[tokio::test]
async fn a_refusal_tells_nothing_of_the_request() {
    let app = TestApp::start().await;
    // A body that is broken, too: the key is asked for first.
    let request = app.request_without_key(Method::POST, CHAT).header("x-api-key", "wrong-key-0042").body("{");
    let reply = Reply::of(request).await;
    assert!(!reply.text().contains("0042"));
    insta::assert_json_snapshot!(redacted(reply.json()), @r#"
    {
      "error": {
        "category": "AUTHENTICATION_ERROR",
        "code": "invalid_api_key",
        "message": "No valid API key. Send it as \"Authorization: Bearer KEY\" or \"x-api-key: KEY\".",
        "param": null,
        "request_id": "[request_id]",
        "retry_after_s": null,
        "retryable": false,
        "severity": "MEDIUM",
        "type": "authentication_error",
        "user_message": "Your API key wasn't accepted."
      }
    }
    "#);
}

#[tokio::test]
async fn a_turn_could_run() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/readyz").await.json()["status"], "ok");
    assert_eq!(app.get("/healthz").await.json()["status"], "ok");
    let document = app.get("/openapi.json").await;
    assert_eq!(document.text(), turnwise_http::openapi::document());
}
