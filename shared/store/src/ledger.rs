//! The ledger, append-only, and the usage counters that sum it up.

use std::time::Duration;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use turnwise_core::id::{AttemptId, ProjectId, Tenant};
use turnwise_core::money::PicoUsd;
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

/// What became of the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The provider reported the tokens.
    Settled,
    /// We estimated the tokens.
    Estimated,
    /// The answer was paid for and thrown away: another attempt had won.
    Wasted,
    /// The attempt failed and cost nothing that is known.
    Released,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Settled, Self::Estimated, Self::Wasted, Self::Released];

    /// Its name in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Estimated => "estimated",
            Self::Wasted => "wasted",
            Self::Released => "released",
        }
    }

    /// The phase of an answer that was kept, by where its tokens come from.
    #[must_use]
    pub const fn kept(source: Source) -> Self {
        match source {
            Source::Reported => Self::Settled,
            Source::Estimated => Self::Estimated,
        }
    }
}

/// One line: what one attempt cost.
#[derive(Debug, Clone)]
pub struct LedgerLine {
    /// The attempt that called the provider; with the phase, the line's identity.
    pub attempt: AttemptId,
    /// What became of the money.
    pub phase: Phase,
    /// The turn's key `session:turn`; `None` for a request that is no turn.
    pub turn: Option<String>,
    /// The project, if any.
    pub project: Option<ProjectId>,
    /// The API key's id.
    pub api_key: String,
    /// `provider/model`.
    pub model: String,
    /// Tokens.
    pub usage: Usage,
    /// Exact cost; `None` when the model has no price.
    pub cost: Option<PicoUsd>,
    /// Version of the price table the cost was computed with.
    pub price_version: String,
    /// When.
    pub at: Timestamp,
    /// What else a committed turn adds to the day's counters; no part of the line.
    pub counts: Counts,
}

/// What a committed turn adds to the day's counters beside tokens and cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Conversations that began with it: 1 or 0.
    pub conversations: u64,
    /// Messages and items that came in with it, and its answer.
    pub messages: u64,
    /// Whether its process had the conversation in memory; `None` where it had no need.
    pub remembered: Option<bool>,
}

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
        match record.line.phase {
            Phase::Settled | Phase::Estimated | Phase::Wasted => members.push(self.add_usage(record)?),
            // Nothing to count.
            Phase::Released => {}
        }
        Ok(members)
    }

    fn add_usage(&self, record: &RecordLedger<'_>) -> Result<TransactWriteItem, Error> {
        let RecordLedger { tenant, line, shard } = record;
        let project = line.project.as_ref().map_or("-", ProjectId::as_str);
        let row = keys::usage_row(&line.model, project, &line.api_key);
        let (committed, wasted) = match line.phase {
            Phase::Settled | Phase::Estimated => (1, 0),
            Phase::Wasted => (0, 1),
            Phase::Released => (0, 0),
        };
        let unpriced = u8::from(line.cost.is_none());
        transact::update(
            Update::builder()
                .table_name(&*self.table)
                .key("pk", text(keys::usage(tenant, &line.at.day(), *shard)))
                .key("sk", text(row))
                .update_expression(
                    "ADD requests :requests, wasted :wasted, unpriced :unpriced, input_tokens :input, \
                     cache_read_tokens :cache_read, output_tokens :output, cost_pico_usd :cost, \
                     conversations :conversations, messages :messages, \
                     memory_hits :hits, memory_misses :misses",
                )
                .expression_attribute_values(":conversations", number(line.counts.conversations))
                .expression_attribute_values(":messages", number(line.counts.messages))
                .expression_attribute_values(":hits", number(u8::from(line.counts.remembered == Some(true))))
                .expression_attribute_values(":misses", number(u8::from(line.counts.remembered == Some(false))))
                .expression_attribute_values(":requests", number(committed))
                .expression_attribute_values(":wasted", number(wasted))
                .expression_attribute_values(":unpriced", number(unpriced))
                .expression_attribute_values(":input", number(line.usage.total_input()))
                .expression_attribute_values(":cache_read", number(line.usage.cache_read))
                .expression_attribute_values(":output", number(line.usage.total_output()))
                .expression_attribute_values(":cost", number(line.cost.unwrap_or_default().0)),
        )
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
    if let Some(turn) = &line.turn {
        row.push(("turn", text(&**turn)));
    }
    if let Some(project) = &line.project {
        row.push(("project", text(project.as_str())));
    }
    if let Some(cost) = line.cost {
        row.push(("cost_pico_usd", number(cost.0)));
    }
    row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn read_line(item: &Item) -> Result<LedgerLine, Error> {
    let row = Row(item);
    let sk = row.text("sk")?;
    let (attempt, phase) = sk.split_once('#').unwrap_or((&sk, ""));
    let phase = Phase::ALL.into_iter().find(|known| known.name() == phase);
    let phase = phase.ok_or_else(|| Error::corrupt(format!("sort key {sk:?} of a ledger")))?;
    let (cache_read, reasoning) = (row.number("cache_read_tokens")?, row.number("reasoning_tokens")?);
    let usage = Usage {
        input: row.number("input_tokens")?.saturating_sub(cache_read),
        cache_read,
        // The row has them among the input's.
        cache_write: 0,
        cache_write_1h: 0,
        output: row.number("output_tokens")?.saturating_sub(reasoning),
        reasoning,
        source: if phase == Phase::Settled { Source::Reported } else { Source::Estimated },
    };
    Ok(LedgerLine {
        attempt: AttemptId::from_stored(attempt.to_owned()),
        phase,
        turn: row.maybe_text("turn")?,
        project: row.maybe_text("project")?.map(ProjectId::from_stored),
        api_key: row.text("api_key")?,
        model: row.text("model")?,
        usage,
        cost: row.maybe_number("cost_pico_usd")?.map(|cost| PicoUsd(cost.into())),
        price_version: row.text("price_version")?,
        at: row.instant("at")?,
        counts: Counts::default(),
    })
}
