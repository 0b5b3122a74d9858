//! Tokens a minute, and answers at once.

use std::sync::Arc;

use turnwise_core::time::Timestamp;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_tests::rig;
use turnwise_tests::scripted::{Gate, Script};

use super::*;

/// Tokens that [`asking`] "hello" takes at most.
fn most() -> u64 {
    let messages = [json!({"role": "user", "content": "hello"})];
    most_input(&messages, &turnwise_core::json::RawMap::new(), Scale::ONE, None) + MOST
}

fn per_minute(tokens: u64) -> Grant {
    limited(Limits { tokens_per_minute: Some(tokens), ..Limits::default() })
}

#[tokio::test]
async fn tokens_come_back_to_the_millisecond() {
    let manual = Manual::new(Timestamp(1_795_276_800_000));
    let clock = Clock::Manual(Arc::clone(&manual));
    let limit = 2 * most();
    let app = with_grant(per_minute(limit)).with_clock(clock.clone()).start().await;
    // Answers that use all that was asked for.
    let usage = json!({"prompt_tokens": most() - MOST, "completion_tokens": MOST, "total_tokens": most()});
    app.provider.otherwise(Script::answer("a").usage(usage));

    let first = app.post(COMPLETIONS, &asking("hello")).await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(first.header("x-ratelimit-limit-tokens"), limit.to_string());
    assert_eq!(first.header("x-ratelimit-remaining-tokens"), most().to_string());
    assert_eq!(first.header("x-ratelimit-reset-tokens"), "30s");
    assert_eq!(first.header("anthropic-ratelimit-tokens-remaining"), most().to_string());
    assert_eq!(first.header("anthropic-ratelimit-tokens-reset"), "2026-11-21T16:00:30.000Z");
    assert_eq!(app.post(COMPLETIONS, &asking("hello")).await.status, 200);

    let refused = app.post_with(COMPLETIONS, &[("idempotency-key", "s:1")], &asking("hello")).await;
    check_error(&refused, 429, "rate_limit_exceeded", "");
    assert_eq!((refused.header("retry-after"), refused.header("retry-after-ms")), ("30", "30000"));
    assert_eq!(refused.header("x-ratelimit-remaining-tokens"), "0");
    rig::pass(&clock, &manual, Duration::from_millis(29_999)).await;
    let again = app.post_with(COMPLETIONS, &[("idempotency-key", "s:1")], &asking("hello")).await;
    assert_eq!((again.status, again.header("retry-after-ms")), (429, "1"));
    rig::pass(&clock, &manual, Duration::from_millis(1)).await;
    assert_eq!(app.post_with(COMPLETIONS, &[("idempotency-key", "s:1")], &asking("hello")).await.status, 200);
}

#[tokio::test]
async fn what_was_not_used_comes_back_at_once() {
    let app = with_grant(per_minute(most() + most() / 2)).start().await;
    for _ in 0..3 {
        let usage = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
        app.provider.enqueue(Script::answer("a").usage(usage));
        assert_eq!(app.post(COMPLETIONS, &asking("hello")).await.status, 200);
    }
}

#[tokio::test]
async fn a_request_that_never_fits_is_told_so() {
    let app = with_grant(per_minute(most() - 1)).start().await;
    let reply = app.post(COMPLETIONS, &asking("hello")).await;
    check_error(&reply, 429, "request_exceeds_limit", "");
    assert_eq!((reply.header("x-should-retry"), reply.header("retry-after")), ("false", ""));
    assert_eq!(reply.json()["error"]["retryable"], false);
    check_untouched(&app).await;
}

#[tokio::test]
async fn no_more_answers_are_made_at_once_than_may_be() {
    let app = with_grant(limited(Limits { concurrent_turns: Some(1), ..Limits::default() })).start().await;
    let other = app.second_process().await;
    let gate = Gate::closed();
    app.provider.enqueue(Script::answer("a").gated(&gate));
    let refused = async {
        gate.reached().await;
        for headers in [&[][..], &[("idempotency-key", "s:1")]] {
            let reply = other.post_with(COMPLETIONS, headers, &ask(COMPLETIONS, "hello")).await;
            check_error(&reply, 429, "too_many_concurrent_turns", "");
            assert_eq!((reply.header("retry-after"), reply.header("x-should-retry")), ("2", ""));
        }
        gate.open();
    };
    let asked = ask(COMPLETIONS, "hello");
    let (first, ()) = tokio::join!(app.post(COMPLETIONS, &asked), refused);
    assert_eq!(first.status, 200);
    assert_eq!(other.post_with(COMPLETIONS, &[("idempotency-key", "s:1")], &asked).await.status, 200);
}
