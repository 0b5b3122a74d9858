//! Calls of providers that are repeated, elsewhere or later, within one budget.

use std::time::Duration;

use serde_json::json;
use turnwise_core::upstream::{RetryPolicy, TimeoutRules};
use turnwise_engine::upstream::policy::CallPolicy;
use turnwise_tests::app::{PATIENCE, Reply, TestApp};
use turnwise_tests::scripted::{Gate, Script};

use super::{CHAT, COMPLETIONS, ROUTES, ask, ask_as, check_error, text_of};

/// The product's policy, without its pauses.
pub(super) fn policy() -> CallPolicy {
    CallPolicy {
        retry: RetryPolicy { initial: Duration::from_millis(2), ..RetryPolicy::default() },
        ..CallPolicy::default()
    }
}

async fn app() -> TestApp {
    TestApp::builder().with_calls(policy()).start().await
}

/// A request for "hello" by a model whose calls end as `scripts` say, then well.
async fn send(app: &TestApp, path: &str, headers: &[(&str, &str)], scripts: &[Script]) -> Reply {
    scripts.iter().for_each(|script| app.provider.enqueue(script.clone()));
    app.post_with(path, headers, &ask(path, "hello")).await
}

#[tokio::test]
async fn what_passes_is_asked_again() {
    for path in ROUTES {
        for script in [
            Script::refuse(500),
            Script::refuse(503),
            Script::refuse(529),
            Script::refuse(429).header("retry-after-ms", "1"),
            Script::hang_up(),
            Script::pieces(&[b"rubbish"]),
            Script::pieces(&[br#"{"error":{"code":502}}"#]),
        ] {
            let app = app().await;
            let reply = send(&app, path, &[], std::slice::from_ref(&script)).await;
            assert_eq!((reply.status, text_of(&reply).as_str()), (200, "Hello from the script."), "{script:?}");
            assert_eq!(app.provider.calls(), 2, "{script:?}");
        }
    }
}

#[tokio::test]
async fn one_request_makes_four_calls_and_says_so() {
    for path in ROUTES {
        for headers in [&[][..], &[("idempotency-key", "s:1")]] {
            let app = app().await;
            app.provider.otherwise(Script::refuse(500));
            let reply = send(&app, path, headers, &[]).await;
            check_error(&reply, 502, "upstream_error", "");
            let error = &reply.json()["error"];
            assert!(error["message"].as_str().unwrap().contains("4 calls were made"), "{error}");
            // The same request may succeed later; at once it would only multiply the calls.
            assert_eq!((reply.header("x-should-retry"), &error["retryable"]), ("false", &json!(true)));
            assert_eq!(app.provider.calls(), 4);
        }
    }
}

#[tokio::test]
async fn what_does_not_pass_is_asked_once() {
    for (status, code) in
        [(400, "invalid_request"), (401, "provider_auth_failed"), (402, "insufficient_quota"), (404, "model_not_found")]
    {
        let app = app().await;
        let reply = send(&app, CHAT, &[], &[Script::refuse(status)]).await;
        assert_eq!((reply.outcome().1.as_str(), app.provider.calls()), (code, 1));
    }
}

#[tokio::test]
async fn a_call_that_may_have_run_is_not_repeated_in_at_most_once_mode() {
    let once = [("idempotency-key", "s:1"), ("turnwise-delivery", "at-most-once")];
    for (script, calls, status) in
        [(Script::refuse(500), 1, 502), (Script::refuse(429), 2, 200), (Script::hang_up(), 1, 502)]
    {
        let app = app().await;
        let reply = send(&app, CHAT, &once, &[script]).await;
        assert_eq!((reply.status, app.provider.calls()), (status, calls));
    }
}

#[tokio::test]
async fn a_stream_is_begun_again_as_long_as_it_says_nothing() {
    for path in ROUTES {
        let app = app().await;
        let role = json!({"role": "assistant", "content": ""});
        app.provider.enqueue(Script::refuse(500));
        app.provider.enqueue(Script::deltas(&[role.clone(), json!({"content": "lost"})]).cut_after(1));
        app.provider.enqueue(Script::deltas(&[role]).error_after(1, json!({"code": 502})));
        let events = app.sse(path, &ask_as(path, "hello", true)).await;
        let told: String = events.iter().map(|event| event.data.clone()).collect();
        assert!(told.contains("script.") && !told.contains("lost"), "{told}");
        assert_eq!(app.provider.calls(), 4);
    }
}

#[tokio::test]
async fn a_stream_that_has_said_something_is_not_begun_again() {
    for path in ROUTES {
        let app = app().await;
        app.provider.enqueue(Script::answer("one two three").cut_after(2));
        let events = app.sse(path, &ask_as(path, "hello", true)).await;
        let last = events.last().unwrap().json();
        assert_eq!(last["error"]["code"], "stream_truncated", "{last}");
        assert_eq!((&last["error"]["partial"], app.provider.calls()), (&json!(true), 1));
    }
}

#[tokio::test]
async fn a_stream_that_fails_for_good_is_an_error_with_its_own_status() {
    for path in ROUTES {
        let app = app().await;
        app.provider.otherwise(Script::refuse(503));
        let reply = app.post(path, &ask_as(path, "hello", true)).await;
        check_error(&reply, 502, "upstream_error", "");
        assert_eq!((reply.header("x-should-retry"), app.provider.calls()), ("false", 4));
    }
}

#[tokio::test]
async fn another_model_is_asked_before_anybody_is_waited_for() {
    for path in ROUTES {
        for status in [500, 429, 401, 402, 404] {
            let app = app().await;
            app.provider.on_model("gpt-4o-mini", Script::refuse(status).header("retry-after", "60"));
            let headers = [("turnwise-fallback-models", "groq/x, openai/gpt-4.1-mini, local/echo")];
            let mut body = ask(path, "hello");
            body["model"] = json!("openai/gpt-4o-mini");
            let reply = app.post_with(path, &headers, &body).await;
            assert_eq!((reply.status, reply.header("turnwise-model")), (200, "openai/gpt-4.1-mini"), "{status}");
            let models: Vec<String> = app.provider.requests().iter().map(|call| call.model().to_owned()).collect();
            assert_eq!(models, ["gpt-4o-mini", "gpt-4.1-mini"]);

            let mut streamed = ask_as(path, "hello", true);
            streamed["model"] = json!("openai/gpt-4o-mini");
            let reply = app.post_with(path, &headers, &streamed).await;
            assert_eq!((reply.status, reply.header("turnwise-model")), (200, "openai/gpt-4.1-mini"), "{status}");
        }
    }
}

#[tokio::test]
async fn what_is_paid_is_the_price_of_the_model_that_answered() {
    for (path, headers) in [(COMPLETIONS, &[][..]), (COMPLETIONS, &[("idempotency-key", "s:1")]), (CHAT, &[])] {
        let app = app().await;
        app.provider.on_model("gpt-4.1", Script::refuse(500));
        let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010});
        app.provider.on_model("gpt-4o-mini", Script::answer("hi").usage(usage));
        let mut body = ask(path, "hello");
        body["model"] = json!("openai/gpt-4.1");
        let headers: Vec<(&str, &str)> =
            headers.iter().copied().chain([("turnwise-fallback-models", "gpt-4o-mini")]).collect();
        let reply = app.post_with(path, &headers, &body).await;
        assert_eq!(reply.header("turnwise-cost-usd"), "0.000156");
        if headers.len() > 1 {
            let again = app.post_with(path, &headers, &body).await;
            assert_eq!((again.is_replay(), again.header("turnwise-cost-usd")), (true, "0.000156"));
            assert_eq!(again.header("turnwise-model"), "openai/gpt-4o-mini");
        }
    }
}

#[tokio::test]
async fn the_operators_fallbacks_hold_unless_the_request_says_none() {
    let calls = CallPolicy { fallbacks: vec!["local/echo".to_owned()], ..policy() };
    let app = TestApp::builder().with_calls(calls).start().await;
    app.provider.otherwise(Script::refuse(401));
    let reply = app.post(CHAT, &ask(CHAT, "hello")).await;
    assert_eq!(reply.header("turnwise-model"), "local/echo");
    let reply = app.post_with(CHAT, &[("turnwise-fallback-models", "none")], &ask(CHAT, "hello")).await;
    check_error(&reply, 502, "provider_auth_failed", "");
}

#[tokio::test]
async fn a_silent_provider_is_a_timeout() {
    let rules = TimeoutRules::parse("openai/* first_token=50ms between_tokens=60ms total=80ms").unwrap();
    let calls = CallPolicy { timeouts: rules, retry: RetryPolicy { retries: 0, ..RetryPolicy::default() }, ..policy() };
    for (stream, script, code) in [
        (false, Script::answer("a").delayed(PATIENCE), "upstream_timeout"),
        (true, Script::answer("a").delayed(PATIENCE), "upstream_silent"),
        (true, Script::answer("a b c").gated_after(1, &Gate::closed()), "upstream_silent"),
        (true, Script::answer("a b c d e f g h").paced(Duration::from_millis(30)), "upstream_timeout"),
    ] {
        let app = TestApp::builder().with_calls(calls.clone()).start().await;
        app.provider.enqueue(script);
        let reply = app.post(COMPLETIONS, &ask_as(COMPLETIONS, "hello", stream)).await;
        assert!(reply.text().contains(code), "{code}: {}", reply.text());
        assert!(reply.status == 504 || reply.text().contains("\"partial\":true"), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_told_or_spent_in_the_queue() {
    let slow = || Script::refuse(429).header("retry-after", "50");
    for path in ROUTES {
        let app = TestApp::builder().with_calls(policy()).with_time(Duration::from_secs(40)).start().await;
        let reply = send(&app, path, &[], &[slow()]).await;
        check_error(&reply, 429, "rate_limit_exceeded", "");
        // Its client may wait and try again: the budget is not spent.
        assert_eq!((reply.header("retry-after"), reply.header("x-should-retry")), ("50", ""));
        assert_eq!(app.provider.calls(), 1);
    }
    let app = TestApp::builder().with_calls(policy()).with_time(Duration::from_secs(40)).start().await;
    let headers = [("idempotency-key", "s:1"), ("turnwise-on-busy", "enqueue")];
    let reply = send(&app, CHAT, &headers, &[slow()]).await;
    assert_eq!((reply.status, reply.json()["status"].as_str()), (202, Some("QUEUED")), "{}", reply.text());
    assert_eq!(app.provider.calls(), 1);
    // Nothing is due before the provider wants to be asked again.
    let due = app.hint().await;
    assert!(due.delay > Duration::from_secs(45), "{due:?}");
}

#[tokio::test]
async fn a_model_that_fails_is_left_alone_by_the_whole_fleet() {
    let calls = CallPolicy { fallbacks: vec!["local/echo".to_owned()], ..policy() };
    let app = TestApp::builder().with_calls(calls.clone()).start().await;
    let other = TestApp::builder().with_calls(calls).start_beside(&app).await;
    app.provider.otherwise(Script::refuse(401));
    for _ in 0..3 {
        let reply = app.post(CHAT, &ask(CHAT, "hello")).await;
        assert_eq!(reply.header("turnwise-model"), "local/echo");
    }
    assert_eq!(app.provider.calls(), 1);
    app.engine.tasks.idle().await;
    // Another process finds out with its first failure, and hears how it is with all others.
    other.post(CHAT, &ask(CHAT, "hello")).await;
    other.engine.tasks.idle().await;
    other.post(CHAT, &ask(CHAT, "hello")).await;
    assert_eq!(app.provider.calls(), 2);
}

#[tokio::test]
async fn who_has_nobody_else_to_ask_is_not_refused() {
    let app = app().await;
    app.provider.enqueue(Script::refuse(401));
    check_error(&app.post(CHAT, &ask(CHAT, "hello")).await, 502, "provider_auth_failed", "");
    app.provider.enqueue(Script::refuse(500));
    let reply = app.post(CHAT, &ask(CHAT, "hello")).await;
    assert_eq!((reply.status, app.provider.calls()), (200, 3));
    app.provider.otherwise(Script::refuse(500));
    // While it is better left alone, it gets two calls and not four.
    check_error(&app.post(CHAT, &ask(CHAT, "hello")).await, 502, "upstream_error", "");
    assert_eq!(app.provider.calls(), 5);
}
