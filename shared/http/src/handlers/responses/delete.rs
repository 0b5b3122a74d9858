//! `DELETE /v1/responses/{id}`.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::caller;
use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::Segment;

/// A response that is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedResponse {
    /// Its id.
    pub id: String,
    /// `response`.
    pub object: &'static str,
    /// `true`.
    pub deleted: bool,
}

/// Deletes a response: it is not found any more, and nothing can follow it. One that
/// waits or runs is cancelled first. What it said goes away with it, unless its request
/// named a conversation, which then keeps it.
#[utoipa::path(
    delete, path = "/v1/responses/{id}", tag = "responses",
    params(("id" = String, Path, description = "The response")),
    responses(
        (status = 200, description = "It is gone", body = DeletedResponse),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such response", body = ErrorBody),
        (status = 409, description = "Another response of the conversation is being made", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_response(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
) -> Result<Json<DeletedResponse>, Error> {
    app.engine.delete_response(&caller(&principal, &context), &id).await?;
    Ok(Json(DeletedResponse { id, object: "response", deleted: true }))
}
