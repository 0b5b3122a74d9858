//! How the SDK is set up, for the cloud and for an engine on loopback.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The SDK's only default is a connect timeout; a caller waits for a turn, so a
/// lost request must be noticed soon.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1500);
/// All attempts of one operation together.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(5);

/// An engine on loopback loses nothing, but a laptop under load answers late.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Tries of one request that the SDK makes by itself. Every write carries a
/// request token or writes the same values again, so a second try is harmless.
const MAX_TRIES: u32 = 3;

/// The table. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) dynamo: Client,
    pub(crate) table: Arc<str>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Store {
    /// The table `table`, reached with `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: &str) -> Self {
        Self { dynamo: Client::new(sdk), table: table.into() }
    }
}

/// The SDK as a Lambda function uses it: credentials, region and endpoints from
/// its environment.
pub async fn cloud() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(https_client())
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_TRIES))
        .load()
        .await
}

/// The SDK against an engine at `endpoint` (`http://127.0.0.1:PORT`) that asks for
/// no real credentials. `http_client` lets tests stand between SDK and engine.
#[must_use]
pub fn local(endpoint: &str, http_client: Option<SharedHttpClient>) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "turnwise-local");
    let timeouts = TimeoutConfig::builder().operation_timeout(LOCAL_TIMEOUT).build();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("local"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client.unwrap_or_else(http_client_plain))
        .timeout_config(timeouts)
        .retry_config(
            RetryConfig::standard().with_max_attempts(MAX_TRIES).with_initial_backoff(Duration::from_millis(20)),
        )
        .build()
}

fn http_client_plain() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

/// HTTPS that trusts the bundled roots: reading the system's costs tens of
/// milliseconds at every cold start.
fn https_client() -> SharedHttpClient {
    let trust = TrustStore::empty().with_pem_certificate(bundled_roots());
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    match TlsContext::builder().with_trust_store(trust).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        // The bundled roots are well formed; were they not, the system's serve.
        Err(error) => {
            tracing::warn!(%error, "the bundled root certificates were refused; using the system's");
            builder.build_https()
        }
    }
}

/// Mozilla's roots in PEM, the only form the SDK's client takes.
fn bundled_roots() -> String {
    let mut pem = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        pem.push_str(&STANDARD.encode(certificate));
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    pem
}
