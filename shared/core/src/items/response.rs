//! The answer of `POST /v1/responses`, at every stage of its making.

use serde_json::{Value, json};

use super::echo::echo;
use crate::category::Category;
use crate::json::RawMap;
use crate::time::Timestamp;
use crate::turn::{Failure, Outcome};
use crate::usage::Usage;

/// A response, ready to be written as OpenAI and Open Responses describe it: every
/// field either standard requires is there.
#[derive(Debug, Clone)]
pub struct ResponseObject<'a> {
    /// Its id, `resp_...`.
    pub id: &'a str,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// How far it is.
    pub state: ResponseState,
    /// The model that answers, `provider/model`.
    pub model: &'a str,
    /// What it consists of so far: items with their ids.
    pub output: Vec<Value>,
    /// Tokens, once they are known.
    pub usage: Option<Usage>,
    /// The response it continues.
    pub previous_response_id: Option<&'a str>,
    /// The conversation it is part of, if the client knows it as one.
    pub conversation: Option<&'a str>,
    /// The request's own fields; those a response repeats are taken from it.
    pub echo: &'a RawMap,
}

/// How far a response is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseState {
    /// It waits for its turn.
    Queued,
    /// It is being made.
    InProgress,
    /// It is whole.
    Completed {
        /// Since when.
        at: Timestamp,
    },
    /// It ended before it was whole.
    Incomplete {
        /// Why.
        reason: IncompleteReason,
    },
    /// There is no answer.
    Failed(ResponseError),
    /// The client did not want it any more.
    Cancelled,
}

/// Why an answer ended before it was whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncompleteReason {
    /// The model or the request allows no longer one.
    MaxOutputTokens,
    /// The provider's filter stopped it.
    ContentFilter,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseError {
    /// A word for programs; OpenAI's own are `server_error`, `rate_limit_exceeded`,
    /// `invalid_prompt`, and a dozen for images.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

impl ResponseError {
    /// A turn's failure in OpenAI's words, of which there are few; what happened stands
    /// in the message.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        let code = match failure.category {
            Category::RateLimitError => "rate_limit_exceeded",
            Category::ValidationError => "invalid_prompt",
            Category::ApiError
            | Category::NetworkError
            | Category::TimeoutError
            | Category::AuthenticationError
            | Category::AuthorizationError
            | Category::CostLimitError
            | Category::NotFoundError
            | Category::InternalError
            | Category::RagError
            | Category::EmbeddingError => "server_error",
        };
        Self { code: code.to_owned(), message: failure.message.clone() }
    }
}

impl ResponseState {
    /// The state of a response whose turn ended with `failure`.
    #[must_use]
    pub fn of_failure(failure: &Failure) -> Self {
        match failure.outcome {
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Retryable | Outcome::Final | Outcome::OutcomeUnknown => Self::Failed(ResponseError::of(failure)),
        }
    }

    /// The state of a response whose `chat.completion` object, committed at `at`, is
    /// `completion`.
    #[must_use]
    pub fn of_completion(completion: &Value, at: Timestamp) -> Self {
        match completion.pointer("/choices/0/finish_reason").and_then(Value::as_str) {
            Some("length") => Self::Incomplete { reason: IncompleteReason::MaxOutputTokens },
            Some("content_filter") => Self::Incomplete { reason: IncompleteReason::ContentFilter },
            Some(_) | None => Self::Completed { at },
        }
    }

    /// Its name in `status`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed { .. } => "completed",
            Self::Incomplete { .. } => "incomplete",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// OpenAI names the time of a completed response alone.
    fn completed_at(&self) -> Option<u64> {
        match self {
            Self::Completed { at } => Some(at.as_secs()),
            Self::Queued | Self::InProgress | Self::Incomplete { .. } | Self::Failed(_) | Self::Cancelled => None,
        }
    }

    fn incomplete_details(&self) -> Value {
        match self {
            Self::Incomplete { reason } => json!({"reason": reason.name()}),
            Self::Queued | Self::InProgress | Self::Completed { .. } | Self::Failed(_) | Self::Cancelled => Value::Null,
        }
    }

    fn error(&self) -> Value {
        match self {
            Self::Failed(error) => json!({"code": error.code, "message": error.message}),
            Self::Queued | Self::InProgress | Self::Completed { .. } | Self::Incomplete { .. } | Self::Cancelled => {
                Value::Null
            }
        }
    }
}

impl IncompleteReason {
    /// Its name in `incomplete_details`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxOutputTokens => "max_output_tokens",
            Self::ContentFilter => "content_filter",
        }
    }
}

impl ResponseObject<'_> {
    /// The response as JSON; equal arguments give equal bytes, since its keys are
    /// sorted and nothing in it comes from elsewhere.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut fields = echo(self.echo);
        let own = [
            ("id", json!(self.id)),
            ("object", json!("response")),
            ("created_at", json!(self.created_at.as_secs())),
            ("completed_at", json!(self.state.completed_at())),
            ("status", json!(self.state.name())),
            ("incomplete_details", self.state.incomplete_details()),
            ("error", self.state.error()),
            ("model", json!(self.model)),
            ("output", json!(self.output)),
            ("usage", self.usage.as_ref().map_or(Value::Null, usage)),
            ("previous_response_id", json!(self.previous_response_id)),
            ("conversation", self.conversation.map_or(Value::Null, |id| json!({"id": id}))),
        ];
        fields.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Value::Object(fields)
    }
}

/// Tokens as both standards write them.
pub(super) fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.total_input(),
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write + usage.cache_write_1h},
        "output_tokens": usage.total_output(),
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total_input() + usage.total_output(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Source;

    fn check(state: ResponseState, expected: &Value) {
        let echo = RawMap::new();
        let response = ResponseObject {
            id: "resp_1",
            created_at: Timestamp(1_999),
            state,
            model: "local/echo",
            output: Vec::new(),
            usage: None,
            previous_response_id: None,
            conversation: None,
            echo: &echo,
        };
        let body = response.to_json();
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&body[name], value, "{name}");
        }
        assert_eq!(body.to_string(), response.to_json().to_string());
    }

    #[test]
    fn a_state_says_all_that_follows_from_it() {
        let at = Timestamp(5_500);
        check(
            ResponseState::Completed { at },
            &json!({"status": "completed", "created_at": 1, "completed_at": 5, "error": null, "incomplete_details": null}),
        );
        check(
            ResponseState::Incomplete { reason: IncompleteReason::ContentFilter },
            &json!({"status": "incomplete", "completed_at": null, "incomplete_details": {"reason": "content_filter"}}),
        );
        let error = ResponseError { code: "server_error".to_owned(), message: "It broke.".to_owned() };
        check(
            ResponseState::Failed(error),
            &json!({"status": "failed", "completed_at": null, "error": {"code": "server_error", "message": "It broke."}}),
        );
        check(ResponseState::Queued, &json!({"status": "queued", "usage": null, "output": []}));
    }

    #[test]
    fn the_finish_reason_decides_whether_an_answer_is_whole() {
        let at = Timestamp(1);
        let completed = ResponseState::Completed { at };
        let incomplete = |reason| ResponseState::Incomplete { reason };
        for (finish_reason, expected) in [
            ("stop", completed.clone()),
            ("tool_calls", completed),
            ("length", incomplete(IncompleteReason::MaxOutputTokens)),
            ("content_filter", incomplete(IncompleteReason::ContentFilter)),
        ] {
            let completion = json!({"choices": [{"finish_reason": finish_reason}]});
            assert_eq!(ResponseState::of_completion(&completion, at), expected);
        }
    }

    #[test]
    fn a_failure_is_told_in_openais_words() {
        let failure = |outcome, category| Failure {
            outcome,
            category,
            code: "our_own_code".to_owned(),
            message: "It broke.".to_owned(),
            param: None,
            retry_after_ms: None,
            is_spent: false,
            asked: None,
            request_id: String::new(),
            partial: String::new(),
        };
        for (category, code) in [
            (Category::ApiError, "server_error"),
            (Category::RateLimitError, "rate_limit_exceeded"),
            (Category::ValidationError, "invalid_prompt"),
        ] {
            let error = ResponseError { code: code.to_owned(), message: "It broke.".to_owned() };
            assert_eq!(ResponseState::of_failure(&failure(Outcome::Final, category)), ResponseState::Failed(error));
        }
        let cancelled = failure(Outcome::Cancelled, Category::ValidationError);
        assert_eq!(ResponseState::of_failure(&cancelled), ResponseState::Cancelled);
    }

    #[test]
    fn tokens_are_counted_as_the_standard_counts() {
        let counted = Usage {
            input: 1,
            cache_read: 2,
            cache_write: 3,
            cache_write_1h: 1,
            output: 8,
            reasoning: 16,
            source: Source::Reported,
        };
        assert_eq!(
            usage(&counted),
            json!({"input_tokens": 7, "output_tokens": 24, "total_tokens": 31,
                   "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 4},
                   "output_tokens_details": {"reasoning_tokens": 16}})
        );
    }
}
