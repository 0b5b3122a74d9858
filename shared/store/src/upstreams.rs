//! How the providers are, as the whole fleet knows it: open breakers, and what calling
//! them took.

use turnwise_core::time::Timestamp;
use turnwise_core::upstream::Opened;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, instant, number, text};
use crate::keys;
use crate::ledger::DAY;
use crate::schema::TTL;

/// Days for which it is kept what calling the providers took.
const STATISTICS_DAYS: u32 = 30;

/// An open breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBreaker {
    /// Whose: provider, model and a digest of the key.
    pub name: String,
    /// How it is open.
    pub opened: Opened,
}

/// What calling one provider took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Calls.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that repeated an earlier one of the same request, there or elsewhere.
    pub retries: u64,
    /// Requests that were answered by such a call.
    pub recovered: u64,
    /// Requests whose last call it was, and that got no answer.
    pub given_up: u64,
    /// Milliseconds waited before such calls.
    pub slept_ms: u64,
}

impl CallCounts {
    /// The names of the counters, as they are stored, and the counters.
    const FIELDS: [&str; 6] = ["calls", "failures", "retries", "recovered", "given_up", "slept_ms"];

    fn values(&self) -> [u64; 6] {
        [self.calls, self.failures, self.retries, self.recovered, self.given_up, self.slept_ms]
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            failures: self.failures + other.failures,
            retries: self.retries + other.retries,
            recovered: self.recovered + other.recovered,
            given_up: self.given_up + other.given_up,
            slept_ms: self.slept_ms + other.slept_ms,
        }
    }
}

impl Store {
    /// Tells the fleet that a breaker has opened. One that is open for longer stays so.
    /// Idempotent: it writes the same values again.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn open_breaker(&self, breaker: &OpenBreaker) -> Result<(), Error> {
        let Opened { until, times } = breaker.opened;
        let result = self
            .dynamo
            .update_item()
            .table_name(&*self.table)
            .key("pk", text(keys::BREAKERS))
            .key("sk", text(&breaker.name))
            .update_expression("SET open_until = :until, opened_times = :times, #ttl = :ttl REMOVE probed_until")
            .condition_expression("attribute_not_exists(pk) OR open_until < :until")
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":until", instant(until))
            .expression_attribute_values(":times", number(times))
            .expression_attribute_values(":ttl", number((until + DAY).as_secs()))
            .send()
            .await;
        match result {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(()),
            Err(error) => Err(Error::from_sdk("open_breaker", &error)),
        }
    }

    /// Tells the fleet that the breaker `name` has closed. Idempotent.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn close_breaker(&self, name: &str) -> Result<(), Error> {
        let delete = self.dynamo.delete_item().table_name(&*self.table);
        let delete = delete.key("pk", text(keys::BREAKERS)).key("sk", text(name)).send().await;
        delete.map(|_| ()).map_err(|error| Error::from_sdk("close_breaker", &error))
    }

    /// Takes the right to call behind the open breaker `name`, until `until`; false while
    /// somebody else has it, or nobody may.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn take_probe(&self, name: &str, now: Timestamp, until: Timestamp) -> Result<bool, Error> {
        let nobody_probes = "(attribute_not_exists(probed_until) OR probed_until < :now)";
        let result = self
            .dynamo
            .update_item()
            .table_name(&*self.table)
            .key("pk", text(keys::BREAKERS))
            .key("sk", text(name))
            .update_expression("SET probed_until = :until")
            .condition_expression(format!("open_until <= :now AND {nobody_probes}"))
            .expression_attribute_values(":now", instant(now))
            .expression_attribute_values(":until", instant(until))
            .send()
            .await;
        match result {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Ok(false)
            }
            Err(error) => Err(Error::from_sdk("take_probe", &error)),
        }
    }

    /// Gives the right to call behind the breaker `name` back: the probe went well.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn give_probe_back(&self, name: &str) -> Result<(), Error> {
        let result = self
            .dynamo
            .update_item()
            .table_name(&*self.table)
            .key("pk", text(keys::BREAKERS))
            .key("sk", text(name))
            .update_expression("REMOVE probed_until")
            .condition_expression("attribute_exists(pk)")
            .send()
            .await;
        match result {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(()),
            Err(error) => Err(Error::from_sdk("give_probe_back", &error)),
        }
    }

    /// The breakers that are open, or were and have not been seen to close.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn open_breakers(&self) -> Result<Vec<OpenBreaker>, Error> {
        self.rows(keys::BREAKERS.to_owned(), "open_breakers", |row| {
            let times = u32::try_from(row.number("opened_times")?).unwrap_or(u32::MAX);
            let opened = Opened { until: row.instant("open_until")?, times };
            Ok(OpenBreaker { name: row.text("sk")?, opened })
        })
        .await
    }

    /// Adds what calling `provider` took. Not idempotent: a count that is sent again is
    /// counted again, which spoils a statistic and no more.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn count_calls(&self, provider: &str, counts: &CallCounts, now: Timestamp) -> Result<(), Error> {
        let added = CallCounts::FIELDS.iter().map(|field| format!("{field} :{field}")).collect::<Vec<_>>().join(", ");
        let mut update = self
            .dynamo
            .update_item()
            .table_name(&*self.table)
            .key("pk", text(keys::call_counts(&now.day())))
            .key("sk", text(provider))
            .update_expression(format!("ADD {added} SET #ttl = :ttl"))
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":ttl", number((now + DAY * STATISTICS_DAYS).as_secs()));
        for (field, value) in CallCounts::FIELDS.iter().zip(counts.values()) {
            update = update.expression_attribute_values(format!(":{field}"), number(value));
        }
        update.send().await.map(|_| ()).map_err(|error| Error::from_sdk("count_calls", &error))
    }

    /// What calling each provider took on the day of `at`.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn call_counts(&self, at: Timestamp) -> Result<Vec<(String, CallCounts)>, Error> {
        self.rows(keys::call_counts(&at.day()), "call_counts", |row| {
            let count = |name: &str| row.maybe_number(name).map(|count| count.unwrap_or(0));
            let counts = CallCounts {
                calls: count("calls")?,
                failures: count("failures")?,
                retries: count("retries")?,
                recovered: count("recovered")?,
                given_up: count("given_up")?,
                slept_ms: count("slept_ms")?,
            };
            Ok((row.text("sk")?, counts))
        })
        .await
    }

    async fn rows<T>(
        &self,
        partition: String,
        operation: &'static str,
        read: impl Fn(Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let query = self.dynamo.query().table_name(&*self.table).key_condition_expression("pk = :pk");
        let mut rows = query.expression_attribute_values(":pk", text(partition)).into_paginator().items().send();
        let mut all = Vec::new();
        while let Some(row) = rows.next().await {
            let row: Item = row.map_err(|error| Error::from_sdk(operation, &error))?;
            all.push(read(Row(&row))?);
        }
        Ok(all)
    }
}
