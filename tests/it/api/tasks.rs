//! Labels of what requests are for, from the request to the ledger and its counters.

use serde_json::json;
use turnwise_tests::app::TestApp;
use turnwise_tests::scripted::Script;
use turnwise_tests::table::{Row, number, text};

use super::retries::policy;
use super::{CHAT, COMPLETIONS, MESSAGES, ask, check_error, check_untouched, with};

const TASK: &str = "turnwise-task";

fn of<'a>(rows: &'a [Row], kind: &str) -> Vec<&'a Row> {
    rows.iter().filter(|row| text(row, "pk").starts_with(kind)).collect()
}

#[tokio::test]
async fn every_route_that_asks_a_model_takes_a_label() {
    let app = TestApp::start().await;
    let messages = json!({"model": "gpt-4o-mini", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]});
    let response = json!({"model": "gpt-4o-mini", "input": "a"});
    let embedding = json!({"model": "local/hash-embedding", "input": "a"});
    let routes = [
        (CHAT, ask(CHAT, "a")),
        (COMPLETIONS, ask(COMPLETIONS, "a")),
        (MESSAGES, messages),
        ("/v1/responses", response.clone()),
        ("/v1/responses/compact", response),
        ("/v1/embeddings", embedding),
    ];
    for (path, body) in &routes {
        let reply = app.post_with(path, &[(TASK, "sort.mail-2")], body).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let bad = app.post_with(path, &[(TASK, "Sort mail")], body).await;
        assert_eq!((bad.status, bad.text().contains(TASK)), (400, true), "{path}: {}", bad.text());
    }
    let rows = app.table.rows().await;
    let lines = of(&rows, "L#");
    assert_eq!(lines.len(), routes.len());
    assert!(lines.iter().all(|line| text(line, "task") == "sort.mail-2"), "{lines:?}");
    assert!(of(&rows, "U#").iter().all(|row| text(row, "sk").ends_with("#sort.mail-2")));
    let counted: u64 = of(&rows, "U#").into_iter().map(|row| number(row, "requests")).sum();
    assert_eq!(counted, routes.len() as u64);
}

#[tokio::test]
async fn chat_takes_it_in_its_body_and_no_model_sees_it() {
    let app = TestApp::start().await;
    let body = with(ask(CHAT, "a"), "task", "sort");
    assert_eq!(app.post_with(CHAT, &[(TASK, "sort")], &body).await.status, 200);
    assert!(!app.provider.requests()[0].body.to_string().contains("sort"));
    assert_eq!(text(of(&app.table.rows().await, "L#")[0], "task"), "sort");
}

#[tokio::test]
async fn two_labels_for_one_request_are_refused() {
    let app = TestApp::start().await;
    let body = with(ask(CHAT, "a"), "task", "sort");
    check_error(&app.post_with(CHAT, &[(TASK, "other")], &body).await, 400, "invalid_request", "task");
    check_error(&app.post(CHAT, &with(ask(CHAT, "a"), "task", "")).await, 400, "invalid_request", "task");
    check_error(&app.post(CHAT, &with(ask(CHAT, "a"), "task", 7)).await, 400, "invalid_request", "task");
    check_untouched(&app).await;
}

#[tokio::test]
async fn a_label_is_no_part_of_what_a_request_means() {
    let app = TestApp::start().await;
    let first = app.post_with(CHAT, &[("idempotency-key", "s:1"), (TASK, "a")], &ask(CHAT, "hello")).await;
    let again = app.post_with(CHAT, &[("idempotency-key", "s:1"), (TASK, "b")], &ask(CHAT, "hello")).await;
    assert_eq!((again.status, again.text()), (200, first.text()));
    assert_eq!(app.provider.calls(), 1);
}

#[tokio::test]
async fn a_line_says_what_the_answer_took_and_what_it_would_have_cost() {
    let app = TestApp::builder().with_calls(policy()).start().await;
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010,
        "prompt_tokens_details": {"cached_tokens": 800}});
    app.provider.enqueue(Script::refuse(500));
    app.provider.otherwise(Script::answer("yes").usage(usage));
    assert_eq!(app.post(CHAT, &with(ask(CHAT, "a"), "model", "gpt-4o-mini")).await.status, 200);
    let rows = app.table.rows().await;
    let line = of(&rows, "L#")[0];
    assert_eq!(number(line, "cost_pico_usd"), 96_000_000, "the check value of the design");
    assert_eq!(number(line, "uncached"), 1000 * 150_000 + 10 * 600_000);
    // The shipped baseline, gpt-4.1: 2 and 8 USD a million.
    assert_eq!(number(line, "baseline"), 1000 * 2_000_000 + 10 * 8_000_000);
    assert_eq!(number(line, "calls"), 2);
    let counters = of(&rows, "U#")[0];
    assert_eq!((number(counters, "retries"), number(counters, "compared")), (1, 1));
    let saved = ["saved_routing", "saved_provider"].map(|name| number(counters, name));
    assert_eq!(saved, [2_080_000_000 - 156_000_000, 156_000_000 - 96_000_000]);
    assert_eq!(saved.iter().sum::<u64>(), number(counters, "baseline") - number(counters, "cost_pico_usd"));
}
