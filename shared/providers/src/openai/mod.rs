//! OpenAI's chat completions over HTTP, which most upstreams speak.
//!
//! A request's fields go out as the client wrote them; `request` only sets what
//! is ours to set. `response` checks whole answers, `stream` reads streamed ones.

mod request;
mod response;
mod stream;

use std::time::Duration;

use reqwest::Response;
use tokio::sync::Mutex;
use tokio::time::Instant;
use turnwise_core::generation::Completion;
use turnwise_core::limits::MAX_ANSWER_BYTES;

use crate::call::{Call, EventStream, Target};
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

    async fn ask(&self, target: &Target, call: &Call, streamed: bool) -> Result<Response, Error> {
        let body = request::body(target, &call.generation, streamed, &self.endpoint.known.quirks)?;
        let request = self.endpoint.post(target, "/chat/completions", body, call.connect_timeout)?;
        self.endpoint.send(target, request).await
    }
}
