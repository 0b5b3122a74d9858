//! What comes back: whole, or event by event.

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::HeaderMap;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

/// A whole reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sse {
    /// Its name; empty if it has none.
    pub event: String,
    /// Its `id:`; empty if it has none.
    pub id: String,
    /// Its data.
    pub data: String,
}

/// A reply that is read event by event.
pub struct Events {
    /// HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// What came in between and is no event of the turn: comments, progress.
    pub asides: Vec<String>,
    pieces: BoxStream<'static, reqwest::Result<Bytes>>,
    text: Vec<u8>,
}

impl Reply {
    /// Sends `request` and reads its whole answer.
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("a reply");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.expect("a whole body") }
    }

    /// The body's JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// The body's text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The header `name`; empty where it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// Status and, of an error, its code; `completed` of anything else.
    #[must_use]
    pub fn outcome(&self) -> (u16, String) {
        let code = if self.status < 400 { Value::Null } else { self.json()["error"]["code"].clone() };
        (self.status, code.as_str().unwrap_or("completed").to_owned())
    }

    /// Whether it says that it is a replay.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.header("idempotent-replayed") == "true"
    }
}

impl Sse {
    /// The event of a block of lines; `None` for a comment and for progress, which comes when
    /// it comes.
    #[must_use]
    pub fn of(block: &str) -> Option<Self> {
        let field = |name: &str| {
            let values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
        };
        let event = Self { event: field("event"), id: field("id"), data: field("data") };
        // A completion's says by a chunk of no model's that somebody is there.
        let is_nobodys = |event: &Self| event.event.is_empty() && event.data.contains(r#""model":"""#);
        let is_progress = event.event == "progress" || event.event == "ping" || is_nobodys(&event);
        (!event.data.is_empty() && !is_progress).then_some(event)
    }

    /// The data's JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|_| panic!("not JSON: {}", self.data))
    }
}

impl Events {
    pub(super) fn of(response: Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            asides: Vec::new(),
            pieces: response.bytes_stream().boxed(),
            text: Vec::new(),
        }
    }

    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Sse> {
        loop {
            if let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                let block = String::from_utf8(block).expect("an event is UTF-8");
                match Sse::of(&block) {
                    Some(event) => {
                        self.asides.extend(block.lines().filter(|line| line.starts_with(':')).map(str::to_owned));
                        return Some(event);
                    }
                    None => self.asides.push(block),
                }
                continue;
            }
            match self.pieces.next().await {
                Some(piece) => self.text.extend(piece.expect("the body ends in order")),
                None => {
                    assert!(self.text.is_empty(), "the last event is whole");
                    return None;
                }
            }
        }
    }

    /// All events that are left.
    pub async fn rest(mut self) -> Vec<Sse> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// All of the body that is left, as it comes.
    pub async fn rest_of_text(mut self) -> String {
        while let Some(piece) = self.pieces.next().await {
            self.text.extend(piece.expect("the body ends in order"));
        }
        String::from_utf8(self.text).expect("a body is UTF-8")
    }

    /// The header `name`; empty where it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().expect("a header of visible characters"))
}
