//! A conversation that begins without a turn: created by itself, perhaps with items.

use aws_sdk_dynamodb::types::Put;
use turnwise_core::digest::Digest;
use turnwise_core::id::{ConversationId, Tenant};
use turnwise_core::items::Metadata;
use turnwise_core::time::Timestamp;

use crate::client::Store;
use crate::conversation;
use crate::error::Error;
use crate::history::PackedEntry;
use crate::item::{Item, binary, instant, number};
use crate::overview::{self, Overview};
use crate::pack::pack;
use crate::transact::{self, Outcome};

/// The version of a conversation that was just created; its first items carry it.
pub const FIRST_VERSION: u64 = 1;

/// What the creation of a conversation writes.
#[derive(Debug)]
pub struct CreateConversation<'a> {
    /// Whose.
    pub tenant: &'a Tenant,
    /// Its name.
    pub conversation: &'a ConversationId,
    /// What the client attaches to it.
    pub metadata: &'a Metadata,
    /// Its first items, in the row of version [`FIRST_VERSION`] before all turns.
    pub items: Option<&'a PackedEntry>,
    /// Digest of the request, by which its retry is told from another request.
    pub request_hash: &'a Digest,
    /// Now.
    pub now: Timestamp,
}

impl Store {
    /// Creates a conversation, or gives the one that has this name already. Idempotent
    /// by its name: a second write finds what the first has made. It is listed with its
    /// first turn, like every other.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction is at the same rows, and what
    /// else the table may answer.
    pub async fn create_conversation(&self, create: &CreateConversation<'_>) -> Result<Option<Overview>, Error> {
        let CreateConversation { tenant, conversation, items, .. } = create;
        let put = |row: Item| {
            let put = Put::builder().table_name(&*self.table).set_item(Some(row));
            transact::put(put.condition_expression("attribute_not_exists(pk)"))
        };
        let mut members = vec![put(meta(create)?)?];
        if let Some(items) = items {
            members.push(put(items.write(tenant, conversation))?);
        }
        match self.transact("create_conversation", conversation.as_str(), members).await? {
            Outcome::Applied => Ok(None),
            Outcome::Refused(rows) => {
                let found = rows.into_iter().next().flatten();
                let found = found.map(|row| overview::read(&row, conversation)).transpose()?;
                found.map_or_else(|| Err(Error::corrupt(format!("items of {conversation} without META"))), Ok).map(Some)
            }
        }
    }
}

fn meta(create: &CreateConversation<'_>) -> Result<Item, Error> {
    let mut row = conversation::key(create.tenant, create.conversation);
    let attributes = [
        ("fence", number(0)),
        ("head", number(0)),
        ("version", number(FIRST_VERSION)),
        ("messages", number(create.items.map_or(0, |items| items.parts))),
        ("request_hash", binary(create.request_hash.to_bytes())),
        ("created_at", instant(create.now)),
        ("updated_at", instant(create.now)),
    ];
    row.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    if !create.metadata.is_empty() {
        row.insert("metadata".to_owned(), binary(pack(create.metadata)?));
    }
    Ok(row)
}
