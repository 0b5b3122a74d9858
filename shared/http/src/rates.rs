//! Rate limits at the door, and what clients are told of them.
//!
//! [`admit`] counts the request and writes down in its context how its client stands; when
//! there is an answer, of whatever kind, [`Facts::write`] says so in its headers.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use turnwise_core::time::Timestamp;
use turnwise_engine::rates::{Admission, Class, Refusal, Standing, Whose};

use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::{Error, Standard};
use crate::routes::Route;

/// How the client of a request stands with its limits, as far as they were looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// With the tightest limit of requests.
    pub requests: Option<Standing>,
}

/// Lets a request through that its limits admit; stands behind `require_key`.
pub(crate) async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let route = extensions.get::<MatchedPath>().and_then(|path| Route::matching(request.method(), path.as_str()));
    let class = route.and_then(Route::class);
    let principal = extensions.get::<Principal>().cloned();
    let context = extensions.get::<RequestContext>().cloned();
    let (Some(class), Some(principal), Some(context)) = (class, principal, context) else {
        return next.run(request).await;
    };

    let Principal { tenant, api_key, grant, .. } = &principal;
    let mut response = match app.engine.admit(tenant, api_key, grant, class).await {
        Admission::Unlimited => next.run(request).await,
        Admission::Admitted(standing) => {
            context.note_rates(|facts| facts.requests = Some(standing));
            next.run(request).await
        }
        Admission::Refused(refusal) => {
            context.note_rates(|facts| facts.requests = Some(refusal.standing));
            Error::RateLimited(refusal).into_response()
        }
    };
    context.rates().write(response.headers_mut(), context.standard(), app.engine.clock.now());
    response
}

impl Facts {
    /// Writes them in the form that the standard's clients read; OpenAI's on every route.
    fn write(&self, headers: &mut HeaderMap, standard: Standard, now: Timestamp) {
        let Some(Standing { limit, remaining, reset }) = self.requests else { return };
        headers.insert("x-ratelimit-limit-requests", HeaderValue::from(limit));
        headers.insert("x-ratelimit-remaining-requests", HeaderValue::from(remaining));
        insert(headers, "x-ratelimit-reset-requests", &written(reset));
        if standard == Standard::Anthropic {
            headers.insert("anthropic-ratelimit-requests-limit", HeaderValue::from(limit));
            headers.insert("anthropic-ratelimit-requests-remaining", HeaderValue::from(remaining));
            insert(headers, "anthropic-ratelimit-requests-reset", &(now + reset).to_string());
        }
    }
}

/// What a client is told that came too often.
pub(crate) fn message(refusal: &Refusal) -> String {
    let who = match refusal.whose {
        Whose::Key => "with this key",
        Whose::Tenant => "with all keys of this tenant together",
    };
    let what = match refusal.class {
        Class::Generate => "requests for answers",
        Class::Embeddings => "requests for embeddings",
        Class::Read => "requests that ask no model",
        Class::Admin => "administrative requests",
    };
    let (limit, wait) = (refusal.standing.limit, written(refusal.retry_after));
    format!("The limit of {what} {who}, {limit} a minute, is reached. Try again in {wait}.")
}

/// A duration as OpenAI's headers have it, which is Go's form: `6m0s`, `1.5s`, `120ms`.
pub(crate) fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let fraction = format!("{:03}", rest % 1000);
    let point = if rest % 1000 == 0 { "" } else { "." };
    let seconds = format!("{}{point}{}s", rest / 1000, fraction.trim_end_matches('0'));
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_openai_does() {
        let check = |millis: u64, expected: &str| assert_eq!(written(Duration::from_millis(millis)), expected);
        check(0, "0s");
        check(1, "1ms");
        check(120, "120ms");
        check(999, "999ms");
        check(1_000, "1s");
        check(1_050, "1.05s");
        check(8_640, "8.64s");
        check(59_999, "59.999s");
        check(60_000, "1m0s");
        check(62_500, "1m2.5s");
        check(360_000, "6m0s");
        check(3_600_000, "1h0m0s");
    }

    #[test]
    fn anthropics_clients_read_their_own_headers_too() {
        let standing = Standing { limit: 5, remaining: 3, reset: Duration::from_millis(1_500) };
        let facts = Facts { requests: Some(standing) };
        let check = |standard: Standard, expected: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            facts.write(&mut headers, standard, Timestamp(1_795_276_800_000));
            let found: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
            assert_eq!(found, expected);
        };
        let openai = [
            ("x-ratelimit-limit-requests", "5"),
            ("x-ratelimit-remaining-requests", "3"),
            ("x-ratelimit-reset-requests", "1.5s"),
        ];
        let anthropic = [
            ("anthropic-ratelimit-requests-limit", "5"),
            ("anthropic-ratelimit-requests-remaining", "3"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T16:00:01.500Z"),
        ];
        check(Standard::OpenAi, &openai);
        check(Standard::Anthropic, &[openai, anthropic].concat());

        let mut headers = HeaderMap::new();
        Facts::default().write(&mut headers, Standard::Anthropic, Timestamp(0));
        assert!(headers.is_empty());
    }
}
