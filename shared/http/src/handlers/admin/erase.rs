//! `DELETE /admin/conversations/{id}` and `POST /admin/erase`: what was said, erased by an
//! administrator.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use turnwise_core::id::{ConversationId, person};
use utoipa::{IntoParams, ToSchema};

use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::{Params, Segment};
use crate::handlers::caller;
use crate::handlers::conversations::delete::DeletedConversation;

/// Whose conversations are erased, and why.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EraseRequest {
    /// The person: the owner of the keys that the conversations began with.
    #[expect(dead_code, reason = "documents the body, which is read field by field")]
    pub user: String,
    /// For the audit log, 1 to 500 characters.
    #[expect(dead_code, reason = "documents the body, which is read field by field")]
    pub reason: String,
}

/// What one request has erased.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EraseBody {
    /// `erasure`.
    pub object: &'static str,
    /// The person.
    pub user: String,
    /// Conversations that this request has erased.
    pub erased: usize,
    /// Conversations that are still in the person's list.
    pub remaining: u64,
    /// Whether the same request is to be sent again.
    pub has_more: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EraseQuery {
    /// For the audit log, 1 to 500 characters.
    #[param(required = true)]
    reason: Option<String>,
}

/// Deletes any conversation of the tenant with all that was said in it, as
/// `DELETE /v1/conversations/{id}` does, and writes that to the audit log. The hidden
/// conversation of a request that had only an idempotency key is called `~` and the key.
#[utoipa::path(
    delete, path = "/admin/conversations/{id}", tag = "admin",
    params(("id" = String, Path, description = "The conversation"), EraseQuery),
    responses(
        (status = 200, description = "It is deleted", body = DeletedConversation),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
        (status = 404, description = "No such conversation", body = ErrorBody),
    ),
)]
pub(crate) async fn erase_conversation(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
    Params(query): Params<EraseQuery>,
) -> Result<Json<DeletedConversation>, Error> {
    let conversation = ConversationId::from_stored(id);
    app.engine.erase_by_admin(&caller(&principal, &context), &conversation, query.reason.as_deref()).await?;
    Ok(Json(DeletedConversation { id: conversation.to_string(), object: "conversation.deleted", deleted: true }))
}

/// Erases the conversations of a person, some at a time: while `has_more` is true, send the
/// request again. Each request is written to the audit log, with the person's name.
///
/// It covers every conversation in the person's list: messages and items, the input and the
/// partial answers of turns, stream logs, metadata, queued turns, dead letters, and the lists'
/// own rows. What stays is what accounts for them: the names, numbers and hashes of turns, so
/// that no key is ever answered anew, and the lines of the ledger with key ids, models, tokens
/// and costs, without text. It does not cover conversations in which nothing was ever answered
/// and requests that had only an idempotency key: neither stands in a list; both can be deleted
/// by name. Retention removes what is left.
#[utoipa::path(
    post, path = "/admin/erase", tag = "admin", request_body = EraseRequest,
    responses(
        (status = 200, description = "What was erased and what remains", body = EraseBody),
        (status = 400, description = "No person or no reason", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 403, description = "Not an administrator's key", body = ErrorBody),
    ),
)]
pub(crate) async fn erase_person(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    request: Body,
) -> Result<Json<EraseBody>, Error> {
    let mut request = JsonBody::read(request).await?;
    let user = request.text("user").unwrap_or_default();
    let user = request.faults.keep(person("user", &user)).unwrap_or_default();
    let reason = request.text("reason").unwrap_or_default();
    request.faults.into_result().map_err(Error::Invalid)?;
    let done = app.engine.erase_person(&caller(&principal, &context), &user, &reason).await?;
    let has_more = done.remaining > 0;
    Ok(Json(EraseBody { object: "erasure", user, erased: done.erased, remaining: done.remaining, has_more }))
}
