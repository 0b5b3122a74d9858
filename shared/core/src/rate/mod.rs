//! How many requests a minute.
//!
//! A limit is held by a bucket, whose state all processes share in one row of the table. A
//! process leases some [`Slots`] of it and uses them without asking again.
//!
//! - [`Rate`]: so many a minute; [`Bucket`]: what is shared, and how cells are taken of it
//! - [`Slots`]: cells that a process has leased; [`lease`]: how many it asks for
//! - [`Class`], [`Hold`]: which buckets a request has to pass
//! - [`Standing`]: what its client is told of them

mod bucket;
mod hold;
pub mod lease;
mod slots;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::bucket::{Bucket, Take, Write};
pub use self::hold::{Class, Hold, Whose, holds};
pub use self::slots::{Slot, Slots};
use crate::time::Timestamp;

/// Nanoseconds of a millisecond. Buckets count in nanoseconds: at a million requests a
/// minute one takes 60 microseconds, and its rounding should not show.
const NANOS_PER_MILLI: u64 = 1_000_000;

/// The time in which a limit's cells come back.
const MINUTE: Duration = Duration::from_secs(60);

/// So many a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    limit: u32,
    every_ns: u64,
}

impl Rate {
    /// `limit` a minute; none at all where that is 0.
    #[must_use]
    pub const fn per_minute(limit: u32) -> Self {
        let cells = if limit == 0 { 1 } else { limit as u64 };
        // Rounded up, so that no rounding admits more than the limit.
        Self { limit, every_ns: nanos_of(MINUTE).div_ceil(cells) }
    }

    /// How many.
    #[must_use]
    pub const fn limit(self) -> u32 {
        self.limit
    }

    /// The time of so many cells, in nanoseconds; of all of them, a minute.
    const fn span_ns(self, cells: u32) -> u64 {
        self.every_ns * cells as u64
    }

    /// How many whole cells fit into so many nanoseconds; the limit at most.
    fn cells_in(self, span_ns: u64) -> u32 {
        u32::try_from(span_ns / self.every_ns).unwrap_or(u32::MAX).min(self.limit)
    }
}

/// How a client stands with the tightest of its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests a minute.
    pub limit: u32,
    /// Those it could make at once now, as far as this process knows.
    pub remaining: u32,
    /// How long until all of them could be, if it made none meanwhile.
    pub reset: Duration,
}

const fn nanos_of(duration: Duration) -> u64 {
    duration.as_secs() * 1000 * NANOS_PER_MILLI + duration.subsec_nanos() as u64
}

const fn nanos_at(at: Timestamp) -> u64 {
    at.as_millis().saturating_mul(NANOS_PER_MILLI)
}

/// The time until `at_ns`, in whole milliseconds: whoever waits so long is not too early.
const fn wait_until(at_ns: u64, now_ns: u64) -> Duration {
    Duration::from_millis(at_ns.saturating_sub(now_ns).div_ceil(NANOS_PER_MILLI))
}
