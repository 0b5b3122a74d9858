//! Every error's status, headers and body. The only place where an error becomes
//! HTTP.
//!
//! The body, in `body`, is an error object as the route's standard has it, and beside that
//! what its clients ignore: category, severity, whether a retry may help.

mod body;

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use turnwise_core::access::Scope;
use turnwise_core::admission::Refusal;
use turnwise_core::category::{Category, Details};
use turnwise_core::fault::Faults;
use turnwise_core::limits::{MAX_BODY_BYTES, MAX_QUEUED_TURNS};
use turnwise_core::turn::{CONVERSATION_DELETED, Failure, Outcome};
use turnwise_engine::turn::Facts;

pub use self::body::{ErrorBody, ErrorObject, FaultBody, MessageErrorBody, Standard};
use crate::context::{RequestContext, Trouble};

/// Tells OpenAI's and Anthropic's clients whether to send a request again by themselves.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Anything that is answered instead of what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not valid.
    #[error("{0}")]
    Invalid(Faults),
    /// The body is over the limit.
    #[error("the body is larger than {MAX_BODY_BYTES} bytes")]
    BodyTooLarge,
    /// A field's text is over its limit.
    #[error("{field} is longer than {limit} bytes")]
    FieldTooLarge {
        /// The field.
        field: &'static str,
        /// Its limit, in bytes.
        limit: usize,
    },
    /// No key, or one that is not accepted.
    #[error("no valid API key")]
    Unauthenticated,
    /// The key is good, but not for this.
    #[error("the key has no scope {0}")]
    Forbidden(Scope),
    /// One of its limits of requests a minute is reached.
    #[error("too many requests")]
    RateLimited(turnwise_engine::rates::Refusal),
    /// No such route.
    #[error("no such route")]
    NoRoute,
    /// The route exists, with another method.
    #[error("no such method on this route")]
    NoMethod,
    /// A stream ended before its turn's.
    #[error("the stream ends here")]
    Stream(StreamEnd),
    /// A use case ended without its result.
    #[error(transparent)]
    Engine(#[from] turnwise_engine::Error),
    /// A file could not be written.
    #[error("a file could not be written: {0}")]
    Unwritten(std::io::Error),
    /// Something the service needs does not answer.
    #[error("not ready: {0}")]
    NotReady(String),
}

/// Why a stream ends before its turn's does. The turn goes on, or has its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// Another attempt answers anew.
    TakenOver,
    /// The steps of the answer were not kept.
    Incomplete,
    /// The function that tells it has no more time.
    HandedOver,
}

/// An error on its way out.
struct Answer {
    status: StatusCode,
    body: ErrorObject,
    /// Milliseconds, for `retry-after` and `retry-after-ms`.
    retry_after: Option<Duration>,
    headers: Vec<(HeaderName, String)>,
}

impl Answer {
    fn new(category: Category, message: impl Into<String>) -> Self {
        let profile = category.profile();
        Self {
            status: status(profile.status),
            body: ErrorObject {
                message: message.into(),
                user_message: String::new(),
                kind: profile.kind.to_owned(),
                param: None,
                code: profile.code.to_owned(),
                category,
                severity: profile.severity,
                retryable: profile.retry.may_help(),
                retry_after_s: None,
                request_id: String::new(),
                status: profile.status,
                limit: None,
                faults: Vec::new(),
                partial: None,
                partial_text: None,
            },
            retry_after: None,
            headers: Vec::new(),
        }
    }

    fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self.body.status = status.as_u16();
        self
    }

    fn code(mut self, code: &str) -> Self {
        code.clone_into(&mut self.body.code);
        self
    }

    fn param(mut self, param: &str) -> Self {
        self.body.param = Some(param.to_owned());
        self
    }

    fn retry(mut self, retryable: bool, after: Option<Duration>) -> Self {
        self.body.retryable = retryable;
        self.body.retry_after_s = after.map(|after| after.as_secs_f64());
        self.retry_after = after;
        self
    }

    fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl ErrorObject {
    /// Fills in what follows from the rest, and the request's id where the error has none of
    /// its own.
    fn complete(&mut self, request_id: &str) {
        if self.request_id.is_empty() {
            request_id.clone_into(&mut self.request_id);
        }
        let row = self.category.profile_of(&self.code);
        self.severity = row.severity;
        self.user_message = row.user_text(&Details {
            field: self.param.as_deref(),
            wait: self.retry_after_s.and_then(|wait| Duration::try_from_secs_f64(wait).ok()),
            request_id: Some(&self.request_id),
            scope: self.limit.as_ref().map(|(scope, _)| scope.as_str()),
            resets: self.limit.as_ref().map(|(_, resets)| *resets),
            ..Details::default()
        });
    }
}

impl Error {
    /// The error's object, for a stream whose status is already sent.
    #[must_use]
    pub fn object(&self, request_id: &str) -> ErrorObject {
        let mut body = self.answer().body;
        body.complete(request_id);
        body
    }

    /// What the log says of it, whose object is `body`.
    pub(crate) fn trouble(&self, body: &ErrorObject) -> Trouble {
        let (asked, replayed) = match self {
            Self::Engine(turnwise_engine::Error::Failed { failure, replayed, .. }) => {
                (failure.asked.clone(), *replayed)
            }
            Self::Engine(_)
            | Self::Invalid(_)
            | Self::BodyTooLarge
            | Self::FieldTooLarge { .. }
            | Self::Unauthenticated
            | Self::Forbidden(_)
            | Self::RateLimited(_)
            | Self::NoRoute
            | Self::NoMethod
            | Self::Stream(_)
            | Self::Unwritten(_)
            | Self::NotReady(_) => (None, false),
        };
        let row = body.category.profile_of(&body.code);
        Trouble {
            category: body.category,
            code: body.code.clone(),
            severity: row.severity,
            retryable: body.retryable,
            // What is wrong with a request is told in its own words, and in the provider's.
            message: (row.status >= 500).then(|| self.to_string()),
            asked,
            replayed,
        }
    }

    fn answer(&self) -> Answer {
        use Category::{AuthenticationError, InternalError, NotFoundError, ValidationError};
        match self {
            Self::Invalid(faults) => invalid(faults),
            Self::BodyTooLarge => {
                Answer::new(ValidationError, format!("The body is larger than {MAX_BODY_BYTES} bytes."))
                    .status(StatusCode::PAYLOAD_TOO_LARGE)
                    .code("body_too_large")
                    .param("body")
            }
            Self::FieldTooLarge { field, limit } => {
                Answer::new(ValidationError, format!("{field} is longer than {limit} bytes."))
                    .status(StatusCode::PAYLOAD_TOO_LARGE)
                    .code("field_too_large")
                    .param(field)
            }
            Self::Unauthenticated => Answer::new(
                AuthenticationError,
                "No valid API key. Send it as \"Authorization: Bearer KEY\" or \"x-api-key: KEY\".",
            )
            .header(header::WWW_AUTHENTICATE, "Bearer"),
            Self::Forbidden(Scope::Admin) => Answer::new(
                Category::AuthorizationError,
                "This needs an administrator's key: one with the scope \"admin\".",
            )
            .code("admin_key_required"),
            Self::Forbidden(scope @ (Scope::Generate | Scope::Read | Scope::Reports)) => {
                Answer::new(Category::AuthorizationError, format!("This needs a key with the scope \"{scope}\"."))
                    .code("insufficient_scope")
            }
            Self::RateLimited(refusal) => Answer::new(Category::RateLimitError, crate::rates::message(refusal))
                .retry(true, Some(refusal.retry_after)),
            Self::NoRoute => Answer::new(NotFoundError, "There is no such route.").code("route_not_found"),
            Self::NoMethod => Answer::new(ValidationError, "This route has no such method.")
                .status(StatusCode::METHOD_NOT_ALLOWED)
                .code("method_not_allowed"),
            Self::Stream(end) => stream_end(*end),
            Self::Unwritten(_) => Answer::new(InternalError, InternalError.profile().plain_text()),
            Self::Engine(error) => engine(error),
            Self::NotReady(what) => Answer::new(InternalError, format!("Not ready: {what}."))
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .code("not_ready"),
        }
    }
}

fn invalid(faults: &Faults) -> Answer {
    let mut answer = Answer::new(Category::ValidationError, faults.to_string());
    answer.body.param = faults.first_field().map(str::to_owned);
    answer.body.faults =
        faults.0.iter().map(|fault| FaultBody { field: fault.field.clone(), message: fault.message.clone() }).collect();
    answer
}

fn stream_end(end: StreamEnd) -> Answer {
    let (code, message) = match end {
        StreamEnd::TakenOver => (
            "taken_over",
            "Another attempt took this turn over, and what it says may differ from what was sent. Retry with the same \
             key, or read the stream from its start; with restartable=true a stream goes on with the new text.",
        ),
        StreamEnd::Incomplete => (
            "stream_incomplete",
            "The turn is committed, but its stream was not kept. Retry with the same key, without Last-Event-ID, to get \
             its answer.",
        ),
        StreamEnd::HandedOver => {
            ("stream_handed_over", "This connection has to end, and the turn goes on. Resume behind the last event.")
        }
    };
    Answer::new(Category::NetworkError, message).code(code).retry(true, None)
}

fn engine(error: &turnwise_engine::Error) -> Answer {
    use turnwise_engine::Error as Engine;
    match error {
        Engine::Invalid(faults) => invalid(faults),
        Engine::InputTooLarge { limit } => {
            let message = format!("The input and the parameters of a stored response have at most {limit} bytes.");
            Answer::new(Category::ValidationError, message)
                .status(StatusCode::PAYLOAD_TOO_LARGE)
                .code("field_too_large")
                .param("input")
        }
        Engine::TooLong(too_long) => {
            Answer::new(Category::ValidationError, too_long.to_string()).code(too_long.code()).param(too_long.field())
        }
        Engine::Model(unknown) => {
            Answer::new(Category::NotFoundError, unknown.to_string()).code("model_not_found").param("model")
        }
        Engine::NotAdmitted(refusal) => not_admitted(refusal),
        Engine::ModelNotAllowed { model } => {
            Answer::new(Category::AuthorizationError, format!("This key may not ask the model {model:?}."))
                .code("model_not_allowed")
                .param("model")
        }
        Engine::OperatorOnly => {
            let message = "This needs a key of the deployment itself: others act for their own tenant only.";
            Answer::new(Category::AuthorizationError, message).code("operator_key_required")
        }
        Engine::NoPepper => {
            let message = "This deployment has no TURNWISE_KEY_PEPPERS, without which no key can be made. \
                           `turnwise keys bootstrap` prints one.";
            Answer::new(Category::InternalError, message)
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .code("no_key_pepper")
                .retry(false, None)
        }
        Engine::KeyReused => Answer::new(
            Category::ValidationError,
            "This idempotency key was used with a different request. Use a new key for a new request.",
        )
        .status(StatusCode::UNPROCESSABLE_ENTITY)
        .code("idempotency_key_reused")
        .param("Idempotency-Key"),
        Engine::WrongNumber { asserted, actual } => Answer::new(
            Category::ValidationError,
            format!("If-Match asks for turn number {asserted}, but this turn is number {actual}."),
        )
        .status(StatusCode::PRECONDITION_FAILED)
        .code("turn_number_mismatch")
        .param("If-Match"),
        Engine::ConversationBusy { retry_after } => Answer::new(
            Category::ValidationError,
            "Another turn of this conversation is running. Try again when it has ended.",
        )
        .status(StatusCode::CONFLICT)
        .code("conversation_busy")
        .retry(true, Some(*retry_after)),
        Engine::StillRunning { key, retry_after } => Answer::new(
            Category::ValidationError,
            "This turn is still running. Retry with the same key, or read it at the address in Location.",
        )
        .status(StatusCode::CONFLICT)
        .code("turn_in_progress")
        .retry(true, Some(*retry_after))
        .header(header::LOCATION, turn_location(key)),
        Engine::Queued { key } => Answer::new(
            Category::ValidationError,
            "This turn waits in its conversation's queue. Read it at the address in Location.",
        )
        .status(StatusCode::CONFLICT)
        .code("turn_queued")
        .header(header::LOCATION, turn_location(key)),
        Engine::QueueFull { retry_after } => {
            let message = format!("The conversation's queue holds {MAX_QUEUED_TURNS} turns, and no more fit in.");
            Answer::new(Category::RateLimitError, message).code("queue_full").retry(true, Some(*retry_after))
        }
        Engine::TurnEnded { key, state } => {
            Answer::new(Category::ValidationError, format!("The turn cannot be cancelled: it is {state}."))
                .status(StatusCode::CONFLICT)
                .code("turn_ended")
                .header(header::LOCATION, turn_location(key))
        }
        Engine::WorkInProgress { retry_after, .. } => Answer::new(
            Category::ValidationError,
            "The same request is being carried out. Try again when it has ended.",
        )
        .status(StatusCode::CONFLICT)
        .code("request_in_progress")
        .retry(true, Some(*retry_after)),
        Engine::WorkFailed(failure) => Answer::new(Category::InternalError, failure.message.clone())
            .code("work_failed")
            .retry(failure.retryable, None),
        Engine::NotHeld { conversation } => {
            Answer::new(Category::ValidationError, format!("Nobody has the lock of {conversation:?}."))
                .status(StatusCode::CONFLICT)
                .code("lock_not_held")
        }
        Engine::ConversationErased => Answer::new(Category::NotFoundError, "The conversation was deleted.")
            .status(StatusCode::GONE)
            .code(CONVERSATION_DELETED),
        Engine::Queue(_) => Answer::new(Category::InternalError, "The queue does not answer. Try again.")
            .status(StatusCode::SERVICE_UNAVAILABLE)
            .code("queue_unavailable")
            .retry(true, Some(Duration::from_secs(1))),
        Engine::Gone => Answer::new(Category::NotFoundError, "The turn's answer is no longer kept.")
            .status(StatusCode::GONE)
            .code("turn_gone"),
        // OpenAI's own code for it, and the field that its clients look at.
        Engine::NotFound { what: what @ "previous_response", name } => {
            Answer::new(Category::NotFoundError, format!("There is no response {name:?} to follow."))
                .code(&format!("{what}_not_found"))
                .param("previous_response_id")
        }
        Engine::NotFound { what, name } => {
            Answer::new(Category::NotFoundError, format!("There is no {what} {name:?}."))
                .code(&format!("{what}_not_found"))
        }
        Engine::Failed { failure, facts, replayed } => failed(failure, facts.as_deref(), *replayed),
        Engine::Store(error) => store(error),
        Engine::Task(_) => Answer::new(Category::InternalError, Category::InternalError.profile().plain_text()),
    }
}

/// A request that its key or its tenant has not enough left for.
fn not_admitted(refusal: &Refusal) -> Answer {
    let is_about_money = refusal.is_about_money();
    let category = if is_about_money { Category::CostLimitError } else { Category::RateLimitError };
    let wait = refusal.wait();
    let mut answer = Answer::new(category, refusal.to_string()).code(refusal.code()).retry(wait.is_some(), wait);
    match refusal {
        Refusal::Budget { resets, .. } => {
            answer.body.limit = Some((refusal.scope(), *resets));
        }
        Refusal::Tokens { level, .. } => answer.headers.extend(crate::allowance::token_headers(level)),
        Refusal::NotPriced { .. } => return answer.param("model"),
        Refusal::TooManyTokens { .. } | Refusal::Concurrency { .. } => {}
    }
    answer
}

/// A failed turn, shown with what was stored when it failed.
fn failed(failure: &Failure, facts: Option<&Facts>, replayed: bool) -> Answer {
    let retryable = failure.outcome == Outcome::Retryable;
    let retry_after = failure.retry_after_ms.map(Duration::from_millis);
    let mut answer = Answer::new(failure.category, failure.message.clone()).code(&failure.code);
    let status = status(failure.category.profile_of(&failure.code).status);
    answer = answer.status(status).retry(retryable, retry_after.filter(|_| retryable));
    answer.body.param.clone_from(&failure.param);
    answer.body.request_id.clone_from(&failure.request_id);
    answer.body.partial = Some(!failure.partial.is_empty());
    answer.body.partial_text = Some(failure.partial.clone()).filter(|text| !text.is_empty());
    if !retryable || failure.is_spent {
        // The SDKs retry every status from 500 on: where this one would never change, or
        // where as many calls were made as one request may cause, theirs would multiply.
        answer = answer.header(SHOULD_RETRY, "false");
    }
    if replayed {
        answer = answer.header(HeaderName::from_static("idempotent-replayed"), "true");
    }
    for (name, value) in facts.into_iter().flat_map(crate::render::turn_headers) {
        answer = answer.header(name, value);
    }
    answer
}

fn store(error: &turnwise_engine::StoreError) -> Answer {
    use turnwise_engine::StoreError as Store;
    let user_text = Category::InternalError.profile().plain_text();
    match error {
        Store::Conflict { .. } | Store::NoAnswer { .. } | Store::Overloaded { .. } => {
            Answer::new(Category::InternalError, "The table does not answer. Retry with the same key.")
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .code("table_unavailable")
                .retry(true, Some(Duration::from_secs(1)))
        }
        Store::Refused { .. } | Store::Corrupt { .. } => {
            Answer::new(Category::InternalError, user_text).retry(false, None)
        }
    }
}

/// Where a turn is read: its key percent-encoded, so that any id fits a path.
#[must_use]
pub fn turn_location(key: &str) -> String {
    format!("/v1/turns/{}", crate::render::path_segment(key))
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let answer = self.answer();
        let trouble = self.trouble(&answer.body);
        let mut response = answer.status.into_response();
        let headers = response.headers_mut();
        if !answer.body.retryable && clients_repeat(answer.status) {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if let Some(after) = answer.retry_after {
            let seconds = after.as_millis().div_ceil(1000);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
            let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            headers.insert("retry-after-ms", HeaderValue::from(millis));
        }
        for (name, value) in &answer.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        response.extensions_mut().insert(Pending(answer.body, trouble));
        response
    }
}

/// Whether OpenAI's and Anthropic's clients send a request again by themselves that was
/// answered with `status`.
fn clients_repeat(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS)
        || status.is_server_error()
}

/// An error body that waits for its request's id, and what the log will say.
#[derive(Debug, Clone)]
struct Pending(ErrorObject, Trouble);

/// Writes the body of an error, with the id of its request.
pub(crate) async fn name_request(response: &mut Response, context: &RequestContext) {
    let Some(Pending(mut error, trouble)) = response.extensions_mut().remove::<Pending>() else { return };
    error.complete(context.id());
    context.note(|line| line.failed(trouble));
    let body = context.standard().body(error);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = body.into();
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests;
