//! The usage counters, read and summed up.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};
use turnwise_core::audit::Entry;
use turnwise_core::id::Tenant;
use turnwise_core::ledger::check::Difference;
use turnwise_core::ledger::{UsageRow, UsageTotals};
use turnwise_core::time::Timestamp;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Row, instant, text};
use crate::keys::{self, UsageOf};
use crate::ledger::DAY;
use crate::transact::{self, Outcome};

/// Partitions of a sum that are read at once: a year has some 1,500.
const PARTITIONS_AT_ONCE: usize = 32;

/// Which of a day's partitions gets what was missing.
const REPAIRED_SHARD: u8 = 0;

impl Store {
    /// The counters of the days from that of `since` to that of `until`, one row for each
    /// day, model, project, key and task, in this order. Read strongly: what is committed is
    /// there.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn usage_rows(
        &self,
        tenant: &Tenant,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<UsageRow>, Error> {
        let mut partitions = Vec::new();
        let mut day = since.start_of_day();
        loop {
            partitions.extend((0..keys::DAY_SHARDS).map(|shard| (day, keys::usage(tenant, &day.day(), shard))));
            day = day + DAY;
            if day > until {
                break;
            }
        }
        let reading: Vec<_> = partitions.into_iter().map(|(day, partition)| self.usage_in(day, partition)).collect();
        let mut reading = stream::iter(reading).buffer_unordered(PARTITIONS_AT_ONCE);
        let mut merged: BTreeMap<(Timestamp, UsageOf), UsageTotals> = BTreeMap::new();
        while let Some(read) = reading.next().await {
            for (of, totals) in read? {
                merged.entry(of).or_default().add(&totals);
            }
        }
        let row = |((day, of), totals): ((Timestamp, UsageOf), UsageTotals)| {
            let UsageOf { provider, model, project, api_key, task } = of;
            UsageRow { day, provider, model, project, api_key, task, totals }
        };
        Ok(merged.into_iter().map(row).collect())
    }

    /// The sum of [`Self::usage_rows`].
    ///
    /// # Errors
    /// As there.
    pub async fn usage_totals(
        &self,
        tenant: &Tenant,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<UsageTotals, Error> {
        Ok(sum(&self.usage_rows(tenant, since, until).await?, |_| true))
    }

    /// The same of one API key alone, by its id.
    ///
    /// # Errors
    /// As [`Self::usage_rows`].
    pub async fn usage_of_key(
        &self,
        tenant: &Tenant,
        key: &str,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<UsageTotals, Error> {
        Ok(sum(&self.usage_rows(tenant, since, until).await?, |row| row.api_key == key))
    }

    /// Adds to a counter what is missing for it to say what the ledger says, with the line of
    /// the audit log. False if somebody else has done so since `began`. Idempotent by the audit
    /// entry's id.
    ///
    /// # Errors
    /// When the table does not answer or refuses.
    pub async fn repair_usage(
        &self,
        tenant: &Tenant,
        difference: &Difference,
        began: Timestamp,
        audit: &Entry,
    ) -> Result<bool, Error> {
        let update = self.add_usage(tenant, &difference.row, REPAIRED_SHARD, difference.missing());
        let expression = format!("{} SET repaired_at = :at", update.get_update_expression().as_deref().unwrap_or(""));
        let update = update
            .update_expression(expression)
            .condition_expression("attribute_not_exists(repaired_at) OR repaired_at < :began")
            .expression_attribute_values(":at", instant(audit.at))
            .expression_attribute_values(":began", instant(began));
        let members = vec![transact::update(update)?, self.audit_member(audit)?];
        match self.transact("repair_usage", &audit.id.to_string(), members).await? {
            Outcome::Applied => Ok(true),
            Outcome::Refused(_) => Ok(false),
        }
    }

    async fn usage_in(
        &self,
        day: Timestamp,
        partition: String,
    ) -> Result<Vec<((Timestamp, UsageOf), UsageTotals)>, Error> {
        let query = self.dynamo.query().table_name(&*self.table).consistent_read(true);
        let query = query.key_condition_expression("pk = :pk");
        let mut rows = query.expression_attribute_values(":pk", text(partition)).into_paginator().items().send();
        let mut read = Vec::new();
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| Error::from_sdk("usage_rows", &error))?;
            let row = Row(&row);
            let of = keys::parse_usage_row(&row.text("sk")?)?;
            read.push(((day, of), UsageTotals::read(|name| row.maybe_signed(name))?));
        }
        Ok(read)
    }
}

fn sum(rows: &[UsageRow], is_wanted: impl Fn(&UsageRow) -> bool) -> UsageTotals {
    let mut totals = UsageTotals::default();
    rows.iter().filter(|row| is_wanted(row)).for_each(|row| totals.add(&row.totals));
    totals
}

#[cfg(test)]
mod tests {
    use turnwise_core::id::ProjectId;
    use turnwise_core::task::{MAX_TASK_CHARS, Task};

    use super::*;

    /// What is counted in one write unit, or in two within a transaction.
    const KILOBYTE: usize = 1024;

    /// Bytes of a number of so many digits: one for two of them, and one more.
    const fn bytes(digits: usize) -> usize {
        digits.div_ceil(2) + 1
    }

    #[test]
    fn a_counters_row_stays_below_a_kilobyte_with_its_longest_names() {
        let row = UsageRow {
            day: Timestamp(1_795_276_800_000),
            provider: "p".repeat(16),
            model: "m".repeat(64),
            project: Some(ProjectId::from_stored("0192f0c1-5b5e-7000-8000-000000000001".to_owned())),
            api_key: "0123456789ab".to_owned(),
            task: Some(Task::from_stored("t".repeat(MAX_TASK_CHARS))),
            totals: UsageTotals::default(),
        };
        let tenant = Tenant::from_stored("t".repeat(64));
        let keys = "pk".len() + keys::usage(&tenant, "20261121", 3).len() + "sk".len() + keys::usage_row(&row).len();
        // Ten thousand million of everything, and a thousand USD of every amount.
        let digits = |name: &str| {
            let is_amount = name.starts_with("cost") || name.starts_with("saved") || name == "baseline";
            if is_amount { 15 } else { 10 }
        };
        let numbers: usize = UsageTotals::NAMES.iter().map(|name| name.len() + bytes(digits(name))).sum();
        let repaired = "repaired_at".len() + bytes(13);
        assert!(keys + numbers + repaired < KILOBYTE, "{keys} + {numbers} + {repaired}");
    }
}
