//! The 12 error categories and 4 severities, in one table.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// How much an operator should mind.
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

/// What a category means on the wire and to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// HTTP status, unless the error has a more exact one of its own.
    pub status: u16,
    /// `type` in OpenAI's error object.
    pub kind: &'static str,
    /// `code` in OpenAI's error object, unless the error has its own.
    pub code: &'static str,
    /// For the operator.
    pub severity: Severity,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// What a person who only uses the service should read.
    pub user_text: &'static str,
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

    /// The category's row of the table.
    #[must_use]
    pub const fn profile(self) -> Profile {
        use Severity::{Critical, High, Low, Medium};
        macro_rules! row {
            ($status:literal, $kind:literal, $code:literal, $severity:ident, $retryable:literal, $text:literal) => {
                Profile {
                    status: $status,
                    kind: $kind,
                    code: $code,
                    severity: $severity,
                    retryable: $retryable,
                    user_text: $text,
                }
            };
        }
        match self {
            Self::ApiError => row!(
                502,
                "api_error",
                "upstream_error",
                High,
                true,
                "The AI provider had a problem. Please try again in a moment."
            ),
            Self::NetworkError => row!(
                502,
                "api_error",
                "network_error",
                Medium,
                true,
                "We couldn't reach the AI provider. Please try again."
            ),
            Self::ValidationError => row!(
                400,
                "invalid_request_error",
                "invalid_request",
                Low,
                false,
                "Something in the request isn't valid."
            ),
            Self::TimeoutError => {
                row!(504, "api_error", "timeout", Medium, true, "This took too long. Any partial answer was kept.")
            }
            Self::AuthenticationError => {
                row!(401, "authentication_error", "invalid_api_key", Medium, false, "Your API key wasn't accepted.")
            }
            Self::AuthorizationError => {
                row!(403, "permission_error", "not_allowed", Medium, false, "Your key isn't allowed to do this.")
            }
            Self::RateLimitError => {
                row!(429, "rate_limit_error", "rate_limit_exceeded", Low, true, "Too many requests. Try again shortly.")
            }
            Self::CostLimitError => {
                row!(402, "insufficient_quota", "budget_exceeded", High, false, "The spending limit is reached.")
            }
            Self::NotFoundError => row!(404, "not_found_error", "not_found", Low, false, "We couldn't find that."),
            Self::InternalError => {
                row!(500, "server_error", "internal_error", Critical, true, "Something went wrong on our side.")
            }
            Self::RagError => row!(
                502,
                "api_error",
                "retrieval_failed",
                Medium,
                true,
                "Your documents couldn't be searched; the answer doesn't use them."
            ),
            Self::EmbeddingError => row!(
                502,
                "api_error",
                "embedding_failed",
                Medium,
                true,
                "The document couldn't be indexed yet; we'll retry."
            ),
        }
    }
}

/// The category's name as it stands in error bodies: `RATE_LIMIT_ERROR`.
impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_written_in_capitals() {
        assert_eq!(Category::RateLimitError.to_string(), "RATE_LIMIT_ERROR");
        assert_eq!(Category::ApiError.to_string(), "API_ERROR");
    }

    #[test]
    fn statuses_are_those_of_http() {
        for category in Category::ALL {
            let status = category.profile().status;
            assert!((400..=504).contains(&status), "{category}: {status}");
        }
    }
}
