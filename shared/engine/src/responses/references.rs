//! Items that a request mentions by their ids, read from the conversations it goes on
//! from.

use std::collections::HashMap;

use serde_json::Value;
use turnwise_core::id::{Tenant, TurnKey};
use turnwise_core::items::{InputItem, ItemId, Reference, resolve};
use turnwise_core::limits::MAX_ANCESTORS;
use turnwise_core::turn::{Parent, State};

use super::ResponseRequest;
use crate::engine::Engine;
use crate::error::Error;

impl Engine {
    /// What came in with the turn `key`, every mention of an item replaced by the item;
    /// those of `before` and of what that branched off from can be mentioned.
    pub(super) async fn resolve_mentions(
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
                let item = self.item(tenant, &conversation, &id.text(&conversation)).await?;
                found.extend(item.map(|item| (reference.id.clone(), item)));
            }
            if found.len() < references.len() {
                let opened = self.retry(|_| self.store.conversation(tenant, &conversation)).await?;
                next = opened.filter(|opened| !opened.erased).and_then(|opened| opened.parent);
            }
        }
        Ok(found)
    }
}

fn reference(item: &InputItem) -> Option<&Reference> {
    match item {
        InputItem::Reference(reference) => Some(reference),
        InputItem::Item(_) => None,
    }
}
