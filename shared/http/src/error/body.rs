//! An error's body, as each standard has it.

use axum::http::HeaderMap;
use serde::Serialize;
use turnwise_core::category::{Category, Severity};
use turnwise_core::time::Timestamp;
use utoipa::ToSchema;

/// Whose clients read the body. It follows from the route, as errors that no handler makes
/// need one as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standard {
    /// `{"error": {...}}`.
    OpenAi,
    /// `{"type": "error", "error": {...}, "request_id": ...}`.
    Anthropic,
}

/// The header by which Anthropic's clients tell themselves apart where both ask: they send
/// it with every request. Any version is served the same.
const ANTHROPIC_VERSION: &str = "anthropic-version";

/// Routes of Anthropic's alone.
const MESSAGES: &str = "/v1/messages";

/// Routes where both ask.
const SHARED: [&str; 2] = ["/v1/models", "/v1/turns"];

impl Standard {
    /// The standard of a request for `path`.
    #[must_use]
    pub fn of(path: &str, headers: &HeaderMap) -> Self {
        let is_in = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let says_so = headers.contains_key(ANTHROPIC_VERSION) && SHARED.into_iter().any(is_in);
        let is_anthropics = is_in(MESSAGES) || says_so;
        if is_anthropics { Self::Anthropic } else { Self::OpenAi }
    }

    /// The body that says `error`.
    pub(super) fn body(self, error: ErrorObject) -> Vec<u8> {
        let body = match self {
            Self::OpenAi => serde_json::to_vec(&ErrorBody { error }),
            Self::Anthropic => serde_json::to_vec(&MessageErrorBody::from(error)),
        };
        body.unwrap_or_default()
    }
}

/// OpenAI's error object with our additions.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorObject,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorObject {
    /// A sentence that says what failed, for which input: for the developer.
    pub message: String,
    /// A sentence for the person who only uses the service.
    pub user_message: String,
    /// OpenAI's type of error.
    #[serde(rename = "type")]
    pub kind: String,
    /// The field at fault.
    pub param: Option<String>,
    /// Machine-readable code.
    pub code: String,
    /// One of twelve.
    #[schema(value_type = String)]
    pub category: Category,
    /// For the operator.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Seconds to wait before that, where it is known.
    pub retry_after_s: Option<f64>,
    /// The request, to be found in the log.
    pub request_id: String,
    /// The HTTP status, by which some standards name their types; no part of the body.
    #[serde(skip)]
    pub status: u16,
    /// Whose budget is used up, and when it begins anew: told in `user_message`.
    #[serde(skip)]
    pub limit: Option<(String, Timestamp)>,
    /// Every fault of an invalid request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultBody>,
    /// Whether a part of the answer had arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<bool>,
    /// That part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_text: Option<String>,
}

/// One fault of one field.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FaultBody {
    /// The field, as a JSON path.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Anthropic's error body with our additions.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MessageErrorBody {
    /// `error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The error: its type, in Anthropic's words, and what stands in every error of ours.
    #[schema(value_type = ErrorObject)]
    pub error: ErrorObject,
    /// The request, to be found in the log.
    pub request_id: String,
}

impl From<ErrorObject> for MessageErrorBody {
    fn from(error: ErrorObject) -> Self {
        let kind = message_error_type(error.status).to_owned();
        let request_id = error.request_id.clone();
        Self { kind: "error", error: ErrorObject { kind, ..error }, request_id }
    }
}

/// What Anthropic calls an error with this status.
const fn message_error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 | 410 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        // Its own clients see 529 as well; both are tried again.
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(path: &str, versioned: Standard, plain: Standard) {
        let mut headers = HeaderMap::new();
        assert_eq!(Standard::of(path, &headers), plain, "{path}");
        headers.insert(ANTHROPIC_VERSION, HeaderValue::from_static("2023-06-01"));
        assert_eq!(Standard::of(path, &headers), versioned, "{path}");
    }

    #[test]
    fn the_route_decides_whose_clients_ask() {
        use Standard::{Anthropic, OpenAi};
        check("/v1/messages", Anthropic, Anthropic);
        check("/v1/messages/count_tokens", Anthropic, Anthropic);
        check("/v1/messagesx", OpenAi, OpenAi);
        check("/v1/models", Anthropic, OpenAi);
        check("/v1/models/local/echo", Anthropic, OpenAi);
        check("/v1/turns/k", Anthropic, OpenAi);
        check("/v1/chat/completions", OpenAi, OpenAi);
    }
}
