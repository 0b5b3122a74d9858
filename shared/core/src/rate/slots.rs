//! Cells that a process has leased.

use super::{Rate, Take, nanos_at};
use crate::time::Timestamp;

/// Leased cells of one bucket, each to be used up to an instant of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slots {
    /// The instant of the next one, in nanoseconds since the epoch.
    next_ns: u64,
    /// Behind the last one.
    end_ns: u64,
    every_ns: u64,
}

/// A leased cell that was used, to be handed back if it was not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u64);

impl Slot {
    /// Whether it may be used at `now`.
    #[must_use]
    pub const fn is_good(self, now: Timestamp) -> bool {
        nanos_at(now) <= self.0
    }
}

impl Slots {
    /// The cells that were taken, when the bucket's `tat` behind them is `tat_ns`.
    #[must_use]
    pub const fn of(take: &Take, rate: Rate, tat_ns: u64) -> Self {
        Self { next_ns: tat_ns.saturating_sub(rate.span_ns(take.cells)), end_ns: tat_ns, every_ns: rate.every_ns }
    }

    /// Uses one that is still good, the oldest first.
    pub const fn take(&mut self, now: Timestamp) -> Option<Slot> {
        self.skip(now);
        if self.next_ns >= self.end_ns {
            return None;
        }
        let slot = Slot(self.next_ns);
        self.next_ns += self.every_ns;
        Some(slot)
    }

    /// How many are good at `now`.
    #[must_use]
    pub fn left(mut self, now: Timestamp) -> u32 {
        self.skip(now);
        let span_ns = self.end_ns.saturating_sub(self.next_ns);
        u32::try_from(span_ns.checked_div(self.every_ns).unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Passes over those whose instant is gone.
    const fn skip(&mut self, now: Timestamp) {
        let late_ns = nanos_at(now).saturating_sub(self.next_ns);
        if late_ns > 0 && self.every_ns > 0 {
            self.next_ns += late_ns.div_ceil(self.every_ns) * self.every_ns;
        }
    }
}
