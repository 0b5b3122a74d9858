//! What Anthropic's routes may answer, for the OpenAPI document.

use utoipa::IntoResponses;

use super::super::AcceptedBody;
use crate::error::MessageErrorBody;

/// The answers of a request that is refused.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers; what is sent is made elsewhere")]
pub(super) enum Refusals {
    #[response(status = 400, description = "Invalid request")]
    Invalid(MessageErrorBody),
    #[response(status = 401, description = "No valid key")]
    Unauthenticated(MessageErrorBody),
    #[response(status = 404, description = "Unknown model")]
    UnknownModel(MessageErrorBody),
    #[response(status = 413, description = "Too large")]
    TooLarge(MessageErrorBody),
}

/// The answers of a request that a provider is asked for.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers; what is sent is made elsewhere")]
pub(super) enum Failures {
    #[response(status = 202, description = "The turn waits in the queue, or is running")]
    Accepted(AcceptedBody),
    #[response(status = 409, description = "The same request is running")]
    Running(MessageErrorBody),
    #[response(status = 422, description = "The key was used with another request")]
    KeyReused(MessageErrorBody),
    #[response(status = 429, description = "Too many requests")]
    TooMany(MessageErrorBody),
    #[response(status = 502, description = "The provider failed")]
    ProviderFailed(MessageErrorBody),
    #[response(status = 503, description = "The table does not answer, or this server is going down")]
    Unavailable(MessageErrorBody),
    #[response(status = 504, description = "The turn took too long")]
    TimedOut(MessageErrorBody),
}
