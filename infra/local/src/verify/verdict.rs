//! What a provider's answer, or its absence, says of its address and our key. Pure.

use std::error::Error as _;
use std::time::Duration;

use serde::Serialize;
use turnwise_core::category::Category;
use turnwise_providers::catalogue::Known;
use turnwise_providers::{Error, Place};

/// What is known of one provider once it has been asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether it answered at all.
    pub(super) reachable: bool,
    /// What became of our key.
    pub(super) key: Key,
    /// How many models it lists.
    pub(super) models: Option<usize>,
    /// What is wrong, and what to do; `None` if all is fine.
    pub(super) problem: Option<String>,
}

/// What became of our key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Key {
    /// The provider takes it.
    Accepted,
    /// It does not.
    Refused,
    /// None is set, and it asked for none.
    NotSent,
    /// It did not come to that.
    Unknown,
}

impl Verdict {
    /// It answered with a list of `models`.
    pub(super) fn fine(place: &Place, models: usize) -> Self {
        let key = if place.sends_key { Key::Accepted } else { Key::NotSent };
        Self { reachable: true, key, models: Some(models), problem: None }
    }

    /// It did not answer within `limit`.
    pub(super) fn silent(known: &Known, place: &Place, limit: Duration) -> Self {
        let what = format!("{} did not answer within {} s.", known.name, limit.as_secs());
        Self { reachable: false, key: Key::Unknown, models: None, problem: Some(what + " " + &way_there(known, place)) }
    }

    /// It refused, or could not be asked.
    pub(super) fn of_error(known: &Known, place: &Place, error: &Error) -> Self {
        let (key_variable, base_url_variable) = (&known.key_variable, &known.base_url_variable);
        let (reachable, key, advice) = match error.category {
            Category::AuthenticationError if !place.sends_key => {
                (true, Key::Refused, format!("It wants a key: set {key_variable}."))
            }
            Category::AuthenticationError => {
                let advice = format!("Check {key_variable}: it may be mistyped, revoked, or not allowed to do this.");
                (true, Key::Refused, advice)
            }
            Category::CostLimitError => {
                (true, Key::Accepted, "Top up the account there, or raise its limit.".to_owned())
            }
            Category::RateLimitError => (true, Key::Unknown, "Try again in a minute.".to_owned()),
            Category::NetworkError | Category::TimeoutError => (false, Key::Unknown, way_there(known, place)),
            Category::NotFoundError | Category::ValidationError | Category::AuthorizationError => {
                (true, Key::Unknown, format!("Check {base_url_variable}: something else may be at that address."))
            }
            Category::ApiError if is_other_api(error) && place.own_address => {
                (true, Key::Unknown, format!("Check {base_url_variable}: something else is at that address."))
            }
            Category::ApiError | Category::InternalError | Category::RagError | Category::EmbeddingError => {
                (true, Key::Unknown, "Try again later; its status page may say more.".to_owned())
            }
        };
        let cause = root_cause(error).map(|cause| format!(" Cause: {cause}.")).unwrap_or_default();
        Self { reachable, key, models: None, problem: Some(format!("{error}{cause} {advice}")) }
    }
}

/// What to look at when nobody answers.
fn way_there(known: &Known, place: &Place) -> String {
    if place.own_address {
        format!("Check {}, and whether a server runs there.", known.base_url_variable)
    } else {
        "Check this machine's network, its firewall and its name server.".to_owned()
    }
}

/// Whether what answered does not speak this provider's format.
fn is_other_api(error: &Error) -> bool {
    matches!(&*error.code, "malformed_answer" | "unexpected_redirect")
}

/// The innermost cause: "connection refused", "no such host".
fn root_cause(error: &Error) -> Option<String> {
    let mut innermost = error.source()?;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    Some(innermost.to_string().trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use turnwise_providers::Dispatched;
    use turnwise_providers::catalogue::known;

    use super::*;

    fn place(own_address: bool, sends_key: bool) -> Place {
        Place { host: "host".to_owned(), own_address, sends_key }
    }

    fn error(category: Category, code: &str) -> Error {
        Error {
            provider: "openai".into(),
            category,
            code: code.into(),
            message: "openai/models answered.".into(),
            detail: None,
            param: None,
            retry_after: None,
            retryable: false,
            dispatched: Dispatched::No,
            source: Some(Box::new(std::io::Error::other("connection refused"))),
        }
    }

    fn check(place: &Place, category: Category, code: &str, expected: (bool, Key, &str)) {
        let verdict = Verdict::of_error(&known()[0], place, &error(category, code));
        let problem = verdict.problem.unwrap();
        assert_eq!((verdict.reachable, verdict.key), (expected.0, expected.1), "{category:?}");
        assert!(problem.contains(expected.2), "{category:?}: {problem}");
        assert!(problem.starts_with("openai/models answered. Cause: connection refused. "), "{problem}");
    }

    #[test]
    fn each_category_has_its_advice() {
        let (theirs, own) = (place(false, true), place(true, false));
        check(&theirs, Category::AuthenticationError, "", (true, Key::Refused, "Check OPENAI_API_KEY"));
        check(&own, Category::AuthenticationError, "", (true, Key::Refused, "set OPENAI_API_KEY"));
        check(&theirs, Category::CostLimitError, "", (true, Key::Accepted, "Top up"));
        check(&theirs, Category::RateLimitError, "", (true, Key::Unknown, "in a minute"));
        check(&theirs, Category::NetworkError, "", (false, Key::Unknown, "network"));
        check(&own, Category::TimeoutError, "", (false, Key::Unknown, "OPENAI_BASE_URL"));
        check(&own, Category::NotFoundError, "", (true, Key::Unknown, "OPENAI_BASE_URL"));
        check(&own, Category::ApiError, "malformed_answer", (true, Key::Unknown, "OPENAI_BASE_URL"));
        check(&own, Category::ApiError, "upstream_error", (true, Key::Unknown, "later"));
        check(&theirs, Category::ApiError, "malformed_answer", (true, Key::Unknown, "later"));
    }

    #[test]
    fn a_key_is_accepted_only_if_one_was_sent() {
        assert_eq!(Verdict::fine(&place(false, true), 3).key, Key::Accepted);
        assert_eq!(Verdict::fine(&place(true, false), 3).key, Key::NotSent);
    }
}
