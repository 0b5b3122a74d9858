//! What a function finds when it starts: its environment and a queue.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use turnwise_core::digest::Digest;

use crate::table::{TABLE, Table};

/// The key that functions accept.
pub const KEY: &str = "tw_test_0123456789abcdefghijklmnopqrstuv";

/// An SQS that takes everything and gives nothing.
#[derive(Debug)]
pub struct Queue {
    endpoint: String,
    server: JoinHandle<()>,
}

impl Queue {
    /// Starts one.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let answer = || std::future::ready(([(CONTENT_TYPE, "application/x-amz-json-1.0")], "{}"));
        let router = Router::new().route("/", post(answer));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving never fails") });
        Self { endpoint, server }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The environment of a function: nothing but what is put here.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Variables, by name.
    pub variables: BTreeMap<String, String>,
}

impl Setup {
    /// As the template deploys it, on `table`. No queue answers.
    #[must_use]
    pub fn of(table: &Table) -> Self {
        Self::default()
            .with("AWS_LAMBDA_FUNCTION_NAME", "test")
            .with("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .with("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .with("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true")
            .with("AWS_REGION", "us-east-1")
            .with("AWS_ACCESS_KEY_ID", "test")
            .with("AWS_SECRET_ACCESS_KEY", "test")
            .with("AWS_ENDPOINT_URL_DYNAMODB", table.endpoint())
            // Nobody listens on port 1.
            .with("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
            .with("TURNWISE_TABLE", TABLE)
            .with("TURNWISE_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/turnwise")
            .with("TURNWISE_API_KEYS_SHA256", Digest::of(KEY).as_str())
            .with("TURNWISE_DEFAULT_MODEL", "local/echo")
            .with("OPENAI_API_KEY", "")
            .with("OPENAI_BASE_URL", "")
            .with("RUST_LOG", "info")
    }

    /// With `queue`.
    #[must_use]
    pub fn queue(self, queue: &Queue) -> Self {
        self.with("AWS_ENDPOINT_URL_SQS", &queue.endpoint)
    }

    /// With a variable set, or set otherwise.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }
}
