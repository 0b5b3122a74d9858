//! Signature Version 4: what proves to Amazon who asks.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderName, InvalidHeaderValue};

use crate::settings::Secret;

/// The service's name in the scope of a signature, for the runtime and for the control plane.
const SERVICE: &str = "bedrock";

/// Signs requests with one pair of keys, for one region.
#[derive(Debug)]
pub(super) struct Signer {
    credentials: Credentials,
    region: String,
    service: &'static str,
}

/// A request that is to be signed, as it will go out.
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    /// As the HTTP client writes it.
    pub(super) url: &'a Url,
    /// Headers that must arrive as they are; the host is always signed.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
}

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsignable {
    #[error("the signature lacks a part")]
    Parts(#[from] v4::signing_params::BuildError),
    #[error("the request cannot be signed")]
    Request(#[from] SigningError),
    #[error("a signed header has no name")]
    Name(#[from] InvalidHeaderName),
    #[error("a signed header has no value")]
    Value(#[from] InvalidHeaderValue),
}

impl Signer {
    pub(super) fn new(access_key_id: &str, secret_key: &Secret, session_token: Option<&Secret>, region: &str) -> Self {
        let token = session_token.map(|token| token.expose().to_owned());
        let credentials = Credentials::new(access_key_id, secret_key.expose(), token, None, "settings");
        Self { credentials, region: region.to_owned(), service: SERVICE }
    }

    /// The headers that make `request` a signed one, if it arrives within minutes of `at`.
    /// None of them is shown in a log.
    ///
    /// The path is encoded once more for the signature than it is sent, as all services but
    /// S3 want it: the `%3A` of a model's id is signed as `%253A`.
    pub(super) fn headers(&self, request: &Unsigned<'_>, at: SystemTime) -> Result<HeaderMap, Unsignable> {
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(at)
            .settings(SigningSettings::default())
            .build()?;
        let signable = SignableRequest::new(
            request.method,
            request.url.as_str(),
            request.headers.iter().copied(),
            SignableBody::Bytes(request.body),
        )?;
        let (instructions, _) = sign(signable, &params.into())?.into_parts();
        let (headers, _) = instructions.into_parts();
        let header = |name: &str, value: &str| {
            let mut value = HeaderValue::from_str(value)?;
            value.set_sensitive(true);
            Ok((HeaderName::from_bytes(name.as_bytes())?, value))
        };
        headers.iter().map(|signed| header(signed.name(), signed.value())).collect()
    }
}

/// The time as Amazon will judge it, by its own clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a signature is of the moment that it is sent in, whatever a test's clock says"
)]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::{Duration, UNIX_EPOCH};

    use sha2::{Digest as _, Sha256};

    use super::*;

    /// The keys, the service and the moment of Amazon's published examples:
    /// 2015-08-30 12:36:00 UTC.
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const AT: Duration = Duration::from_secs(1_440_938_160);

    fn signer(service: &'static str, token: Option<&str>) -> Signer {
        let token = token.map(Secret::new);
        let signer = Signer::new("AKIDEXAMPLE", &Secret::new(SECRET), token.as_ref(), "us-east-1");
        Signer { service, ..signer }
    }

    fn headers(signer: &Signer, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> HeaderMap {
        let url = Url::parse(url).unwrap();
        signer.headers(&Unsigned { method, url: &url, headers, body }, UNIX_EPOCH + AT).unwrap()
    }

    fn signature(headers: &HeaderMap) -> String {
        let authorization = headers["authorization"].to_str().unwrap();
        authorization.rsplit_once("Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn amazons_published_examples_are_signed_as_published() {
        let signer = signer("service", None);
        // "get-vanilla" and "get-vanilla-query-order-key-case" of Amazon's test suite.
        let vanilla = headers(&signer, "GET", "https://example.amazonaws.com/", &[], b"");
        assert_eq!(signature(&vanilla), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        let query = "https://example.amazonaws.com/?Param2=value2&Param1=value1";
        let query = headers(&signer, "GET", query, &[], b"");
        assert_eq!(signature(&query), "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    }

    #[test]
    fn the_id_of_a_model_is_encoded_twice_in_the_signature() {
        let path = "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse";
        let url = format!("https://bedrock-runtime.us-east-1.amazonaws.com{path}");
        let body = br#"{"messages":[]}"#;
        let signed =
            headers(&signer("bedrock", Some("token")), "POST", &url, &[("content-type", "application/json")], body);
        let canonical = format!(
            "POST\n{}\n\ncontent-type:application/json\nhost:bedrock-runtime.us-east-1.amazonaws.com\n\
             x-amz-date:20150830T123600Z\nx-amz-security-token:token\n\n\
             content-type;host;x-amz-date;x-amz-security-token\n{}",
            path.replace('%', "%25"),
            hex(&Sha256::digest(body)),
        );
        assert_eq!(signature(&signed), by_hand(&canonical, "us-east-1", "bedrock"));
        let authorization = signed["authorization"].to_str().unwrap();
        assert!(
            authorization.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="
            ),
            "{authorization}"
        );
        assert_eq!(signed["x-amz-date"], "20150830T123600Z");
        assert_eq!(signed["x-amz-security-token"], "token");
        assert!(signed.values().all(HeaderValue::is_sensitive));
    }

    /// The signature of a canonical request, worked out as Amazon describes it.
    fn by_hand(canonical: &str, region: &str, service: &str) -> String {
        let scope = format!("20150830/{region}/{service}/aws4_request");
        let text =
            format!("AWS4-HMAC-SHA256\n20150830T123600Z\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
        let mut key = hmac(format!("AWS4{SECRET}").as_bytes(), b"20150830");
        for part in [region, service, "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        hex(&hmac(&key, text.as_bytes()))
    }

    /// HMAC-SHA-256 of RFC 2104, for keys of at most 64 bytes.
    fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
        let padded = |pad: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ pad).collect() };
        let inner = Sha256::digest([&padded(0x36), text].concat());
        Sha256::digest([padded(0x5c), inner.to_vec()].concat()).to_vec()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }
}
