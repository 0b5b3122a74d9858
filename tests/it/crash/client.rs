//! A client that does as the documentation says: it repeats its request, with the same
//! key, until the turn has ended.

use std::time::Duration;

use serde_json::Value;
use turnwise_providers::sse::Parser;
use turnwise_tests::process::{Reply, Server};

/// One request for a turn, the same at every try.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) path: &'static str,
    pub(super) body: Value,
    pub(super) headers: Vec<(&'static str, String)>,
}

/// How a turn ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With this answer: the body, or what the stream's last event held.
    Answered(String),
    /// With an error of this code that will not change.
    Failed(String),
}

impl Request {
    /// A turn of a conversation.
    pub(super) fn chat(body: Value) -> Self {
        Self { path: "/v1/chat", body, headers: Vec::new() }
    }

    /// The same turn, streamed or not: its key decides, and not how it is answered.
    pub(super) fn streamed(mut self, stream: bool) -> Self {
        self.body["stream"] = stream.into();
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// One try.
    pub(super) async fn send(&self, server: &Server) -> reqwest::Result<Reply> {
        Reply::read(self.open(server).await?).await
    }

    /// One try, as far as the reply's head.
    pub(super) async fn open(&self, server: &Server) -> reqwest::Result<reqwest::Response> {
        self.open_with(server, self.body.to_string()).await
    }

    /// One try with the body's bytes sent as `body` has them.
    pub(super) async fn open_with(
        &self,
        server: &Server,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<reqwest::Response> {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        server.post(self.path, body, &headers).await
    }

    /// Tries until the turn has ended, waiting as it is told to.
    pub(super) async fn until_ended(&self, server: &Server) -> Ended {
        loop {
            match read(&self.send(server).await.unwrap()) {
                Ok(ended) => return ended,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }
}

/// How the turn ended, or how long to wait before the next try.
pub(super) fn read(reply: &Reply) -> Result<Ended, Duration> {
    let streamed = reply.header("content-type").starts_with("text/event-stream");
    let (name, data) = match (reply.status, streamed) {
        (200, true) => last_event(reply),
        (200, false) => ("done".to_owned(), reply.text()),
        (_, _) => ("error".to_owned(), reply.text()),
    };
    if name == "done" {
        return Ok(Ended::Answered(data));
    }
    let error = &serde_json::from_str::<Value>(&data).unwrap_or_default()["error"];
    let code = error["code"].as_str().unwrap_or_else(|| panic!("{} {data}", reply.status));
    if error["retryable"] == false {
        return Ok(Ended::Failed(code.to_owned()));
    }
    let documented =
        matches!((reply.status, code), (409, "turn_in_progress" | "conversation_busy") | (200, "taken_over"));
    assert!(documented, "{} {data}", reply.status);
    let wait = reply.header("retry-after-ms").parse();
    assert!(streamed || wait.is_ok(), "a 409 says how long to wait");
    Err(Duration::from_millis(wait.unwrap_or(0)))
}

/// Name and data of a stream's last event.
fn last_event(reply: &Reply) -> (String, String) {
    let (mut parser, mut events) = (Parser::default(), Vec::new());
    parser.push(&reply.body, &mut events).unwrap();
    let last = events.pop().unwrap();
    (last.event, last.data)
}
