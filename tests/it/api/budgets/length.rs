//! How long an answer may be, and who is told.

use super::*;

async fn check(grant: Grant, body: &Value, sent: Option<u64>, told: &str) {
    let app = with_grant(grant).start().await;
    for stream in [false, true] {
        let reply = app.post(COMPLETIONS, &with(body.clone(), "stream", stream)).await;
        assert_eq!((reply.status, reply.header("x-turnwise-max-tokens")), (200, told), "{}", reply.text());
        let received = app.provider.requests().pop().unwrap().body;
        let named = received["max_completion_tokens"].as_u64().or_else(|| received["max_tokens"].as_u64());
        assert_eq!(named, sent);
    }
}

#[tokio::test]
async fn an_answer_is_as_long_as_was_reserved() {
    let plain = ask(COMPLETIONS, "hello");
    let clamped = |most| limited(Limits { max_output_tokens: Some(most), ..Limits::default() });
    check(Grant::default(), &plain, None, "").await;
    check(daily(10_000_000_000), &plain, Some(4_096), "4096").await;
    check(daily(10_000_000_000), &asking("hello"), Some(MOST), "").await;
    check(clamped(7), &plain, Some(7), "7").await;
    check(clamped(MOST), &asking("hello"), Some(MOST), "").await;
    check(clamped(MOST - 1), &asking("hello"), Some(MOST - 1), "9").await;
    let counted = limited(Limits { tokens_per_minute: Some(100_000), ..Limits::default() });
    check(counted, &plain, Some(4_096), "4096").await;
}
