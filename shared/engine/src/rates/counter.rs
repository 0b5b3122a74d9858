//! One bucket, as one process knows it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use turnwise_core::rate::{Bucket, Hold, Rate, Slot, Slots, Standing, Take, lease};
use turnwise_core::time::Timestamp;

/// One bucket: what is leased of it here, and what is known of the rest.
#[derive(Debug, Default)]
pub(super) struct Counter {
    local: Mutex<Local>,
    /// Held by whoever asks the table for more cells; the others wait for those.
    pub(super) leasing: tokio::sync::Mutex<()>,
    /// Requests that want a cell and have none.
    waiting: AtomicU32,
}

#[derive(Debug, Default)]
struct Local {
    /// The shared state, as it was last seen. It only grows, so what it refuses is refused.
    shared: Bucket,
    slots: Slots,
    /// Cells that were handed back.
    spare: Vec<Slot>,
    /// Cells of the last lease that were used.
    used: u32,
    /// What this process lets through by itself.
    own: Bucket,
}

/// A cell that lets one request through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// A leased one.
    Leased(Slot),
    /// One that this process gives by itself.
    Own,
    /// One that it gives in the table's place.
    Unshared,
}

/// A request that waits for a cell, as long as it is not dropped.
pub(super) struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counter {
    /// A cell that needs no asking.
    pub(super) fn take(&self, hold: Hold, now: Timestamp) -> Option<Cell> {
        let mut local = self.local();
        if let Some(take) = hold.own.and_then(|own| local.own.take(own, now, 1).ok()) {
            local.own = take.after;
            return Some(Cell::Own);
        }
        local.take_leased(now)
    }

    /// Puts back a cell whose request another limit has refused.
    pub(super) fn hand_back(&self, hold: Hold, cell: Cell) {
        let mut local = self.local();
        match cell {
            Cell::Leased(slot) => {
                local.spare.push(slot);
                local.used = local.used.saturating_sub(1);
            }
            Cell::Own => {
                if let Some(own) = hold.own {
                    local.own.put_back(own);
                }
            }
            Cell::Unshared => local.shared.put_back(hold.rate),
        }
    }

    /// The cells to ask the table for; where it is known to have none, the time until it has.
    pub(super) fn ask(&self, rate: Rate, now: Timestamp) -> Result<Take, Duration> {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let local = self.local();
        local.shared.take(rate, now, lease::size(rate, local.used, waiting))
    }

    /// Notes cells that were leased at `now`, when the bucket became `shared`, and takes the
    /// first of them.
    pub(super) fn leased(&self, take: &Take, rate: Rate, shared: Bucket, now: Timestamp) -> Option<Cell> {
        let mut local = self.local();
        local.shared = shared;
        local.slots = Slots::of(take, rate, shared.tat_ns);
        local.used = 0;
        local.take_leased(now)
    }

    /// Notes the shared state.
    pub(super) fn saw(&self, shared: Bucket) {
        self.local().shared = shared;
    }

    /// A cell of what is known of the shared state, without telling the table.
    pub(super) fn take_unshared(&self, rate: Rate, now: Timestamp) -> Result<Cell, Duration> {
        let mut local = self.local();
        local.shared = local.shared.take(rate, now, 1)?.after;
        Ok(Cell::Unshared)
    }

    /// The time until there is a cell again: one of `hold`'s shared ones comes back after
    /// `shared`.
    pub(super) fn wait(&self, hold: Hold, now: Timestamp, shared: Duration) -> Duration {
        let own = hold.own.and_then(|own| self.local().own.take(own, now, 1).err());
        own.map_or(shared, |own| own.min(shared))
    }

    /// Counts a request that wants a cell.
    pub(super) fn wait_for_one(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// How clients stand with this limit.
    pub(super) fn standing(&self, hold: Hold, now: Timestamp) -> Standing {
        let local = self.local();
        let spare = local.spare.iter().filter(|slot| slot.is_good(now)).count();
        let here = local.slots.left(now).saturating_add(u32::try_from(spare).unwrap_or(u32::MAX));
        let own = hold.own.map_or(0, |own| local.own.left(own, now));
        let remaining = local.shared.left(hold.rate, now).saturating_add(here).saturating_add(own);
        let reset = local.shared.reset(now).max(local.own.reset(now));
        Standing { limit: hold.limit(), remaining: remaining.min(hold.limit()), reset }
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Local {
    fn take_leased(&mut self, now: Timestamp) -> Option<Cell> {
        self.spare.retain(|slot| slot.is_good(now));
        let slot = self.spare.pop().or_else(|| self.slots.take(now))?;
        self.used = self.used.saturating_add(1);
        Some(Cell::Leased(slot))
    }
}
