//! Rate limits: whether a request may come in.
//!
//! Each process counts in cells that it has leased from the table (`counter`), so most
//! requests cost nothing; `lease` is how it comes by more. What a limit promises is
//! `core::rate`'s business: whatever processes ask, in whatever order, no more is let
//! through than one counter would that everybody asked.
//!
//! A rate protects a service that works. While the table does not answer each process counts
//! for itself, by the same limits, and nobody is refused for it.

mod counter;
mod lease;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use turnwise_core::access::Grant;
use turnwise_core::id::Tenant;
pub use turnwise_core::rate::{Class, Standing, Whose};
use turnwise_core::rate::{Hold, holds};
use turnwise_core::time::Timestamp;
use turnwise_store::BucketId;

use self::counter::{Cell, Counter};
use crate::engine::Engine;

/// Most buckets that a process remembers. One takes some two hundred bytes; one that is
/// forgotten loses the cells leased of it, and they come back.
const MAX_BUCKETS: usize = 10_000;

/// How long the table is left alone that has not answered: until then nobody waits for it.
const TABLE_PAUSE: Duration = Duration::from_secs(5);

/// Least time between two warnings that it does not.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What this process knows of rate limits. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Rates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    counters: Cache<BucketId, Arc<Counter>>,
    table: Mutex<Table>,
}

/// How the table is, as far as rates go.
#[derive(Debug, Default)]
struct Table {
    left_alone_until: Timestamp,
    warned_at: Option<Timestamp>,
}

/// Whether a request may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may; nothing limits it.
    Unlimited,
    /// It may; how its client stands with the tightest limit.
    Admitted(Standing),
    /// It may not.
    Refused(Refusal),
}

/// Why a request may not come in. It was not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Whose limit is reached.
    pub whose: Whose,
    /// For which requests.
    pub class: Class,
    /// The limit.
    pub standing: Standing,
    /// When the same request may come in, if no other does before it.
    pub retry_after: Duration,
}

impl Default for Rates {
    fn default() -> Self {
        Self(Arc::new(Inner { counters: Cache::new(MAX_BUCKETS), table: Mutex::default() }))
    }
}

impl Rates {
    fn counter(&self, id: &BucketId) -> Arc<Counter> {
        let made = self.0.counters.get_or_insert_with(id, || Ok::<_, Infallible>(Arc::default()));
        let Ok(counter) = made;
        counter
    }

    /// Whether the table is to be asked.
    fn asks_table(&self, now: Timestamp) -> bool {
        now >= self.table().left_alone_until
    }

    /// Notes that the table has not answered.
    fn table_failed(&self, now: Timestamp, reason: &dyn std::fmt::Display) {
        let mut table = self.table();
        table.left_alone_until = now + TABLE_PAUSE;
        if table.warned_at.is_none_or(|at| now.since(at) >= WARN_EVERY) {
            table.warned_at = Some(now);
            tracing::warn!(%reason, "the table does not count requests; each process counts for itself");
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Whether a request of `class` with the key `api_key` may come in. It is counted by each
    /// of its limits, or by none: where one refuses, the cells of the others are handed back
    /// and serve the next request.
    pub async fn admit(&self, tenant: &Tenant, api_key: &str, grant: &Grant, class: Class) -> Admission {
        let mut passed: Vec<(Hold, Arc<Counter>, Cell)> = Vec::new();
        for hold in holds(grant, class) {
            let api_key = (hold.whose == Whose::Key).then(|| api_key.to_owned());
            let id = BucketId { tenant: tenant.clone(), api_key, class };
            let counter = self.rates.counter(&id);
            match self.pass(&id, &counter, hold).await {
                Ok(cell) => passed.push((hold, counter, cell)),
                Err(retry_after) => {
                    for (hold, counter, cell) in passed {
                        counter.hand_back(hold, cell);
                    }
                    let standing = Standing { remaining: 0, ..counter.standing(hold, self.clock.now()) };
                    return Admission::Refused(Refusal { whose: hold.whose, class, standing, retry_after });
                }
            }
        }
        let now = self.clock.now();
        let standings = passed.iter().map(|(hold, counter, _)| counter.standing(*hold, now));
        let tightest = standings.min_by_key(|standing| standing.remaining);
        tightest.map_or(Admission::Unlimited, Admission::Admitted)
    }
}
