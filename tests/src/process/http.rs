//! Talking to the process.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

use super::{PATIENCE, Server};

/// Pause between two looks at a process that is starting.
const POLL: Duration = Duration::from_millis(20);

/// One whole reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// Reads `response` to its end.
    ///
    /// # Errors
    /// When the connection breaks before that.
    pub async fn read(response: reqwest::Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await? })
    }

    /// The body as JSON; `null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Server {
    /// Posts `body` with more `headers`, and returns with the reply's head.
    ///
    /// # Errors
    /// When the connection breaks before that.
    pub async fn post(
        &self,
        path: &str,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<reqwest::Response> {
        let request = self.http.post(format!("{}{path}", self.url)).timeout(PATIENCE);
        let request = request.header(AUTHORIZATION, self.authorization()).header(CONTENT_TYPE, "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(body).send().await
    }

    /// Gets `path`.
    ///
    /// # Errors
    /// When the connection breaks before the reply's end.
    pub async fn get(&self, path: &str) -> reqwest::Result<Reply> {
        let request = self.http.get(format!("{}{path}", self.url)).timeout(PATIENCE);
        Reply::read(request.header(AUTHORIZATION, self.authorization()).send().await?).await
    }

    pub(super) async fn wait_until_healthy(&self) {
        let healthy = async {
            while !self.get("/healthz").await.is_ok_and(|reply| reply.status == 200) {
                tokio::time::sleep(POLL).await;
            }
        };
        let healthy = tokio::time::timeout(PATIENCE, healthy).await;
        assert!(healthy.is_ok(), "it becomes healthy");
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.key)
    }
}

pub(super) fn client() -> reqwest::Client {
    turnwise_providers::http_client().expect("the client's own defaults are valid")
}
