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
use crate::item::{Item, Row, binary, instant, number, text};
use crate::keys;
use crate::pack::{pack, unpack};
use crate::schema::TTL;

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
    /// When it is as if it were gone, if ever.
    pub expires_at: Option<Timestamp>,
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
    /// When they are as if they were gone, if ever.
    pub expires_at: Option<Timestamp>,
    /// The request that added them, by which it finds its own row when a reply was lost.
    pub request: String,
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
    request: Option<String>,
    at: Timestamp,
    expires_at: Option<Timestamp>,
    /// Messages or items that came in with it, and its answer.
    pub(crate) parts: u64,
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
    /// The committed turn number `number`, as long as it is kept.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn committed_turn(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        number: u64,
        now: Timestamp,
    ) -> Result<Option<CommittedTurn>, Error> {
        let entry = self.entry(tenant, conversation, RowId::of_turn(number), now).await?;
        entry.map(Entry::into_turn).transpose()
    }

    /// One row of a conversation, as long as it is kept.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn entry(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        row: RowId,
        now: Timestamp,
    ) -> Result<Option<Entry>, Error> {
        let answer = self
            .dynamo
            .get_item()
            .table_name(&*self.table)
            .consistent_read(true)
            .key("pk", text(keys::conversation(tenant, conversation)))
            .key("sk", text(keys::entry(row)))
            .send()
            .await
            .map_err(|error| Error::from_sdk("get_entry", &error))?;
        let entry = answer.item().map(read).transpose()?;
        Ok(entry.filter(|entry| !entry.has_expired(now)))
    }

    /// Rows of a conversation in its order, from the one after `after`, at most `limit`;
    /// fewer only where there are no more. Newest first where `backwards` says so: then
    /// those before `after`, or the newest. Rows that have expired by `now` are left out.
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
        now: Timestamp,
    ) -> Result<Vec<Entry>, Error> {
        let (first, last) = match (after, backwards) {
            (None, _) => (keys::MESSAGES.to_owned(), keys::LAST_ENTRY.to_owned()),
            (Some(after), true) => (keys::MESSAGES.to_owned(), keys::entry(after)),
            (Some(after), false) => (keys::entry(after), keys::LAST_ENTRY.to_owned()),
        };
        // The ends belong to the range, so the row of `after` may come along.
        let one_more = limit.saturating_add(usize::from(after.is_some()));
        let query = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .scan_index_forward(!backwards)
            .limit(i32::try_from(one_more).unwrap_or(i32::MAX))
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", text(keys::conversation(tenant, conversation)))
            .expression_attribute_values(":first", text(first))
            .expression_attribute_values(":last", text(last));
        let mut entries = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let page = query.clone().set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| Error::from_sdk("list_entries", &error))?;
            for item in page.items() {
                let entry = read(item)?;
                if after != Some(entry.row()) && !entry.has_expired(now) {
                    entries.push(entry);
                }
            }
            start = page.last_evaluated_key().cloned();
            if start.is_none() || entries.len() >= limit {
                entries.truncate(limit);
                return Ok(entries);
            }
        }
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

    /// About how many bytes it takes up in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = match self {
            Self::Added(added) => added.items.get().len(),
            Self::Turn(turn) => {
                let input = match &turn.input {
                    Content::Messages(list) | Content::Items(list) => list.get().len(),
                };
                let echo: usize = turn.echo.iter().map(|(name, value)| name.len() + value.get().len()).sum();
                input + turn.output.get().len() + echo
            }
        };
        texts + std::mem::size_of::<Self>()
    }

    /// Whether it is as if it were gone. DynamoDB deletes expired rows late, so whoever
    /// reads one has to ask.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        let expires_at = match self {
            Self::Turn(turn) => turn.expires_at,
            Self::Added(added) => added.expires_at,
        };
        expires_at.is_some_and(|expires_at| expires_at <= now)
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
    /// Whether its answer was deleted.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        is_null(&self.output)
    }

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
            request: None,
            at: self.completed_at,
            expires_at: self.expires_at,
            parts: parts(input.or(items)) + u64::from(!is_null(&self.output)),
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
        Ok(PackedEntry {
            row: self.row,
            turn: None,
            request: Some(self.request.clone()),
            at: self.added_at,
            expires_at: self.expires_at,
            parts: parts(Some(&self.items)),
            body: pack(&body)?,
        })
    }
}

impl PackedEntry {
    /// Bytes that the content takes up in the row.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Which row it is.
    #[must_use]
    pub const fn row(&self) -> RowId {
        self.row
    }

    /// The request that adds it, if it is one of items added by hand.
    pub(crate) fn request(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// Messages and items in it, an answer included.
    #[must_use]
    pub fn parts(&self) -> u64 {
        self.parts
    }

    pub(crate) fn write(&self, tenant: &Tenant, conversation: &ConversationId) -> Item {
        let row = [
            ("pk", text(keys::conversation(tenant, conversation))),
            ("sk", text(keys::entry(self.row))),
            ("completed_at", instant(self.at)),
            ("body", binary(self.body.clone())),
        ];
        let turn = self.turn.iter().map(|turn| ("turn", text(turn.as_str())));
        let request = self.request.iter().map(|request| ("request", text(&**request)));
        let ttl = self.expires_at.iter().map(|at| (TTL, number(at.as_secs())));
        row.into_iter().chain(turn).chain(request).chain(ttl).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// How many elements of the array are there still.
fn parts(array: Option<&RawValue>) -> u64 {
    let elements = array.and_then(|array| serde_json::from_str::<Vec<&RawValue>>(array.get()).ok());
    let there = elements.into_iter().flatten().filter(|element| !is_null(element));
    u64::try_from(there.count()).unwrap_or(u64::MAX)
}

pub(crate) fn read(item: &Item) -> Result<Entry, Error> {
    let row = Row(item);
    let id = keys::parse_entry(&row.text("sk")?)?;
    let body: StoredBody = unpack(row.maybe_bytes("body")?.unwrap_or_default())?;
    let at = row.instant("completed_at")?;
    let expires_at = row.maybe_number(TTL)?.map(|seconds| Timestamp(seconds.saturating_mul(1000)));
    let Some(turn) = row.maybe_text("turn")? else {
        let items = body.items.ok_or_else(|| Error::corrupt(format!("row {id:?} without items")))?;
        let request = row.maybe_text("request")?.unwrap_or_default();
        return Ok(Entry::Added(AddedItems { row: id, items, added_at: at, expires_at, request }));
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
        expires_at,
    }))
}
