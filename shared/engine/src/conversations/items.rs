//! What a conversation holds, as a list of items.

use serde_json::Value;
use turnwise_core::fault::Fault;
use turnwise_core::id::{ConversationId, Tenant};
use turnwise_core::items::{InputItem, ItemId, Kind, RowId, resolve};
use turnwise_core::limits::MAX_ITEM_PAGE_BYTES;
use turnwise_store::Entry;

use super::{not_found, row};
use crate::engine::Engine;
use crate::error::Error;

/// In which order items are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    #[default]
    Descending,
}

/// Which page of items.
#[derive(Debug, Clone)]
pub struct ItemQuery {
    /// The id of the item before the page. It may have been deleted since.
    pub after: Option<String>,
    /// Most items.
    pub limit: usize,
    /// In which order.
    pub order: Order,
}

/// One page of items.
#[derive(Debug, Default)]
pub struct ItemPage {
    /// The items, with their ids.
    pub items: Vec<Value>,
    /// Whether there are more.
    pub has_more: bool,
}

impl Engine {
    /// One page of a conversation's items.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an `after` that names no place in this conversation,
    /// [`Error::NotFound`] when it is not there, or no longer.
    pub async fn list_items(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        query: &ItemQuery,
    ) -> Result<ItemPage, Error> {
        let after = query.after.as_deref().map(|id| ItemId::parse("after", conversation, id)).transpose();
        let after = after.map_err(|fault| Error::Invalid(fault.into()))?;
        let (found, page) = tokio::try_join!(
            self.retry(|_| self.store.conversation(tenant, conversation)),
            self.page(tenant, conversation, after, query),
        )?;
        found.filter(|found| !found.erased).ok_or_else(|| not_found(conversation))?;
        Ok(page)
    }

    async fn page(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        after: Option<ItemId>,
        query: &ItemQuery,
    ) -> Result<ItemPage, turnwise_store::Error> {
        let now = self.clock.now();
        let backwards = query.order == Order::Descending;
        // The row of `after` may hold more of the page.
        let mut from = match query.order {
            Order::Ascending => after.and_then(|after| after.row.just_before()),
            Order::Descending => after.map(|after| after.row.just_after()),
        };
        let mut page = ItemPage::default();
        let mut bytes = 0;
        loop {
            // A turn has two items or more, so this is about as many rows as it takes.
            let rows = (query.limit - page.items.len()).div_ceil(2) + 1;
            let entries = self.retry(|_| self.store.entries(tenant, conversation, from, backwards, rows, now)).await?;
            let Some(last) = entries.last() else { return Ok(page) };
            from = Some(last.row());
            for item in entries.iter().flat_map(|entry| ordered(entry, conversation, after, query.order)) {
                bytes += item.to_string().len();
                let full = page.items.len() >= query.limit || bytes > MAX_ITEM_PAGE_BYTES;
                if full && !page.items.is_empty() {
                    page.has_more = true;
                    return Ok(page);
                }
                page.items.push(item);
            }
        }
    }

    /// One item of a conversation.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the conversation or the item is not there, or no longer.
    pub async fn find_item(&self, tenant: &Tenant, conversation: &ConversationId, id: &str) -> Result<Value, Error> {
        let found = self.retry(|_| self.store.conversation(tenant, conversation)).await?;
        found.filter(|found| !found.erased).ok_or_else(|| not_found(conversation))?;
        let (entry, id) = self.entry_of(tenant, conversation, id).await?;
        let item = row::named(&entry, conversation).into_iter().find(|(index, _)| *index == id.index);
        item.map(|(_, item)| item).ok_or_else(|| no_item(&id.text(conversation)))
    }

    /// The row that holds the item `id`, which is there.
    pub(super) async fn entry_of(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        id: &str,
    ) -> Result<(Entry, ItemId), Error> {
        let place = ItemId::parse("item", conversation, id).map_err(|_| no_item(id))?;
        let now = self.clock.now();
        let entry = self.retry(|_| self.store.entry(tenant, conversation, place.row, now)).await?;
        let entry = entry.ok_or_else(|| no_item(id))?;
        let there =
            row::places(&entry).get(place.index).is_some_and(|item| !item.is_null() && Kind::of(item) == place.kind);
        if there { Ok((entry, place)) } else { Err(no_item(id)) }
    }

    /// The item `id` as it came, without an id of ours; `None` if it is not there.
    pub(crate) async fn item(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        id: &str,
    ) -> Result<Option<Value>, Error> {
        match self.entry_of(tenant, conversation, id).await {
            Ok((entry, place)) => Ok(row::places(&entry).into_iter().nth(place.index)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `items` with what they only mention in its place.
    ///
    /// # Errors
    /// [`Error::Invalid`] with a fault for each mention of an item that `conversation`,
    /// if there is one yet, does not have.
    pub(super) async fn resolve_items(
        &self,
        tenant: &Tenant,
        conversation: Option<&ConversationId>,
        items: Vec<InputItem>,
    ) -> Result<Vec<Value>, Error> {
        let mut found = Vec::new();
        let mentions = items.iter().filter_map(|item| match item {
            InputItem::Reference(reference) => Some(&reference.id),
            InputItem::Item(_) => None,
        });
        if let Some(conversation) = conversation {
            for id in mentions {
                found.extend(self.item(tenant, conversation, id).await?.map(|item| (id.clone(), item)));
            }
        }
        let find = |id: &str| found.iter().find(|(known, _)| known == id).map(|(_, item)| item.clone());
        resolve(items, |reference| find(&reference.id)).map_err(Error::Invalid)
    }
}

/// The items of a row in the order asked for, those up to `after` left out.
fn ordered(entry: &Entry, conversation: &ConversationId, after: Option<ItemId>, order: Order) -> Vec<Value> {
    let place = |id: ItemId| -> (RowId, usize) { (id.row, id.index) };
    let mut items = row::named(entry, conversation);
    if order == Order::Descending {
        items.reverse();
    }
    let behind = |index: usize| {
        after.map(place).is_none_or(|after| match order {
            Order::Ascending => (entry.row(), index) > after,
            Order::Descending => (entry.row(), index) < after,
        })
    };
    items.into_iter().filter(|(index, _)| behind(*index)).map(|(_, item)| item).collect()
}

pub(super) fn no_item(id: &str) -> Error {
    Error::NotFound { what: "item", name: id.to_owned() }
}

/// The fault of items that take up more than one row can hold.
pub(super) fn too_large() -> Error {
    let message = format!(
        "The items do not fit into one call: they take more than {} KB when compressed.",
        turnwise_core::limits::MAX_PACKED_BYTES / 1024
    );
    Error::Invalid(Fault::new("items", message).into())
}
