//! What a conversation holds: its committed turns, one packed row each and numbered
//! without gaps, and between them the items that were added by hand.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use turnwise_core::id::{ConversationId, Tenant, TurnId};
use turnwise_core::items::{RowId, items_of_messages};
use turnwise_core::json::RawMap;
use turnwise_core::time::Timestamp;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, binary, instant, text};
use crate::keys;
use crate::pack::{pack, unpack};

/// One row of a conversation.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A turn.
    Turn(CommittedTurn),
    /// Items that were added by hand.
    Added(AddedItems),
}

/// A committed turn with its messages.
#[derive(Debug, Clone)]
pub struct CommittedTurn {
    /// 1, 2, 3 ... without gaps.
    pub number: u64,
    /// The turn's name.
    pub turn: TurnId,
    /// What came in with it.
    pub input: Content,
    /// The answer, a `chat.completion` object; JSON's null when it was deleted.
    pub output: Box<RawValue>,
    /// The parameters of the request that its answer shows again.
    pub echo: RawMap,
    /// When it was committed.
    pub completed_at: Timestamp,
}

/// Items that were added to a conversation by hand.
#[derive(Debug, Clone)]
pub struct AddedItems {
    /// Behind which turn, and the conversation's version that they made.
    pub row: RowId,
    /// The items, an array; null in the place of a deleted one.
    pub items: Box<RawValue>,
    /// When they were added.
    pub added_at: Timestamp,
}

/// What came in with a turn, in the form of the route it came by. Null stands in the
/// place of what was deleted, so that the rest keeps its place.
#[derive(Debug, Clone)]
pub enum Content {
    /// An array of chat messages; empty for a stateless request, whose input no later
    /// turn needs.
    Messages(Box<RawValue>),
    /// An array of items.
    Items(Box<RawValue>),
}

impl Content {
    /// What came in, as items without ids; null in the place of what was deleted.
    #[must_use]
    pub fn items(&self) -> Vec<Value> {
        match self {
            Self::Messages(messages) => items_of_messages(&list(messages)),
            Self::Items(items) => list(items),
        }
    }
}

fn list(array: &RawValue) -> Vec<Value> {
    serde_json::from_str(array.get()).unwrap_or_default()
}

/// A row of a conversation as it is stored. Packing takes time, so it is done once and
/// every try of the write takes the same bytes.
#[derive(Debug, Clone)]
pub struct PackedEntry {
    row: RowId,
    turn: Option<TurnId>,
    at: Timestamp,
    body: Vec<u8>,
}

/// The packed part of a row, as it is written.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    echo: Option<&'a RawMap>,
}

/// The packed part of a row, as it is read.
#[derive(Deserialize)]
struct StoredBody {
    input: Option<Box<RawValue>>,
    items: Option<Box<RawValue>>,
    output: Option<Box<RawValue>>,
    #[serde(default)]
    echo: RawMap,
}

impl Store {
    /// The committed turn number `number`.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn committed_turn(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        number: u64,
    ) -> Result<Option<CommittedTurn>, Error> {
        let answer = self
            .dynamo
            .get_item()
            .table_name(&*self.table)
            .consistent_read(true)
            .key("pk", text(keys::conversation(tenant, conversation)))
            .key("sk", text(keys::entry(RowId::of_turn(number))))
            .send()
            .await
            .map_err(|error| Error::from_sdk("get_committed_turn", &error))?;
        answer.item().map(|item| read(item)?.into_turn()).transpose()
    }

    /// Rows of a conversation in its order, from the one after `after`, at most `limit`;
    /// fewer when a megabyte of rows is full before. Newest first where `backwards` says
    /// so: then those before `after`, or the newest.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn entries(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        after: Option<RowId>,
        backwards: bool,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        let (first, last) = match (after, backwards) {
            (None, _) => (keys::MESSAGES.to_owned(), keys::LAST_ENTRY.to_owned()),
            (Some(after), true) => (keys::MESSAGES.to_owned(), keys::entry(after)),
            (Some(after), false) => (keys::entry(after), keys::LAST_ENTRY.to_owned()),
        };
        // The ends belong to the range, so the row of `after` may come along.
        let one_more = limit.saturating_add(usize::from(after.is_some()));
        let page = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .scan_index_forward(!backwards)
            .limit(i32::try_from(one_more).unwrap_or(i32::MAX))
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", text(keys::conversation(tenant, conversation)))
            .expression_attribute_values(":first", text(first))
            .expression_attribute_values(":last", text(last))
            .send()
            .await
            .map_err(|error| Error::from_sdk("list_entries", &error))?;
        let mut entries = page.items().iter().map(read).collect::<Result<Vec<_>, _>>()?;
        entries.retain(|entry| after != Some(entry.row()));
        entries.truncate(limit);
        Ok(entries)
    }
}

impl Entry {
    /// Where it is in the conversation.
    #[must_use]
    pub fn row(&self) -> RowId {
        match self {
            Self::Turn(turn) => RowId::of_turn(turn.number),
            Self::Added(added) => added.row,
        }
    }

    /// The turn, if it is one.
    #[must_use]
    pub fn as_turn(&self) -> Option<&CommittedTurn> {
        match self {
            Self::Turn(turn) => Some(turn),
            Self::Added(_) => None,
        }
    }

    fn into_turn(self) -> Result<CommittedTurn, Error> {
        match self {
            Self::Turn(turn) => Ok(turn),
            Self::Added(added) => Err(Error::corrupt(format!("row {:?} of a committed turn", added.row))),
        }
    }
}

impl CommittedTurn {
    /// The turn as its row will hold it.
    ///
    /// # Errors
    /// When the messages cannot be packed.
    pub fn pack(&self) -> Result<PackedEntry, Error> {
        let (input, items) = match &self.input {
            Content::Messages(messages) => (Some(&**messages), None),
            Content::Items(items) => (None, Some(&**items)),
        };
        let echo = Some(&self.echo).filter(|echo| !echo.is_empty());
        Ok(PackedEntry {
            row: RowId::of_turn(self.number),
            turn: Some(self.turn.clone()),
            at: self.completed_at,
            body: pack(&Body { input, items, output: Some(&self.output), echo })?,
        })
    }
}

impl AddedItems {
    /// The items as their row will hold them.
    ///
    /// # Errors
    /// When they cannot be packed.
    pub fn pack(&self) -> Result<PackedEntry, Error> {
        let body = Body { input: None, items: Some(&self.items), output: None, echo: None };
        Ok(PackedEntry { row: self.row, turn: None, at: self.added_at, body: pack(&body)? })
    }
}

impl PackedEntry {
    /// Bytes that the content takes up in the row.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn write(&self, tenant: &Tenant, conversation: &ConversationId) -> Item {
        let row = [
            ("pk", text(keys::conversation(tenant, conversation))),
            ("sk", text(keys::entry(self.row))),
            ("completed_at", instant(self.at)),
            ("body", binary(self.body.clone())),
        ];
        let turn = self.turn.iter().map(|turn| ("turn", text(turn.as_str())));
        row.into_iter().chain(turn).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

pub(crate) fn read(item: &Item) -> Result<Entry, Error> {
    let row = Row(item);
    let id = keys::parse_entry(&row.text("sk")?)?;
    let body: StoredBody = unpack(row.maybe_bytes("body")?.unwrap_or_default())?;
    let at = row.instant("completed_at")?;
    let Some(turn) = row.maybe_text("turn")? else {
        let items = body.items.ok_or_else(|| Error::corrupt(format!("row {id:?} without items")))?;
        return Ok(Entry::Added(AddedItems { row: id, items, added_at: at }));
    };
    let input = match (body.input, body.items) {
        (Some(messages), _) => Content::Messages(messages),
        (None, Some(items)) => Content::Items(items),
        (None, None) => return Err(Error::corrupt(format!("turn {} without input", id.number))),
    };
    Ok(Entry::Turn(CommittedTurn {
        number: id.number,
        turn: TurnId::from_stored(turn),
        input,
        output: body.output.unwrap_or_else(|| RawValue::NULL.to_owned()),
        echo: body.echo,
        completed_at: at,
    }))
}
