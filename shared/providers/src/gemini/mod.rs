//! Google's Gemini API (`generativelanguage`), called under its own name.
//!
//! A translation of the inner shape both ways: `request` (with `contents`, `schema` and
//! `thinking`) writes what is asked, `response` reads what is answered and `stream` reads
//! it while it is made; `usage` and `logprobs` are the two tables in it. `count` counts
//! tokens, `embed` makes vectors.
//!
//! What is left out: an answer's citations and grounding, images and sounds in an answer,
//! what a tool of Google's own did on the way, and the continuation of an answer above a
//! request's own limit of output (it ends with `length`).

mod contents;
mod count;
mod embed;
mod logprobs;
mod request;
mod response;
mod schema;
mod stream;
#[cfg(test)]
mod tests;
mod thinking;
mod usage;

use reqwest::Response;
use reqwest::header::HeaderName;
use turnwise_core::fault::Faults;
use turnwise_core::generation::{Completion, Event, Generation};
use turnwise_core::limits::MAX_ANSWER_BYTES;

use self::response::Answer;
use crate::call::{Call, EventStream, Target};
use crate::endpoint::{self, Endpoint, Place};
use crate::error::{self, Error};
use crate::{chunks, stream as reading};

/// The provider's name, and that of the object in a request whose fields go out as they are.
const NAME: &str = "gemini";

/// Carries our key. The API takes it in the URL as well, where every log would show it.
pub(crate) const KEY_HEADER: HeaderName = HeaderName::from_static("x-goog-api-key");

/// What precedes a model's name where the API names a resource.
const RESOURCE: &str = "models/";

/// The list of models, as many as one page holds: ten times what there are.
const LIST: &str = "/models?pageSize=1000";

/// The Gemini API at one address.
#[derive(Debug)]
pub struct Gemini {
    endpoint: Endpoint,
}

impl Gemini {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// Its name, as in `provider/model`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.endpoint.name()
    }

    /// See [`Provider::place`](crate::Provider::place).
    pub(crate) fn place(&self) -> Place {
        self.endpoint.place()
    }

    /// See [`Provider::credential`](crate::Provider::credential).
    pub(crate) fn credential(&self) -> &str {
        self.endpoint.credential()
    }

    /// See [`Provider::check`](crate::Provider::check).
    pub(crate) fn check(generation: &Generation) -> Result<Vec<String>, Faults> {
        request::write(generation).map(|written| written.dropped)
    }

    /// See [`Provider::complete`](crate::Provider::complete).
    pub(crate) async fn complete(&self, call: &Call) -> Result<Completion, Error> {
        let target = self.endpoint.target(&call.generation.model);
        let response = self.ask(&target, call, "generateContent").await?;
        let body = endpoint::read(&target, response, MAX_ANSWER_BYTES).await?;
        completion(target, call, &body)
    }

    /// See [`Provider::stream`](crate::Provider::stream).
    pub(crate) async fn stream(&self, call: &Call) -> Result<EventStream, Error> {
        let target = self.endpoint.target(&call.generation.model);
        let response = self.ask(&target, call, "streamGenerateContent?alt=sse").await?;
        Ok(reading::events(target.clone(), response, Answer::new(target, call)))
    }

    /// See [`Provider::models`](crate::Provider::models).
    pub(crate) async fn models(&self) -> Result<Vec<String>, Error> {
        let names = self.endpoint.names(LIST, "models", "name").await?;
        Ok(names.iter().map(|name| name.strip_prefix(RESOURCE).unwrap_or(name).to_owned()).collect())
    }

    /// See [`Provider::body`](crate::Provider::body).
    pub(crate) fn body(&self, call: &Call) -> Result<Vec<u8>, Error> {
        let target = self.endpoint.target(&call.generation.model);
        let written = request::write(&call.generation).map_err(|faults| error::unsayable(&target, &faults))?;
        Ok(written.body.to_string().into_bytes())
    }

    /// See [`Provider::play`](crate::Provider::play).
    pub(crate) fn play(&self, call: &Call, recorded: &[u8]) -> Result<Vec<Event>, Error> {
        let target = self.endpoint.target(&call.generation.model);
        reading::play(reading::Reader::new(target.clone(), Answer::new(target, call)), recorded)
    }

    async fn ask(&self, target: &Target, call: &Call, method: &str) -> Result<Response, Error> {
        let body = self.body(call)?;
        let request = self.endpoint.post(target, &path(&target.model, method), body, call.connect_timeout)?;
        self.endpoint.send(target, request).await
    }
}

/// The completion in `body`, a whole answer.
fn completion(target: Target, call: &Call, body: &[u8]) -> Result<Completion, Error> {
    let mut events: Vec<Event> = Vec::new();
    Answer::new(target, call).whole(body, &mut events)?;
    Ok(chunks::completion(&events, call.generation.input_text()))
}

/// Where `method` of `model` is called. The name comes from a client: everything in it that
/// means something in a URL is escaped, so that no name leads anywhere else.
fn path(model: &str, method: &str) -> String {
    let mut path = format!("/{RESOURCE}");
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path + ":" + method
}
