//! Committed turns: one packed row each, numbered without gaps.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use turnwise_core::id::{ConversationId, Tenant, TurnId};
use turnwise_core::time::Timestamp;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, binary, instant, text};
use crate::keys;
use crate::pack::{pack, unpack};

/// A committed turn with its messages.
#[derive(Debug, Clone)]
pub struct CommittedTurn {
    /// 1, 2, 3 ... without gaps.
    pub number: u64,
    /// The turn's name.
    pub turn: TurnId,
    /// The messages that came in with it, an array in OpenAI's shape; empty for a
    /// stateless request, whose input no later turn needs.
    pub input: Box<RawValue>,
    /// The answer, a `chat.completion` object.
    pub output: Box<RawValue>,
    /// When it was committed.
    pub completed_at: Timestamp,
}

/// A committed turn as its row holds it. Packing takes time, so it is done once and
/// every try of the write takes the same bytes.
#[derive(Debug, Clone)]
pub struct PackedTurn {
    number: u64,
    turn: TurnId,
    completed_at: Timestamp,
    body: Vec<u8>,
}

/// The packed part of a row, as it is written.
#[derive(Serialize)]
struct Body<'a> {
    input: &'a RawValue,
    output: &'a RawValue,
}

/// The packed part of a row, as it is read.
#[derive(Deserialize)]
struct StoredBody {
    input: Box<RawValue>,
    output: Box<RawValue>,
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
            .key("sk", text(keys::messages(number)))
            .send()
            .await
            .map_err(|error| Error::from_sdk("get_committed_turn", &error))?;
        answer.item().map(CommittedTurn::read).transpose()
    }

    /// Committed turns in order, from the one after number `after`, at most `limit`;
    /// fewer when a megabyte of rows is full before.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn committed_turns(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<CommittedTurn>, Error> {
        let page = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", text(keys::conversation(tenant, conversation)))
            .expression_attribute_values(":first", text(keys::messages(after.saturating_add(1))))
            .expression_attribute_values(":last", text(keys::messages(9_999_999_999)))
            .send()
            .await
            .map_err(|error| Error::from_sdk("list_committed_turns", &error))?;
        page.items().iter().map(CommittedTurn::read).collect()
    }
}

impl CommittedTurn {
    /// The turn as its row will hold it.
    ///
    /// # Errors
    /// When the messages cannot be packed.
    pub fn pack(&self) -> Result<PackedTurn, Error> {
        Ok(PackedTurn {
            number: self.number,
            turn: self.turn.clone(),
            completed_at: self.completed_at,
            body: pack(&Body { input: &self.input, output: &self.output })?,
        })
    }

    pub(crate) fn read(item: &Item) -> Result<Self, Error> {
        let row = Row(item);
        let sk = row.text("sk")?;
        let number = sk.strip_prefix(keys::MESSAGES).and_then(|digits| digits.parse().ok());
        let body: StoredBody = unpack(row.maybe_bytes("body")?.unwrap_or_default())?;
        Ok(Self {
            number: number.ok_or_else(|| Error::corrupt(format!("sort key {sk:?} of a committed turn")))?,
            turn: TurnId::from_stored(row.text("turn")?),
            input: body.input,
            output: body.output,
            completed_at: row.instant("completed_at")?,
        })
    }
}

impl PackedTurn {
    /// Bytes that the messages take up in the row.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn write(&self, tenant: &Tenant, conversation: &ConversationId) -> Item {
        let row = [
            ("pk", text(keys::conversation(tenant, conversation))),
            ("sk", text(keys::messages(self.number))),
            ("turn", text(self.turn.as_str())),
            ("completed_at", instant(self.completed_at)),
            ("body", binary(self.body.clone())),
        ];
        row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
