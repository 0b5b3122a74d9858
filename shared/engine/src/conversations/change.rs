//! Items added and deleted by hand, while no turn runs.

use std::future::Future;

use serde_json::Value;
use serde_json::value::RawValue;
use turnwise_core::digest::Digest;
use turnwise_core::id::ConversationId;
use turnwise_core::items::{InputItem, RowId};
use turnwise_core::json;
use turnwise_core::limits::{
    BUSY_RETRY_AFTER, BUSY_WAIT, CHANGE_MARGIN, MAX_CONFLICT_RETRIES, MAX_PACKED_BYTES, POLL_FIRST, POLL_MOST,
};
use turnwise_core::turn::{Change, change};
use turnwise_store::{AddItems, AddedItems, Changed, Entry, Overview, PackedEntry, ReplaceEntry};

use super::items::{no_item, too_large};
use super::{not_found, row};
use crate::engine::Engine;
use crate::error::Error;
use crate::turn::Caller;

/// Items to be added.
#[derive(Debug)]
pub struct Addition {
    /// The items.
    pub items: Vec<InputItem>,
    /// The request's idempotency key, if it has one.
    pub key: Option<String>,
    /// Digest of the request.
    pub request_hash: Digest,
}

/// Items that were added.
#[derive(Debug)]
pub struct Added {
    /// The items with their ids; of a retry those that are there still.
    pub items: Vec<Value>,
    /// Whether an earlier request with the same key had added them.
    pub replayed: bool,
}

impl Engine {
    /// Adds items behind the newest turn, once no turn runs. Idempotent by the key;
    /// without one every call adds again.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::ConversationErased`],
    /// [`Error::KeyReused`], [`Error::ConversationBusy`] when turns run for longer than a
    /// request waits, and what the store may say.
    pub async fn add_items(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        addition: Addition,
    ) -> Result<Added, Error> {
        let Addition { items, key, request_hash } = addition;
        let items = self.resolve_items(&caller.tenant, Some(conversation), items).await?;
        if items.is_empty() {
            // There is nothing to wait for.
            self.changeable(caller, conversation).await?;
            return Ok(Added { items, replayed: false });
        }
        let items = &*json::raw(&Value::Array(items));
        let key = key.as_deref().map(|key| (key, &request_hash));
        self.when_free(caller, conversation, || self.try_to_add(caller, conversation, items, key)).await
    }

    /// `None` while a turn runs.
    async fn try_to_add(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        items: &RawValue,
        key: Option<(&str, &Digest)>,
    ) -> Result<Option<Added>, Error> {
        let tenant = &caller.tenant;
        for round in 0..=MAX_CONFLICT_RETRIES {
            if let Some((key, request_hash)) = key
                && let Some(added) = self.added_before(caller, conversation, key, request_hash).await?
            {
                return Ok(Some(added));
            }
            let Some((seen_version, row)) = self.changeable(caller, conversation).await? else { return Ok(None) };
            let now = self.clock.now();
            let added = AddedItems {
                row,
                items: items.to_owned(),
                added_at: now,
                expires_at: self.expires_at(now, &caller.grant),
                request: caller.request_id.clone(),
            };
            let packed = added.pack()?;
            if packed.bytes() > MAX_PACKED_BYTES {
                return Err(too_large());
            }
            let add = AddItems { tenant, conversation, items: &packed, seen_version, key, now };
            match self.retry(|_| self.store.add_items(&add)).await? {
                Changed::Applied => {
                    let items = named(&Entry::Added(added), conversation);
                    return Ok(Some(Added { items, replayed: false }));
                }
                Changed::Refused => self.pause(round).await,
            }
        }
        Ok(None)
    }

    /// Deletes an item, once no turn runs. Its text is removed and not only hidden: with
    /// an answer goes the stream log that it may still be in.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the conversation or the item is not there, or no longer;
    /// [`Error::ConversationErased`], [`Error::ConversationBusy`], and what the store may
    /// say.
    pub async fn delete_item(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        id: &str,
    ) -> Result<Overview, Error> {
        self.when_free(caller, conversation, || self.try_to_delete(caller, conversation, id)).await?;
        self.memory.forget(&caller.tenant, conversation);
        self.overview(&caller.tenant, "conversation", conversation).await
    }

    /// `None` while a turn runs.
    async fn try_to_delete(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        id: &str,
    ) -> Result<Option<()>, Error> {
        let tenant = &caller.tenant;
        for round in 0..=MAX_CONFLICT_RETRIES {
            let Some((seen_version, _)) = self.changeable(caller, conversation).await? else { return Ok(None) };
            let (entry, place) = match self.entry_of(tenant, conversation, id).await {
                // By somebody else, or by ourselves before a reply was lost.
                Err(Error::NotFound { .. }) if round > 0 => return Ok(Some(())),
                found => found?,
            };
            let less = row::without(&entry, place.index).ok_or_else(|| no_item(id))?;
            if let Some(turn) = entry.as_turn().filter(|_| row::is_answer(&entry, place.index)) {
                // First, so that an interruption in between leaves something to delete.
                self.erase_log(tenant, conversation, &turn.turn).await?;
            }
            let (before, less) = (packed(&entry)?, packed(&less)?);
            let (request, now) = (caller.request_id.as_str(), self.clock.now());
            let replace =
                ReplaceEntry { tenant, conversation, entry: &less, before: &before, seen_version, request, now };
            match self.retry(|_| self.store.replace_entry(&replace)).await? {
                Changed::Applied => return Ok(Some(())),
                Changed::Refused => self.pause(round).await,
            }
        }
        Ok(None)
    }

    /// What an earlier request with the same key has added.
    async fn added_before(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        key: &str,
        request_hash: &Digest,
    ) -> Result<Option<Added>, Error> {
        let (tenant, now) = (&caller.tenant, self.clock.now());
        let added = self.retry(|_| self.store.added_under_key(tenant, conversation, key, now)).await?;
        let Some(added) = added else { return Ok(None) };
        if added.request_hash != *request_hash {
            return Err(Error::KeyReused);
        }
        let entry = self.retry(|_| self.store.entry(tenant, conversation, added.row, now)).await?;
        let items = entry.map(|entry| named(&entry, conversation)).unwrap_or_default();
        Ok(Some(Added { items, replayed: true }))
    }

    /// The version that a change must still find and the row of what it adds; `None`
    /// while a turn runs.
    async fn changeable(&self, caller: &Caller, conversation: &ConversationId) -> Result<Option<(u64, RowId)>, Error> {
        let found = self.retry(|_| self.store.conversation(&caller.tenant, conversation)).await?;
        match change(found.as_ref()) {
            Change::Write { seen_version, row } => Ok(Some((seen_version, row))),
            Change::Busy => Ok(None),
            Change::Absent => Err(not_found(conversation)),
            Change::Erased => Err(Error::ConversationErased),
        }
    }

    /// Tries `attempt` until it comes to something, as long as a request waits for a
    /// conversation. At its door, like the turns of this process.
    async fn when_free<T, F>(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        attempt: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Option<T>, Error>>,
    {
        let door = self.hub.door(&caller.tenant, conversation);
        let longest = self.clock.now() + BUSY_WAIT;
        let give_up = caller.deadline.map_or(longest, |deadline| longest.min(deadline - CHANGE_MARGIN));
        let mut pause = POLL_FIRST;
        loop {
            let released = door.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            {
                let _entry = door.entry.lock().await;
                if let Some(done) = attempt().await? {
                    return Ok(done);
                }
            }
            if self.clock.now() >= give_up {
                return Err(Error::ConversationBusy { retry_after: BUSY_RETRY_AFTER });
            }
            tokio::select! {
                () = &mut released => {}
                () = self.clock.sleep(self.random.jitter(pause)) => pause = (pause * 2).min(POLL_MOST),
            }
        }
    }
}

/// The row as it is stored.
fn packed(entry: &Entry) -> Result<PackedEntry, turnwise_store::Error> {
    match entry {
        Entry::Turn(turn) => turn.pack(),
        Entry::Added(added) => added.pack(),
    }
}

fn named(entry: &Entry, conversation: &ConversationId) -> Vec<Value> {
    row::named(entry, conversation).into_iter().map(|(_, item)| item).collect()
}
