//! The HTTP client of a process to which something happens at one of its requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use tokio::sync::Notify;

/// What happens at the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happens {
    /// The process stops for good before it is sent.
    StopBefore,
    /// The process stops for good when it is applied, before the reply.
    StopAfter,
    /// It is applied, but the reply never arrives. The process goes on.
    LostReply,
    /// It is held back until [`Cut::let_go`]. The process goes on.
    HeldBack,
}

/// Lets requests through until one of them.
#[derive(Debug, Clone)]
pub struct Cut(Arc<State>);

#[derive(Debug)]
struct State {
    inner: SharedHttpConnector,
    sent: AtomicUsize,
    at: usize,
    happens: Happens,
    stopped: Notify,
    let_go: Notify,
}

impl Cut {
    /// `happens` at request number `at`, from 0.
    #[must_use]
    pub fn at(at: usize, happens: Happens) -> Self {
        let inner = SharedHttpConnector::new(aws_smithy_http_client::Connector::builder().build_http());
        let (stopped, let_go) = (Notify::new(), Notify::new());
        Self(Arc::new(State { inner, sent: AtomicUsize::new(0), at, happens, stopped, let_go }))
    }

    /// The process's HTTP client.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    /// Completes when the process has stopped, or its request is held back.
    pub async fn stopped(&self) {
        self.0.stopped.notified().await;
    }

    /// Lets the request go that is held back.
    pub fn let_go(&self) {
        self.0.let_go.notify_one();
    }

    /// Whether the request was reached.
    #[must_use]
    pub fn was_reached(&self) -> bool {
        self.0.sent.load(Ordering::SeqCst) > self.0.at
    }
}

impl HttpConnector for Cut {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let cut = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let number = cut.sent.fetch_add(1, Ordering::SeqCst);
            let goes_on = matches!(cut.happens, Happens::LostReply | Happens::HeldBack);
            if number < cut.at || (number > cut.at && goes_on) {
                return cut.inner.call(request).await;
            }
            if cut.happens == Happens::HeldBack {
                cut.stopped.notify_one();
                cut.let_go.notified().await;
                return cut.inner.call(request).await;
            }
            if number == cut.at && cut.happens != Happens::StopBefore {
                let _ = cut.inner.call(request).await;
            }
            if cut.happens == Happens::LostReply {
                return Err(ConnectorError::timeout("the network lost it".into()));
            }
            cut.stopped.notify_one();
            std::future::pending().await
        })
    }
}
