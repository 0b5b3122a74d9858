//! `POST /v1/responses/{id}/cancel`.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use turnwise_core::fault::Fault;

use super::super::caller;
use super::body;
use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::Segment;

/// Cancels a response that waits or is being made, in the background or not. Cancelling
/// it again gives the same answer.
#[utoipa::path(
    post, path = "/v1/responses/{id}/cancel", tag = "responses",
    params(("id" = String, Path, description = "The response")),
    responses(
        (status = 200, description = "The cancelled response", body = Object),
        (status = 400, description = "It has ended otherwise", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such response", body = ErrorBody),
    ),
)]
pub(crate) async fn cancel_response(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
) -> Result<Response, Error> {
    let found = app.engine.cancel_response(&caller(&principal, &context), &id).await.map_err(ended)?;
    context.note(|line| line.turn = Some(found.found.turn.key.to_string()));
    Ok(body::found(&found))
}

/// OpenAI calls it an invalid request, where our own route tells of a conflict.
fn ended(error: turnwise_engine::Error) -> Error {
    let turnwise_engine::Error::TurnEnded { state, .. } = error else { return Error::Engine(error) };
    let message = format!("The response cannot be cancelled: its turn is {state}.");
    Error::Invalid(Fault::new("response_id", message).into())
}
