//! Changes of a conversation's content by hand: items added, items deleted. Each raises
//! the version in its transaction, and none happens while somebody has the lock.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use turnwise_core::digest::Digest;
use turnwise_core::id::{ConversationId, Tenant};
use turnwise_core::items::RowId;
use turnwise_core::limits::ADDED_KEY_TTL;
use turnwise_core::time::Timestamp;

use crate::client::Store;
use crate::error::Error;
use crate::history::PackedEntry;
use crate::item::{Item, Row, binary, number, text};
use crate::schema::TTL;
use crate::transact::{self, Outcome};
use crate::{conversation, keys};

/// What the adding of items writes.
#[derive(Debug)]
pub struct AddItems<'a> {
    /// Whose conversation.
    pub tenant: &'a Tenant,
    /// Which.
    pub conversation: &'a ConversationId,
    /// The row of the items.
    pub items: &'a PackedEntry,
    /// The conversation's version when it was read.
    pub seen_version: u64,
    /// The request's idempotency key, if it has one, and the digest of its body.
    pub key: Option<(&'a str, &'a Digest)>,
    /// Now.
    pub now: Timestamp,
}

/// What the deletion of an item writes: its row without it.
#[derive(Debug)]
pub struct ReplaceEntry<'a> {
    /// Whose conversation.
    pub tenant: &'a Tenant,
    /// Which.
    pub conversation: &'a ConversationId,
    /// The row as it will stand.
    pub entry: &'a PackedEntry,
    /// The row as it was read; the difference is counted.
    pub before: &'a PackedEntry,
    /// The conversation's version when both were read.
    pub seen_version: u64,
    /// The request that does it.
    pub request: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// What a change came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is written, now or by an earlier try of this request.
    Applied,
    /// The conversation has changed, or somebody has its lock; nothing was written.
    Refused,
}

/// What was added under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedUnderKey {
    /// The row of the items.
    pub row: RowId,
    /// Digest of the request's body.
    pub request_hash: Digest,
}

impl Store {
    /// Adds items behind the newest turn. Idempotent by the request's id in their row:
    /// sent again after a lost reply it finds its own row.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction is at the same rows, and what
    /// else the table may answer.
    pub async fn add_items(&self, add: &AddItems<'_>) -> Result<Changed, Error> {
        let AddItems { tenant, conversation, items, seen_version, now, .. } = add;
        let added = i64::try_from(items.parts).unwrap_or(i64::MAX);
        let row = Put::builder().table_name(&*self.table).set_item(Some(items.write(tenant, conversation)));
        let mut members = vec![
            self.next_version(tenant, conversation, *seen_version, added, *now)?,
            transact::put(row.condition_expression("attribute_not_exists(pk)"))?,
        ];
        if let Some((key, request_hash)) = add.key {
            members.push(self.key_member(add, key, request_hash)?);
        }
        let request = items.request().unwrap_or_default();
        match self.transact("add_items", request, members).await? {
            Outcome::Applied => Ok(Changed::Applied),
            Outcome::Refused(rows) => {
                let stored = rows.into_iter().nth(1).flatten();
                let ours = stored.as_ref().map(|row| Row(row).maybe_text("request")).transpose()?.flatten();
                Ok(if ours.is_some_and(|ours| ours == request) { Changed::Applied } else { Changed::Refused })
            }
        }
    }

    /// Writes a row without what was deleted from it. Idempotent by its effect: once it
    /// is written, the version is no longer the one that was seen.
    ///
    /// # Errors
    /// As [`Self::add_items`].
    pub async fn replace_entry(&self, replace: &ReplaceEntry<'_>) -> Result<Changed, Error> {
        let ReplaceEntry { tenant, conversation, entry, before, seen_version, request, now } = replace;
        let count = |entry: &PackedEntry| i64::try_from(entry.parts).unwrap_or(i64::MAX);
        let row = Put::builder().table_name(&*self.table).set_item(Some(entry.write(tenant, conversation)));
        let members = vec![
            self.next_version(tenant, conversation, *seen_version, count(entry) - count(before), *now)?,
            transact::put(row.condition_expression("attribute_exists(pk)"))?,
        ];
        match self.transact("replace_entry", request, members).await? {
            Outcome::Applied => Ok(Changed::Applied),
            Outcome::Refused(_) => Ok(Changed::Refused),
        }
    }

    /// What was added to a conversation under the idempotency key `key`, as long as the
    /// key is remembered.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn added_under_key(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<AddedUnderKey>, Error> {
        let answer = self
            .dynamo
            .get_item()
            .table_name(&*self.table)
            .consistent_read(true)
            .key("pk", text(keys::conversation(tenant, conversation)))
            .key("sk", text(keys::added_key(key)))
            .send()
            .await
            .map_err(|error| Error::from_sdk("added_under_key", &error))?;
        let Some(item) = answer.item() else { return Ok(None) };
        let row = Row(item);
        if row.number(TTL)? <= now.as_secs() {
            return Ok(None);
        }
        Ok(Some(AddedUnderKey {
            row: RowId { number: row.number("number")?, version: row.number("version")? },
            request_hash: Digest::from_stored(row.maybe_bytes("request_hash")?.unwrap_or_default()),
        }))
    }

    /// Raises the version, if it stands as it was seen and nobody has the lock.
    pub(crate) fn next_version(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        seen: u64,
        messages: i64,
        now: Timestamp,
    ) -> Result<TransactWriteItem, Error> {
        let unchanged = "version = :seen";
        let free = "attribute_not_exists(#owner)";
        let kept = "attribute_not_exists(erased_at)";
        transact::update(
            Update::builder()
                .table_name(&*self.table)
                .set_key(Some(conversation::key(tenant, conversation)))
                .update_expression("SET version = version + :one, updated_at = :now ADD messages :messages")
                .condition_expression(format!("{unchanged} AND {free} AND {kept}"))
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_values(":seen", number(seen))
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":messages", number(messages))
                .expression_attribute_values(":now", crate::item::instant(now)),
        )
    }

    fn key_member(&self, add: &AddItems<'_>, key: &str, request_hash: &Digest) -> Result<TransactWriteItem, Error> {
        let row: Item = [
            ("pk", text(keys::conversation(add.tenant, add.conversation))),
            ("sk", text(keys::added_key(key))),
            ("request_hash", binary(request_hash.to_bytes())),
            ("number", number(add.items.row().number)),
            ("version", number(add.items.row().version)),
            (TTL, number((add.now + ADDED_KEY_TTL).as_secs())),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let absent = "attribute_not_exists(pk)";
        let forgotten = "#ttl <= :now";
        transact::put(
            Put::builder()
                .table_name(&*self.table)
                .set_item(Some(row))
                .condition_expression(format!("{absent} OR {forgotten}"))
                .expression_attribute_names("#ttl", TTL)
                .expression_attribute_values(":now", number(add.now.as_secs())),
        )
    }
}
