//! What is shared of a limit, and how cells are taken of it.
//!
//! The generic cell rate algorithm: a limit of L a minute is L cells, and one takes T, the
//! L-th part of a minute. The bucket's state is an instant, `tat`: when all that was taken
//! has come back. Taking n cells moves it on by n times T, never further than a minute ahead.
//!
//! ```text
//!        since      now              tat                    latest = now + L*T
//!   ───────┼─────────┼────┬────┬────┬─┼────┬────┬────┬───────┼──►
//!                    └ cells taken ──┘ └ cells that are left ┘
//! ```
//!
//! A cell is leased with an instant of its own, one T apart from all others of the bucket,
//! whoever has leased those. It may be used up to that instant and not later. So whatever is
//! used between a and b has its instant between a and b + (L-1)*T, and that is at most
//! L + (b-a)/T cells: what one counter would admit which everybody asked. A cell that passes
//! unused is one that has come back.
//!
//! Clocks may differ by [`CLOCK_SKEW`]. One that is ahead would lease cells that have not
//! come back, so a bucket in use gives back as if its time were the skew earlier. One that
//! has been full for longer than the skew by every clock starts a new time, `since`, and
//! gives all its cells at once. What is never given is too much; what clocks cost is that
//! the first cells after a burst come back so much later.

use std::time::Duration;

use super::{MINUTE, Rate, nanos_at, nanos_of, wait_until};
use crate::limits::CLOCK_SKEW;
use crate::time::Timestamp;

const SKEW_NS: u64 = nanos_of(CLOCK_SKEW);

/// The state of a bucket; the default is that of one nobody has asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When it was last full and asked, in nanoseconds since the epoch.
    pub since_ns: u64,
    /// When all that was taken has come back.
    pub tat_ns: u64,
}

/// Cells that a bucket gives, if it is still as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Take {
    /// How many: at least one, at most as many as were wanted.
    pub cells: u32,
    /// How they are taken.
    pub write: Write,
    /// The bucket without them.
    pub after: Bucket,
}

/// How cells are taken of the shared state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Nothing is out: the state is put, if `tat` is absent or not later than `unless_after_ns`.
    Begin {
        /// What is put.
        bucket: Bucket,
        /// The latest `tat` that may be overwritten.
        unless_after_ns: u64,
    },
    /// `tat` is moved on by `add_ns`, if it is not later than `unless_after_ns`.
    Add {
        /// How far.
        add_ns: u64,
        /// The latest `tat` that leaves room for it.
        unless_after_ns: u64,
    },
}

impl Bucket {
    /// Takes `wanted` cells at `now`, or as many of them as are left. If there is none, the
    /// time until there is one, should nobody else come.
    ///
    /// # Errors
    /// That time.
    pub fn take(self, rate: Rate, now: Timestamp, wanted: u32) -> Result<Take, Duration> {
        let now_ns = nanos_at(now);
        let cells = wanted.max(1).min(self.left(rate, now));
        if cells == 0 {
            return Err(self.wait(rate, now_ns));
        }
        let span_ns = rate.span_ns(cells);
        let after = Self { since_ns: self.since_at(now_ns), tat_ns: self.tat_ns.max(now_ns) + span_ns };
        let write = if self.tat_ns > now_ns {
            // Others may have taken some meanwhile: all that counts is that these fit.
            Write::Add { add_ns: span_ns, unless_after_ns: self.latest(rate, now_ns) - span_ns }
        } else {
            let unless_after_ns = if self.is_full(now_ns) { now_ns.saturating_sub(SKEW_NS) } else { now_ns };
            Write::Begin { bucket: after, unless_after_ns }
        };
        Ok(Take { cells, write, after })
    }

    /// How many cells could be taken at once.
    #[must_use]
    pub fn left(self, rate: Rate, now: Timestamp) -> u32 {
        let now_ns = nanos_at(now);
        rate.cells_in(self.latest(rate, now_ns).saturating_sub(self.tat_ns.max(now_ns)))
    }

    /// The time until all cells could be taken at once.
    #[must_use]
    pub const fn reset(self, now: Timestamp) -> Duration {
        match self.tat_ns {
            0 => Duration::ZERO,
            tat_ns => wait_until(tat_ns + SKEW_NS, nanos_at(now)),
        }
    }

    /// Puts one cell back that this process alone knows to be taken.
    pub const fn put_back(&mut self, rate: Rate) {
        self.tat_ns = self.tat_ns.saturating_sub(rate.every_ns);
    }

    /// Whether all cells are back by every clock.
    const fn is_full(self, now_ns: u64) -> bool {
        self.tat_ns == 0 || self.tat_ns + SKEW_NS <= now_ns
    }

    /// `since`, once cells are taken at `now_ns`.
    const fn since_at(self, now_ns: u64) -> u64 {
        if self.is_full(now_ns) { now_ns } else { self.since_ns }
    }

    /// The latest instant that `tat` may have.
    fn latest(self, rate: Rate, now_ns: u64) -> u64 {
        now_ns.saturating_sub(SKEW_NS).max(self.since_at(now_ns)) + rate.span_ns(rate.limit())
    }

    /// The time until one more cell fits.
    fn wait(self, rate: Rate, now_ns: u64) -> Duration {
        if rate.limit() == 0 {
            // It never does; a limit may be raised.
            return MINUTE;
        }
        let others = rate.span_ns(rate.limit() - 1);
        wait_until((self.tat_ns + SKEW_NS).saturating_sub(others), now_ns)
    }
}
