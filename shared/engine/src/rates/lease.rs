//! How a process comes by cells.

use std::time::Duration;

use turnwise_core::rate::Hold;
use turnwise_store::{BucketId, Leased};

use super::counter::{Cell, Counter};
use crate::engine::Engine;

/// Longest wait for the table. Its writes take a few milliseconds; whoever waits here has not
/// begun yet.
const TABLE_TIMEOUT: Duration = Duration::from_millis(500);

/// Most writes for one lease. One is refused where others have taken what was left since it
/// was last seen, and then as few are asked for as are left.
const MAX_TRIES: usize = 8;

/// What a client is told to wait where others were quicker each time.
const CROWDED: Duration = Duration::from_secs(1);

impl Engine {
    /// A cell of the bucket `id`, which `counter` stands for; where there is none, the time
    /// until there is.
    pub(super) async fn pass(&self, id: &BucketId, counter: &Counter, hold: Hold) -> Result<Cell, Duration> {
        let now = self.clock.now();
        if let Some(cell) = counter.take(hold, now) {
            return Ok(cell);
        }
        let refused = |wait| counter.wait(hold, now, wait);
        // What is known to be refused needs neither a write nor its turn.
        counter.ask(hold.rate, now).map_err(refused)?;
        let waiting = counter.wait_for_one();
        let _leasing = counter.leasing.lock().await;
        // Who was here before may have leased enough.
        let found = counter.take(hold, self.clock.now());
        let cell = match found {
            Some(cell) => Ok(cell),
            None => self.lease(id, counter, hold).await,
        };
        drop(waiting);
        cell.map_err(|wait| counter.wait(hold, self.clock.now(), wait))
    }

    /// Leases cells and takes the first of them. It counts from when it was asked for, since
    /// the table's answer takes its time.
    async fn lease(&self, id: &BucketId, counter: &Counter, hold: Hold) -> Result<Cell, Duration> {
        for _ in 0..MAX_TRIES {
            let now = self.clock.now();
            let take = counter.ask(hold.rate, now)?;
            if !self.rates.asks_table(now) {
                return counter.take_unshared(hold.rate, now);
            }
            let lease = self.store.lease_cells(id, &take.write, now);
            match self.clock.timeout(TABLE_TIMEOUT, lease).await {
                Some(Ok(Leased::Taken(bucket))) => {
                    if let Some(cell) = counter.leased(&take, hold.rate, bucket, now) {
                        return Ok(cell);
                    }
                }
                Some(Ok(Leased::Changed(bucket))) => counter.saw(bucket),
                Some(Err(error)) => self.rates.table_failed(now, &error),
                None => self.rates.table_failed(now, &format_args!("no answer within {TABLE_TIMEOUT:?}")),
            }
        }
        Err(CROWDED)
    }
}
