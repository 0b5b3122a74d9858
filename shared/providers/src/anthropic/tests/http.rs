//! Requests on the wire, against a server that plays Anthropic.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use futures_util::StreamExt;
use serde_json::{Value, json};
use turnwise_core::category::Category;
use turnwise_core::generation::Event;

use super::{fixture, generation};
use crate::call::Call;
use crate::error::Dispatched;
use crate::provider::Provider;
use crate::registry::tests::providers;
use crate::settings::Secret;

/// Answers one request with `answer` and returns what was asked: its head and its body.
fn serve(status: &'static str, answer: String) -> (String, JoinHandle<(String, String)>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", socket.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut peer, _) = socket.accept().unwrap();
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = peer.read(&mut piece).unwrap();
            request.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head
                .to_lowercase()
                .split("content-length: ")
                .nth(1)
                .map_or(0, |rest| rest.lines().next().unwrap_or_default().trim().parse().unwrap());
            if body.len() >= length {
                let head =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
                peer.write_all(head.as_bytes()).unwrap();
                peer.write_all(answer.as_bytes()).unwrap();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                return (head.to_lowercase(), body.to_owned());
            }
        }
    });
    (address, asked)
}

fn provider(address: &str) -> std::sync::Arc<Provider> {
    let providers = providers(&[("anthropic", "sk-ant-1", address)], None).unwrap();
    providers.resolve(Some("anthropic/claude-haiku-4-5")).unwrap().provider
}

fn call(fields: &Value) -> Call {
    let generation = generation("claude-haiku-4-5", fields);
    Call { generation, id: "chatcmpl-1".to_owned(), created_s: 7, connect_timeout: None }
}

fn hello() -> Call {
    call(&json!({"messages": [{"role": "user", "content": "hi"}], "user": "u", "stop": "x"}))
}

#[tokio::test]
async fn a_message_is_asked_for_with_our_key_and_the_version() {
    let (address, asked) = serve("200 OK", fixture("answers/text.json"));
    // The convention has no version at the end; it is taken all the same.
    let completion = provider(&format!("{address}/v1/")).complete(&hello()).await.unwrap();
    assert_eq!((completion.text.as_str(), completion.usage.cache_write_1h), ("Grüße 😀!", 200));
    let (head, body) = asked.join().unwrap();
    assert!(head.starts_with("post /v1/messages http/1.1"), "{head}");
    assert!(head.contains("x-api-key: sk-ant-1") && head.contains("anthropic-version: 2023-06-01"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["model"], json!("claude-haiku-4-5"));
}

#[tokio::test]
async fn a_stream_ends_in_order() {
    let (address, asked) = serve("200 OK", fixture("answers/tools.sse"));
    let events: Vec<_> = provider(&address).stream(&hello()).await.unwrap().collect().await;
    assert!(matches!(events.last(), Some(Ok(Event::Finished))));
    assert_eq!(events.len(), 9);
    assert!(asked.join().unwrap().1.contains("\"stream\":true"));
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_error() {
    let stream = fixture("answers/tools.sse");
    let (address, _asked) = serve("200 OK", stream[..stream.len() / 2].to_owned());
    let events: Vec<_> = provider(&address).stream(&hello()).await.unwrap().collect().await;
    assert!(matches!(events.last(), Some(Err(error)) if &*error.code == "stream_truncated"));
}

#[tokio::test]
async fn tokens_are_counted_without_what_does_not_count() {
    let (address, asked) = serve("200 OK", json!({"input_tokens": 14}).to_string());
    assert_eq!(provider(&address).count(&hello()).await.unwrap().unwrap(), 14);
    let (head, body) = asked.join().unwrap();
    assert!(head.starts_with("post /v1/messages/count_tokens http/1.1"), "{head}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let fields: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["messages", "model"]);

    let (address, _asked) = serve("200 OK", "{}".to_owned());
    let error = provider(&address).count(&hello()).await.unwrap().unwrap_err();
    assert_eq!(&*error.code, "malformed_answer");
}

#[tokio::test]
async fn models_are_listed_by_their_ids() {
    let list = json!({"data": [{"type": "model", "id": "claude-a"}, {"id": "claude-b"}], "has_more": false});
    let (address, asked) = serve("200 OK", list.to_string());
    assert_eq!(provider(&address).models().await.unwrap(), ["claude-a", "claude-b"]);
    assert!(asked.join().unwrap().0.starts_with("get /v1/models?limit=1000 http/1.1"));
}

#[tokio::test]
async fn an_overloaded_upstream_did_not_run_the_call() {
    let body = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let (address, _asked) = serve("529 Overloaded", body.to_string());
    let error = provider(&address).complete(&hello()).await.unwrap_err();
    assert_eq!((error.category, error.retryable, error.dispatched), (Category::ApiError, true, Dispatched::No));
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_sent() {
    let refused = call(&json!({"messages": [{"role": "user", "content": "my diary"}], "logprobs": true,
                               "tool_choice": "my diary"}));
    // Nobody listens there: a request would fail otherwise.
    let error = provider("http://127.0.0.1:1").complete(&refused).await.unwrap_err();
    assert_eq!((error.category, error.dispatched), (Category::ValidationError, Dispatched::No));
    assert_eq!((&*error.code, error.param.as_deref()), ("unsupported_request", Some("tool_choice")));
    assert!(error.detail.as_ref().map(Secret::expose).unwrap().contains("my diary"));
    assert!(!format!("{error:?} {error}").contains("diary"));
}

#[test]
fn what_is_left_out_is_named_before_anything_is_sent() {
    let provider = provider("");
    assert_eq!(provider.check(&hello().generation).unwrap(), [""; 0]);
    let tuned = call(&json!({"messages": [{"role": "user", "content": "hi"}], "seed": 1, "temperature": 2}));
    assert_eq!(provider.check(&tuned.generation).unwrap(), ["temperature", "seed"]);
    let refused = call(&json!({"messages": [{"role": "user", "content": "hi"}], "logprobs": true}));
    assert_eq!(provider.check(&refused.generation).unwrap_err().first_field(), Some("logprobs"));
}

#[test]
fn a_key_is_needed_at_any_address() {
    let names = |key: &str, address: &str| {
        let providers = providers(&[("anthropic", key, address)], None).unwrap();
        providers.configured().map(|provider| provider.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("", "http://localhost:8000"), ["local"]);
    assert_eq!(names("k", ""), ["anthropic", "local"]);
    let faulty = providers(&[("anthropic", "k", "https://host/v1/messages")], None).unwrap_err();
    assert_eq!(faulty.first_field(), Some("ANTHROPIC_BASE_URL"));
}
