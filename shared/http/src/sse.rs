//! A turn's frames as server-sent events, in the shape of the route.
//!
//! The body ends after the turn's end, never without one: with the committed
//! answer, or with an error event.

use std::convert::Infallible;

use axum::http::HeaderName;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse as _, Response, Sse as Body};
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use serde_json::{Value, json};
use turnwise_core::generation::Event;
use turnwise_core::limits::PING_EVERY;
use turnwise_engine::follow::{Frame, Frames};
use turnwise_engine::turn::{Answer, Facts};

use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::render::{self, TurnBody};

/// How a route writes the frames of a turn.
pub trait Shape: Send + 'static {
    /// Before the first frame.
    fn opening(&mut self) -> Vec<Sse>;
    /// A chunk of the answer.
    fn chunk(&mut self, chunk: &serde_json::value::RawValue) -> Option<Sse>;
    /// The committed answer.
    fn done(&mut self, answer: &Answer) -> Vec<Sse>;
    /// The error event.
    fn failed(&mut self, error: ErrorBody) -> Sse;
}

/// A streaming reply.
pub fn reply(facts: &Facts, replayed: bool, frames: Frames, shape: impl Shape, context: RequestContext) -> Response {
    let keep_alive = KeepAlive::new().interval(PING_EVERY).text("ping");
    let mut response = Body::new(events(frames, shape, replayed, context)).keep_alive(keep_alive).into_response();
    let mut headers = render::turn_headers(facts);
    if replayed {
        headers.push((HeaderName::from_static("idempotent-replayed"), "true".to_owned()));
    }
    // Proxies that buffer would hold the stream back.
    headers.push((HeaderName::from_static("x-accel-buffering"), "no".to_owned()));
    render::put_headers(&mut response, headers);
    response
}

fn events(
    mut frames: Frames,
    mut shape: impl Shape,
    replayed: bool,
    context: RequestContext,
) -> impl Stream<Item = Result<Sse, Infallible>> {
    async_stream::stream! {
        context.note(|line| line.outcome = Some("client_left".to_owned()));
        for event in shape.opening() {
            yield Ok(event);
        }
        while let Some(frame) = frames.next().await {
            match frame {
                Frame::Event(Event::Chunk(chunk)) => {
                    if let Some(event) = shape.chunk(&chunk) {
                        yield Ok(event);
                    }
                }
                Frame::Event(Event::Finished) => {}
                Frame::Done(answer) => {
                    context.note(|line| {
                        line.usage = Some(answer.usage);
                        line.cost = answer.cost;
                        line.outcome = Some(if replayed { "replayed" } else { "completed" }.to_owned());
                    });
                    for event in shape.done(&answer) {
                        yield Ok(event);
                    }
                }
                Frame::Failed(error) => {
                    let error = Error::from(error).object(context.id());
                    context.note(|line| line.outcome = Some(error.code.clone()));
                    yield Ok(shape.failed(ErrorBody { error }));
                }
            }
        }
    }
}

/// OpenAI's chat completion chunks, as the upstream sent them.
#[derive(Debug)]
pub struct ChatCompletion {
    /// Whether the client asked for the usage chunk; we ask for it always.
    pub include_usage: bool,
}

impl Shape for ChatCompletion {
    fn opening(&mut self) -> Vec<Sse> {
        Vec::new()
    }

    fn chunk(&mut self, chunk: &serde_json::value::RawValue) -> Option<Sse> {
        if !self.include_usage && chunk.get().contains("\"usage\"") {
            return without_usage(chunk.get()).map(|chunk| Sse::default().data(chunk));
        }
        Some(Sse::default().data(chunk.get()))
    }

    fn done(&mut self, _answer: &Answer) -> Vec<Sse> {
        vec![Sse::default().data("[DONE]")]
    }

    fn failed(&mut self, error: ErrorBody) -> Sse {
        Sse::default().data(text(&error))
    }
}

/// A chunk without its usage; `None` if there was nothing else in it.
fn without_usage(chunk: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(chunk).ok()?;
    let fields = value.as_object_mut()?;
    let usage = fields.remove("usage");
    let says_nothing = fields.get("choices").and_then(Value::as_array).is_some_and(Vec::is_empty);
    if usage.is_some_and(|usage| !usage.is_null()) && says_nothing {
        return None;
    }
    Some(text(&value))
}

/// `/v1/chat`: named events with numbers of their own.
///
/// `turn` says which turn it is, `delta` adds text, `done` carries the turn as a
/// buffered reply would, `error` the error.
#[derive(Debug)]
pub struct Chat {
    /// What is known of the turn.
    pub facts: Facts,
    next: u64,
}

impl Chat {
    /// Begins at number 0.
    #[must_use]
    pub const fn new(facts: Facts) -> Self {
        Self { facts, next: 0 }
    }

    fn event(&mut self, name: &str, data: &impl Serialize) -> Sse {
        let id = self.next;
        self.next += 1;
        Sse::default().event(name).id(id.to_string()).data(text(data))
    }
}

impl Shape for Chat {
    fn opening(&mut self) -> Vec<Sse> {
        let Some(key) = self.facts.key.clone() else { return Vec::new() };
        let turn = json!({
            "project_id": self.facts.project,
            "thread_id": key.conversation,
            "conversation_id": key.conversation,
            "turn_id": key.turn,
        });
        vec![self.event("turn", &turn)]
    }

    fn chunk(&mut self, chunk: &serde_json::value::RawValue) -> Option<Sse> {
        let value: Value = serde_json::from_str(chunk.get()).ok()?;
        let delta = value.pointer("/choices/0/delta/content").and_then(Value::as_str);
        let delta = delta.filter(|delta| !delta.is_empty())?;
        Some(self.event("delta", &json!({ "text": delta })))
    }

    fn done(&mut self, answer: &Answer) -> Vec<Sse> {
        let Some(key) = self.facts.key.clone() else { return Vec::new() };
        let project = self.facts.project.as_ref().map(ToString::to_string);
        let body = TurnBody::committed(&key, project, answer);
        vec![self.event("done", &body)]
    }

    fn failed(&mut self, error: ErrorBody) -> Sse {
        self.event("error", &error)
    }
}

/// Compact JSON: one line, as an event's data must not contain a carriage return.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
