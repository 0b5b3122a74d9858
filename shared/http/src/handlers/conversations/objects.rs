//! `POST /v1/conversations`, and `GET` and `POST` of one: conversations without their items.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde_json::Value;
use turnwise_engine::conversations::NewConversation;
use utoipa::ToSchema;

use super::{ConversationBody, items, metadata, named, request_hash};
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::Segment;
use crate::handlers::caller;
use crate::params::idempotency_key;
use crate::render::put_headers;

/// What a conversation is created with.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body, which is read field by field")]
pub(crate) struct CreateConversation {
    /// Its first items, at most 20.
    #[schema(value_type = Option<Vec<Object>>)]
    items: Option<Vec<Value>>,
    /// At most 16 pairs of texts.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// What of a conversation is replaced.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body, which is read field by field")]
pub(crate) struct UpdateConversation {
    /// At most 16 pairs of texts; null for none.
    #[schema(value_type = Option<Object>)]
    metadata: Value,
}

/// Creates a conversation. With an idempotency key a retry finds the one it has created.
#[utoipa::path(
    post, path = "/v1/conversations", tag = "conversations", request_body = Option<CreateConversation>,
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the conversation that is created.")),
    responses(
        (status = 200, description = "The conversation", body = ConversationBody),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 410, description = "The key's conversation was deleted", body = ErrorBody),
        (status = 413, description = "Too large", body = ErrorBody),
        (status = 422, description = "The key was used with another request", body = ErrorBody),
    ),
)]
pub(crate) async fn create_conversation(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let mut body = JsonBody::read_if_any(body).await?;
    let key = idempotency_key(&headers, &mut body.faults);
    let (metadata, items) = (metadata(&mut body), items(&mut body));
    body.faults.clone().into_result().map_err(Error::Invalid)?;

    let new = NewConversation { metadata, items, key, request_hash: request_hash("/v1/conversations", &body) };
    let (overview, replayed) = app.engine.create_conversation(&caller(&principal, &context), new).await?;
    let mut response = Json(ConversationBody::from(overview)).into_response();
    if replayed {
        put_headers(&mut response, vec![(HeaderName::from_static("idempotent-replayed"), "true".to_owned())]);
    }
    Ok(response)
}

/// Reads a conversation, however it began.
#[utoipa::path(
    get, path = "/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path, description = "The conversation")),
    responses(
        (status = 200, description = "The conversation", body = ConversationBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such conversation", body = ErrorBody),
    ),
)]
pub(crate) async fn get_conversation(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Segment(id): Segment,
) -> Result<Json<ConversationBody>, Error> {
    let id = named("conversation", &id)?;
    let overview = app.engine.overview(&principal.tenant, "conversation", &id).await?;
    Ok(Json(overview.into()))
}

/// Replaces a conversation's metadata, also while a turn runs.
#[utoipa::path(
    post, path = "/v1/conversations/{id}", tag = "conversations", request_body = UpdateConversation,
    params(("id" = String, Path, description = "The conversation")),
    responses(
        (status = 200, description = "The conversation", body = ConversationBody),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such conversation", body = ErrorBody),
        (status = 410, description = "The conversation was deleted", body = ErrorBody),
    ),
)]
pub(crate) async fn update_conversation(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
    body: Body,
) -> Result<Json<ConversationBody>, Error> {
    let id = named("conversation", &id)?;
    let mut body = JsonBody::read(body).await?;
    if !body.fields.contains_key("metadata") {
        body.faults.add("metadata", "The field metadata is required.");
    }
    let metadata = metadata(&mut body);
    body.faults.into_result().map_err(Error::Invalid)?;
    let overview = app.engine.put_metadata(&caller(&principal, &context), &id, &metadata).await?;
    Ok(Json(overview.into()))
}
