//! OpenAI's chat completions and embeddings over HTTP, which most upstreams speak.
//!
//! A request's fields go out as the client wrote them; `request` only sets what
//! is ours to set, and `keep` leaves out what is another format's. `response` checks whole
//! answers, `stream` reads streamed ones, `embeddings` vectors.

mod embeddings;
mod keep;
mod request;
mod response;
mod stream;

use std::time::Duration;

use reqwest::Response;
use tokio::sync::Mutex;
use tokio::time::Instant;
use turnwise_core::generation::{Completion, Event, Generation};
use turnwise_core::limits::{MAX_ANSWER_BYTES, MAX_EMBEDDINGS_BYTES};

use self::keep::Kept;
use crate::call::{Call, EventStream, Target};
use crate::embedding::{EmbedCall, Embeddings};
use crate::endpoint::{self, Endpoint, Place};
use crate::error::Error;
use crate::stream as reading;

/// How long an upstream's list of models, or its absence, is believed.
const MODELS_TTL: Duration = Duration::from_secs(60);

/// One OpenAI-compatible upstream.
#[derive(Debug)]
pub struct OpenAi {
    endpoint: Endpoint,
    listing: Mutex<Option<Listing>>,
}

/// An upstream's list of models as it was at `at`, empty if it gave none.
#[derive(Debug)]
struct Listing {
    at: Instant,
    models: Vec<String>,
}

impl OpenAi {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, listing: Mutex::new(None) }
    }

    /// Its name, as in `provider/model`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.endpoint.name()
    }

    /// Whether it is called at an address of the operator's own.
    #[must_use]
    pub fn is_at_own_address(&self) -> bool {
        self.endpoint.is_at_own_address()
    }

    /// See [`Provider::place`](crate::Provider::place).
    pub(crate) fn place(&self) -> Place {
        self.endpoint.place()
    }

    /// See [`Provider::credential`](crate::Provider::credential).
    pub(crate) fn credential(&self) -> &str {
        self.endpoint.credential()
    }

    /// See [`Provider::check`](crate::Provider::check). What else the upstream does not know
    /// it judges itself.
    pub(crate) fn check(&self, generation: &Generation) -> Vec<String> {
        Kept::of(&generation.fields, self.refuses()).dropped.into_iter().collect()
    }

    /// Whether it takes back what a model thought.
    pub(crate) fn takes_thoughts(&self) -> bool {
        self.endpoint.known.quirks.takes_thoughts
    }

    /// A server at an address of the operator's own may take anything.
    fn refuses(&self) -> &[String] {
        if self.is_at_own_address() { &[] } else { &self.endpoint.known.quirks.refuses }
    }

    /// See [`Provider::complete`](crate::Provider::complete).
    pub(crate) async fn complete(&self, call: &Call) -> Result<Completion, Error> {
        let target = self.endpoint.target(&call.generation.model);
        let response = self.ask(&target, call, false).await?;
        let body = endpoint::read(&target, response, MAX_ANSWER_BYTES).await?;
        response::completion(&target, &body, call.generation.input_text())
    }

    /// See [`Provider::stream`](crate::Provider::stream).
    pub(crate) async fn stream(&self, call: &Call) -> Result<EventStream, Error> {
        let target = self.endpoint.target(&call.generation.model);
        let response = self.ask(&target, call, true).await?;
        Ok(reading::events(target.clone(), response, stream::Chunks::new(target)))
    }

    /// See [`Provider::embed`](crate::Provider::embed).
    pub(crate) async fn embed(&self, call: &EmbedCall) -> Result<Embeddings, Error> {
        let target = self.endpoint.target(&call.request.model);
        let body = request::embedding(&target, &call.request, &self.endpoint.known.quirks)?;
        let request = self.endpoint.post(&target, "/embeddings", body, call.connect_timeout)?;
        let response = self.endpoint.send(&target, request).await?;
        let body = endpoint::read(&target, response, MAX_EMBEDDINGS_BYTES).await?;
        embeddings::read(&target, &call.request, &body)
    }

    /// See [`Provider::models`](crate::Provider::models).
    pub(crate) async fn models(&self) -> Result<Vec<String>, Error> {
        self.endpoint.names("/models", "data", "id").await
    }

    /// See [`Provider::check_key`](crate::Provider::check_key).
    pub(crate) async fn check_key(&self) -> Result<Vec<String>, Error> {
        if let Some(path) = &self.endpoint.known.quirks.key_check_path {
            self.endpoint.fetch(&self.endpoint.target("key"), path).await?;
        }
        self.models().await
    }

    /// [`Self::models`] as far as they can be had, asked for at most once a minute.
    pub(crate) async fn models_if_any(&self) -> Vec<String> {
        // Held while asking: whoever comes meanwhile waits for the same answer.
        let mut listing = self.listing.lock().await;
        if let Some(listing) = listing.as_ref().filter(|listing| listing.at.elapsed() < MODELS_TTL) {
            return listing.models.clone();
        }
        let models = self.models().await.unwrap_or_else(|error| {
            tracing::warn!(
                provider = self.name(),
                error.category = %error.category,
                error.code = &*error.code,
                "the provider's list of models could not be read: {error}"
            );
            Vec::new()
        });
        *listing = Some(Listing { at: Instant::now(), models: models.clone() });
        models
    }

    /// See [`Provider::body`](crate::Provider::body).
    pub(crate) fn body(&self, call: &Call, streamed: bool) -> Result<Vec<u8>, Error> {
        let target = self.endpoint.target(&call.generation.model);
        request::body(&target, &call.generation, streamed, &self.endpoint.known.quirks, self.refuses())
    }

    /// See [`Provider::play`](crate::Provider::play).
    pub(crate) fn play(&self, call: &Call, recorded: &[u8]) -> Result<Vec<Event>, Error> {
        let target = self.endpoint.target(&call.generation.model);
        reading::play(reading::Reader::new(target.clone(), stream::Chunks::new(target)), recorded)
    }

    async fn ask(&self, target: &Target, call: &Call, streamed: bool) -> Result<Response, Error> {
        let body = self.body(call, streamed)?;
        let request = self.endpoint.post(target, "/chat/completions", body, call.connect_timeout)?;
        self.endpoint.send(target, request).await
    }
}
