//! `DELETE /v1/conversations/{id}` and `DELETE /v1/threads/{id}`: the same under both names.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::named;
use crate::access::Principal;
use crate::app::App;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::Segment;
use crate::handlers::caller;

/// A conversation that was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedConversation {
    /// Its name, which is not given to another one.
    pub id: String,
    /// `conversation.deleted`.
    pub object: &'static str,
    /// Always true.
    pub deleted: bool,
}

/// Deletes a conversation with all that was said in it, and stops what runs in it. It
/// answers when nothing is left; if it could not, another DELETE goes on, and so does
/// the service by itself.
#[utoipa::path(
    delete, path = "/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path, description = "The conversation")),
    responses(
        (status = 200, description = "It is deleted", body = DeletedConversation),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such conversation", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_conversation(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
) -> Result<Json<DeletedConversation>, Error> {
    delete(&app, &principal, &context, "conversation", &id).await
}

/// The same as `DELETE /v1/conversations/{id}`.
#[utoipa::path(
    delete, path = "/v1/threads/{id}", tag = "conversations",
    params(("id" = String, Path, description = "The conversation")),
    responses(
        (status = 200, description = "It is deleted", body = DeletedConversation),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such conversation", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_thread(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
) -> Result<Json<DeletedConversation>, Error> {
    delete(&app, &principal, &context, "thread", &id).await
}

async fn delete(
    app: &App,
    principal: &Principal,
    context: &RequestContext,
    what: &'static str,
    id: &str,
) -> Result<Json<DeletedConversation>, Error> {
    let conversation = named(what, id)?;
    app.engine.erase(&caller(principal, context), what, &conversation).await?;
    Ok(Json(DeletedConversation { id: conversation.to_string(), object: "conversation.deleted", deleted: true }))
}
