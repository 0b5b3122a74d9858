//! The erasure of a conversation: first the one write that ends it, then its rows, a few
//! at a time, and last the mark that says what is still to be done.
//!
//! META stays. A conversation that began anew with a fence of 1 would let an attempt of
//! the old one commit.

use aws_sdk_dynamodb::types::{DeleteRequest, Put, ReturnValue, WriteRequest};
use turnwise_core::id::{ConversationId, Tenant, TurnId, TurnKey};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Conversation, Turn};

use crate::begin::as_seen;
use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, instant, number, text};
use crate::overview::{Listed, Overview};
use crate::transact::{self, Outcome};
use crate::{conversation, keys, threads, turn_row};

/// Rows that one BatchWriteItem takes.
const MAX_BATCH: usize = 25;

/// Turns on one page of those that become tombstones: each may hold a long input.
const TURNS_A_PAGE: i32 = 25;

/// What of a conversation goes.
#[derive(Debug, Clone, Copy)]
pub enum Remains<'a> {
    /// Committed turns and added items.
    Entries,
    /// Places in the queue.
    Queue,
    /// Idempotency keys of added items.
    AddedKeys,
    /// The stream log of a turn.
    Log(&'a TurnId),
}

/// A conversation whose erasure has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HalfErased {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub conversation: ConversationId,
}

impl Store {
    /// Ends a conversation: nothing begins in it any more, and what a running attempt
    /// still writes is refused. Gives the conversation as it was; `None` if it is not
    /// there, or was ended before. Idempotent, apart from that answer.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn begin_erasure(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        now: Timestamp,
    ) -> Result<Option<Conversation>, Error> {
        let ended = "erased_at = :now, fence = fence + :one, version = version + :one, queued = :none";
        let indexed = "g1pk = :partition, g1sk = :since, updated_at = :now";
        let released = "#owner, owner_turn, lease_until, logged";
        let result = self
            .dynamo
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(conversation::key(tenant, conversation)))
            .update_expression(format!("SET {ended}, {indexed} REMOVE {released}, #metadata, request_hash"))
            .condition_expression("attribute_exists(fence) AND attribute_not_exists(erased_at)")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#metadata", "metadata")
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":partition", text(keys::erase(tenant, conversation)))
            .expression_attribute_values(":since", text(keys::instant(now)))
            .return_values(ReturnValue::AllOld)
            .send()
            .await;
        match result {
            Ok(ended) => ended.attributes().map(conversation::read).transpose(),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Ok(None)
            }
            Err(error) => Err(Error::from_sdk("begin_erasure", &error)),
        }
    }

    /// Deletes some rows of a conversation; false when none were left. Idempotent:
    /// what one call leaves, the next one finds.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the table took none of them, and what else it may
    /// answer.
    pub async fn erase_some(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        remains: Remains<'_>,
    ) -> Result<bool, Error> {
        let (pk, prefix) = match remains {
            Remains::Entries => (keys::conversation(tenant, conversation), keys::MESSAGES),
            Remains::Queue => (keys::conversation(tenant, conversation), keys::QUEUE),
            Remains::AddedKeys => (keys::conversation(tenant, conversation), keys::ADDED_KEYS),
            Remains::Log(turn) => {
                let key = TurnKey { conversation: conversation.clone(), turn: turn.clone() };
                (keys::stream_log(tenant, &key), keys::LOG_BATCHES)
            }
        };
        let page = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .limit(i32::try_from(MAX_BATCH).unwrap_or(i32::MAX))
            .projection_expression("pk, sk")
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":prefix", text(prefix))
            .send()
            .await
            .map_err(|error| Error::from_sdk("rows_to_erase", &error))?;
        if page.items().is_empty() {
            return Ok(false);
        }
        self.delete_rows(page.items().to_vec()).await.map(|()| true)
    }

    /// Deletes the dead letters of a conversation. Idempotent.
    ///
    /// # Errors
    /// As [`Self::erase_some`].
    pub async fn erase_dead_letters(&self, tenant: &Tenant, conversation: &ConversationId) -> Result<(), Error> {
        let mut rows = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .projection_expression("pk, sk")
            .key_condition_expression("pk = :pk")
            .filter_expression("#conversation = :conversation")
            .expression_attribute_names("#conversation", "conversation")
            .expression_attribute_values(":pk", text(keys::dead_letters(tenant)))
            .expression_attribute_values(":conversation", text(conversation.as_str()))
            .into_paginator()
            .items()
            .send();
        let mut letters = Vec::new();
        while let Some(row) = rows.next().await {
            letters.push(row.map_err(|error| Error::from_sdk("letters_to_erase", &error))?);
        }
        self.delete_rows(letters).await
    }

    /// Takes a conversation out of the lists it stands in. Idempotent.
    ///
    /// # Errors
    /// As [`Self::erase_some`].
    pub async fn unlist(&self, tenant: &Tenant, overview: &Overview) -> Result<(), Error> {
        let Some(Listed { user, at }) = &overview.listed else { return Ok(()) };
        let rows = threads::rows(tenant, user, overview.conversation.project.as_ref(), &overview.id, *at);
        self.delete_rows(rows).await
    }

    /// Turns of a conversation in the order of their names, behind the one called
    /// `after`; strongly consistent. With the name to go on behind, if there may be more.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn all_turns(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        after: Option<&TurnId>,
    ) -> Result<(Vec<Turn>, Option<TurnId>), Error> {
        let pk = keys::conversation(tenant, conversation);
        let start =
            after.map(|turn| Item::from([("pk".to_owned(), text(&*pk)), ("sk".to_owned(), text(keys::turn(turn)))]));
        let page = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .limit(TURNS_A_PAGE)
            .key_condition_expression("pk = :pk AND begins_with(sk, :turns)")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":turns", text(keys::TURNS))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| Error::from_sdk("all_turns", &error))?;
        let turns = page.items().iter().map(turn_row::read).collect::<Result<Vec<_>, _>>()?;
        let next = page.last_evaluated_key().and(turns.last()).map(|turn| turn.key.turn.clone());
        Ok((turns, next))
    }

    /// Writes what is left of a turn over it, if it is still as it was `seen`; false if
    /// not. Idempotent by its effect.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn bury_turn(&self, tenant: &Tenant, seen: &Turn, left: &Turn) -> Result<bool, Error> {
        let put = Put::builder().table_name(&*self.table).set_item(Some(turn_row::write(tenant, left)?));
        let member = transact::put(as_seen(put, seen.state.name(), seen.epoch))?;
        match self.transact("bury_turn", seen.attempt.as_str(), vec![member]).await? {
            Outcome::Applied => Ok(true),
            Outcome::Refused(_) => Ok(false),
        }
    }

    /// Notes that nothing is left of an erased conversation but its lock and its turns'
    /// headers. Idempotent.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn end_erasure(&self, tenant: &Tenant, conversation: &ConversationId) -> Result<(), Error> {
        let totals = "messages, input_tokens, output_tokens, cost_pico_usd";
        self.dynamo
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(conversation::key(tenant, conversation)))
            .update_expression(format!("REMOVE g1pk, g1sk, #user, listed_at, {totals}"))
            .condition_expression("attribute_exists(erased_at)")
            .expression_attribute_names("#user", "user")
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Error::from_sdk("end_erasure", &error))
    }

    /// Conversations whose erasure has begun and, as far as the index knows, not ended.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn half_erased(&self) -> Result<Vec<HalfErased>, Error> {
        let mut found = Vec::new();
        for shard in 0..keys::ERASE_SHARDS {
            for row in self.indexed("half_erased", keys::erase_shard(shard), None).await? {
                let (tenant, conversation) = keys::parse_conversation(&Row(&row).text("pk")?)?;
                found.push(HalfErased { tenant, conversation });
            }
        }
        Ok(found)
    }

    /// Deletes `rows`, of which only the keys are looked at. What the table leaves over
    /// is sent again, as long as it takes any.
    pub(crate) async fn delete_rows(&self, rows: Vec<Item>) -> Result<(), Error> {
        const OPERATION: &str = "erase_rows";
        let mut requests = rows.into_iter().map(delete_request).collect::<Result<Vec<_>, _>>()?;
        while !requests.is_empty() {
            let later = requests.split_off(requests.len().min(MAX_BATCH));
            let sent = requests.len();
            let batch = self.dynamo.batch_write_item().request_items(&*self.table, requests).send().await;
            let mut batch = batch.map_err(|error| Error::from_sdk(OPERATION, &error))?;
            let left_over = batch.unprocessed_items.take().and_then(|mut tables| tables.remove(&*self.table));
            requests = left_over.unwrap_or_default();
            if requests.len() >= sent {
                let reason = "no row of a batch was deleted".to_owned();
                return Err(Error::Overloaded { operation: OPERATION, reason });
            }
            requests.extend(later);
        }
        Ok(())
    }
}

fn delete_request(mut row: Item) -> Result<WriteRequest, Error> {
    row.retain(|name, _| name == "pk" || name == "sk");
    let delete = DeleteRequest::builder().set_key(Some(row)).build();
    let delete = delete.map_err(|error| Error::corrupt(error.to_string()))?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}
