//! What configures Bedrock: a region, and a token or a pair of keys.

use std::sync::Arc;

use reqwest::header::{HeaderName, HeaderValue};
use turnwise_core::fault::{Fault, Faults};

use super::Bedrock;
use super::sign::Signer;
use crate::catalogue::Known;
use crate::endpoint::Endpoint;
use crate::settings::{AWS_ACCESS_KEY_ID, AWS_REGION, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, Aws, Secret};
use crate::transport::Transport;

impl Bedrock {
    /// Bedrock as it is set: with a region and either a bearer token, which `key` carries, or
    /// a pair of keys in `aws`. The token goes before the keys, which are often there for
    /// other things. `base_url` replaces the region's own address.
    ///
    /// # Errors
    /// What is malformed, and a pair of keys of which one is missing, each under its
    /// variable's name.
    pub(crate) fn configured(
        known: &'static Known,
        base_url: Option<String>,
        key: Option<(HeaderName, HeaderValue)>,
        aws: &Aws,
        transport: &Arc<Transport>,
    ) -> Result<Option<Self>, Faults> {
        let mut faults = Faults::default();
        let region = aws.region.as_deref().map(region).and_then(|region| faults.keep(region));
        let pair = faults.keep(pair(aws)).flatten();
        faults.into_result()?;
        let Some(region) = region else { return Ok(None) };
        let signer = match (&key, pair) {
            (Some(_), _) => None,
            (None, Some((id, secret))) => Some(Signer::new(id, secret, aws.session_token.as_ref(), region)),
            (None, None) => return Ok(None),
        };
        let at = |host: &str| base_url.clone().unwrap_or_else(|| format!("https://{host}.{region}.amazonaws.com"));
        let endpoint = |host: &str| Endpoint::new(known, at(host), key.clone(), Arc::clone(transport));
        Ok(Some(Self { runtime: endpoint("bedrock-runtime"), control: endpoint("bedrock"), signer }))
    }
}

/// A region's name, which becomes a part of a host's.
fn region(name: &str) -> Result<&str, Fault> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_region = !name.is_empty() && name.len() <= 32 && name.bytes().all(allowed);
    is_region.then_some(name).ok_or_else(|| Fault::new(AWS_REGION, "This is no region's name, such as us-east-1."))
}

/// Both keys, if there are any.
fn pair(aws: &Aws) -> Result<Option<(&str, &Secret)>, Fault> {
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let missing = |name: &str, other: &str| Err(Fault::new(name, format!("{other} is set without it.")));
    let malformed = |name: &str| Err(Fault::new(name, "A key consists of visible ASCII characters."));
    match (aws.access_key_id.as_deref(), &aws.secret_access_key) {
        (None, None) => Ok(None),
        (Some(_), None) => missing(AWS_SECRET_ACCESS_KEY, AWS_ACCESS_KEY_ID),
        (None, Some(_)) => missing(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY),
        (Some(id), Some(_)) if !visible(id) => malformed(AWS_ACCESS_KEY_ID),
        (Some(_), Some(_)) if aws.session_token.as_ref().is_some_and(|token| !visible(token.expose())) => {
            malformed(AWS_SESSION_TOKEN)
        }
        (Some(id), Some(secret)) => Ok(Some((id, secret))),
    }
}
