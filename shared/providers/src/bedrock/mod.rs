//! Amazon Bedrock's Converse and ConverseStream over HTTP.
//!
//! No vendor's client: requests are signed by `sign` and go out through the one HTTP client
//! that all upstreams share, so that a function which never asks Bedrock pays nothing for it.
//!
//! - `settings`: region, keys and addresses; `path`: where a model answers; `sign`:
//!   Signature Version 4
//! - `request`: the body, of which `content` writes the messages, `thinking` and `schema` what
//!   differs from `family` to family of models
//! - `answer`: what comes, told in chunks; `response` reads it whole, `stream` out of `frames`
//! - `count`: tokens, counted by Bedrock

mod answer;
mod content;
mod count;
mod family;
mod frames;
mod path;
mod request;
mod response;
mod schema;
mod settings;
mod sign;
mod stream;
mod thinking;

#[cfg(test)]
mod tests;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response, Url};
use serde_json::Value;
use turnwise_core::category::Category;
use turnwise_core::fault::Faults;
use turnwise_core::generation::{Completion, Event, Generation};

use self::answer::Answer;
use self::path::Operation;
use self::request::Request;
use self::sign::{Signer, Unsigned};
use crate::call::{Call, EventStream, Target};
use crate::chunks::Chunks;
use crate::endpoint::{self, Endpoint, Place, QUICK_TIMEOUT};
use crate::error::{Dispatched, Error};
use crate::settings::Secret;
use crate::stream as reading;

/// Where the list of models is, at the control plane.
const MODELS: &str = "/foundation-models";

/// Bedrock in one region, with our keys there.
#[derive(Debug)]
pub struct Bedrock {
    /// Where models answer.
    runtime: Endpoint,
    /// Where they are listed: a host of its own, unless the operator has given an address.
    control: Endpoint,
    /// `None` where a bearer token is sent with every request instead.
    signer: Option<Signer>,
}

impl Bedrock {
    /// Its name, as in `provider/model`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.runtime.name()
    }

    /// See [`Provider::credential`](crate::Provider::credential). That of a bearer token;
    /// signing keys change by the hour and are the same role's.
    pub(crate) fn credential(&self) -> &str {
        self.runtime.credential()
    }

    /// See [`Provider::place`](crate::Provider::place): where models are listed. A signature
    /// proves a key as well as the key itself does.
    pub(crate) fn place(&self) -> Place {
        let place = self.control.place();
        Place { sends_key: place.sends_key || self.signer.is_some(), ..place }
    }

    /// See [`Provider::check`](crate::Provider::check).
    pub(crate) fn check(&self, generation: &Generation) -> Result<Vec<String>, Faults> {
        request::write(self.name(), generation).map(|request| request.written.dropped)
    }

    /// See [`Provider::complete`](crate::Provider::complete).
    pub(crate) async fn complete(&self, call: &Call) -> Result<Completion, Error> {
        let target = self.runtime.target(&call.generation.model);
        let request = self.write(&target, call)?;
        let response = self.ask(&target, call, Operation::Converse, &request.written.body).await?;
        let body = endpoint::read_json(&target, response).await?;
        let answer = Answer::new(target.clone(), Chunks::new(call), request.by_tool);
        response::completion(&target, &body, answer, call.generation.input_text())
    }

    /// See [`Provider::stream`](crate::Provider::stream).
    pub(crate) async fn stream(&self, call: &Call) -> Result<EventStream, Error> {
        let target = self.runtime.target(&call.generation.model);
        let request = self.write(&target, call)?;
        let response = self.ask(&target, call, Operation::ConverseStream, &request.written.body).await?;
        let answer = Answer::new(target.clone(), Chunks::new(call), request.by_tool);
        Ok(reading::events_of(target.clone(), response, stream::Stream::new(target, answer)))
    }

    /// See [`Provider::count`](crate::Provider::count).
    pub(crate) async fn count(&self, call: &Call) -> Result<u64, Error> {
        let target = self.runtime.target(&call.generation.model);
        let request = self.write(&target, call)?;
        let body = count::body(&request.written.body);
        let response = self.ask(&target, call, Operation::CountTokens, &body).await?;
        count::tokens(&target, &endpoint::read_json(&target, response).await?)
    }

    /// See [`Provider::models`](crate::Provider::models).
    pub(crate) async fn models(&self) -> Result<Vec<String>, Error> {
        let target = self.control.target("models");
        let headers = self.signed(&target, "GET", &self.control.url(MODELS), &[], b"")?;
        let request = self.control.get(&target, MODELS)?.headers(headers);
        let response = self.control.send(&target, request).await?;
        let answer = endpoint::read_json(&target, response).await?;
        endpoint::names_in(&target, &answer, "modelSummaries", "modelId")
    }

    /// See [`Provider::body`](crate::Provider::body).
    pub(crate) fn body(&self, call: &Call) -> Result<Vec<u8>, Error> {
        let target = self.runtime.target(&call.generation.model);
        Ok(self.write(&target, call)?.written.body.to_string().into_bytes())
    }

    /// See [`Provider::play`](crate::Provider::play).
    pub(crate) fn play(&self, call: &Call, recorded: &[u8]) -> Result<Vec<Event>, Error> {
        let target = self.runtime.target(&call.generation.model);
        let request = self.write(&target, call)?;
        let answer = Answer::new(target.clone(), Chunks::new(call), request.by_tool);
        reading::play(stream::Stream::new(target, answer), recorded)
    }

    /// The request, for a call that may not have been checked.
    fn write(&self, target: &Target, call: &Call) -> Result<Request, Error> {
        request::write(self.name(), &call.generation).map_err(|faults| unwritable(target, &faults))
    }

    async fn ask(&self, target: &Target, call: &Call, operation: Operation, body: &Value) -> Result<Response, Error> {
        let request = self.post(target, call, operation, body)?;
        // A count is an extra that somebody waits for.
        let request = if operation == Operation::CountTokens { request.timeout(QUICK_TIMEOUT) } else { request };
        self.runtime.send(target, request).await
    }

    fn post(&self, target: &Target, call: &Call, operation: Operation, body: &Value) -> Result<RequestBuilder, Error> {
        let path = path::path(&target.model, operation).ok_or_else(|| {
            let message = format!("{target} was not called: there can be no such model.");
            Error::new(target, Category::NotFoundError, "model_not_found", message, Dispatched::No)
        })?;
        let body = body.to_string().into_bytes();
        let content_type = [("content-type", "application/json")];
        let headers = self.signed(target, "POST", &self.runtime.url(&path), &content_type, &body)?;
        Ok(self.runtime.post(target, &path, body, call.connect_timeout)?.headers(headers))
    }

    /// The headers that say who asks, beyond what the endpoint sends anyway.
    fn signed(
        &self,
        target: &Target,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<HeaderMap, Error> {
        let Some(signer) = &self.signer else { return Ok(HeaderMap::new()) };
        let internal = || {
            let message = format!("The request to {target} could not be signed.");
            Error::new(target, Category::InternalError, "internal_error", message, Dispatched::No)
        };
        let url = Url::parse(url).map_err(|cause| internal().with_source(cause))?;
        let request = Unsigned { method, url: &url, headers, body };
        signer.headers(&request, sign::now()).map_err(|cause| internal().with_source(cause))
    }
}

/// The error for a request that Bedrock cannot be asked.
fn unwritable(target: &Target, faults: &Faults) -> Error {
    let message = format!("{target} was not called: it cannot be asked this.");
    let error = Error::new(target, Category::ValidationError, "invalid_request", message, Dispatched::No);
    Error { detail: Some(Secret::new(faults.to_string())), param: faults.first_field().map(Box::from), ..error }
}
