//! What goes over the wire, against a server that answers once.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use futures_util::TryStreamExt;

use super::*;
use crate::provider::Provider;

/// A server at its address that reads one request, gives `body` and returns the request.
fn server(status: &str, body: &str) -> (String, JoinHandle<String>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1beta", socket.local_addr().unwrap());
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let asked = std::thread::spawn(move || {
        let (mut peer, _) = socket.accept().unwrap();
        let mut request = Vec::new();
        while !is_whole(&request) {
            let mut piece = [0; 4096];
            let read = peer.read(&mut piece).unwrap();
            request.extend_from_slice(&piece[..read]);
        }
        peer.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (address, asked)
}

/// Whether `request` has its head and as much body as that announces.
fn is_whole(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request);
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    body.len() >= length
}

fn provider(address: &str) -> Arc<Provider> {
    let providers = providers(&[("gemini", "the-key", address)], None).unwrap();
    Arc::clone(providers.configured().find(|provider| provider.name() == NAME).unwrap())
}

fn asking() -> Call {
    let fields = json!({"messages": [{"role": "user", "content": "hi"}]});
    Call { generation: generation("gemini-2.5-pro", &fields), ..call() }
}

/// Whether `request` goes to `line` with our key in its header and nowhere else, and
/// what it holds.
fn check(request: &str, line: &str, body: &Value) {
    let (head, sent) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(head.lines().next(), Some(line));
    assert_eq!(head.matches("the-key").count(), 1);
    assert!(head.lines().any(|line| line == "x-goog-api-key: the-key") && !sent.contains("the-key"), "{head}");
    assert_eq!(serde_json::from_str::<Value>(sent).unwrap_or_default(), *body);
}

fn hi() -> Value {
    json!([{"role": "user", "parts": [{"text": "hi"}]}])
}

#[tokio::test]
async fn an_answer_is_asked_for_whole() {
    let body = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#;
    let (address, asked) = server("200 OK", body);
    assert_eq!(provider(&address).complete(&asking()).await.unwrap().text, "a");
    let line = "POST /v1beta/models/gemini-2.5-pro:generateContent HTTP/1.1";
    check(&asked.join().unwrap(), line, &json!({"contents": hi()}));
}

#[tokio::test]
async fn an_answer_is_asked_for_in_pieces() {
    let body =
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n";
    let (address, asked) = server("200 OK", body);
    let events: Vec<Event> = provider(&address).stream(&asking()).await.unwrap().try_collect().await.unwrap();
    assert_eq!(events.len(), 3);
    assert!(matches!(events.last(), Some(Event::Finished)));
    let line = "POST /v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse HTTP/1.1";
    check(&asked.join().unwrap(), line, &json!({"contents": hi()}));
}

#[tokio::test]
async fn a_refusal_is_an_error_with_its_pause() {
    let body = r#"[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "17s"}]}}]"#;
    let (address, asked) = server("429 Too Many Requests", body);
    let error = provider(&address).stream(&asking()).await.err().unwrap();
    asked.join().unwrap();
    assert_eq!((&*error.code, error.retry_after.map(|pause| pause.as_secs())), ("rate_limit_exceeded", Some(17)));
}

#[tokio::test]
async fn models_are_named_without_what_they_are() {
    let body = r#"{"models":[{"name":"models/gemini-2.5-pro"},{"name":"models/gemini-4-argon"}],"nextPageToken":""}"#;
    let (address, asked) = server("200 OK", body);
    assert_eq!(provider(&address).models().await.unwrap(), ["gemini-2.5-pro", "gemini-4-argon"]);
    check(&asked.join().unwrap(), "GET /v1beta/models?pageSize=1000 HTTP/1.1", &Value::Null);
}

#[tokio::test]
async fn tokens_are_counted_before_they_are_spent() {
    let (address, asked) = server("200 OK", r#"{"totalTokens": 31}"#);
    assert_eq!(provider(&address).count(&asking()).await.unwrap().unwrap(), 31);
    let line = "POST /v1beta/models/gemini-2.5-pro:countTokens HTTP/1.1";
    let body = json!({"generateContentRequest": {"model": "models/gemini-2.5-pro", "contents": hi()}});
    check(&asked.join().unwrap(), line, &body);
}

#[tokio::test]
async fn texts_become_vectors() {
    let (address, asked) = server("200 OK", r#"{"embeddings": [{"values": [0.6, 0.8]}]}"#);
    let provider = provider(&address);
    let Provider::Gemini(gemini) = &*provider else { panic!("a provider of another format") };
    let vectors = gemini.embed("gemini-embedding-001", &["a".to_owned()], Some(2)).await.unwrap();
    assert_eq!(vectors, (vec![vec![0.6, 0.8]], None));
    let line = "POST /v1beta/models/gemini-embedding-001:batchEmbedContents HTTP/1.1";
    let request = json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "a"}]},
                         "outputDimensionality": 2});
    check(&asked.join().unwrap(), line, &json!({"requests": [request]}));
}

#[tokio::test]
async fn what_cannot_be_said_is_never_sent() {
    let provider = provider("http://127.0.0.1:9/v1beta");
    let fields = json!({"messages": [{"role": "user", "content": "my diary"}, {"role": "my diary"}]});
    let error = provider.complete(&Call { generation: generation("m", &fields), ..call() }).await.unwrap_err();
    assert_eq!((&*error.code, error.param.as_deref()), ("unsupported_request", Some("messages[1].role")));
    assert_eq!(error.dispatched, crate::error::Dispatched::No);
    assert!(!format!("{error:?} {error}").contains("diary"));
}
