//! The audit log read: newest first, from partitions by day and shard, without a scan.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use turnwise_core::audit::{Action, Cursor, Entry, Range, id_before, id_behind, instant_of, lowest_id};
use turnwise_core::fault::Fault;
use turnwise_core::id::Tenant;
use turnwise_core::limits::MAX_PAGE_SIZE;
use turnwise_core::time::Timestamp;
use turnwise_store::{AUDIT_SHARDS, AuditFilter, AuditFound, AuditPart};
use uuid::Uuid;

use super::tenant_of;
use crate::engine::Engine;
use crate::error::Error;
use crate::turn::Caller;

/// Most entries of one export: with the longest reasons still below the 6 MB that a function may
/// answer with. More is asked for in several ranges.
pub const MAX_EXPORTED: usize = 2_000;

/// Most days looked into at once. A quiet year is then read in some 25 rounds, and a busy day
/// alone.
const MAX_DAYS_AT_ONCE: usize = 16;

/// Partitions looked into at once: more would wait for connections.
const PARTS_AT_ONCE: usize = 16;

/// Entries looked at in one partition and round where most may not be wanted.
const LOOKED_AT: usize = 250;

/// Rounds of one page. A filter that fits next to nothing in a busy log then ends with a short
/// page and a cursor, after some 60,000 entries.
const MAX_ROUNDS: usize = 64;

/// What a reader wants.
#[derive(Debug, Clone)]
pub struct AuditQuery {
    /// Whose log, if an operator names another tenant.
    pub tenant: Option<Tenant>,
    /// When.
    pub range: Range,
    /// Which entries.
    pub filter: AuditFilter,
}

/// One page, newest first.
#[derive(Debug)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

impl Engine {
    /// One page of the audit log, of at most `limit` entries, behind the cursor `after` of an
    /// earlier page. A page may have fewer and still a next one.
    ///
    /// # Errors
    /// [`Error::OperatorOnly`] when a tenant is named that is not the caller's, and when the
    /// store does not answer.
    pub async fn audit(
        &self,
        caller: &Caller,
        query: &AuditQuery,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<AuditPage, Error> {
        let tenant = tenant_of(caller, query.tenant.as_ref())?;
        let limit = limit.min(MAX_PAGE_SIZE);
        self.read_audit(&tenant, query, after, limit, MAX_ROUNDS).await
    }

    /// All entries of a range, newest first. That they were exported is written down first.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are more than [`MAX_EXPORTED`], and as [`Self::audit`].
    pub async fn export_audit(&self, caller: &Caller, query: &AuditQuery, format: &str) -> Result<Vec<Entry>, Error> {
        let tenant = tenant_of(caller, query.tenant.as_ref())?;
        let page = self.read_audit(&tenant, query, None, MAX_EXPORTED, usize::MAX).await?;
        if page.next.is_some() {
            let message = format!("The range has more than {MAX_EXPORTED} entries; export it in shorter ones.");
            return Err(Error::Invalid(Fault::new("from", message).into()));
        }
        let Range { from, to } = query.range;
        let entry = self.audit_entry_of(caller, &tenant, Action::AuditExport, tenant.as_str());
        let entry = entry.detail("from", from.to_string()).detail("to", to.to_string());
        self.append_audit(&entry.detail("format", format).detail("entries", page.entries.len())).await?;
        Ok(page.entries)
    }

    /// Up to `wanted` entries. Looks into one day after the other, from the latest on, and into
    /// more of them at once the longer nothing is found.
    async fn read_audit(
        &self,
        tenant: &Tenant,
        query: &AuditQuery,
        after: Option<Cursor>,
        wanted: usize,
        mut rounds: usize,
    ) -> Result<AuditPage, Error> {
        let range = after.and_then(Cursor::range).unwrap_or(query.range);
        let (lowest, mut highest) = range.ids();
        if let Some(cursor) = after {
            highest = id_before(cursor.before);
        }
        let next = |before: Uuid| Some(Cursor { before, from: range.from });
        let days: Vec<Timestamp> = range.days().collect();
        let (mut rest, mut at_once) = (days.as_slice(), 1);
        let mut entries = Vec::new();
        while !rest.is_empty() {
            if rounds == 0 {
                return Ok(AuditPage { entries, next: next(id_behind(highest)) });
            }
            rounds -= 1;
            let (days, behind) = rest.split_at(at_once.min(rest.len()));
            let most = most_looked_at(&query.filter, wanted + 1 - entries.len());
            let found = self.audit_parts(tenant, days, (lowest, highest), &query.filter, most).await?;
            // What is below the last entry looked at in one partition may lie between others.
            let reached = found.iter().filter_map(|found| found.reached).max();
            let mut sure: Vec<Entry> = found.into_iter().flat_map(|found| found.entries).collect();
            sure.retain(|entry| reached.is_none_or(|reached| entry.id >= reached));
            sure.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.id));
            at_once = if sure.is_empty() { (at_once * 2).min(MAX_DAYS_AT_ONCE) } else { 1 };
            entries.extend(sure);
            if entries.len() > wanted {
                entries.truncate(wanted);
                let last = entries.last().map(|entry| entry.id);
                return Ok(AuditPage { next: last.and_then(next), entries });
            }
            match (reached, days.last()) {
                (Some(reached), _) => highest = id_before(reached),
                (None, Some(day)) => (highest, rest) = (id_before(lowest_id(*day)), behind),
                (None, None) => rest = behind,
            }
        }
        Ok(AuditPage { entries, next: None })
    }

    async fn audit_parts(
        &self,
        tenant: &Tenant,
        days: &[Timestamp],
        (lowest, highest): (Uuid, Uuid),
        filter: &AuditFilter,
        most: usize,
    ) -> Result<Vec<AuditFound>, Error> {
        // Of a day that was read in part, the rest.
        let reaches = |day: &&Timestamp| day.start_of_day() <= instant_of(highest);
        let parts = days.iter().filter(reaches).flat_map(|day| (0..AUDIT_SHARDS).map(move |shard| (*day, shard)));
        let looks: Vec<_> = parts
            .map(|(day, shard)| {
                let part = AuditPart { tenant, day, shard, lowest, highest, filter, most };
                async move { self.retry(|_| self.store.audit_entries(&part)).await }
            })
            .collect();
        Ok(stream::iter(looks).buffer_unordered(PARTS_AT_ONCE).try_collect().await?)
    }
}

fn most_looked_at(filter: &AuditFilter, wanted: usize) -> usize {
    if *filter == AuditFilter::default() { wanted.min(LOOKED_AT) } else { LOOKED_AT }
}
