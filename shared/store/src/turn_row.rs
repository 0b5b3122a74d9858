//! A turn's row: the record of its idempotency key.

use turnwise_core::digest::Digest;
use turnwise_core::id::{AttemptId, ConversationId, Tenant, TurnKey};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Delivery, State, Streamed, Turn};

use crate::client::Store;
use crate::error::Error;
use crate::item::{self, Item, Row, binary, instant, number, text};
use crate::keys;
use crate::pack::{pack, unpack};

impl Store {
    /// Reads a turn, strongly consistent.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn turn(&self, tenant: &Tenant, key: &TurnKey) -> Result<Option<Turn>, Error> {
        let answer = self
            .dynamo
            .get_item()
            .table_name(&*self.table)
            .consistent_read(true)
            .key("pk", text(keys::conversation(tenant, &key.conversation)))
            .key("sk", text(keys::turn(&key.turn)))
            .send()
            .await
            .map_err(|error| Error::from_sdk("get_turn", &error))?;
        answer.item().map(read).transpose()
    }

    /// The numbers of the committed turns of a conversation whose input had the digest
    /// `input_hash`, in order. Reads the rows of all its turns: a row for each digest
    /// would be written with every turn, and asked for by few.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn turns_with_input(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        input_hash: &Digest,
    ) -> Result<Vec<u64>, Error> {
        let mut rows = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :turns)")
            .filter_expression("input_hash = :hash AND attribute_exists(#commit)")
            .expression_attribute_names("#commit", "commit")
            .expression_attribute_values(":pk", text(keys::conversation(tenant, conversation)))
            .expression_attribute_values(":turns", text(keys::TURNS))
            .expression_attribute_values(":hash", binary(input_hash.to_bytes()))
            .into_paginator()
            .items()
            .send();
        let mut numbers = Vec::new();
        while let Some(row) = rows.next().await {
            let turn = read(&row.map_err(|error| Error::from_sdk("turns_with_input", &error))?)?;
            if let State::Completed(commit) = turn.state {
                numbers.push(commit.number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// The whole row of `turn`.
///
/// Attributes with their usual value are left out: a row of an ordinary message then
/// takes one write unit less, twice.
///
/// A running turn also stands in the index of running turns and a queued one in that
/// of queued turns, by when it is due; the row of an ended one has no index keys,
/// which takes it out.
pub(crate) fn write(tenant: &Tenant, turn: &Turn) -> Result<Item, Error> {
    let mut row: Vec<(&str, _)> = vec![
        ("pk", text(keys::conversation(tenant, &turn.key.conversation))),
        ("sk", text(keys::turn(&turn.key.turn))),
        ("state", text(turn.state.name())),
        ("input_hash", binary(turn.input_hash.to_bytes())),
        ("epoch", number(turn.epoch)),
        ("attempt", text(turn.attempt.as_str())),
        ("created_at", instant(turn.created_at)),
        ("updated_at", instant(turn.updated_at)),
    ];
    if turn.delivery != Delivery::default() {
        row.push(("delivery", text(turn.delivery.name())));
    }
    if turn.attempts != 1 {
        row.push(("attempts", number(turn.attempts)));
    }
    if let Some(input) = &turn.input {
        row.push(("input", binary(pack(input)?)));
    }
    if let Some(place) = turn.place {
        row.push(("place", number(place)));
    }
    let committed = matches!(turn.state, State::Completed(_));
    if turn.number > 0 && !committed {
        row.push(("number", number(turn.number)));
    }
    if turn.streams > 0 {
        row.push(("streams", number(turn.streams)));
    }
    if let Some(streamed) = turn.streamed {
        row.push(("streamed", number(streamed.epoch)));
        if streamed.stream != turn.streams {
            row.push(("stream", number(streamed.stream)));
        }
    }
    if let Some(at) = turn.deleted_at {
        row.push(("deleted_at", instant(at)));
    }
    match &turn.state {
        State::Queued { due } => {
            row.push(("g1pk", text(keys::queued(tenant, &turn.key))));
            row.push(("g1sk", text(keys::instant(*due))));
        }
        State::Processing => {
            row.push(("g1pk", text(keys::active(tenant, &turn.key))));
            row.push(("g1sk", text(keys::instant(turn.updated_at))));
        }
        State::Completed(commit) => row.push(("commit", item::json(commit)?)),
        State::Failed(failure) => row.push(("failure", binary(pack(failure)?))),
    }
    Ok(row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(crate) fn read(item: &Item) -> Result<Turn, Error> {
    let row = Row(item);
    let (_, key) = keys::parse_turn(&row.text("pk")?, &row.text("sk")?)?;
    let delivery = match row.maybe_text("delivery")? {
        None => Delivery::default(),
        Some(name) => Delivery::from_name(&name).ok_or_else(|| Error::corrupt(format!("delivery {name:?}")))?,
    };
    let state = match row.text("state")?.as_str() {
        "QUEUED" => State::Queued { due: keys::parse_instant(&row.text("g1sk")?)? },
        "PROCESSING" => State::Processing,
        "COMPLETED" => State::Completed(row.json("commit")?),
        "FAILED" => State::Failed(unpack(row.maybe_bytes("failure")?.unwrap_or_default())?),
        other => return Err(Error::corrupt(format!("state {other:?} of turn {key}"))),
    };
    let small = |name: &str| -> Result<Option<u32>, Error> {
        Ok(row.maybe_number(name)?.map(|value| u32::try_from(value).unwrap_or(u32::MAX)))
    };
    let streams = small("streams")?.unwrap_or(0);
    let stream = small("stream")?.unwrap_or(streams);
    let streamed = row.maybe_number("streamed")?.map(|epoch| Streamed { epoch, stream });
    let number = match &state {
        State::Completed(commit) => commit.number,
        State::Queued { .. } | State::Processing | State::Failed(_) => row.maybe_number("number")?.unwrap_or(0),
    };
    Ok(Turn {
        key,
        input_hash: Digest::from_stored(row.maybe_bytes("input_hash")?.unwrap_or_default()),
        delivery,
        epoch: row.number("epoch")?,
        attempt: AttemptId::from_stored(row.text("attempt")?),
        attempts: small("attempts")?.unwrap_or(1),
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
        input: row.maybe_bytes("input")?.map(unpack).transpose()?,
        place: row.maybe_number("place")?,
        number,
        streams,
        streamed,
        deleted_at: row.maybe_number("deleted_at")?.map(Timestamp),
        state,
    })
}
