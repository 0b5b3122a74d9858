//! Headers that tell of the limits a request met.

use axum::http::HeaderName;
use turnwise_core::admission::TokenLevel;
use turnwise_engine::admission::Allowance;

use crate::rates::written;

/// Most output tokens that the model was asked for, where the request had not said so.
const MAX_TOKENS: HeaderName = HeaderName::from_static("x-turnwise-max-tokens");

/// What a request was allowed, and what is left.
pub(crate) fn allowance_headers(allowance: &Allowance) -> Vec<(HeaderName, String)> {
    let max_output = allowance.max_output.map(|most| (MAX_TOKENS, most.to_string()));
    let tokens = allowance.tokens.iter().flat_map(token_headers);
    max_output.into_iter().chain(tokens).collect()
}

/// How a limit of tokens stands, in the words of OpenAI's and of Anthropic's clients.
pub(crate) fn token_headers(level: &TokenLevel) -> [(HeaderName, String); 6] {
    let header = |name: &'static str, value: String| (HeaderName::from_static(name), value);
    let (limit, remaining) = (level.limit.to_string(), level.remaining.to_string());
    [
        header("x-ratelimit-limit-tokens", limit.clone()),
        header("x-ratelimit-remaining-tokens", remaining.clone()),
        header("x-ratelimit-reset-tokens", written(level.reset)),
        header("anthropic-ratelimit-tokens-limit", limit),
        header("anthropic-ratelimit-tokens-remaining", remaining),
        header("anthropic-ratelimit-tokens-reset", level.resets_at.to_string()),
    ]
}
