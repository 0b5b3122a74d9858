//! The usage counters, summed up.

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
        let mut totals = UsageTotals::default();
        let mut day = since;
        loop {
            for shard in 0..keys::DAY_SHARDS {
                self.add_usage_of(keys::usage(tenant, &day.day(), shard), key, &mut totals).await?;
            }
            if day.day() == until.day() || day > until {
                return Ok(totals);
            }
            day = day + DAY;
        }
    }

    async fn add_usage_of(&self, partition: String, key: Option<&str>, totals: &mut UsageTotals) -> Result<(), Error> {
        let query = self.dynamo.query().table_name(&*self.table).key_condition_expression("pk = :pk");
        let mut rows = query.expression_attribute_values(":pk", text(partition)).into_paginator().items().send();
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| Error::from_sdk("usage_totals", &error))?;
            if key.is_some_and(|key| !keys::is_usage_of(&Row(&row).text("sk").unwrap_or_default(), key)) {
                continue;
            }
            let count = |name: &str| Row(&row).maybe_number(name).map(|count| count.unwrap_or(0));
            totals.conversations += count("conversations")?;
            totals.requests += count("requests")?;
            totals.messages += count("messages")?;
            totals.input_tokens += count("input_tokens")?;
            totals.output_tokens += count("output_tokens")?;
            totals.cost.0 += i128::from(count("cost_pico_usd")?);
            totals.wasted += count("wasted")?;
            totals.memory_hits += count("memory_hits")?;
            totals.memory_misses += count("memory_misses")?;
        }
        Ok(())
    }
}
