//! A conversation's META item, and the one query that opens a conversation.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use turnwise_core::id::{AttemptId, ConversationId, ProjectId, Tenant, TurnId};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Conversation, Holder, Parent};

use crate::client::Store;
use crate::error::Error;
use crate::history::{self, Entry};
use crate::item::{Item, Row, number, text};
use crate::keys;

/// A conversation as one strong query sees it.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// Lock and summary; `None` if nothing was ever begun under this name.
    pub conversation: Option<Conversation>,
    /// Its newest rows, oldest first.
    pub newest: Vec<Entry>,
}

impl Store {
    /// Reads a conversation with its `rows` newest rows, without those that have expired
    /// by `now`: strongly consistent, and one round trip unless they fill more than a page
    /// of a megabyte. A change between two pages is one that T1 refuses.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn open(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        rows: usize,
        now: Timestamp,
    ) -> Result<Opened, Error> {
        let limit = i32::try_from(rows.saturating_add(1)).unwrap_or(i32::MAX);
        let query = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(limit)
            .key_condition_expression("pk = :pk AND sk BETWEEN :messages AND :meta")
            .expression_attribute_values(":pk", text(keys::conversation(tenant, conversation)))
            .expression_attribute_values(":messages", text(keys::MESSAGES))
            .expression_attribute_values(":meta", text(keys::META));
        let mut opened = Opened::default();
        let mut start: Option<Item> = None;
        loop {
            let page = query.clone().set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| Error::from_sdk("open_conversation", &error))?;
            for item in page.items() {
                match item.get("sk").and_then(|sk| sk.as_s().ok()).map(String::as_str) {
                    Some(keys::META) => opened.conversation = Some(read(item)?),
                    Some(_) | None => opened.newest.push(history::read(item)?),
                }
            }
            start = page.last_evaluated_key().cloned();
            let is_enough = opened.conversation.is_some() && opened.newest.len() >= rows;
            if start.is_none() || is_enough {
                break;
            }
        }
        opened.newest.truncate(rows);
        opened.newest.retain(|entry| !entry.has_expired(now));
        opened.newest.reverse();
        Ok(opened)
    }

    /// Reads a conversation's lock and summary.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn conversation(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
    ) -> Result<Option<Conversation>, Error> {
        let answer = self
            .dynamo
            .get_item()
            .table_name(&*self.table)
            .consistent_read(true)
            .set_key(Some(key(tenant, conversation)))
            .send()
            .await
            .map_err(|error| Error::from_sdk("get_conversation", &error))?;
        answer.item().map(read).transpose()
    }
}

/// The META item's key.
pub(crate) fn key(tenant: &Tenant, conversation: &ConversationId) -> Item {
    [("pk", keys::conversation(tenant, conversation)), ("sk", keys::META.to_owned())]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
        .collect()
}

/// What the write that makes a conversation sets beside its counters, as the end of a
/// `SET`, and `update` with the names and values that it needs.
pub(crate) fn made_from(
    update: UpdateBuilder,
    project: Option<&ProjectId>,
    parent: Option<&Parent>,
) -> (UpdateBuilder, String) {
    let (mut update, mut made) = (update, String::new());
    if let Some(project) = project {
        // The bare word `project` is reserved in expressions.
        update = update
            .expression_attribute_names("#project", "project")
            .expression_attribute_values(":project", text(project.as_str()));
        made.push_str(", #project = :project");
    }
    if let Some(parent) = parent {
        update = update
            .expression_attribute_names("#parent", "parent")
            .expression_attribute_values(":parent", text(parent.conversation.as_str()))
            .expression_attribute_values(":parent_number", number(parent.number));
        made.push_str(", #parent = :parent, parent_number = :parent_number");
    }
    (update, made)
}

pub(crate) fn read(item: &Item) -> Result<Conversation, Error> {
    let row = Row(item);
    let holder = match row.maybe_text("owner")? {
        None => None,
        Some(owner) => Some(Holder {
            attempt: AttemptId::from_stored(owner),
            turn: TurnId::from_stored(row.text("owner_turn")?),
            lease_until: row.instant("lease_until")?,
        }),
    };
    let parent = match row.maybe_text("parent")? {
        None => None,
        Some(name) => {
            Some(Parent { conversation: ConversationId::from_stored(name), number: row.number("parent_number")? })
        }
    };
    Ok(Conversation {
        fence: row.number("fence")?,
        holder,
        head: row.number("head")?,
        version: row.number("version")?,
        queued: row.maybe_number("queued")?.unwrap_or(0),
        queue_tail: row.maybe_number("queue_tail")?.unwrap_or(0),
        erased: row.maybe_number("erased_at")?.is_some(),
        project: row.maybe_text("project")?.map(ProjectId::from_stored),
        parent,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
