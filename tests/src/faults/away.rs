//! The HTTP client of a process that does not reach some rows of the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;

/// Requests that speak of some rows go nowhere, as long as those are away.
#[derive(Debug, Clone)]
pub struct Away(Arc<State>);

#[derive(Debug)]
struct State {
    inner: SharedHttpConnector,
    rows: &'static str,
    is_silent: bool,
    is_away: AtomicBool,
    asked: AtomicUsize,
}

impl Away {
    /// Away are the rows in whose requests `rows` stands. They are refused, or never answered.
    #[must_use]
    pub fn rows(rows: &'static str, is_silent: bool) -> Self {
        let inner = SharedHttpConnector::new(aws_smithy_http_client::Connector::builder().build_http());
        let (is_away, asked) = (AtomicBool::new(true), AtomicUsize::new(0));
        Self(Arc::new(State { inner, rows, is_silent, is_away, asked }))
    }

    /// The process's HTTP client.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    /// They are there from here on.
    pub fn come_back(&self) {
        self.0.is_away.store(false, Ordering::SeqCst);
    }

    /// How many requests spoke of them.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }
}

impl HttpConnector for Away {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let away = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
            if !body.contains(away.rows) {
                return away.inner.call(request).await;
            }
            away.asked.fetch_add(1, Ordering::SeqCst);
            if !away.is_away.load(Ordering::SeqCst) {
                return away.inner.call(request).await;
            }
            if away.is_silent {
                std::future::pending::<()>().await;
            }
            Err(ConnectorError::io("nobody is there".into()))
        })
    }
}
