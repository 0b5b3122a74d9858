//! The usage counters, summed up.

use futures_util::stream::{self, StreamExt as _};
use turnwise_core::id::Tenant;
use turnwise_core::money::PicoUsd;
use turnwise_core::time::Timestamp;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Row, text};
use crate::keys;
use crate::ledger::DAY;

/// What the committed work of some days came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageTotals {
    /// Conversations that began.
    pub conversations: u64,
    /// Committed turns, and answered requests that are no turns.
    pub requests: u64,
    /// Messages and items that came in, and answers.
    pub messages: u64,
    /// All input tokens, those of thrown-away answers included.
    pub input_tokens: u64,
    /// All output tokens, likewise.
    pub output_tokens: u64,
    /// Exact cost, as far as the models have prices, likewise.
    pub cost: PicoUsd,
    /// Answers that were paid for and thrown away.
    pub wasted: u64,
    /// Turns whose process had the conversation in memory.
    pub memory_hits: u64,
    /// Turns whose process had to read it.
    pub memory_misses: u64,
}

impl UsageTotals {
    fn add(&mut self, other: &Self) {
        self.conversations += other.conversations;
        self.requests += other.requests;
        self.messages += other.messages;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cost.0 += other.cost.0;
        self.wasted += other.wasted;
        self.memory_hits += other.memory_hits;
        self.memory_misses += other.memory_misses;
    }
}

/// Partitions of a sum that are read at once: a year has some 1,500.
const PARTITIONS_AT_ONCE: usize = 32;

impl Store {
    /// The counters of the days from that of `since` to that of `until`, summed up.
    /// Eventually consistent: the newest turn may be missing for a moment.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn usage_totals(
        &self,
        tenant: &Tenant,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<UsageTotals, Error> {
        self.usage_of(tenant, None, since, until).await
    }

    /// The same of one API key alone, by its id.
    ///
    /// # Errors
    /// As [`Self::usage_totals`].
    pub async fn usage_of_key(
        &self,
        tenant: &Tenant,
        key: &str,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<UsageTotals, Error> {
        self.usage_of(tenant, Some(key), since, until).await
    }

    async fn usage_of(
        &self,
        tenant: &Tenant,
        key: Option<&str>,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<UsageTotals, Error> {
        let mut partitions = Vec::new();
        let mut day = since;
        loop {
            partitions.extend((0..keys::DAY_SHARDS).map(|shard| keys::usage(tenant, &day.day(), shard)));
            if day.day() == until.day() || day > until {
                break;
            }
            day = day + DAY;
        }
        let sums: Vec<_> = partitions.into_iter().map(|partition| self.usage_in(partition, key)).collect();
        let mut sums = stream::iter(sums).buffer_unordered(PARTITIONS_AT_ONCE);
        let mut totals = UsageTotals::default();
        while let Some(sum) = sums.next().await {
            totals.add(&sum?);
        }
        Ok(totals)
    }

    async fn usage_in(&self, partition: String, key: Option<&str>) -> Result<UsageTotals, Error> {
        let mut totals = UsageTotals::default();
        let query = self.dynamo.query().table_name(&*self.table).key_condition_expression("pk = :pk");
        let mut rows = query.expression_attribute_values(":pk", text(partition)).into_paginator().items().send();
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| Error::from_sdk("usage_totals", &error))?;
            let row = Row(&row);
            if key.is_some_and(|key| !keys::is_usage_of(&row.text("sk").unwrap_or_default(), key)) {
                continue;
            }
            let count = |name: &str| row.maybe_number(name).map(|count| count.unwrap_or(0));
            totals.add(&UsageTotals {
                conversations: count("conversations")?,
                requests: count("requests")?,
                messages: count("messages")?,
                input_tokens: count("input_tokens")?,
                output_tokens: count("output_tokens")?,
                cost: PicoUsd(count("cost_pico_usd")?.into()),
                wasted: count("wasted")?,
                memory_hits: count("memory_hits")?,
                memory_misses: count("memory_misses")?,
            });
        }
        Ok(totals)
    }
}
