//! `GET /v1/responses/{id}/input_items`: what came in with a response.

use axum::extract::State;
use axum::{Extension, Json};
use serde_json::Value;
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::items::{ItemId, with_ids};
use turnwise_engine::conversations::Order;
use turnwise_engine::responses::ResponseInput;

use super::super::conversations::items::{ItemList, ItemListQuery, order};
use crate::access::Principal;
use crate::app::App;
use crate::error::{Error, ErrorBody};
use crate::extract::{Params, Segment, page_size};

/// Lists the items that came in with a response: its own, not those of the conversation
/// before it.
#[utoipa::path(
    get, path = "/v1/responses/{id}/input_items", tag = "responses",
    params(("id" = String, Path, description = "The response"), ItemListQuery),
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
    Params(query): Params<ItemListQuery>,
) -> Result<Json<ItemList>, Error> {
    let mut faults = Faults::default();
    let limit = faults.keep(page_size(query.limit.as_deref()));
    let order = faults.keep(order(query.order.as_deref()));
    let (Some(limit), Some(order)) = (limit, order) else { return Err(Error::Invalid(faults)) };
    let input = app.engine.response_input(&principal.tenant, &id).await?;
    let after = query.after.as_deref().filter(|after| !after.is_empty());
    let after = after.map(|after| place(&input, after)).transpose().map_err(|fault| Error::Invalid(fault.into()))?;
    Ok(Json(page(input, after, limit, order)))
}

/// The place in the list that an item's id names. The item may have been deleted since.
fn place(input: &ResponseInput, after: &str) -> Result<usize, Fault> {
    let id = ItemId::parse("after", &input.key.conversation, after)?;
    let here = id.row == input.row && id.index < input.items.len();
    here.then_some(id.index).ok_or_else(|| Fault::new("after", format!("There is no item {after:?} in this list.")))
}

fn page(input: ResponseInput, after: Option<usize>, limit: usize, order: Order) -> ItemList {
    let items = with_ids(input.items, &input.key.conversation, input.row, 0);
    let mut items: Vec<(usize, Value)> = items.into_iter().enumerate().collect();
    if order == Order::Descending {
        items.reverse();
    }
    let behind = |index: usize| {
        after.is_none_or(|after| match order {
            Order::Ascending => index > after,
            Order::Descending => index < after,
        })
    };
    // Null stands in the place of what was deleted.
    items.retain(|(index, item)| behind(*index) && !item.is_null());
    let has_more = items.len() > limit;
    ItemList::of(items.into_iter().take(limit).map(|(_, item)| item).collect(), has_more)
}
