//! How clients are told how they stand.

use serde_json::json;

use super::*;

/// The headers of `reply` that begin with one of `beginnings`, but for the instants.
fn told(reply: &Reply, beginning: &str) -> Vec<(String, String)> {
    let headers = reply.headers.iter().filter(|(name, _)| name.as_str().starts_with(beginning));
    headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

/// What OpenAI's clients are told.
fn requests(limit: &str, remaining: &str, reset: &str) -> Vec<(String, String)> {
    let named = [("limit", limit), ("remaining", remaining), ("reset", reset)];
    named.map(|(name, value)| (format!("x-ratelimit-{name}-requests"), value.to_owned())).to_vec()
}

#[tokio::test]
async fn every_kind_of_answer_says_how_its_client_stands() {
    let (app, time) = at_rest(&key_of(10)).await;
    let turn = named_turn("t");
    let whole = post(&app, LIMITED, CHAT, &turn).await;
    assert_eq!((whole.status, told(&whole, "x-ratelimit")), (200, requests("10", "9", "8s")));
    let replay = post(&app, LIMITED, CHAT, &turn).await;
    assert_eq!((replay.is_replay(), told(&replay, "x-ratelimit")), (true, requests("10", "8", "14s")));
    let invalid = post(&app, LIMITED, CHAT, &json!({})).await;
    assert_eq!((invalid.status, told(&invalid, "x-ratelimit")), (400, requests("10", "7", "20s")));
    let stream = post(&app, LIMITED, COMPLETIONS, &with(ask(COMPLETIONS, "hello"), "stream", true)).await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    assert_eq!(told(&stream, "x-ratelimit"), requests("10", "6", "26s"));
    time.pass(26_500).await;
    let later = complete(&app, LIMITED).await;
    assert_eq!(told(&later, "x-ratelimit"), requests("10", "9", "8s"));
}

#[tokio::test]
async fn anthropics_clients_are_told_in_their_own_words_too() {
    let (app, _time) = at_rest(&key_of(1)).await;
    let body = json!({"model": "gpt-4o-mini", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    for status in [200, 429] {
        let reply = post(&app, LIMITED, MESSAGES, &body).await;
        assert_eq!((reply.status, told(&reply, "x-ratelimit")), (status, requests("1", "0", "1m2s")));
        let expected = [
            ("anthropic-ratelimit-requests-limit", "1"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T16:01:02.000Z"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(told(&reply, "anthropic-ratelimit"), expected);
    }
    assert_eq!(told(&complete(&app, LIMITED).await, "anthropic-ratelimit"), []);
}

#[tokio::test]
async fn without_a_limit_there_is_nothing_to_tell_and_nothing_to_pay() {
    let app = with_keys(&Grant::default()).start().await;
    let reply = complete(&app, LIMITED).await;
    assert_eq!((reply.status, told(&reply, "x-ratelimit")), (200, Vec::new()));
    assert_eq!(buckets(&app).await, Vec::new());
    let stranger = complete(&app, "unknown").await;
    assert_eq!((stranger.status, told(&stranger, "x-ratelimit")), (401, Vec::new()));
    assert_eq!(told(&app.get("/healthz").await, "x-ratelimit"), []);
}

#[tokio::test]
async fn reading_has_a_limit_of_its_own_and_costs_no_write() {
    let (app, _time) = at_rest(&key_of(1)).await;
    assert_eq!(told(&app.get("/v1/models").await, "x-ratelimit"), requests("3000", "2999", "2.2s"));
    assert_eq!(told(&app.get("/v1/turns/unknown").await, "x-ratelimit"), requests("3000", "2998", "2.4s"));
    assert_eq!(told(&app.get("/admin/locks").await, "x-ratelimit"), requests("600", "599", "3s"));
    assert_eq!(buckets(&app).await, Vec::new());
}
