//! Items that a request mentions by their ids, read from the conversations it goes on
//! from.

use std::collections::HashMap;

use serde_json::Value;
use turnwise_core::id::{ConversationId, Tenant, TurnKey};
use turnwise_core::items::{InputItem, ItemId, Kind, Reference, RowId, output_items, resolve};
use turnwise_core::limits::MAX_ANCESTORS;
use turnwise_core::turn::{Parent, State};
use turnwise_store::Entry;

use super::ResponseRequest;
use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// What came in with the turn `key`, every mention of an item replaced by the item;
    /// those of `before` and of what that branched off from can be mentioned.
    pub(super) async fn resolve_items(
        &self,
        request: &ResponseRequest,
        key: &TurnKey,
        before: Option<Parent>,
    ) -> Result<Vec<Value>, Error> {
        let tenant = &request.caller.tenant;
        let references: Vec<&Reference> = request.items.iter().filter_map(reference).collect();
        let mut items = request.items.clone();
        let mut found = HashMap::new();
        if !references.is_empty() {
            let own = self.retry(|_| self.store.turn(tenant, key)).await?;
            if own.is_some_and(|own| matches!(own.state, State::Completed(_))) {
                // A retry is answered whatever has become of the items by now.
                items.retain(|item| reference(item).is_none());
            } else {
                found = self.mentioned(tenant, &references, before).await?;
            }
        }
        resolve(items, |reference| found.get(&reference.id).cloned()).map_err(Error::Invalid)
    }

    async fn mentioned(
        &self,
        tenant: &Tenant,
        references: &[&Reference],
        before: Option<Parent>,
    ) -> Result<HashMap<String, Value>, Error> {
        let mut found = HashMap::new();
        let mut next = before;
        for _ in 0..=MAX_ANCESTORS {
            let Some(Parent { conversation, number }) = next.take() else { break };
            for reference in references {
                let Ok(id) = ItemId::parse(&reference.field, &conversation, &reference.id) else { continue };
                if id.row.number > number || found.contains_key(&reference.id) {
                    continue;
                }
                let item = self.item(tenant, &conversation, &id).await?;
                found.extend(item.map(|item| (reference.id.clone(), item)));
            }
            if found.len() < references.len() {
                let opened = self.retry(|_| self.store.conversation(tenant, &conversation)).await?;
                next = opened.filter(|opened| !opened.erased).and_then(|opened| opened.parent);
            }
        }
        Ok(found)
    }

    /// One item of a conversation; `None` if it is not there, or is of another kind than
    /// its id says.
    async fn item(&self, tenant: &Tenant, conversation: &ConversationId, id: &ItemId) -> Result<Option<Value>, Error> {
        let items = match id.row {
            RowId { number, version: 0 } => {
                let turn = self.retry(|_| self.store.committed_turn(tenant, conversation, number)).await?;
                turn.map(|turn| {
                    let output: Value = serde_json::from_str(turn.output.get()).unwrap_or_default();
                    let output = if output.is_null() { Vec::new() } else { output_items(&output) };
                    turn.input.items().into_iter().chain(output).collect()
                })
            }
            RowId { number, version } => {
                let before = Some(RowId { number, version: version - 1 });
                let next = self.retry(|_| self.store.entries(tenant, conversation, before, false, 1)).await?;
                next.into_iter().find(|entry| entry.row() == id.row).and_then(|entry| match entry {
                    Entry::Added(added) => serde_json::from_str::<Vec<Value>>(added.items.get()).ok(),
                    Entry::Turn(_) => None,
                })
            }
        };
        let item = items.and_then(|items: Vec<Value>| items.into_iter().nth(id.index));
        Ok(item.filter(|item| item.is_object() && Kind::of(item) == id.kind))
    }
}

fn reference(item: &InputItem) -> Option<&Reference> {
    match item {
        InputItem::Reference(reference) => Some(reference),
        InputItem::Item(_) => None,
    }
}
