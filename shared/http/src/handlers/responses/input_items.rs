//! `GET /v1/responses/{id}/input_items`: what came in with a response.

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::items::with_ids;
use turnwise_core::limits::PAGE_SIZE;
use utoipa::{IntoParams, ToSchema};

use crate::access::Principal;
use crate::app::App;
use crate::error::{Error, ErrorBody};
use crate::extract::{Params, Segment, page_size};

/// One page of items, in OpenAI's shape.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemList {
    /// `list`.
    pub object: &'static str,
    /// The items.
    #[schema(value_type = Vec<Object>)]
    pub data: Vec<Value>,
    /// Whether there are more.
    pub has_more: bool,
    /// The first item's id; empty without items.
    pub first_id: String,
    /// The last item's id, `after` of the next page; empty without items.
    pub last_id: String,
}

/// Which page of items.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct ItemQuery {
    /// `last_id` of the page before.
    after: Option<String>,
    /// Items, 1 to 100; 20 unless given.
    #[param(value_type = Option<u64>)]
    limit: Option<String>,
    /// `desc` (default), the last one first, or `asc`.
    order: Option<String>,
}

/// Lists the items that came in with a response: its own, not those of the conversation
/// before it.
#[utoipa::path(
    get, path = "/v1/responses/{id}/input_items", tag = "responses",
    params(("id" = String, Path, description = "The response"), ItemQuery),
    responses(
        (status = 200, description = "One page", body = ItemList),
        (status = 400, description = "Invalid request", body = ErrorBody),
        (status = 401, description = "No valid key", body = ErrorBody),
        (status = 404, description = "No such response", body = ErrorBody),
        (status = 410, description = "Its content is no longer kept", body = ErrorBody),
    ),
)]
pub(crate) async fn list_input_items(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Segment(id): Segment,
    Params(query): Params<ItemQuery>,
) -> Result<Json<ItemList>, Error> {
    let mut faults = Faults::default();
    let limit = faults.keep(page_size(query.limit.as_deref()));
    let newest_first = faults.keep(newest_first(query.order.as_deref()));
    faults.into_result().map_err(Error::Invalid)?;

    let input = app.engine.response_input(&principal.tenant, &id).await?;
    let mut items = with_ids(input.items, &input.key.conversation, input.row, 0);
    // Null stands in the place of what was deleted.
    items.retain(|item| !item.is_null());
    if newest_first.unwrap_or(true) {
        items.reverse();
    }
    page(items, query.after.as_deref(), limit.unwrap_or(PAGE_SIZE)).map(Json)
}

fn page(items: Vec<Value>, after: Option<&str>, limit: usize) -> Result<ItemList, Error> {
    let from = match after.filter(|after| !after.is_empty()) {
        None => 0,
        Some(after) => {
            let at = items.iter().position(|item| item["id"] == after);
            let fault = || Fault::new("after", format!("There is no item {after:?} in this list."));
            at.ok_or_else(|| Error::Invalid(fault().into()))? + 1
        }
    };
    let has_more = items.len() > from + limit;
    let data: Vec<Value> = items.into_iter().skip(from).take(limit).collect();
    let id = |item: Option<&Value>| item.and_then(|item| item["id"].as_str()).unwrap_or_default().to_owned();
    Ok(ItemList { object: "list", has_more, first_id: id(data.first()), last_id: id(data.last()), data })
}

fn newest_first(order: Option<&str>) -> Result<bool, Fault> {
    match order {
        None | Some("desc") => Ok(true),
        Some("asc") => Ok(false),
        Some(other) => Err(Fault::new("order", format!("Expected asc or desc, got {other:?}."))),
    }
}
