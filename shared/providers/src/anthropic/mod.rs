//! Anthropic's Messages API over HTTP.
//!
//! - `request`: a chat completion request in Anthropic's words; `content`, `thinking` and
//!   `schema` are parts of it
//! - `model`: what one model takes and refuses
//! - `response`: an answer, put together piece by piece; `usage`: its tokens
//! - `stream`: the events of a streamed one
//! - `count`: how many tokens a request is

mod content;
mod count;
mod model;
mod request;
mod response;
mod schema;
mod stream;
#[cfg(test)]
mod tests;
mod thinking;
mod usage;

use reqwest::Response;
use reqwest::header::{HeaderName, HeaderValue};
use turnwise_core::fault::Faults;
use turnwise_core::generation::{Completion, Event, Generation};
use turnwise_core::limits::MAX_ANSWER_BYTES;

use crate::call::{Call, EventStream, Target};
use crate::endpoint::{self, Endpoint, Place};
use crate::error::{self, Error};
use crate::stream as reading;

/// The header that carries our key.
pub(crate) const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// The header that says which version of the API we speak, which every request carries.
pub(crate) const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));

/// Where the list of models is. A page usually has 20; this is the longest there is.
const MODELS: &str = "/v1/models?limit=1000";

/// Anthropic, or a server that speaks its Messages API.
#[derive(Debug)]
pub struct Anthropic {
    endpoint: Endpoint,
}

impl Anthropic {
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

    /// See [`Provider::check`](crate::Provider::check): the request written and thrown away.
    #[expect(clippy::unused_self, reason = "what can be asked is this provider's to say")]
    pub(crate) fn check(&self, generation: &Generation) -> Result<Vec<String>, Faults> {
        request::write(generation, false).map(|written| written.dropped)
    }

    /// See [`Provider::complete`](crate::Provider::complete).
    pub(crate) async fn complete(&self, call: &Call) -> Result<Completion, Error> {
        let target = self.endpoint.target(&call.generation.model);
        let response = self.ask(&target, call, false).await?;
        let body = endpoint::read(&target, response, MAX_ANSWER_BYTES).await?;
        response::completion(&target, call, &body)
    }

    /// See [`Provider::stream`](crate::Provider::stream).
    pub(crate) async fn stream(&self, call: &Call) -> Result<EventStream, Error> {
        let target = self.endpoint.target(&call.generation.model);
        let response = self.ask(&target, call, true).await?;
        Ok(reading::events(target.clone(), response, stream::Messages::new(target, call)))
    }

    /// See [`Provider::models`](crate::Provider::models).
    pub(crate) async fn models(&self) -> Result<Vec<String>, Error> {
        self.endpoint.names(MODELS, "data", "id").await
    }

    /// See [`Provider::body`](crate::Provider::body).
    pub(crate) fn body(&self, call: &Call, streamed: bool) -> Result<Vec<u8>, Error> {
        let target = self.endpoint.target(&call.generation.model);
        let written = request::write(&call.generation, streamed);
        Ok(written.map_err(|faults| error::unsayable(&target, &faults))?.body.to_string().into_bytes())
    }

    /// See [`Provider::play`](crate::Provider::play).
    pub(crate) fn play(&self, call: &Call, recorded: &[u8]) -> Result<Vec<Event>, Error> {
        let target = self.endpoint.target(&call.generation.model);
        reading::play(reading::Reader::new(target.clone(), stream::Messages::new(target, call)), recorded)
    }

    async fn ask(&self, target: &Target, call: &Call, streamed: bool) -> Result<Response, Error> {
        let body = self.body(call, streamed)?;
        let request = self.endpoint.post(target, "/v1/messages", body, call.connect_timeout)?;
        self.endpoint.send(target, request).await
    }
}
