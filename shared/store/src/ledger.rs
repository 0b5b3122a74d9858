//! The ledger, append-only, and the usage counters that sum it up.

use std::time::Duration;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use turnwise_core::id::{AttemptId, ProjectId, Tenant};
use turnwise_core::ledger::{Counts, LedgerLine, Origin, Phase, UsageRow, UsageTotals, Work};
use turnwise_core::money::{Meters, PicoUsd};
use turnwise_core::task::Task;
use turnwise_core::time::Timestamp;
use turnwise_core::usage::{Source, Usage};
use uuid::Builder;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, instant, number, text};
use crate::keys;
use crate::transact::{self, Outcome};

/// From one day's partitions to the next's.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Characters of a UUIDv7's text that its instant fills, with the hyphen between them.
const UUID_INSTANT_CHARS: usize = 13;

/// A line with where it goes.
#[derive(Debug, Clone)]
pub struct RecordLedger<'a> {
    /// Whose ledger.
    pub tenant: &'a Tenant,
    /// The line.
    pub line: &'a LedgerLine,
    /// A random number that picks the partition among a day's; another one after
    /// a conflict.
    pub shard: u8,
}

impl Store {
    /// Writes a line by itself, for work that is no turn or whose turn another
    /// attempt has won. Idempotent by attempt and phase: a second write of the line
    /// changes nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction is at the same counter (take
    /// another shard), and what else the table may answer.
    pub async fn record_ledger(&self, record: &RecordLedger<'_>) -> Result<(), Error> {
        let members = self.ledger_members(record)?;
        let seed = record.line.attempt.as_str();
        match self.transact("record_ledger", seed, members).await? {
            // Refused means that the line is already there.
            Outcome::Applied | Outcome::Refused(_) => Ok(()),
        }
    }

    /// Lines of attempts that began at `since` or later, up to and including `today`, in
    /// no particular order.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn ledger_lines(
        &self,
        tenant: &Tenant,
        since: Timestamp,
        today: Timestamp,
    ) -> Result<Vec<LedgerLine>, Error> {
        let mut lines = Vec::new();
        let mut day = since;
        loop {
            for shard in 0..keys::DAY_SHARDS {
                self.ledger_lines_of(keys::ledger(tenant, &day.day(), shard), since, &mut lines).await?;
            }
            if day.day() == today.day() || day > today {
                return Ok(lines);
            }
            day = day + DAY;
        }
    }

    /// All lines of a day, read strongly, in no particular order.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn ledger_of_day(&self, tenant: &Tenant, day: Timestamp) -> Result<Vec<LedgerLine>, Error> {
        let mut lines = Vec::new();
        for shard in 0..keys::DAY_SHARDS {
            let query = self.dynamo.query().table_name(&*self.table).consistent_read(true);
            let query = query
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(keys::ledger(tenant, &day.day(), shard)));
            let mut rows = query.into_paginator().items().send();
            while let Some(row) = rows.next().await {
                lines.push(read_line(&row.map_err(|error| Error::from_sdk("ledger_of_day", &error))?)?);
            }
        }
        Ok(lines)
    }

    async fn ledger_lines_of(
        &self,
        partition: String,
        since: Timestamp,
        lines: &mut Vec<LedgerLine>,
    ) -> Result<(), Error> {
        // A line's key begins with its attempt's UUIDv7, and that with the instant.
        let first = Builder::from_unix_timestamp_millis(since.as_millis(), &[0; 10]).into_uuid().to_string();
        let instant = first.get(..UUID_INSTANT_CHARS).unwrap_or_default().to_owned();
        let mut rows = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .key_condition_expression("pk = :pk AND sk >= :first")
            .expression_attribute_values(":pk", text(partition))
            .expression_attribute_values(":first", text(instant))
            .into_paginator()
            .items()
            .send();
        while let Some(row) = rows.next().await {
            lines.push(read_line(&row.map_err(|error| Error::from_sdk("ledger_lines", &error))?)?);
        }
        Ok(())
    }

    pub(crate) fn ledger_members(&self, record: &RecordLedger<'_>) -> Result<Vec<TransactWriteItem>, Error> {
        let line = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(write_line(record)))
            .condition_expression("attribute_not_exists(pk)");
        let mut members = vec![transact::put(line)?];
        let row = UsageRow::of(record.line);
        // Of an attempt that cost nothing there is nothing to count.
        if row.totals != UsageTotals::default() {
            let update = self.add_usage(record.tenant, &row, record.shard, row.totals.counters());
            members.push(transact::update(update)?);
        }
        Ok(members)
    }

    /// Adds `numbers` to the counter of `row` in one of its day's partitions.
    pub(crate) fn add_usage(
        &self,
        tenant: &Tenant,
        row: &UsageRow,
        shard: u8,
        numbers: Vec<(&'static str, i128)>,
    ) -> UpdateBuilder {
        // What is zero is left out, so that the row stays small.
        let added: Vec<(&str, i128)> = numbers.into_iter().filter(|(_, number)| *number != 0).collect();
        let expression = added.iter().map(|(name, _)| format!("{name} :{name}")).collect::<Vec<_>>().join(", ");
        let update = Update::builder()
            .table_name(&*self.table)
            .key("pk", text(keys::usage(tenant, &row.day.day(), shard)))
            .key("sk", text(keys::usage_row(row)))
            .update_expression(format!("ADD {expression}"));
        added
            .into_iter()
            .fold(update, |update, (name, value)| update.expression_attribute_values(format!(":{name}"), number(value)))
    }
}

fn write_line(record: &RecordLedger<'_>) -> Item {
    let RecordLedger { tenant, line, shard } = record;
    let mut row: Vec<(&str, _)> = vec![
        ("pk", text(keys::ledger(tenant, &line.at.day(), *shard))),
        ("sk", text(format!("{}#{}", line.attempt, line.phase.name()))),
        ("model", text(&*line.model)),
        ("api_key", text(&*line.api_key)),
        ("input_tokens", number(line.usage.total_input())),
        ("cache_read_tokens", number(line.usage.cache_read)),
        ("output_tokens", number(line.usage.total_output())),
        ("reasoning_tokens", number(line.usage.reasoning)),
        ("price_version", text(&*line.price_version)),
        ("at", instant(line.at)),
    ];
    if line.phase.source().is_none() && line.usage.source == Source::Reported {
        row.push(("reported", number(1)));
    }
    match line.origin {
        Origin::Provider => {}
        Origin::ResponseCache => row.push(("origin", text(line.origin.name()))),
    }
    match line.work {
        Work::Answer => {}
        Work::Embedding => row.push(("work", text(line.work.name()))),
    }
    let texts = [("turn", line.turn.as_deref()), ("project", line.project.as_ref().map(ProjectId::as_str))];
    let texts = texts.into_iter().chain([("task", line.task.as_ref().map(Task::as_str))]);
    row.extend(texts.filter_map(|(name, value)| Some((name, text(value?)))));
    let amounts = [("cost_pico_usd", line.cost), ("uncached", line.uncached), ("baseline", line.baseline)];
    row.extend(amounts.into_iter().filter_map(|(name, amount)| Some((name, number(amount?.0)))));
    if let Some(latency) = line.latency_ms {
        row.push(("latency_ms", number(latency)));
    }
    if let Some(remembered) = line.counts.remembered {
        row.push(("remembered", number(u8::from(remembered))));
    }
    let numbers = more_numbers(line).into_iter().filter(|(_, value)| *value != 0);
    row.extend(numbers.map(|(name, value)| (name, number(value))));
    row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Numbers of a line that are 0 where its row does not have them.
fn more_numbers(line: &LedgerLine) -> [(&'static str, i128); 13] {
    let Meters { input, cache_read, cache_write, cache_write_1h, output, reasoning } = line.meters;
    [
        ("cache_write_tokens", line.usage.cache_write.into()),
        ("cache_write_1h_tokens", line.usage.cache_write_1h.into()),
        ("cost_input", input.0),
        ("cost_cache_read", cache_read.0),
        ("cost_cache_write", cache_write.0),
        ("cost_cache_write_1h", cache_write_1h.0),
        ("cost_output", output.0),
        ("cost_reasoning", reasoning.0),
        ("calls", line.calls.into()),
        ("fallback", line.is_fallback.into()),
        ("conversations", line.counts.conversations.into()),
        ("messages", line.counts.messages.into()),
        ("echoes", line.counts.echoes.into()),
    ]
}

fn read_line(item: &Item) -> Result<LedgerLine, Error> {
    let row = Row(item);
    let sk = row.text("sk")?;
    let (attempt, phase) = sk.split_once('#').unwrap_or((&sk, ""));
    let phase = Phase::from_name(phase).ok_or_else(|| Error::corrupt(format!("sort key {sk:?} of a ledger")))?;
    let count = |name: &str| row.maybe_number(name).map(|count| count.unwrap_or(0));
    let amount = |name: &str| Ok::<_, Error>(row.maybe_signed(name)?.map(PicoUsd));
    let meter = |name: &str| Ok::<_, Error>(amount(name)?.unwrap_or_default());
    Ok(LedgerLine {
        attempt: AttemptId::from_stored(attempt.to_owned()),
        phase,
        origin: read_name(&row, "origin", Origin::from_name)?,
        work: read_name(&row, "work", Work::from_name)?,
        turn: row.maybe_text("turn")?,
        project: row.maybe_text("project")?.map(ProjectId::from_stored),
        api_key: row.text("api_key")?,
        task: row.maybe_text("task")?.map(Task::from_stored),
        model: row.text("model")?,
        usage: read_usage(&row, phase)?,
        cost: amount("cost_pico_usd")?,
        meters: Meters {
            input: meter("cost_input")?,
            cache_read: meter("cost_cache_read")?,
            cache_write: meter("cost_cache_write")?,
            cache_write_1h: meter("cost_cache_write_1h")?,
            output: meter("cost_output")?,
            reasoning: meter("cost_reasoning")?,
        },
        uncached: amount("uncached")?,
        baseline: amount("baseline")?,
        price_version: row.text("price_version")?,
        calls: u32::try_from(count("calls")?).unwrap_or(u32::MAX),
        is_fallback: count("fallback")? > 0,
        latency_ms: row.maybe_number("latency_ms")?,
        at: row.instant("at")?,
        counts: Counts {
            conversations: count("conversations")?,
            messages: count("messages")?,
            remembered: row.maybe_number("remembered")?.map(|remembered| remembered > 0),
            echoes: count("echoes")?,
        },
    })
}

fn read_usage(row: &Row<'_>, phase: Phase) -> Result<Usage, Error> {
    let count = |name: &str| row.maybe_number(name).map(|count| count.unwrap_or(0));
    let (cache_read, reasoning) = (row.number("cache_read_tokens")?, row.number("reasoning_tokens")?);
    let (cache_write, cache_write_1h) = (count("cache_write_tokens")?, count("cache_write_1h_tokens")?);
    let reported = if count("reported")? > 0 { Source::Reported } else { Source::Estimated };
    Ok(Usage {
        input: row.number("input_tokens")?.saturating_sub(cache_read + cache_write + cache_write_1h),
        cache_read,
        cache_write,
        cache_write_1h,
        output: row.number("output_tokens")?.saturating_sub(reasoning),
        reasoning,
        source: phase.source().unwrap_or(reported),
    })
}

/// One of a few names; the usual one where the row does not say.
fn read_name<T: Default>(row: &Row<'_>, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
    let Some(text) = row.maybe_text(name)? else { return Ok(T::default()) };
    read(&text).ok_or_else(|| Error::corrupt(format!("attribute {name}: {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(phase: Phase, source: Source) -> LedgerLine {
        let usage =
            Usage { input: 5, cache_read: 4, cache_write: 3, cache_write_1h: 2, output: 9, reasoning: 1, source };
        LedgerLine {
            attempt: AttemptId::from_stored("0192f0c1-5b5e-7000-8000-000000000001".to_owned()),
            phase,
            origin: Origin::Provider,
            work: Work::Answer,
            turn: Some("user:1".to_owned()),
            project: Some(ProjectId::from_stored("p".to_owned())),
            api_key: "0123abcd".to_owned(),
            task: Some(Task::from_stored("summarise".to_owned())),
            model: "openai/gpt-4o-mini".to_owned(),
            usage,
            cost: Some(PicoUsd(21)),
            meters: Meters {
                input: PicoUsd(1),
                cache_read: PicoUsd(2),
                cache_write: PicoUsd(3),
                cache_write_1h: PicoUsd(4),
                output: PicoUsd(5),
                reasoning: PicoUsd(6),
            },
            uncached: Some(PicoUsd(8)),
            baseline: Some(PicoUsd(-9)),
            price_version: "2026-11-20".to_owned(),
            calls: 2,
            is_fallback: true,
            latency_ms: Some(0),
            at: Timestamp(1_795_276_800_000),
            counts: Counts { conversations: 1, messages: 2, remembered: Some(false), echoes: 1 },
        }
    }

    fn written(line: &LedgerLine) -> Item {
        write_line(&RecordLedger { tenant: &Tenant::default_tenant(), line, shard: 0 })
    }

    #[test]
    fn a_line_is_read_back_as_it_was_written() {
        for phase in Phase::ALL {
            for source in [Source::Reported, Source::Estimated] {
                let line = line(phase, phase.source().unwrap_or(source));
                assert_eq!(read_line(&written(&line)).unwrap(), line);
            }
        }
        let bare = LedgerLine {
            origin: Origin::ResponseCache,
            work: Work::Embedding,
            turn: None,
            project: None,
            task: None,
            cost: None,
            meters: Meters::default(),
            uncached: None,
            baseline: None,
            calls: 0,
            is_fallback: false,
            latency_ms: None,
            counts: Counts::default(),
            ..line(Phase::Settled, Source::Reported)
        };
        assert_eq!(read_line(&written(&bare)).unwrap(), bare);
    }

    #[test]
    fn a_line_of_before_there_were_tasks_is_still_read() {
        let mut row = written(&line(Phase::Settled, Source::Reported));
        let kept = ["pk", "sk", "model", "api_key", "input_tokens", "cache_read_tokens", "output_tokens"];
        row.retain(|name, _| kept.contains(&&**name) || ["reasoning_tokens", "price_version", "at"].contains(&&**name));
        let line = read_line(&row).unwrap();
        assert_eq!((line.usage.total_input(), line.usage.cache_read, line.task), (14, 4, None));
        assert_eq!((line.origin, line.work, line.calls, line.cost), (Origin::Provider, Work::Answer, 0, None));
    }
}
