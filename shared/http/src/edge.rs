//! What answers say to browsers: which pages may read them, and that they are nothing but data.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, IF_MATCH, LOCATION,
    REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::Response;
use tower_http::cors::CorsLayer;
use turnwise_core::fault::Fault;

use crate::params::{DELIVERY, FALLBACKS, IDEMPOTENCY_KEY, LAST_EVENT_ID, ON_BUSY, TASK};

/// How long a browser remembers what it may send. Chromium caps it at this.
const PREFLIGHT_TTL: Duration = Duration::from_secs(7200);

/// What every answer says that does not say it otherwise.
const DEFAULTS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    // Answers are somebody's own: none is kept by whatever stands between.
    (CACHE_CONTROL, "no-store"),
];

/// A year of HTTPS and nothing else, as browsers ask before they take it seriously.
const ONLY_HTTPS: &str = "max-age=31536000";

/// What pages may send beside what every page may.
const ALLOWED: [HeaderName; 15] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    CONTENT_TYPE,
    HeaderName::from_static(IDEMPOTENCY_KEY),
    IF_MATCH,
    HeaderName::from_static("prefer"),
    HeaderName::from_static(LAST_EVENT_ID),
    HeaderName::from_static(DELIVERY),
    HeaderName::from_static(ON_BUSY),
    HeaderName::from_static(FALLBACKS),
    HeaderName::from_static(TASK),
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("anthropic-dangerous-direct-browser-access"),
    HeaderName::from_static("openai-beta"),
];

/// What the official clients say of themselves; each sends its own.
const CLIENT_INFO: [&str; 9] = [
    "x-stainless-arch",
    "x-stainless-helper-method",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
];

/// What pages may read beside what every page may.
const EXPOSED: [&str; 19] = [
    "x-request-id",
    "request-id",
    "idempotent-replayed",
    "turnwise-turn",
    "turnwise-attempt",
    "turnwise-model",
    "turnwise-cost-usd",
    "x-turnwise-dropped-params",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "retry-after-ms",
    "x-should-retry",
    "preference-applied",
    "x-cache",
    "traceparent",
];

/// The pages that may call the service from a browser, by their origins; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<HeaderValue>);

impl Origins {
    /// The origins that `text`, given in `field`, lists, separated by commas or white space.
    ///
    /// # Errors
    /// A fault for `*`, `null` and whatever no browser would send as its origin.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        let origins = entries.map(|entry| {
            let fault = || Fault::new(field, format!("Expected origins such as https://example.com, got {entry:?}."));
            HeaderValue::from_str(entry).ok().filter(|_| is_origin(entry)).ok_or_else(fault)
        });
        origins.collect::<Result<_, _>>().map(Self)
    }
}

/// Whether `text` is an origin as browsers write it: scheme, host, and the port where it is not
/// the scheme's own; in lower case, with nothing behind it.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b':' | b'[' | b']');
    !rest.is_empty() && rest.bytes().all(is_plain)
}

/// The router as browsers are to meet it: pages of `origins` may call it, without a key where
/// they only ask whether they may.
pub fn open_to(router: Router, origins: &Origins) -> Router {
    if origins.0.is_empty() {
        return router;
    }
    let exposed = EXPOSED.map(HeaderName::from_static).into_iter().chain([CONTENT_DISPOSITION, LOCATION, RETRY_AFTER]);
    let cors = CorsLayer::new()
        .allow_origin(origins.0.clone())
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE])
        .allow_headers(allowed_headers())
        .expose_headers(exposed.collect::<Vec<_>>())
        .max_age(PREFLIGHT_TTL);
    guarded(router.layer(cors))
}

/// What pages may send: the gateway of a deployment says the same.
#[must_use]
pub fn allowed_headers() -> Vec<HeaderName> {
    ALLOWED.into_iter().chain(CLIENT_INFO.map(HeaderName::from_static)).collect()
}

/// The router with its answers marked as data that no page may frame and nothing may keep,
/// where they do not say otherwise.
pub fn guarded<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.layer(middleware::from_fn(guard))
}

/// The router behind HTTPS, which browsers are told never to leave.
pub fn only_https(router: Router) -> Router {
    router.layer(middleware::map_response(async |mut response: Response| {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(ONLY_HTTPS));
        response
    }))
}

async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in DEFAULTS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        let check = |text: &str, expected: Option<usize>| {
            let origins = Origins::parse("f", text);
            assert_eq!(origins.ok().map(|origins| origins.0.len()), expected, "{text}");
        };
        check("", Some(0));
        check("https://example.com", Some(1));
        check("https://example.com, http://localhost:3000\thttp://[::1]:8080", Some(3));
        for bad in
            ["*", "null", "example.com", "https://", "https://Example.com", "https://example.com/", "https://*.a"]
        {
            check(bad, None);
        }
    }
}
