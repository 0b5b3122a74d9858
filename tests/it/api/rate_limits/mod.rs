//! So many requests a minute, by key, tenant and class, over all processes.

mod crowd;
mod fleet;
mod headers;
mod refusals;
mod shared;
mod table_down;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use turnwise_core::access::{Grant, Limits, TenantSettings};
use turnwise_core::time::Timestamp;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::turn::Caller;
use turnwise_tests::app::{Builder, Reply, TestApp};
use turnwise_tests::rig;
use turnwise_tests::table::{Row, text};

use super::{CHAT, COMPLETIONS, MESSAGES, ask, check_error, named_turn, redacted, with};

/// A key with a limit.
const LIMITED: &str = "tw-limited-key-0001";

/// Another one of the same tenant.
const OTHER: &str = "tw-limited-key-0002";

fn limits(requests_per_minute: u32) -> Limits {
    Limits { requests_per_minute: Some(requests_per_minute), ..Limits::default() }
}

/// What a key may do that may make so many requests a minute.
fn key_of(limit: u32) -> Grant {
    Grant { limits: limits(limit), ..Grant::default() }
}

/// Limits all keys of the tenant together to so many requests a minute.
async fn limit_tenant(app: &TestApp, limit: u32) {
    let operator = Caller { grant: Arc::new(Grant::of_operator()), ..rig::caller() };
    let change = |settings| Ok(TenantSettings { limits: limits(limit), ..settings });
    app.engine.change_tenant(&operator, &operator.tenant, change).await.unwrap();
}

/// An app with [`LIMITED`] and [`OTHER`], each with `grant`.
fn with_keys(grant: &Grant) -> Builder {
    TestApp::builder().with_key(LIMITED, grant.clone()).with_key(OTHER, grant.clone())
}

/// The same, in a time of its own.
async fn at_rest(grant: &Grant) -> (TestApp, Time) {
    let manual = Manual::new(Timestamp(1_795_276_800_000));
    let clock = Clock::Manual(Arc::clone(&manual));
    (with_keys(grant).with_clock(clock.clone()).start().await, Time { clock, manual })
}

/// A time that stands still until it is moved.
struct Time {
    clock: Clock,
    manual: Arc<Manual>,
}

impl Time {
    async fn pass(&self, millis: u64) {
        rig::pass(&self.clock, &self.manual, Duration::from_millis(millis)).await;
    }
}

/// Posts with `key`.
async fn post(app: &TestApp, key: &str, path: &str, body: &Value) -> Reply {
    let request = app.request_without_key(Method::POST, path).header("x-api-key", key);
    Reply::of(request.header(CONTENT_TYPE, "application/json").body(body.to_string())).await
}

/// Asks for a completion with `key`.
async fn complete(app: &TestApp, key: &str) -> Reply {
    post(app, key, COMPLETIONS, &ask(COMPLETIONS, "hello")).await
}

/// The rows of buckets.
async fn buckets(app: &TestApp) -> Vec<Row> {
    let mut rows = app.table.rows().await;
    rows.retain(|row| text(row, "pk").starts_with("R#"));
    rows
}

/// How many requests a reply says are left.
fn remaining(reply: &Reply) -> u32 {
    let remaining = reply.header("x-ratelimit-remaining-requests");
    remaining.parse().unwrap_or_else(|_| panic!("{} {}", reply.status, reply.text()))
}
