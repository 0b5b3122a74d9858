//! The 12 error categories and 4 severities, in one table.
//!
//! - [`Category::profile`]: a category's row; [`CODES`]: the codes within it, and where one of
//!   them differs from the row
//! - [`Details`]: what the text for people is filled with
//! - [`Category::page`]: what the documentation says of a category; [`Category::named`]: which
//!   one a word means

mod codes;
mod pages;
mod user_text;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::codes::CODES;
pub use self::user_text::Details;

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Category {
    /// The provider answered with an error.
    ApiError,
    /// The provider could not be reached, or its answer broke off.
    NetworkError,
    /// The request is not valid.
    ValidationError,
    /// Something took longer than it may.
    TimeoutError,
    /// A key was not accepted: the client's, or ours at a provider.
    AuthenticationError,
    /// The key is good but not for this.
    AuthorizationError,
    /// Too many requests.
    RateLimitError,
    /// A spending limit is reached.
    CostLimitError,
    /// There is no such thing, or it is not yours.
    NotFoundError,
    /// A defect or an outage of our own.
    InternalError,
    /// Retrieval of documents failed.
    RagError,
    /// A document could not be embedded.
    EmbeddingError,
}

/// How much an operator should mind. Decides the level of an error's line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// The client's business.
    Low,
    /// Passing trouble.
    Medium,
    /// A part of the service is failing.
    High,
    /// Someone should look now.
    Critical,
}

/// Whether the same request may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It may.
    Yes,
    /// Perhaps, if it has an idempotency key; what fails twice is not passing.
    Once,
    /// It would fail again.
    No,
}

impl Retry {
    /// Whether another try makes sense at all.
    #[must_use]
    pub const fn may_help(self) -> bool {
        match self {
            Self::Yes | Self::Once => true,
            Self::No => false,
        }
    }
}

/// What an error means on the wire and to people: a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Its category.
    pub category: Category,
    /// `code` in OpenAI's error object.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// `type` in OpenAI's error object.
    pub kind: &'static str,
    /// For the operator.
    pub severity: Severity,
    /// Whether the same request may succeed later.
    pub retry: Retry,
    /// What a person who only uses the service should read: the most exact text first, the
    /// last one without `{placeholders}`.
    texts: &'static [&'static str],
}

impl Category {
    /// All categories, in the order of the table.
    pub const ALL: [Self; 12] = [
        Self::ApiError,
        Self::NetworkError,
        Self::ValidationError,
        Self::TimeoutError,
        Self::AuthenticationError,
        Self::AuthorizationError,
        Self::RateLimitError,
        Self::CostLimitError,
        Self::NotFoundError,
        Self::InternalError,
        Self::RagError,
        Self::EmbeddingError,
    ];

    /// The category's row of the table: what holds for its codes unless [`CODES`] says
    /// otherwise.
    #[must_use]
    pub const fn profile(self) -> Profile {
        use Retry::{No, Once, Yes};
        use Severity::{Critical, High, Low, Medium};
        let (status, kind, code, severity, retry, texts): (_, _, _, _, _, &'static [&'static str]) = match self {
            Self::ApiError => {
                let texts = &["The AI provider had a problem. Please try again in a moment."];
                (502, "api_error", "upstream_error", High, Yes, texts)
            }
            Self::NetworkError => {
                let texts = &["We couldn't reach the AI provider. Please try again."];
                (502, "api_error", "network_error", Medium, Yes, texts)
            }
            Self::ValidationError => {
                let texts =
                    &["Something in the request isn't valid: {field}.", "Something in the request isn't valid."];
                (400, "invalid_request_error", "invalid_request", Low, No, texts)
            }
            Self::TimeoutError => {
                let texts = &["This took too long. Any partial answer was kept."];
                (504, "api_error", "timeout", Medium, Yes, texts)
            }
            Self::AuthenticationError => {
                (401, "authentication_error", "invalid_api_key", Medium, No, &["Your API key wasn't accepted."])
            }
            Self::AuthorizationError => {
                (403, "permission_error", "model_not_allowed", Medium, No, &["Your key isn't allowed to do this."])
            }
            Self::RateLimitError => {
                let texts =
                    &["Too many requests. Try again in {n} s.", "Too many requests. Please try again in a moment."];
                (429, "rate_limit_error", "rate_limit_exceeded", Low, Yes, texts)
            }
            Self::CostLimitError => {
                let texts = &[
                    "The spending limit for {scope} is reached; it resets on {date}.",
                    "The spending limit for {scope} is reached.",
                    "The spending limit is reached; it resets on {date}.",
                    "The spending limit is reached.",
                ];
                (402, "insufficient_quota", "budget_exceeded", High, No, texts)
            }
            Self::NotFoundError => {
                let texts = &["We couldn't find the {thing}.", "We couldn't find that."];
                (404, "not_found_error", "not_found", Low, No, texts)
            }
            Self::InternalError => {
                let texts =
                    &["Something went wrong on our side. Reference: {id}.", "Something went wrong on our side."];
                (500, "server_error", "internal_error", Critical, Once, texts)
            }
            Self::RagError => {
                let texts = &["Your documents couldn't be searched; the answer doesn't use them."];
                (502, "api_error", "retrieval_failed", Medium, Yes, texts)
            }
            Self::EmbeddingError => {
                let texts = &["The document couldn't be indexed yet; we'll retry."];
                (502, "api_error", "embedding_failed", Medium, Yes, texts)
            }
        };
        Profile { category: self, code, status, kind, severity, retry, texts }
    }

    /// The row of `code` in this category: its own where [`CODES`] has one, the category's for
    /// the codes of upstreams that are passed on.
    #[must_use]
    pub fn profile_of(self, code: &str) -> Profile {
        let own = CODES.iter().find(|row| row.category == self && row.code == code);
        own.copied().unwrap_or_else(|| self.profile())
    }
}

/// The category's name as it stands in error bodies: `RATE_LIMIT_ERROR`.
impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The severity's name as it stands in error bodies: `HIGH`.
impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// As the documentation writes it: `yes`, `once`, `no`.
impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::Once => "once",
            Self::No => "no",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_in_capitals() {
        assert_eq!(Category::RateLimitError.to_string(), "RATE_LIMIT_ERROR");
        assert_eq!(Category::ApiError.to_string(), "API_ERROR");
        assert_eq!(Severity::Critical.to_string(), "CRITICAL");
    }

    #[test]
    fn statuses_are_those_of_http() {
        let rows = Category::ALL.map(Category::profile);
        for row in rows.iter().chain(CODES) {
            assert!((400..=504).contains(&row.status), "{}: {}", row.code, row.status);
        }
    }

    #[test]
    fn a_code_has_its_own_row_and_any_other_that_of_its_category() {
        let check = |category: Category, code: &str, status: u16, severity: Severity| {
            let row = category.profile_of(code);
            assert_eq!((row.category, row.status, row.severity), (category, status, severity), "{code}");
        };
        // A client's key, and ours at a provider.
        check(Category::AuthenticationError, "invalid_api_key", 401, Severity::Medium);
        check(Category::AuthenticationError, "provider_auth_failed", 502, Severity::Critical);
        // A client's budget, and ours at a provider.
        check(Category::CostLimitError, "budget_exceeded", 402, Severity::High);
        check(Category::CostLimitError, "insufficient_quota", 502, Severity::High);
        // A code of an upstream's own.
        check(Category::ValidationError, "string_above_max_length", 400, Severity::Low);
        // A code of another category.
        check(Category::ApiError, "provider_auth_failed", 502, Severity::High);
    }
}
