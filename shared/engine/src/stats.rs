//! What the work of some days came to.

use std::time::Duration;

use turnwise_core::id::Tenant;
use turnwise_core::ledger::UsageTotals;
use turnwise_core::time::Timestamp;

use crate::engine::Engine;
use crate::error::Error;
use crate::memory::MemoryStats;

/// Days that are summed up unless asked otherwise, and the most: each is four queries.
pub const STATS_DAYS: u64 = 30;
/// See [`STATS_DAYS`].
pub const MAX_STATS_DAYS: u64 = 366;

/// One day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What some days came to.
#[derive(Debug)]
pub struct Stats {
    /// The beginning of the first day's sum.
    pub since: Timestamp,
    /// Of all processes.
    pub totals: UsageTotals,
    /// Of the process that answers, since its start.
    pub memory: MemoryStats,
}

impl Engine {
    /// Sums up today and the `days` - 1 days before, in UTC.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn stats(&self, tenant: &Tenant, days: u64) -> Result<Stats, Error> {
        let now = self.clock.now();
        let back = DAY.saturating_mul(u32::try_from(days.clamp(1, MAX_STATS_DAYS) - 1).unwrap_or(0));
        let since = now - back;
        let totals = self.retry(|_| self.store.usage_totals(tenant, since, now)).await?;
        Ok(Stats { since, totals, memory: self.memory.stats() })
    }
}
