//! What answers say to browsers, and what oversized headers come to.

use http::Method;
use serde_json::json;
use turnwise_http::edge::Origins;
use turnwise_tests::app::{KEY, Reply, TestApp};

use super::{CHAT, check_error, check_untouched};

const ORIGIN: &str = "https://app.example";

async fn open_app() -> TestApp {
    let origins = Origins::parse("origins", "https://app.example, http://localhost:3000").unwrap();
    TestApp::builder().with_origins(origins).start().await
}

/// What a browser asks before it lets a page of `origin` post with a key.
async fn preflight(app: &TestApp, origin: &str) -> Reply {
    let request = app.request_without_key(Method::OPTIONS, CHAT).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    Reply::of(request.header("access-control-request-headers", "authorization,content-type,idempotency-key")).await
}

#[tokio::test]
async fn every_answer_is_data_that_nothing_may_frame_or_keep() {
    let app = TestApp::start().await;
    let good = app.get("/v1/models").await;
    let absent = app.get("/nowhere").await;
    let refused = Reply::of(app.request_without_key(Method::GET, "/v1/models")).await;
    let open = Reply::of(app.request_without_key(Method::GET, "/healthz")).await;
    for (reply, status) in [(good, 200), (absent, 404), (refused, 401), (open, 200)] {
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("x-frame-options"), "DENY");
        assert_eq!(reply.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.header("strict-transport-security"), "", "it is not behind HTTPS");
        assert_eq!(reply.header("access-control-allow-origin"), "", "no page may read it");
    }
    let stream = app.open(CHAT, &[], &json!({"message": "hi", "model": "local/echo", "stream": true})).await;
    assert_eq!(stream.headers["x-content-type-options"], "nosniff");
    assert_eq!(stream.headers.get_all("cache-control").iter().count(), 1);
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_key_to_pages_that_are_named() {
    let app = open_app().await;
    for origin in [ORIGIN, "http://localhost:3000"] {
        let reply = preflight(&app, origin).await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, origin));
        assert_eq!(reply.header("access-control-allow-credentials"), "");
        for header in ["authorization", "x-api-key", "content-type", "idempotency-key", "last-event-id", "if-match"] {
            let allowed = reply.header("access-control-allow-headers");
            assert!(allowed.split(',').any(|name| name == header), "{header}: {allowed}");
        }
        assert!(reply.header("access-control-allow-methods").contains("DELETE"));
        assert!(!reply.header("access-control-max-age").is_empty());
        assert!(reply.header("vary").contains("origin"), "{}", reply.header("vary"));
    }
    for origin in ["https://app.example.evil", "http://app.example", "https://APP.example", "null"] {
        assert_eq!(preflight(&app, origin).await.header("access-control-allow-origin"), "", "{origin}");
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn no_page_may_call_unless_it_is_named() {
    let app = TestApp::start().await;
    let reply = preflight(&app, ORIGIN).await;
    check_error(&reply, 405, "method_not_allowed", "");
    assert_eq!(reply.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_named_page_may_read_answers_errors_and_their_headers() {
    let app = open_app().await;
    let answer = Reply::of(app.request(Method::GET, "/v1/models").header("origin", ORIGIN)).await;
    let error = Reply::of(app.request_without_key(Method::GET, "/v1/models").header("origin", ORIGIN)).await;
    for (reply, status) in [(answer, 200), (error, 401)] {
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (status, ORIGIN));
        let exposed = reply.header("access-control-expose-headers");
        for header in
            ["x-request-id", "retry-after", "idempotent-replayed", "turnwise-turn", "x-ratelimit-limit-requests"]
        {
            assert!(exposed.split(',').any(|name| name == header), "{header}: {exposed}");
        }
    }
    let other = Reply::of(app.request(Method::GET, "/v1/models").header("origin", "https://other.example")).await;
    assert_eq!((other.status, other.header("access-control-allow-origin")), (200, ""));
}

#[tokio::test]
async fn keys_of_any_length_are_refused_and_nothing_is_stored() {
    let app = TestApp::start().await;
    for length in [512, 513, 100_000] {
        let request = app.request_without_key(Method::GET, "/v1/models").bearer_auth("k".repeat(length));
        check_error(&Reply::of(request).await, 401, "invalid_api_key", "");
    }
    let whole = app.request_without_key(Method::GET, "/v1/models").header("x-api-key", KEY);
    assert_eq!(Reply::of(whole).await.status, 200);
    for length in [256, 100_000] {
        let body = json!({"model": "local/echo", "messages": [{"role": "user", "content": "hi"}]});
        let key = "k".repeat(length);
        let reply = app.post_with("/v1/chat/completions", &[("idempotency-key", &key)], &body).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert!(reply.text().len() < 2_000, "the answer does not repeat it: {}", reply.text().len());
    }
    // More than the server reads of a request's head.
    let request = app.request_without_key(Method::GET, "/v1/models").bearer_auth("k".repeat(2_000_000));
    let refused = request.send().await;
    assert!(refused.is_err() || refused.is_ok_and(|reply| reply.status().as_u16() == 431));
    assert_eq!(app.get("/v1/models").await.status, 200);
    check_untouched(&app).await;
}
