//! Turns as they happen, for whoever watches: attempts that have ended lately, and
//! those at work.

use std::time::Duration;

use turnwise_core::id::Tenant;
use turnwise_core::ledger::LedgerLine;
use turnwise_core::time::Timestamp;
use turnwise_store::HeldTurn;

use crate::engine::Engine;
use crate::error::Error;

/// How far back a watcher begins, and how long an attempt may take that is no turn and
/// so is in no index while it works.
const LOOK_BACK: Duration = Duration::from_secs(120);

/// How far back a watcher may begin at the most: the ledger of a busy day is long.
const MAX_LOOK_BACK: Duration = Duration::from_secs(24 * 3600);

/// How much earlier than its turn an attempt may have got its name.
const NAMED_BEFORE: Duration = Duration::from_secs(10);

/// What a watcher sees.
#[derive(Debug)]
pub struct Recent {
    /// Attempts that have ended, in the order of their ends.
    pub ended: Vec<LedgerLine>,
    /// Attempts at work, oldest first.
    pub running: Vec<HeldTurn>,
    /// Where to go on: every attempt that has not ended began later. What has ended since
    /// then comes again, by the same attempt and phase.
    pub next: Timestamp,
}

impl Engine {
    /// Attempts that began at `since` or later and have ended, and those at work.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn recent(&self, tenant: &Tenant, since: Option<Timestamp>) -> Result<Recent, Error> {
        let now = self.clock.now();
        let since = since.unwrap_or(now - LOOK_BACK).max(now - MAX_LOOK_BACK);
        // What runs is looked at first: an attempt that ends in between is then in both,
        // and none is in neither.
        let mut running = self.retry(|_| self.store.held_turns()).await?;
        running.retain(|held| held.tenant == *tenant);
        running.sort_by_key(|held| held.began_at);
        let mut ended = self.retry(|_| self.store.ledger_lines(tenant, since, now)).await?;
        ended.sort_by_key(|line| line.at);
        let oldest = running.first().map(|held| held.began_at - NAMED_BEFORE);
        let next = oldest.unwrap_or(now).min(now - LOOK_BACK).max(since);
        Ok(Recent { ended, running, next })
    }
}
