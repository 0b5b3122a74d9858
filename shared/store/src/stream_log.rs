//! The stream log: the events of a turn in batches, partitioned by epoch.
//!
//! An epoch has one writer, so appends need no condition, and a put sent again
//! writes the same row.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use turnwise_core::generation::Event;
use turnwise_core::id::{Tenant, TurnKey};
use turnwise_core::limits::STREAM_LOG_TTL;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Claim, Streamed};

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, binary, number, text};
use crate::pack::{pack, unpack};
use crate::schema::TTL;
use crate::{keys, transact};

/// Consecutive events of one epoch.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Number of the first event, from 0.
    pub first: u64,
    /// The events, in order.
    pub events: &'a [Event],
    /// The model that makes them, `provider/model`, where it is not the one that the
    /// request begins with.
    pub model: Option<&'a str>,
}

/// The terminal marker, written by T2 or T2f: who sees it knows that the turn has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// The epoch whose log it ends.
    pub epoch: u64,
    /// Events before it.
    pub events: u64,
    /// Whether the turn was committed; otherwise it failed.
    pub committed: bool,
}

/// What a reader of the log got.
#[derive(Debug, Default)]
pub struct LogPage {
    /// Events from the number asked for, without gaps.
    pub events: Vec<Event>,
    /// Whose they are, if there are any.
    pub streamed: Option<Streamed>,
    /// The model that made them, where it is not the one that the request began with.
    pub model: Option<String>,
    /// The terminal marker, if the page reaches it.
    pub end: Option<LogEnd>,
}

impl Store {
    /// Appends a batch to the log of `claim`'s epoch.
    ///
    /// # Errors
    /// When the table does not answer or the batch is too large for a row.
    pub async fn append_events(&self, claim: &Claim, batch: &Batch<'_>, now: Timestamp) -> Result<(), Error> {
        let mut put = self.dynamo.put_item();
        if let Some(model) = batch.model {
            put = put.item("model", text(model));
        }
        put.table_name(&*self.table)
            .item("pk", text(keys::stream_log(&claim.tenant, &claim.key)))
            .item("sk", text(keys::log_batch(claim.epoch, batch.first)))
            .item("count", number(batch.events.len()))
            .item("stream", number(claim.streams))
            .item("events", binary(pack(&batch.events)?))
            .item(TTL, number((now + STREAM_LOG_TTL).as_secs()))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Error::from_sdk("append_events", &error))
    }

    /// The events of one epoch from number `from` on, as far as they are there
    /// without a gap. `from` is the first of a batch: 0, or what an earlier page came to.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn read_events(&self, tenant: &Tenant, key: &TurnKey, epoch: u64, from: u64) -> Result<LogPage, Error> {
        let mut page = LogPage::default();
        let mut start: Option<Item> = None;
        let mut expected = from;
        loop {
            let answer = self
                .dynamo
                .query()
                .table_name(&*self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :end")
                .expression_attribute_values(":pk", text(keys::stream_log(tenant, key)))
                .expression_attribute_values(":first", text(keys::log_batch(epoch, from)))
                .expression_attribute_values(":end", text(keys::log_end(epoch)))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| Error::from_sdk("read_events", &error))?;
            for item in answer.items() {
                if !page.take(item, epoch, &mut expected)? {
                    return Ok(page);
                }
            }
            start = answer.last_evaluated_key().cloned();
            if start.is_none() {
                return Ok(page);
            }
        }
    }

    /// The newest epoch up to `epoch` whose log ends in the provider's finish, or,
    /// where none does, the newest that has any events. An attempt that took a turn
    /// over to roll it forward may itself have died, so all epochs are looked at.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn read_lost_events(&self, tenant: &Tenant, key: &TurnKey, epoch: u64) -> Result<LogPage, Error> {
        let mut epochs = self.logged_epochs(tenant, key, epoch).await?;
        let mut newest = LogPage::default();
        while let Some(epoch) = epochs.pop_last() {
            let page = self.read_events(tenant, key, epoch, 0).await?;
            if page.is_finished() {
                return Ok(page);
            }
            if newest.events.is_empty() {
                newest = page;
            }
        }
        Ok(newest)
    }

    /// The epochs up to `last` that have a first batch.
    async fn logged_epochs(&self, tenant: &Tenant, key: &TurnKey, last: u64) -> Result<BTreeSet<u64>, Error> {
        let mut pages = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .projection_expression("sk")
            .expression_attribute_values(":pk", text(keys::stream_log(tenant, key)))
            .expression_attribute_values(":first", text(keys::log_batch(0, 0)))
            .expression_attribute_values(":last", text(keys::log_end(last)))
            .into_paginator()
            .items()
            .send();
        let mut epochs = BTreeSet::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| Error::from_sdk("logged_epochs", &error))?;
            epochs.insert(keys::epoch_of(&Row(&item).text("sk")?)?);
        }
        Ok(epochs)
    }

    pub(crate) fn log_end_member(&self, claim: &Claim, end: &LogEnd) -> Result<TransactWriteItem, Error> {
        let ttl = (claim.created_at + STREAM_LOG_TTL).as_secs();
        transact::put(
            Put::builder()
                .table_name(&*self.table)
                .item("pk", text(keys::stream_log(&claim.tenant, &claim.key)))
                .item("sk", text(keys::log_end(end.epoch)))
                .item("count", number(end.events))
                .item("committed", aws_sdk_dynamodb::types::AttributeValue::Bool(end.committed))
                .item(TTL, number(ttl)),
        )
    }
}

impl LogPage {
    /// Whether the events end in the provider's finish.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.events.last(), Some(Event::Finished))
    }

    /// Takes in one row; false at a gap or at the end.
    fn take(&mut self, item: &Item, epoch: u64, expected: &mut u64) -> Result<bool, Error> {
        let row = Row(item);
        let sk = row.text("sk")?;
        let count = row.number("count")?;
        if keys::is_log_end(&sk) {
            if count == *expected {
                let committed = item.get("committed").and_then(|value| value.as_bool().ok()).copied();
                self.end = Some(LogEnd { epoch, events: count, committed: committed.unwrap_or(false) });
            }
            return Ok(false);
        }
        let first: u64 = sk
            .rsplit('#')
            .next()
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| Error::corrupt(format!("sort key {sk:?} of a stream log")))?;
        if first > *expected {
            return Ok(false);
        }
        let already_read = usize::try_from(*expected - first).unwrap_or(usize::MAX);
        if first + count > *expected {
            let events: Vec<Event> = unpack(row.maybe_bytes("events")?.unwrap_or_default())?;
            self.events.extend(events.into_iter().skip(already_read));
            let stream = row.maybe_number("stream")?.map_or(1, |stream| u32::try_from(stream).unwrap_or(u32::MAX));
            self.model = self.model.take().or(row.maybe_text("model")?);
            self.streamed.get_or_insert(Streamed { epoch, stream });
            *expected = first + count;
        }
        Ok(true)
    }
}
