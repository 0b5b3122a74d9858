//! What an upstream says when it does not answer.
//!
//! Upstreams agree on the status codes and hardly on the bodies: `{"error":{..}}`
//! (OpenAI), `{"type":"error","error":{..}}` (Anthropic), `{"object":"error",..}` (Mistral,
//! vLLM), `{"error":"text"}` (Ollama, xAI), `[{"error":{..}}]` (Gemini). All are read into
//! one [`Signal`]. What Amazon's services call their errors is in [`aws`].

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;
use turnwise_core::category::Category;

use super::details::Details;
use super::{Dispatched, Error, aws};
use crate::call::{Target, cut};
use crate::settings::Secret;

/// Longest pause taken from an upstream. A longer one is better spent on another
/// provider, so it counts as not given.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// How upstreams begin to say that we have spent what we may, where the error's names do not
/// say it: Anthropic calls it an invalid request.
const SPENT: [&str; 2] = ["your credit balance is too low", "you have reached your specified api usage limits"];

/// Words for the same that only count where too much was asked for: elsewhere a message may
/// quote the request.
const SPENT_AT_429: [&str; 3] = ["spend limit", "spending limit", "spending cap"];

/// Longest of the upstream's words passed on to the client, in characters.
const MAX_DETAIL_CHARS: usize = 500;

/// Longest code or field name taken from an upstream, in characters.
const MAX_CODE_CHARS: usize = 64;

/// The error for an answer whose status is not 2xx.
pub(crate) fn refused(target: &Target, status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
    let body = serde_json::from_slice(body).unwrap_or(Value::Null);
    let signal = Signal::read(&body);
    let name = aws::name(headers, &body).or_else(|| signal.exception().map(str::to_owned));
    let named = name.and_then(|name| aws::judged(&name, signal.words(&body)));
    let (category, code) = named.unwrap_or_else(|| by_status(status, &signal));
    let mut error = signal.into_error(target, category, code, &format!("HTTP {status}"));
    error.dispatched = dispatched(status);
    error.retryable &= !matches!(status, 300..=399 | 501);
    let asked_for = retry_after(headers).or(error.retry_after);
    error.retry_after = asked_for.filter(|_| error.retryable);
    error
}

/// Whether a body with status 200, or an event of a stream, is an error.
pub(crate) fn is_error(body: &Value) -> bool {
    let body = body.get(0).unwrap_or(body);
    body.get("error").is_some_and(|error| !error.is_null()) || body.get("object").is_some_and(|kind| kind == "error")
}

/// The error that a body with status 200, an event of a stream or a choice holds.
/// The upstream had begun by then, so that the call may have run.
pub(crate) fn in_body(target: &Target, body: &Value) -> Error {
    let signal = Signal::read(body);
    let (category, code) = match signal.status {
        Some(status) => by_status(status, &signal),
        None if signal.is_spent(None) => (Category::CostLimitError, "insufficient_quota"),
        None => named(&signal, body).unwrap_or((Category::ApiError, "upstream_error")),
    };
    signal.into_error(target, category, code, "an error in its answer")
}

/// The error that a stream of Amazon's ends with: the exception `name`, with `body`. The
/// model had begun by then.
pub(crate) fn exception(target: &Target, name: &str, body: &Value) -> Error {
    let signal = Signal::read(body);
    let judged = aws::judged(name, signal.words(body));
    let (category, code) = judged.unwrap_or((Category::ApiError, "upstream_error"));
    signal.into_error(target, category, code, "an error in its answer")
}

/// What an error body says, in whichever dialect.
#[derive(Debug, Default)]
struct Signal {
    /// An HTTP status given as the code.
    status: Option<u16>,
    code: Option<String>,
    kind: Option<String>,
    param: Option<String>,
    message: Option<String>,
    /// A moderation gave its reasons.
    moderated: bool,
    /// What Google adds.
    details: Details,
}

impl Signal {
    fn read(body: &Value) -> Self {
        let body = body.get(0).unwrap_or(body);
        let error = body.get("error").filter(|error| !error.is_null()).unwrap_or(body);
        let text = |name: &str| error.get(name).or_else(|| body.get(name)).and_then(written);
        let code = text("code");
        Self {
            status: code.as_deref().and_then(|code| code.parse().ok()).filter(|status| (400..600).contains(status)),
            kind: text("type").or_else(|| text("status")),
            param: text("param"),
            message: error.as_str().map(str::to_owned).or_else(|| text("message")).or_else(|| text("detail")),
            moderated: error.pointer("/metadata/reasons").is_some(),
            details: Details::read(&error["details"]),
            code,
        }
    }

    /// Its type, where that is what one of Amazon's services calls it.
    fn exception(&self) -> Option<&str> {
        self.kind.as_deref().filter(|kind| kind.ends_with("Exception"))
    }

    /// Its own names for itself, the more exact before the type.
    fn names(&self) -> impl Iterator<Item = String> {
        let names = [self.code.as_deref(), self.details.reason.as_deref(), self.kind.as_deref()];
        names.into_iter().flatten().map(str::to_ascii_lowercase)
    }

    /// Whether its words say that we have spent what we may.
    fn is_spent(&self, status: Option<u16>) -> bool {
        let message = self.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        let limited = status == Some(429) || self.kind.as_deref() == Some("rate_limit_error");
        SPENT.iter().any(|words| message.starts_with(words))
            || (limited && SPENT_AT_429.iter().any(|words| message.contains(words)))
    }

    /// The message, which some of Amazon's services write with a capital.
    fn words<'a>(&'a self, body: &'a Value) -> &'a str {
        self.message.as_deref().or_else(|| body.get("Message").and_then(Value::as_str)).unwrap_or_default()
    }

    fn into_error(self, target: &Target, category: Category, code: &'static str, how: &str) -> Error {
        let invalid = category == Category::ValidationError;
        // The upstream's own code is worth more to the client than ours.
        let code = self.code.as_deref().filter(|code| invalid && is_name(code)).unwrap_or(code);
        let param = self.param.filter(|param| invalid && param.chars().count() <= MAX_CODE_CHARS);
        let blamed =
            param.as_deref().filter(|param| is_name(param)).map_or(String::new(), |param| format!(" ({param})"));
        let message = format!("{target} answered with {how}: {}{blamed}.", meaning(category, code));

        let mut error = Error::new(target, category, code, message, Dispatched::Maybe);
        error.detail = self.message.filter(|_| invalid).map(|words| Secret::new(cut(&words, MAX_DETAIL_CHARS)));
        error.param = param.map(String::into_boxed_str);
        error.retry_after = self.details.retry_delay.filter(|pause| error.retryable && is_short(pause));
        error
    }
}

/// Category and code of an answer with `status`.
fn by_status(status: u16, signal: &Signal) -> (Category, &'static str) {
    if matches!(status, 400 | 403 | 429) && signal.is_spent(Some(status)) {
        return (Category::CostLimitError, "insufficient_quota");
    }
    // Within these, a name can say something more exact than the status.
    let named = by_name(signal).filter(|(category, _)| {
        matches!(status, 400 | 403 | 422 | 429)
            && matches!(
                category,
                Category::CostLimitError
                    | Category::NotFoundError
                    | Category::AuthenticationError
                    | Category::AuthorizationError
            )
    });
    if let Some(named) = named {
        return named;
    }
    match status {
        300..=399 => (Category::ApiError, "unexpected_redirect"),
        401 => (Category::AuthenticationError, "provider_auth_failed"),
        // The key is one that the upstream knows: it may not do this.
        403 => (Category::AuthorizationError, "provider_access_denied"),
        402 => (Category::CostLimitError, "insufficient_quota"),
        404 => (Category::NotFoundError, "model_not_found"),
        408 | 504 => (Category::TimeoutError, "timeout"),
        413 => (Category::ValidationError, "request_too_large"),
        429 => (Category::RateLimitError, "rate_limit_exceeded"),
        // A conflict and a failed dependency are the upstream's own trouble.
        409 | 424 => (Category::ApiError, "upstream_error"),
        400..=499 => (Category::ValidationError, "invalid_request"),
        _ => (Category::ApiError, "upstream_error"),
    }
}

/// Category and code of an answer that has no status but its names.
fn named(signal: &Signal, body: &Value) -> Option<(Category, &'static str)> {
    by_name(signal).or_else(|| aws::judged(signal.exception()?, signal.words(body)))
}

/// Category and code that the error's own names stand for.
fn by_name(signal: &Signal) -> Option<(Category, &'static str)> {
    if signal.moderated {
        return Some((Category::AuthorizationError, "content_blocked"));
    }
    if signal.details.is_spent {
        return Some((Category::CostLimitError, "insufficient_quota"));
    }
    signal.names().find_map(|name| match name.as_str() {
        "insufficient_quota"
        | "billing_hard_limit_reached"
        | "billing_disabled"
        | "insufficient_balance"
        | "insufficient_credits"
        | "billing_error" => Some((Category::CostLimitError, "insufficient_quota")),
        "rate_limit_exceeded" | "rate_limit_error" | "rate_limited" | "too_many_requests" | "resource_exhausted" => {
            Some((Category::RateLimitError, "rate_limit_exceeded"))
        }
        "invalid_api_key" | "api_key_invalid" | "authentication_error" | "account_deactivated" | "unauthenticated" => {
            Some((Category::AuthenticationError, "provider_auth_failed"))
        }
        "permission_error" | "permission_denied" => Some((Category::AuthorizationError, "provider_access_denied")),
        "model_not_found" | "not_found_error" | "not_found" => Some((Category::NotFoundError, "model_not_found")),
        "content_policy_violation" | "content_filter" | "content_blocked" => {
            Some((Category::AuthorizationError, "content_blocked"))
        }
        "timeout" | "request_timeout" | "timeout_error" | "deadline_exceeded" => {
            Some((Category::TimeoutError, "timeout"))
        }
        "request_too_large" => Some((Category::ValidationError, "request_too_large")),
        "invalid_request_error" | "invalid_argument" | "context_length_exceeded" | "string_above_max_length" => {
            Some((Category::ValidationError, "invalid_request"))
        }
        "server_error"
        | "api_error"
        | "internal_error"
        | "overloaded_error"
        | "service_unavailable"
        | "unavailable"
        | "internal" => Some((Category::ApiError, "upstream_error")),
        _ => None,
    })
}

/// Whether an upstream that answered with `status` may have run the call.
fn dispatched(status: u16) -> Dispatched {
    match status {
        // A time-out and a failed dependency happen on the way; everything else
        // below 500 is a refusal, and so are "unavailable" and Anthropic's "overloaded".
        408 | 424 => Dispatched::Maybe,
        300..=499 | 503 | 529 => Dispatched::No,
        _ => Dispatched::Maybe,
    }
}

/// The pause asked for in milliseconds (`retry-after-ms`) or seconds
/// (`Retry-After`); a date is not understood, as no LLM provider sends one.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = |number: f64| Duration::try_from_secs_f64(number).ok();
    let exact = number("retry-after-ms").and_then(|number| seconds(number / 1000.0)).filter(is_short);
    exact.or_else(|| number("retry-after").and_then(seconds).filter(is_short))
}

/// Whether `pause` is one that is waited for.
fn is_short(pause: &Duration) -> bool {
    !pause.is_zero() && *pause <= MAX_RETRY_AFTER
}

fn meaning(category: Category, code: &str) -> &'static str {
    match category {
        Category::ValidationError => "it refused the request as invalid",
        Category::TimeoutError => "it took too long",
        Category::AuthenticationError => "it does not accept our key",
        Category::AuthorizationError if code == "content_blocked" => "it blocked the content",
        Category::AuthorizationError => "it does not let us use this model",
        Category::RateLimitError => "too many requests",
        Category::CostLimitError => "our quota there is used up",
        Category::NotFoundError => "it knows no such model, or its base URL is wrong",
        Category::ApiError
        | Category::NetworkError
        | Category::InternalError
        | Category::RagError
        | Category::EmbeddingError => "it had a problem",
    }
}

/// A text as it is, a number or an object as JSON; nothing for null and the empty text.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

/// Whether `text` looks like a name of a code or field, and not like prose or a number.
fn is_name(text: &str) -> bool {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "_-.[]".contains(char);
    text.len() <= MAX_CODE_CHARS
        && text.starts_with(|char: char| char.is_ascii_alphabetic())
        && text.chars().all(allowed)
}

#[cfg(test)]
mod tests;
