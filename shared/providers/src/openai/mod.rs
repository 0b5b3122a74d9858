//! OpenAI's chat completions over HTTP, which most upstreams speak.
//!
//! A request's fields go out as the client wrote them; `request` only sets what
//! is ours to set. `response` checks whole answers, `stream` reads streamed ones.

mod request;
mod response;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use turnwise_core::generation::{Completion, Generation};
use turnwise_core::limits::MAX_ANSWER_BYTES;

use crate::call::{Call, EventStream, Target};
use crate::catalogue::Known;
use crate::error::{self, Error};
use crate::transport::Transport;

/// Longest wait for an upstream's list of models. Someone waits for it, and it is
/// only an extra.
const MODELS_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an upstream's list of models, or its absence, is believed.
const MODELS_TTL: Duration = Duration::from_secs(60);

/// Most of an error's body that is read, in bytes: enough for any code and message.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// One OpenAI-compatible upstream.
#[derive(Debug)]
pub struct OpenAi {
    known: &'static Known,
    /// Without a trailing slash.
    base_url: String,
    /// Whether the base URL is the operator's own.
    own_address: bool,
    /// Marked sensitive, so that no log shows it.
    authorization: Option<HeaderValue>,
    transport: Arc<Transport>,
    listing: Mutex<Option<Listing>>,
}

/// An upstream's list of models as it was at `at`, empty if it gave none.
#[derive(Debug)]
struct Listing {
    at: Instant,
    models: Vec<String>,
}

impl OpenAi {
    pub(crate) fn new(
        known: &'static Known,
        base_url: String,
        authorization: Option<HeaderValue>,
        transport: Arc<Transport>,
    ) -> Self {
        let own_address = known.base_url.as_ref() != Some(&base_url);
        Self { known, base_url, own_address, authorization, transport, listing: Mutex::new(None) }
    }

    /// Its name, as in `provider/model`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.known.name
    }

    /// Whether it is called at an address of the operator's own.
    #[must_use]
    pub fn is_at_own_address(&self) -> bool {
        self.own_address
    }

    /// See [`Provider::complete`](crate::Provider::complete).
    pub(crate) async fn complete(&self, call: &Call) -> Result<Completion, Error> {
        let target = self.target(&call.generation.model);
        let response = self.ask(&target, &call.generation, false).await?;
        let body = response::read(&target, response, MAX_ANSWER_BYTES).await?;
        response::completion(&target, &body, call.generation.input_text())
    }

    /// See [`Provider::stream`](crate::Provider::stream).
    pub(crate) async fn stream(&self, call: &Call) -> Result<EventStream, Error> {
        let target = self.target(&call.generation.model);
        let response = self.ask(&target, &call.generation, true).await?;
        Ok(stream::events(target, response))
    }

    /// See [`Provider::models`](crate::Provider::models).
    pub(crate) async fn models(&self) -> Result<Vec<String>, Error> {
        let target = self.target("models");
        let client = self.transport.client(&target)?;
        let request = client.get(format!("{}/models", self.base_url)).timeout(MODELS_TIMEOUT);
        let response = self.send(&target, request).await?;
        let body = response::read(&target, response, MAX_ANSWER_BYTES).await?;
        let list: Value = serde_json::from_slice(&body)
            .map_err(|cause| error::malformed(&target, "is not JSON").with_source(cause))?;
        let models =
            list.get("data").and_then(Value::as_array).ok_or_else(|| error::malformed(&target, "has no list"))?;
        Ok(models.iter().filter_map(|model| model.get("id")?.as_str()).map(str::to_owned).collect())
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

    async fn ask(&self, target: &Target, generation: &Generation, streamed: bool) -> Result<Response, Error> {
        let body = request::body(target, generation, streamed, &self.known.quirks)?;
        let request = self.transport.client(target)?.post(format!("{}/chat/completions", self.base_url));
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        self.send(target, request).await
    }

    /// Sends `request` with our key and returns the answer if its status is 2xx.
    async fn send(&self, target: &Target, request: RequestBuilder) -> Result<Response, Error> {
        let request = match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        };
        let response = request.send().await.map_err(|cause| error::unanswered(target, cause))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // A body that breaks off or is too long changes nothing about the refusal.
        let body = response::read(target, response, MAX_ERROR_BYTES).await.unwrap_or_default();
        Err(error::refused(target, status, &headers, &body))
    }

    fn target(&self, model: &str) -> Target {
        Target { provider: self.known.name.clone(), model: model.to_owned() }
    }
}
