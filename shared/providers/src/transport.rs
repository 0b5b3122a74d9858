//! The one HTTP client that all upstreams share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect};
use rustls::{ClientConfig, RootCertStore};
use turnwise_core::category::Category;
use turnwise_core::limits::CONNECT_TIMEOUT;

use crate::call::Target;
use crate::error::{Dispatched, Error};

/// How long an unused connection is kept. Load balancers commonly close theirs
/// after a minute: giving up first avoids a request on a dying connection.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Silence after which the kernel checks that the other side still lives.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Protocols offered in the TLS handshake, best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The clients, one for each time-out of connecting that is in use, which is mostly one.
/// Each is built at its first use: a cold start that only echoes never pays for it.
#[derive(Debug, Default)]
pub(crate) struct Transport {
    clients: Mutex<BTreeMap<Duration, Client>>,
}

/// A client of one's own, set up as the one for upstreams is: for programs that talk
/// to a running Turnwise.
///
/// # Errors
/// When the TLS library or the client refuses its own defaults.
pub fn http_client() -> Result<Client, BuildError> {
    build(CONNECT_TIMEOUT)
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// TLS.
    #[error("the TLS library refused its own defaults")]
    Tls(#[from] rustls::Error),
    /// HTTP.
    #[error("the HTTP client could not be built")]
    Http(#[from] reqwest::Error),
}

impl Transport {
    /// The client that gives a connection up which takes longer than `connect_timeout`,
    /// or the usual time.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` if it cannot be built; `target` was not called.
    pub(crate) fn client(&self, target: &Target, connect_timeout: Option<Duration>) -> Result<Client, Error> {
        let connect_timeout = connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&connect_timeout) {
            return Ok(client.clone());
        }
        let client = build(connect_timeout).map_err(|cause| {
            let message = format!("{target} was not called: {cause}");
            Error::new(target, Category::InternalError, "internal_error", message, Dispatched::No).with_source(cause)
        })?;
        clients.insert(connect_timeout, client.clone());
        Ok(client)
    }
}

/// A client that trusts the bundled Mozilla roots, follows no redirect (a key must
/// not travel to another host) and sends small writes at once.
///
/// A request that meets a pooled connection which the upstream had closed goes out
/// again on another one if none of it was sent, and one that an HTTP/2 upstream
/// says it did not process is repeated: the client library does both by itself, and
/// nothing more. Once the upstream may have seen a request, its error is reported.
fn build(connect_timeout: Duration) -> Result<Client, BuildError> {
    let client = ClientBuilder::new()
        .tls_backend_preconfigured(tls()?)
        .user_agent(concat!("turnwise/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tcp_keepalive(TCP_KEEPALIVE)
        .tcp_nodelay(true)
        .build()?;
    Ok(client)
}

pub(crate) fn tls() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_can_be_built() {
        let target = Target { provider: "openai".to_owned(), model: "m".to_owned() };
        assert!(Transport::default().client(&target, None).is_ok());
    }
}
