//! A conversation that begins without a turn, and its metadata.

use serde_json::Value;
use turnwise_core::digest::Digest;
use turnwise_core::id::ConversationId;
use turnwise_core::items::{InputItem, Metadata, RowId};
use turnwise_core::json;
use turnwise_core::limits::MAX_PACKED_BYTES;
use turnwise_store::{AddedItems, CreateConversation, FIRST_VERSION, Overview, PackedEntry};

use super::items::too_large;
use super::not_found;
use crate::engine::Engine;
use crate::error::Error;
use crate::turn::Caller;

/// What a conversation is created with.
#[derive(Debug)]
pub struct NewConversation {
    /// What the client attaches to it.
    pub metadata: Metadata,
    /// Its first items.
    pub items: Vec<InputItem>,
    /// The request's idempotency key, if it has one.
    pub key: Option<String>,
    /// Digest of the request.
    pub request_hash: Digest,
}

impl Engine {
    /// Creates a conversation; whether it was there already, by an earlier request with
    /// the same key. Idempotent by the key, which names it; without one every call
    /// creates another.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::KeyReused`], [`Error::ConversationErased`] when the
    /// key's conversation was deleted, and what the store may say.
    pub async fn create_conversation(&self, caller: &Caller, new: NewConversation) -> Result<(Overview, bool), Error> {
        let tenant = &caller.tenant;
        let id = match &new.key {
            Some(key) => ConversationId::created_by_key("Idempotency-Key", tenant, key)
                .map_err(|fault| Error::Invalid(fault.into()))?,
            None => ConversationId::created(self.random.uuid_v4()),
        };
        let items = self.resolve_items(tenant, None, new.items).await?;
        let items = if items.is_empty() { None } else { Some(self.first_items(caller, items)?) };
        let create = CreateConversation {
            tenant,
            conversation: &id,
            metadata: &new.metadata,
            items: items.as_ref(),
            request_hash: &new.request_hash,
            now: self.clock.now(),
        };
        match self.retry(|_| self.store.create_conversation(&create)).await? {
            None => Ok((self.overview(tenant, "conversation", &id).await?, false)),
            Some(found) if found.conversation.erased => Err(Error::ConversationErased),
            Some(found) if found.request_hash.as_ref() != Some(&new.request_hash) => Err(Error::KeyReused),
            Some(found) => Ok((found, new.key.is_some())),
        }
    }

    fn first_items(&self, caller: &Caller, items: Vec<Value>) -> Result<PackedEntry, Error> {
        let added_at = self.clock.now();
        let items = AddedItems {
            row: RowId { number: 0, version: FIRST_VERSION },
            items: json::raw(&Value::Array(items)),
            added_at,
            expires_at: self.expires_at(added_at, &caller.grant),
            request: caller.request_id.clone(),
        };
        let packed = items.pack()?;
        if packed.bytes() > MAX_PACKED_BYTES { Err(too_large()) } else { Ok(packed) }
    }

    /// Replaces a conversation's metadata, also while a turn runs: no model is told of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::ConversationErased`], and what the store may say.
    pub async fn put_metadata(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        metadata: &Metadata,
    ) -> Result<Overview, Error> {
        let (tenant, now) = (&caller.tenant, self.clock.now());
        if let Some(updated) = self.retry(|_| self.store.put_metadata(tenant, conversation, metadata, now)).await? {
            return Ok(updated);
        }
        let found = self.retry(|_| self.store.conversation(tenant, conversation)).await?;
        Err(if found.is_some() { Error::ConversationErased } else { not_found(conversation) })
    }
}
