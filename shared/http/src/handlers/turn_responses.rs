//! What every route that takes turns may answer, for the OpenAPI document.

use utoipa::IntoResponses;

use super::AcceptedBody;
use crate::error::ErrorBody;

/// The answers that mean the same on each of these routes. Each describes by itself
/// its 200 and what is refused for a reason of its own: 404, 409, 412.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers; what is sent is made elsewhere")]
pub(crate) enum TurnResponses {
    #[response(status = 202, description = "The turn waits in the queue, or is running")]
    Accepted(AcceptedBody),
    #[response(status = 400, description = "Invalid request")]
    Invalid(ErrorBody),
    #[response(status = 401, description = "No valid key")]
    Unauthenticated(ErrorBody),
    #[response(status = 413, description = "Too large")]
    TooLarge(ErrorBody),
    #[response(status = 422, description = "The key was used with another request")]
    KeyReused(ErrorBody),
    #[response(status = 502, description = "The provider failed")]
    ProviderFailed(ErrorBody),
    #[response(status = 503, description = "The table does not answer, or this server is going down")]
    Unavailable(ErrorBody),
    #[response(status = 504, description = "The turn took too long")]
    TimedOut(ErrorBody),
}
