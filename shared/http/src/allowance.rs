//! Headers that tell of the limits a request met.

use std::time::Duration;

use axum::http::HeaderName;
use turnwise_core::admission::TokenLevel;
use turnwise_engine::admission::Allowance;

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
        header("x-ratelimit-reset-tokens", duration(level.reset)),
        header("anthropic-ratelimit-tokens-limit", limit),
        header("anthropic-ratelimit-tokens-remaining", remaining),
        header("anthropic-ratelimit-tokens-reset", level.resets_at.to_string()),
    ]
}

/// As OpenAI writes it: `6m0s`, `1s`, `120ms`.
fn duration(time: Duration) -> String {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    match (seconds / 60, seconds % 60, millis) {
        (0, 0, millis) => format!("{millis}ms"),
        (0, seconds, 0) => format!("{seconds}s"),
        (0, seconds, millis) => format!("{}s", trimmed(seconds, millis)),
        (minutes, seconds, 0) => format!("{minutes}m{seconds}s"),
        (minutes, seconds, millis) => format!("{minutes}m{}s", trimmed(seconds, millis)),
    }
}

fn trimmed(seconds: u64, millis: u32) -> String {
    format!("{seconds}.{millis:03}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_openai_does() {
        let check = |ms: u64, expected: &str| assert_eq!(duration(Duration::from_millis(ms)), expected);
        check(0, "0ms");
        check(120, "120ms");
        check(1_000, "1s");
        check(1_050, "1.05s");
        check(60_000, "1m0s");
        check(360_000, "6m0s");
        check(61_500, "1m1.5s");
    }
}
