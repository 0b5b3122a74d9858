//! What is not a request: each is told what is wrong with it and where, as JSON, and
//! leaves nothing behind.

mod bodies;
mod chat_fields;
mod completion_fields;
mod every_route;
mod fuzz;
mod ids;
mod models;
mod paths;

use http::Method;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use turnwise_tests::app::{Reply, TestApp};

use super::check_error;

/// A body that need not be JSON.
async fn post_raw(app: &TestApp, path: &str, body: impl Into<reqwest::Body>) -> Reply {
    Reply::of(app.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(body)).await
}

/// Checks that `body` is invalid in `field`.
async fn check_invalid(app: &TestApp, path: &str, body: &Value, field: &str) {
    check_invalid_with(app, path, &[], body, field).await;
}

async fn check_invalid_with(app: &TestApp, path: &str, headers: &[(&str, &str)], body: &Value, field: &str) {
    let reply = app.post_with(path, headers, body).await;
    check_error(&reply, 400, "invalid_request", field);
    let error = &reply.json()["error"];
    assert_eq!(error["type"], "invalid_request_error");
    assert!(error["message"].as_str().unwrap().starts_with(field), "{error}");
    assert_eq!(error["faults"][0]["field"], field, "{error}");
}
