//! Requests to addresses that somebody else chose: webhooks.
//!
//! Nobody may have us ask our own network. So only `https` goes out, to public addresses
//! alone: a name is resolved here, every address of it is checked, and the connection goes to
//! what was checked. No redirect is followed, no proxy asked, and the answer is thrown away.

mod address;

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Client, ClientBuilder, redirect};
use sha2::Sha256;

use self::address::Checked;
pub use self::address::{Reach, RefusedUrl, check_url};
use crate::settings::Secret;
use crate::transport::{BuildError, tls};

/// Longest delivery, connection and answer included. Whoever takes a webhook puts it aside
/// and answers at once.
const TIMEOUT: Duration = Duration::from_secs(5);

/// As much of an answer as is read, in bytes: nothing is made of it.
const MAX_ANSWER_BYTES: usize = 4 * 1024;

/// The header that signs a delivery: `t=<seconds since 1970>,v1=<hexadecimal digest>`.
const SIGNATURE: &str = "turnwise-signature";

/// Where deliveries may go, and what they are signed with.
#[derive(Debug, Clone, Default)]
pub struct Webhooks {
    reach: Reach,
    secret: Option<Secret>,
}

/// Why a delivery did not arrive. It never shows the address, which may hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The address is not one that we ask.
    #[error(transparent)]
    Address(#[from] RefusedUrl),
    /// There is no client.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// Nobody took it.
    #[error("it did not arrive: {0}")]
    Http(reqwest::Error),
    /// Whoever took it did not want it.
    #[error("it was answered with HTTP {0}")]
    Status(u16),
}

impl Webhooks {
    /// Deliveries within `reach`, signed with `secret` where there is one.
    #[must_use]
    pub const fn new(reach: Reach, secret: Option<Secret>) -> Self {
        Self { reach, secret }
    }

    /// Whether `url` is an address that deliveries may go to, as far as that can be told
    /// without asking for its name.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, url: &str) -> Result<(), RefusedUrl> {
        check_url(url, self.reach).map(|_| ())
    }

    /// Delivers `body`, JSON, to `url` once, at so many seconds since 1970.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub async fn deliver(&self, url: &str, body: &str, at_s: u64) -> Result<(), DeliveryError> {
        let url = check_url(url, self.reach)?;
        let mut request = self.client()?.post(url).header("content-type", "application/json").body(body.to_owned());
        if let Some(secret) = &self.secret {
            request = request.header(SIGNATURE, signature(secret, body, at_s));
        }
        let told = |error: reqwest::Error| DeliveryError::Http(error.without_url());
        let mut answer = request.send().await.map_err(told)?;
        let mut bytes = 0;
        while let Some(piece) = answer.chunk().await.map_err(told)? {
            bytes += piece.len();
            if bytes > MAX_ANSWER_BYTES {
                break;
            }
        }
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(DeliveryError::Status(status.as_u16())) }
    }

    /// A client of its own for each delivery: they are rare, and a connection that is kept
    /// would outlive the check of its address.
    fn client(&self) -> Result<Client, BuildError> {
        let client = ClientBuilder::new()
            .tls_backend_preconfigured(tls()?)
            .user_agent(concat!("turnwise/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Checked(self.reach)))
            .timeout(TIMEOUT)
            .build()?;
        Ok(client)
    }
}

/// HMAC-SHA256 of the instant and the body, so that neither can be another's.
fn signature(secret: &Secret, body: &str, at_s: u64) -> String {
    // HMAC takes a key of any length.
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
    let digest = mac.map(|mac| mac.chain_update(format!("{at_s}.{body}")).finalize().into_bytes());
    let digest: String = digest.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at_s},v1={digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_signed_with_its_instant() {
        // `printf '1795276800.{}' | openssl dgst -sha256 -hmac secret`
        let expected = "t=1795276800,v1=e40b48b95c905066203d81256d83f51cbdc4ff591705177adb3da72c140b3588";
        assert_eq!(signature(&Secret::new("secret"), "{}", 1_795_276_800), expected);
    }

    #[tokio::test]
    async fn a_name_of_our_own_network_is_not_asked() {
        let error = Webhooks::default().deliver("https://localhost/x", "{}", 0).await.unwrap_err();
        assert!(matches!(&error, DeliveryError::Http(_)), "{error}");
        assert!(!format!("{error:?}").contains("/x"), "{error:?}");
    }
}
