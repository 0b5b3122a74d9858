//! `/v1/conversations/{id}/items`: what a conversation holds.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use turnwise_core::fault::{Fault, Faults};
use turnwise_engine::conversations::{Addition, ItemQuery, Order};
use utoipa::{IntoParams, ToSchema};

use super::{ConversationBody, items, named, request_hash};
use crate::access::Principal;
use crate::app::App;
use crate::body::JsonBody;
use crate::context::RequestContext;
use crate::error::{Error, ErrorBody};
use crate::extract::{Params, Segment, Segments, page_size};
use crate::handlers::caller;
use crate::params::idempotency_key;
use crate::render::put_headers;

/// Items to be added.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the body, which is read field by field")]
pub(crate) struct AddItems {
    /// The items, at most 20.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
}

/// Some items of a conversation or of a response.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemList {
    /// `list`.
    pub object: &'static str,
    /// The items; those that a turn made also say its number, as `turn_number`.
    #[schema(value_type = Vec<Object>)]
    pub data: Vec<Value>,
    /// The first item's id; empty where there is none.
    pub first_id: String,
    /// The last item's id, `after` of the next page; empty where there is none.
    pub last_id: String,
    /// Whether there are more.
    pub has_more: bool,
}

impl ItemList {
    pub(crate) fn of(items: Vec<Value>, has_more: bool) -> Self {
        // The standard requires both, also of an empty list.
        let id = |item: Option<&Value>| item.and_then(|item| item["id"].as_str()).unwrap_or_default().to_owned();
        let (first_id, last_id) = (id(items.first()), id(items.last()));
        Self { object: "list", data: items, first_id, last_id, has_more }
    }
}

/// Which page of items.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ItemListQuery {
    /// The id of the item before the page.
    pub(crate) after: Option<String>,
    /// Items, 1 to 100.
    #[param(value_type = Option<u64>)]
    pub(crate) limit: Option<String>,
    /// `desc` (default), newest first, or `asc`.
    pub(crate) order: Option<String>,
}

/// Lists a conversation's items.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/items", tag = "conversations",
    params(("id" = String, Path, description = "The conversation"), ItemListQuery),
    responses(
        (status = 200, description = "One page", body = ItemList),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such conversation", body = ErrorBody),
    ),
)]
pub(crate) async fn list_items(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Segment(id): Segment,
    Params(query): Params<ItemListQuery>,
) -> Result<Json<ItemList>, Error> {
    let id = named("conversation", &id)?;
    let mut faults = Faults::default();
    let limit = faults.keep(page_size(query.limit.as_deref()));
    let order = faults.keep(order(query.order.as_deref()));
    let (Some(limit), Some(order)) = (limit, order) else { return Err(Error::Invalid(faults)) };
    let query = ItemQuery { after: query.after.filter(|after| !after.is_empty()), limit, order };
    let page = app.engine.list_items(&principal.tenant, &id, &query).await?;
    Ok(Json(ItemList::of(page.items, page.has_more)))
}

/// Adds items behind the newest turn. While a turn runs, it waits up to 25 s.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/items", tag = "conversations", request_body = AddItems,
    params(
        ("id" = String, Path, description = "The conversation"),
        ("Idempotency-Key" = Option<String>, Header, description = "A retry with the same key adds nothing."),
    ),
    responses(
        (status = 200, description = "The added items", body = ItemList),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such conversation", body = ErrorBody),
        (status = 409, description = "A turn of the conversation is running", body = ErrorBody),
        (status = 410, description = "The conversation was deleted", body = ErrorBody),
        (status = 413, description = "Too large", body = ErrorBody),
        (status = 422, description = "The key was used with another request", body = ErrorBody),
    ),
)]
pub(crate) async fn add_items(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segment(id): Segment,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let id = named("conversation", &id)?;
    let mut body = JsonBody::read(body).await?;
    let key = idempotency_key(&headers, &mut body.faults);
    if body.fields.get("items").is_none_or(Value::is_null) {
        body.faults.add("items", "The field items is required.");
    }
    let items = items(&mut body);
    body.faults.clone().into_result().map_err(Error::Invalid)?;

    let addition = Addition { items, key, request_hash: request_hash("/v1/conversations/{id}/items", &body) };
    let added = app.engine.add_items(&caller(&principal, &context), &id, addition).await?;
    let mut response = Json(ItemList::of(added.items, false)).into_response();
    if added.replayed {
        put_headers(&mut response, vec![(HeaderName::from_static("idempotent-replayed"), "true".to_owned())]);
    }
    Ok(response)
}

/// Reads one item.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/items/{item}", tag = "conversations",
    params(
        ("id" = String, Path, description = "The conversation"),
        ("item" = String, Path, description = "The item"),
    ),
    responses(
        (status = 200, description = "The item", body = Object),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such conversation or item", body = ErrorBody),
    ),
)]
pub(crate) async fn get_item(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Segments(id, item): Segments,
) -> Result<Json<Value>, Error> {
    let id = named("conversation", &id)?;
    Ok(Json(app.engine.find_item(&principal.tenant, &id, &item).await?))
}

/// Deletes one item; of an answer all of it. What it said is removed, and a turn whose
/// answer is gone cannot be replayed. While a turn runs, it waits up to 25 s.
#[utoipa::path(
    delete, path = "/v1/conversations/{id}/items/{item}", tag = "conversations",
    params(
        ("id" = String, Path, description = "The conversation"),
        ("item" = String, Path, description = "The item"),
    ),
    responses(
        (status = 200, description = "The conversation", body = ConversationBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such conversation or item", body = ErrorBody),
        (status = 409, description = "A turn of the conversation is running", body = ErrorBody),
        (status = 410, description = "The conversation was deleted", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_item(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Extension(context): Extension<RequestContext>,
    Segments(id, item): Segments,
) -> Result<Json<ConversationBody>, Error> {
    let id = named("conversation", &id)?;
    let overview = app.engine.delete_item(&caller(&principal, &context), &id, &item).await?;
    Ok(Json(overview.into()))
}

pub(crate) fn order(text: Option<&str>) -> Result<Order, Fault> {
    match text {
        None => Ok(Order::default()),
        Some("asc") => Ok(Order::Ascending),
        Some("desc") => Ok(Order::Descending),
        Some(other) => Err(Fault::new("order", format!("Expected asc or desc, got {other:?}."))),
    }
}
