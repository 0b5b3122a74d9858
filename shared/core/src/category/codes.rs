//! Every code that we emit: the rows within a category, and where one differs from it.

use super::Retry::{No, Yes};
use super::Severity::{Critical, High, Low, Medium};
use super::{Category, Profile, Retry, Severity};

/// What a person reads where the operator's own account or key is the trouble. Nothing that
/// the person does helps.
const MISCONFIGURED: &[&str] = &["The service is misconfigured; its operator has been told."];

/// What a person reads whose turn somebody stopped.
const STOPPED: &[&str] = &["This was stopped before it was finished."];

/// What a person reads who was too quick.
const BUSY: &[&str] = &[
    "Something is still being answered here. Try again in {n} s.",
    "Something is still being answered here. Please try again in a moment.",
];

/// What a person reads while the service itself has to wait.
const UNAVAILABLE: &[&str] = &[
    "The service isn't available right now. Try again in {n} s. Reference: {id}.",
    "The service isn't available right now. Please try again. Reference: {id}.",
    "The service isn't available right now. Please try again.",
];

/// What a person reads whose stream ends before its answer.
const STREAM_ENDS: &[&str] = &["The connection ended before the answer did. Please load it again."];

/// Every code that we emit, by category. An upstream's own code for a request that it refused
/// as invalid is passed on and not listed here.
pub const CODES: &[Profile] = &[
    row(Category::ApiError, "upstream_error"),
    row(Category::ApiError, "malformed_answer"),
    row(Category::ApiError, "malformed_call"),
    row(Category::ApiError, "tool_not_allowed"),
    row(Category::ApiError, "unexpected_redirect").retry(No).says(MISCONFIGURED),
    row(Category::ApiError, "answer_too_long").retry(No).says(&["The AI's answer was too long. Please ask for less."]),
    row(Category::ApiError, "answer_without_text")
        .retry(No)
        .says(&["The AI didn't write an answer. Please ask differently."]),
    row(Category::ApiError, "outcome_unknown")
        .retry(No)
        .says(&["We can't tell whether the AI answered. Please send your message anew."]),
    row(Category::NetworkError, "network_error"),
    row(Category::NetworkError, "stream_truncated").says(&["The answer broke off. Please try again."]),
    row(Category::NetworkError, "taken_over").says(STREAM_ENDS),
    row(Category::NetworkError, "stream_incomplete").says(STREAM_ENDS),
    row(Category::NetworkError, "stream_handed_over").severity(Low).says(STREAM_ENDS),
    row(Category::ValidationError, "invalid_request"),
    row(Category::ValidationError, "unsupported_request"),
    row(Category::ValidationError, "context_length_exceeded")
        .says(&["This conversation is too long for the AI model. Please begin a new one."]),
    row(Category::ValidationError, "max_tokens_exceeded"),
    row(Category::ValidationError, "body_too_large").status(413).says(&["This is too long. Please send less."]),
    row(Category::ValidationError, "field_too_large").status(413).says(&["This is too long. Please send less."]),
    row(Category::ValidationError, "request_too_large").status(413).says(&["This is too long. Please send less."]),
    row(Category::ValidationError, "method_not_allowed").status(405),
    row(Category::ValidationError, "idempotency_key_reused")
        .status(422)
        .says(&["This was sent before with another content. Please send it anew."]),
    row(Category::ValidationError, "turn_number_mismatch")
        .status(412)
        .says(&["The conversation has changed meanwhile. Please load it again."]),
    row(Category::ValidationError, "conversation_busy").status(409).retry(Yes).says(BUSY),
    row(Category::ValidationError, "turn_in_progress").status(409).retry(Yes).says(BUSY),
    row(Category::ValidationError, "request_in_progress").status(409).retry(Yes).says(BUSY),
    row(Category::ValidationError, "turn_queued").status(409).says(&["Your message waits for its turn."]),
    row(Category::ValidationError, "turn_ended").status(409).says(&["This can't be stopped any more: it has ended."]),
    row(Category::ValidationError, "lock_not_held").status(409),
    row(Category::ValidationError, "cancelled").status(409).says(STOPPED),
    row(Category::ValidationError, "interrupted").status(409).says(STOPPED),
    row(Category::TimeoutError, "timeout"),
    row(Category::TimeoutError, "upstream_silent"),
    row(Category::TimeoutError, "upstream_timeout"),
    row(Category::TimeoutError, "turn_timeout"),
    row(Category::AuthenticationError, "invalid_api_key"),
    row(Category::AuthenticationError, "provider_auth_failed").status(502).severity(Critical).says(MISCONFIGURED),
    row(Category::AuthorizationError, "admin_key_required"),
    row(Category::AuthorizationError, "operator_key_required"),
    row(Category::AuthorizationError, "insufficient_scope"),
    row(Category::AuthorizationError, "model_not_allowed"),
    row(Category::AuthorizationError, "key_not_active"),
    row(Category::AuthorizationError, "content_blocked")
        .says(&["The AI provider doesn't allow this content. Please change it."]),
    row(Category::AuthorizationError, "provider_access_denied").status(502).severity(High).says(MISCONFIGURED),
    row(Category::RateLimitError, "rate_limit_exceeded"),
    row(Category::RateLimitError, "queue_full").says(&[
        "Too many messages wait in this conversation. Try again in {n} s.",
        "Too many messages wait in this conversation. Please try again in a moment.",
    ]),
    row(Category::CostLimitError, "insufficient_quota")
        .status(502)
        .says(&["The service has used up what it may spend at the AI provider; its operator has been told."]),
    row(Category::NotFoundError, "model_not_found"),
    row(Category::NotFoundError, "conversation_not_found"),
    row(Category::NotFoundError, "thread_not_found"),
    row(Category::NotFoundError, "turn_not_found"),
    row(Category::NotFoundError, "item_not_found"),
    row(Category::NotFoundError, "key_not_found"),
    row(Category::NotFoundError, "response_not_found"),
    row(Category::NotFoundError, "previous_response_not_found"),
    row(Category::NotFoundError, "route_not_found").says(&["There is nothing at this address."]),
    row(Category::NotFoundError, "conversation_deleted").status(410).says(&["This conversation was deleted."]),
    row(Category::NotFoundError, "turn_gone").status(410).says(&["This answer is no longer kept."]),
    row(Category::InternalError, "internal_error"),
    row(Category::InternalError, "work_failed"),
    row(Category::InternalError, "commit_failed").status(503).retry(Yes).says(UNAVAILABLE),
    row(Category::InternalError, "table_unavailable").status(503).retry(Yes).says(UNAVAILABLE),
    row(Category::InternalError, "queue_unavailable").status(503).retry(Yes).says(UNAVAILABLE),
    row(Category::InternalError, "not_ready").status(503).retry(Yes).says(UNAVAILABLE),
    row(Category::InternalError, "no_key_pepper").status(503).severity(High).retry(No).says(MISCONFIGURED),
    // A process that went down in order, or was killed: what it did goes on elsewhere.
    row(Category::InternalError, "handed_over").status(503).severity(Medium).retry(Yes).says(UNAVAILABLE),
    row(Category::InternalError, "broken_off").status(503).severity(Medium).retry(Yes).says(UNAVAILABLE),
];

/// The row of `code`, as `category` has it.
const fn row(category: Category, code: &'static str) -> Profile {
    Profile { code, ..category.profile() }
}

impl Profile {
    const fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    const fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    const fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    const fn says(self, texts: &'static [&'static str]) -> Self {
        Self { texts, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_belongs_to_one_category() {
        let codes: BTreeSet<&str> = CODES.iter().map(|row| row.code).collect();
        assert_eq!(codes.len(), CODES.len());
        let is_code = |code: &str| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(codes.into_iter().all(is_code));
    }

    #[test]
    fn no_row_answers_with_401_for_what_a_provider_says() {
        let unauthorized = CODES.iter().filter(|row| row.status == 401).map(|row| row.code);
        assert_eq!(unauthorized.collect::<Vec<_>>(), ["invalid_api_key"]);
    }

    #[test]
    fn what_a_client_is_at_fault_for_wakes_nobody() {
        for row in CODES.iter().filter(|row| row.status < 500) {
            assert!(row.severity <= Medium, "{}", row.code);
        }
    }
}
