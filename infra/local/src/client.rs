//! A running server, as the commands of this program reach it.

use anyhow::{Context as _, bail};
use reqwest::{Client, Method, Response};
use serde_json::Value;

use crate::key;
use crate::settings::Settings;

/// A server and the key for it.
pub(crate) struct Server {
    client: Client,
    url: String,
    key: String,
}

impl Server {
    /// The server of the settings, or the one of this machine, with the key of the
    /// settings or of the data folder.
    ///
    /// # Errors
    /// When there is no key.
    pub(crate) fn of(settings: &Settings) -> anyhow::Result<Self> {
        let local = || format!("http://127.0.0.1:{}", settings.port);
        Ok(Self {
            client: turnwise_providers::http_client().context("no HTTP client")?,
            url: settings.url.as_deref().map_or_else(local, |url| url.trim_end_matches('/').to_owned()),
            key: find_key(settings)?,
        })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request and gives its answer, if it is a good one.
    ///
    /// # Errors
    /// When the server cannot be reached, and with its own words when it refuses.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Response> {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        let sent = request.send().await;
        let response = sent.with_context(|| format!("no server at {}; start one with `turnwise serve`", self.url))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        bail!("{status}: {}", error_text(&text));
    }

    /// The JSON of a good answer.
    ///
    /// # Errors
    /// As [`Self::send`], and when it is no JSON.
    pub(crate) async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let text = self.send(method, path, body).await?.text().await.context("the answer broke off")?;
        serde_json::from_str(&text).context("the answer is no JSON")
    }
}

/// `text` as a segment of a path.
pub(crate) fn segment(text: &str) -> String {
    turnwise_http::render::path_segment(text)
}

fn find_key(settings: &Settings) -> anyhow::Result<String> {
    if let Some(key) = settings.fixed_key()? {
        return Ok(key.to_owned());
    }
    let path = settings.data_dir.join(key::FILE);
    key::read(&path)?.with_context(|| {
        format!("no key: set TURNWISE_DEV_KEY, or run this where the server's data folder {} is", path.display())
    })
}

fn error_text(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    value["error"]["message"].as_str().unwrap_or(body).to_owned()
}
