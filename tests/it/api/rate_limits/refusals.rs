//! What a refusal says, and what it leaves.

use serde_json::json;

use super::*;

/// Asks until the first refusal, which is the request number `limit`, counted from 0.
async fn use_up(app: &TestApp, key: &str, limit: usize) -> Reply {
    for number in 0..limit {
        let reply = complete(app, key).await;
        assert_eq!(reply.status, 200, "request {number}: {}", reply.text());
    }
    complete(app, key).await
}

#[tokio::test]
async fn a_refusal_says_exactly_when_to_come_back() {
    let (app, time) = at_rest(&key_of(5)).await;
    let told = |reply: &Reply| (reply.header("retry-after").to_owned(), reply.header("retry-after-ms").to_owned());
    let refusal = use_up(&app, LIMITED, 5).await;
    // A cell comes back every 12 s, seen 2 s late by a clock that may be ahead.
    assert_eq!(told(&refusal), ("14".to_owned(), "14000".to_owned()));
    time.pass(13_999).await;
    let early = complete(&app, LIMITED).await;
    assert_eq!((early.status, told(&early)), (429, ("1".to_owned(), "1".to_owned())));
    time.pass(1).await;
    assert_eq!(complete(&app, LIMITED).await.status, 200);
    assert_eq!(told(&complete(&app, LIMITED).await), ("12".to_owned(), "12000".to_owned()));
    assert_eq!(app.provider.calls(), 6);
}

#[tokio::test]
async fn another_process_is_told_the_same() {
    let (app, time) = at_rest(&key_of(5)).await;
    let second = app.second_process().await;
    assert_eq!(use_up(&app, LIMITED, 5).await.header("retry-after-ms"), "14000");
    assert_eq!(complete(&second, LIMITED).await.header("retry-after-ms"), "14000");
    time.pass(14_000).await;
    assert_eq!(complete(&second, LIMITED).await.status, 200);
    assert_eq!(complete(&app, LIMITED).await.header("retry-after-ms"), "12000");
}

#[tokio::test]
async fn a_refusal_burns_no_key() {
    let (app, time) = at_rest(&key_of(1)).await;
    assert_eq!(post(&app, LIMITED, CHAT, &named_turn("first")).await.status, 200);
    assert_eq!(post(&app, LIMITED, CHAT, &named_turn("second")).await.status, 429);
    time.pass(62_000).await;
    let later = post(&app, LIMITED, CHAT, &named_turn("second")).await;
    assert_eq!((later.status, later.is_replay()), (200, false), "{}", later.text());
    assert_eq!(later.json()["turn_number"], 2);
}

#[tokio::test]
async fn a_refusal_costs_the_table_nothing() {
    let (app, _time) = at_rest(&key_of(1)).await;
    use_up(&app, LIMITED, 1).await;
    let before = buckets(&app).await;
    assert_eq!(before.len(), 1);
    for _ in 0..3 {
        assert_eq!(complete(&app, LIMITED).await.status, 429);
    }
    assert_eq!(buckets(&app).await, before);
}

#[tokio::test]
async fn a_refusal_is_in_each_standards_shape() {
    let (app, _time) = at_rest(&key_of(0)).await;
    let reply = complete(&app, LIMITED).await;
    check_error(&reply, 429, "rate_limit_exceeded", "");
    insta::assert_json_snapshot!(redacted(reply.json()), @r#"
    {
      "error": {
        "category": "RATE_LIMIT_ERROR",
        "code": "rate_limit_exceeded",
        "message": "The limit of requests for answers with this key, 0 a minute, is reached. Try again in 1m0s.",
        "param": null,
        "request_id": "[request_id]",
        "retry_after_s": 60.0,
        "retryable": true,
        "severity": "LOW",
        "type": "rate_limit_error",
        "user_message": "Too many requests. Try again in 60 s."
      }
    }
    "#);
    let message = json!({"model": "gpt-4o-mini", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    let reply = post(&app, LIMITED, MESSAGES, &message).await;
    insta::assert_json_snapshot!(redacted(reply.json()), @r#"
    {
      "error": {
        "category": "RATE_LIMIT_ERROR",
        "code": "rate_limit_exceeded",
        "message": "The limit of requests for answers with this key, 0 a minute, is reached. Try again in 1m0s.",
        "param": null,
        "request_id": "[request_id]",
        "retry_after_s": 60.0,
        "retryable": true,
        "severity": "LOW",
        "type": "rate_limit_error",
        "user_message": "Too many requests. Try again in 60 s."
      },
      "request_id": "[request_id]",
      "type": "error"
    }
    "#);
}
