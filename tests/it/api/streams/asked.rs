//! A turn that is asked for as a stream, and its stream read again from any event on.

use serde_json::{Value, json};
use turnwise_core::id::TurnKey;
use turnwise_core::items::response_id;
use turnwise_core::limits::NUMBERS_PER_STREAM;
use turnwise_tests::app::{Events, Reply, Sse, TestApp};

use crate::api::{CHAT, COMPLETIONS, MESSAGES, with};

/// Which route's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Shape {
    Chat,
    Completions,
    Messages,
    Responses,
}

/// How a stream is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Way {
    /// By the request itself, with its key.
    Post,
    /// By the address of what it made.
    Get,
}

impl Shape {
    pub(in crate::api) const ALL: [Self; 4] = [Self::Chat, Self::Completions, Self::Messages, Self::Responses];

    pub(in crate::api) const fn path(self) -> &'static str {
        match self {
            Self::Chat => CHAT,
            Self::Completions => COMPLETIONS,
            Self::Messages => MESSAGES,
            Self::Responses => "/v1/responses",
        }
    }

    /// The header that says whose clients ask, where it is needed.
    pub(in crate::api) const fn standard(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Messages => Some(("anthropic-version", "2023-06-01")),
            Self::Chat | Self::Completions | Self::Responses => None,
        }
    }

    /// How a stream is resumed.
    pub(in crate::api) const fn ways(self) -> &'static [Way] {
        match self {
            Self::Chat | Self::Completions | Self::Messages => &[Way::Post, Way::Get],
            Self::Responses => &[Way::Get],
        }
    }
}

/// A request for a turn.
#[derive(Debug, Clone)]
pub(in crate::api) struct Asked {
    pub(in crate::api) shape: Shape,
    pub(in crate::api) key: String,
    /// Without `stream`.
    pub(in crate::api) body: Value,
}

/// A turn that was asked for.
#[derive(Debug, Clone)]
pub(in crate::api) struct Stream {
    pub(in crate::api) asked: Asked,
    /// Where it is read.
    pub(in crate::api) address: String,
}

impl Asked {
    /// The scripted provider is asked for `message`, with more `fields`.
    pub(in crate::api) fn new(shape: Shape, key: &str, message: &str, fields: &Value) -> Self {
        let mut body = match shape {
            Shape::Chat => json!({"model": "gpt-4o-mini", "message": message}),
            // What is looked at by its address has the usage.
            Shape::Completions => json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": message}],
                "stream_options": {"include_usage": true}}),
            Shape::Messages => json!({"model": "gpt-4o-mini", "max_tokens": 1000,
                "messages": [{"role": "user", "content": message}]}),
            Shape::Responses => json!({"model": "gpt-4o-mini", "input": message}),
        };
        for (name, value) in fields.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        Self { shape, key: key.to_owned(), body }
    }

    fn headers(&self) -> [(&str, &str); 1] {
        [("idempotency-key", &self.key)]
    }

    /// Asks for it as a stream.
    pub(in crate::api) async fn begin(self, app: &TestApp) -> (Stream, Events) {
        let body = with(self.body.clone(), "stream", true);
        let events = app.open(self.shape.path(), &self.headers(), &body).await;
        assert_eq!((events.status, events.header("content-type")), (200, "text/event-stream"), "{self:?}");
        let address = self.address(events.header("turnwise-turn"));
        (Stream { asked: self, address }, events)
    }

    /// Asks for it whole.
    pub(in crate::api) async fn whole(self, app: &TestApp) -> (Stream, Reply) {
        let reply = app.post_with(self.shape.path(), &self.headers(), &self.body).await;
        let address = self.address(reply.header("turnwise-turn"));
        (Stream { asked: self, address }, reply)
    }

    /// Where the turn named `turn` is read.
    fn address(&self, turn: &str) -> String {
        assert_ne!(turn, "", "a reply names its turn: {self:?}");
        match self.shape {
            Shape::Chat | Shape::Completions | Shape::Messages => format!("/v1/turns/{turn}"),
            Shape::Responses => {
                let key = TurnKey::parse("turnwise-turn", turn).expect("a key").expect("a turn's key");
                format!("/v1/responses/{}", response_id(&key))
            }
        }
    }
}

impl Stream {
    /// Reads it again, behind the event `after`.
    pub(in crate::api) async fn again(&self, app: &TestApp, way: Way, after: Option<u64>) -> Events {
        self.again_as(app, way, after, false).await
    }

    /// The same for a client that takes another attempt's text.
    pub(in crate::api) async fn restartable(&self, app: &TestApp, way: Way, after: Option<u64>) -> Events {
        self.again_as(app, way, after, true).await
    }

    /// All of it that comes behind the event `after`.
    pub(in crate::api) async fn read(&self, app: &TestApp, way: Way, after: Option<u64>) -> Vec<Sse> {
        let events = self.again(app, way, after).await;
        assert_eq!((events.status, events.header("content-type")), (200, "text/event-stream"), "{self:?} {after:?}");
        events.rest().await
    }

    async fn again_as(&self, app: &TestApp, way: Way, after: Option<u64>, restartable: bool) -> Events {
        let after = after.map(|after| after.to_string());
        let last = after.as_deref().map(|after| ("last-event-id", after));
        let flag = if restartable { "&restartable=true" } else { "" };
        match (way, self.asked.shape) {
            (Way::Post, shape) => {
                let mut body = with(self.asked.body.clone(), "stream", true);
                if restartable {
                    body["restartable"] = json!(true);
                }
                let headers: Vec<_> = self.asked.headers().into_iter().chain(last).collect();
                app.open(shape.path(), &headers, &body).await
            }
            (Way::Get, Shape::Responses) => {
                let after = after.map(|after| format!("&starting_after={after}")).unwrap_or_default();
                app.follow(&format!("{}?stream=true{flag}{after}", self.address), &[]).await
            }
            (Way::Get, shape @ (Shape::Chat | Shape::Completions | Shape::Messages)) => {
                let headers: Vec<_> = shape.standard().into_iter().chain(last).collect();
                app.follow(&format!("{}?stream=true{flag}", self.address), &headers).await
            }
        }
    }
}

/// An event's number; `None` for one that is no part of the turn's stream.
pub(in crate::api) fn number(event: &Sse) -> Option<u64> {
    if event.id.is_empty() && event.data.starts_with('{') {
        return event.json()["sequence_number"].as_u64();
    }
    event.id.parse().ok()
}

/// The numbers of a stream's events.
pub(in crate::api) fn numbers(events: &[Sse]) -> Vec<u64> {
    events.iter().filter_map(number).collect()
}

/// What is left of a stream for a client that has seen the event `after`.
pub(in crate::api) fn tail(whole: &[Sse], after: Option<u64>) -> Vec<Sse> {
    whole.iter().filter(|event| number(event).is_none_or(|number| Some(number) > after)).cloned().collect()
}

/// The events without the model that a message's beginning names: of a turn that failed for
/// good it is not kept.
pub(in crate::api) fn nameless(mut events: Vec<Sse>) -> Vec<Sse> {
    for event in events.iter_mut().filter(|event| event.event == "message_start") {
        let mut body = event.json();
        body["message"]["model"] = Value::Null;
        event.data = body.to_string();
    }
    events
}

/// Checks that the events are those of the stream `stream`, all of them from its first one.
pub(in crate::api) fn check_numbers(events: &[Sse], stream: u64) {
    let first = (stream - 1) * NUMBERS_PER_STREAM;
    let numbers = numbers(events);
    assert_eq!(numbers, (first..first + numbers.len() as u64).collect::<Vec<_>>(), "{events:?}");
}
