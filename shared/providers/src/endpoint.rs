//! One upstream's address, our key there, and the way to it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};
use serde_json::Value;
use turnwise_core::digest::Digest;
use turnwise_core::limits::MAX_ANSWER_BYTES;

use crate::call::Target;
use crate::catalogue::Known;
use crate::error::{self, Error};
use crate::transport::Transport;

/// Longest wait for an upstream's small answers: its list of models, a count of tokens.
/// Someone waits for it, and it is only an extra.
pub(crate) const QUICK_TIMEOUT: Duration = Duration::from_secs(3);

/// Most of an error's body that is read, in bytes: enough for any code and message.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// Digits of a key's digest: enough to tell an operator's keys apart, too few to help
/// anybody guess.
const CREDENTIAL_DIGITS: usize = 8;

/// Where a provider is called, as far as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Host of the base URL, with the port if the URL gives one.
    pub host: String,
    /// Whether the base URL is the operator's own.
    pub own_address: bool,
    /// Whether requests carry a key.
    pub sends_key: bool,
}

/// One upstream's address, our key there, and the way to it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) known: &'static Known,
    /// Without a trailing slash.
    base_url: String,
    /// Whether the base URL is the operator's own.
    own_address: bool,
    /// What every request carries: our key, marked sensitive so that no log shows it.
    headers: HeaderMap,
    /// See [`Provider::credential`](crate::Provider::credential).
    credential: String,
    transport: Arc<Transport>,
}

impl Endpoint {
    /// The upstream `known` at `base_url`; each of its requests carries `headers`.
    pub(crate) fn new(
        known: &'static Known,
        base_url: String,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        transport: Arc<Transport>,
    ) -> Self {
        let own_address = known.base_url.as_ref() != Some(&base_url);
        let headers: HeaderMap = headers.into_iter().collect();
        let keys: Vec<&[u8]> = headers.values().map(HeaderValue::as_bytes).collect();
        let credential = Digest::of(keys.concat()).as_str().chars().take(CREDENTIAL_DIGITS).collect();
        Self { known, base_url, own_address, headers, credential, transport }
    }

    /// Its name, as in `provider/model`.
    pub(crate) fn name(&self) -> &'static str {
        &self.known.name
    }

    /// Whether it is called at an address of the operator's own.
    pub(crate) fn is_at_own_address(&self) -> bool {
        self.own_address
    }

    /// See [`Provider::place`](crate::Provider::place).
    pub(crate) fn place(&self) -> Place {
        let url = Url::parse(&self.base_url).ok();
        let host = url.as_ref().and_then(|url| {
            let host = url.host_str()?;
            Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
        });
        Place {
            host: host.unwrap_or_default(),
            own_address: self.own_address,
            // Nothing else that every request carries is kept from logs.
            sends_key: self.headers.values().any(HeaderValue::is_sensitive),
        }
    }

    pub(crate) fn credential(&self) -> &str {
        &self.credential
    }

    pub(crate) fn target(&self, model: &str) -> Target {
        Target { provider: self.known.name.clone(), model: model.to_owned() }
    }

    /// The URL of what is at `path`, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// A request for what is at `path`, which begins with a slash.
    pub(crate) fn get(&self, target: &Target, path: &str) -> Result<RequestBuilder, Error> {
        let client = self.transport.client(target, None)?;
        Ok(client.get(self.url(path)).headers(self.headers.clone()).timeout(QUICK_TIMEOUT))
    }

    /// A request that sends `body`, JSON, to `path`. A connection that takes longer than
    /// `connect_timeout` to make is given up; there is no other limit to its time.
    pub(crate) fn post(
        &self,
        target: &Target,
        path: &str,
        body: Vec<u8>,
        connect_timeout: Option<Duration>,
    ) -> Result<RequestBuilder, Error> {
        let client = self.transport.client(target, connect_timeout)?;
        let request = client.post(self.url(path)).headers(self.headers.clone());
        Ok(request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body))
    }

    /// Sends `request` and returns the answer if its status is 2xx.
    pub(crate) async fn send(&self, target: &Target, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|cause| error::unanswered(target, cause))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // A body that breaks off or is too long changes nothing about the refusal.
        let body = read(target, response, MAX_ERROR_BYTES).await.unwrap_or_default();
        Err(error::refused(target, status, &headers, &body))
    }

    /// The JSON that is at `path`.
    pub(crate) async fn fetch(&self, target: &Target, path: &str) -> Result<Value, Error> {
        let response = self.send(target, self.get(target, path)?).await?;
        read_json(target, response).await
    }

    /// The names under `key` of the list under `list` in the JSON that is at `path`.
    pub(crate) async fn names(&self, path: &str, list: &str, key: &str) -> Result<Vec<String>, Error> {
        let target = self.target("models");
        names_in(&target, &self.fetch(&target, path).await?, list, key)
    }
}

/// The names under `key` of the list under `list` in `answer`.
pub(crate) fn names_in(target: &Target, answer: &Value, list: &str, key: &str) -> Result<Vec<String>, Error> {
    let list = answer.get(list).and_then(Value::as_array);
    let list = list.ok_or_else(|| error::malformed(target, "has no list"))?;
    Ok(list.iter().filter_map(|model| model.get(key)?.as_str()).map(str::to_owned).collect())
}

/// The JSON that is the body of `response`.
pub(crate) async fn read_json(target: &Target, response: Response) -> Result<Value, Error> {
    let body = read(target, response, MAX_ANSWER_BYTES).await?;
    serde_json::from_slice(&body).map_err(|cause| error::malformed(target, "is not JSON").with_source(cause))
}

/// The body of `response`.
///
/// # Errors
/// When it breaks off, or is longer than `limit_bytes`.
pub(crate) async fn read(target: &Target, mut response: Response, limit_bytes: usize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(|cause| error::broken_body(target, cause))? {
        if body.len() + bytes.len() > limit_bytes {
            return Err(error::too_long(target, limit_bytes));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}
