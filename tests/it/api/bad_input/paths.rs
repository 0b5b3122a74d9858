//! Paths, methods and queries.

use http::Method;
use turnwise_http::routes::ROUTES;
use turnwise_tests::app::{Reply, TestApp};

use super::super::{check_error, check_untouched};

#[tokio::test]
async fn an_unknown_route_is_a_json_404() {
    let app = TestApp::start().await;
    for path in ["/", "/v1", "/v1/chat/", "/v2/chat", "/v1/chat/completions/x", "/V1/chat", "/v1//chat", "/v1/%FF"] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            check_error(&Reply::of(app.request(method, path)).await, 404, "route_not_found", "");
        }
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn a_wrong_method_is_a_json_405_that_says_which_is_right() {
    let app = TestApp::start().await;
    for route in ROUTES {
        let path = route.path.replace("{id}", "x").replace("{key}", "x");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            // Some paths have several methods.
            let has = |method: &Method| {
                ROUTES.iter().any(|other| other.path == route.path && other.method == method.as_str())
            };
            if !has(&method) {
                let reply = Reply::of(app.request(method, &path)).await;
                check_error(&reply, 405, "method_not_allowed", "");
                let allowed = reply.header("allow");
                assert!(allowed.split(',').any(|name| name == route.method), "{path}: {allowed:?}");
            }
        }
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn what_is_not_there_is_a_404() {
    let app = TestApp::start().await;
    check_error(&app.get("/v1/turns/nobody:1").await, 404, "turn_not_found", "");
    check_error(&app.get("/v1/turns/nobody").await, 404, "turn_not_found", "");
    check_error(&app.get("/v1/threads/nobody/turns").await, 404, "thread_not_found", "");
    check_untouched(&app).await;
}

#[tokio::test]
async fn an_id_in_a_path_is_checked() {
    let app = TestApp::start().await;
    let long = "k".repeat(256);
    for bad in ["a%23b", "a%0Ab", "%00", &long] {
        check_error(&app.get(&format!("/v1/turns/{bad}")).await, 400, "invalid_request", "key");
        check_error(&app.get(&format!("/v1/threads/{bad}/turns")).await, 400, "invalid_request", "id");
    }
    check_error(&app.get("/v1/threads/~hidden/turns").await, 400, "invalid_request", "id");
    for path in ["/v1/turns/%FF", "/v1/threads/%FF/turns", "/v1/models/%C3%28", "/v1/responses/%FF"] {
        check_error(&app.get(path).await, 400, "invalid_request", "path");
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn a_page_has_its_limits() {
    let app = TestApp::start().await;
    for path in ["/v1/threads", "/v1/threads/nobody/turns"] {
        for bad in ["0", "101", "-1", "1.5", "ten", "", "99999999999999999999"] {
            check_error(&app.get(&format!("{path}?limit={bad}")).await, 400, "invalid_request", "limit");
        }
        check_error(&app.get(&format!("{path}?limit=1&limit=2")).await, 400, "invalid_request", "query");
    }
    for bad in ["-1", "first", "", "1.0", "18446744073709551616"] {
        check_error(&app.get(&format!("/v1/threads/nobody/turns?after={bad}")).await, 400, "invalid_request", "after");
    }
    check_error(&app.get("/v1/threads?project_id=a%23b").await, 400, "invalid_request", "project_id");
    for limit in ["1", "100"] {
        assert_eq!(app.get(&format!("/v1/threads?limit={limit}")).await.status, 200);
    }
    check_untouched(&app).await;
}

#[tokio::test]
async fn a_place_behind_the_last_page_is_no_error_of_ours() {
    let app = TestApp::start().await;
    let chat = serde_json::json!({"message": "hello", "session_id": "s"});
    assert_eq!(app.post("/v1/chat", &chat).await.status, 200);
    for after in ["1", "9999999998", "9999999999", "10000000000", "18446744073709551615"] {
        let page = app.get(&format!("/v1/threads/s/turns?after={after}")).await;
        assert_eq!((page.status, &page.json()["data"]), (200, &serde_json::json!([])), "{after}: {}", page.text());
        assert_eq!(page.json()["has_more"], false);
    }
}

#[tokio::test]
async fn a_cursor_that_we_never_gave_is_refused() {
    let app = TestApp::start().await;
    for bad in ["x".repeat(5000), "%F0%9F%98%80".repeat(300), "nonsense".to_owned(), "a%00".to_owned()] {
        check_error(&app.get(&format!("/v1/threads?after={bad}")).await, 400, "invalid_request", "after");
    }
    check_untouched(&app).await;
}
