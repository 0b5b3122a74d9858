//! Store operations tried again.

use std::future::Future;
use std::time::Duration;

use turnwise_core::limits::{CONFLICT_PAUSE, MAX_CONFLICT_RETRIES};
use turnwise_store::Error;

use crate::engine::Engine;

/// Longest pause between two tries: beyond it a turn's lease is worth more than patience.
const MAX_PAUSE: Duration = Duration::from_secs(1);

impl Engine {
    /// Tries `operation` until it succeeds, fails for good, or has been tried
    /// often enough. `operation` must be idempotent; it is told the number of
    /// conflicts so far, to choose another shard by.
    pub(crate) async fn retry<T, F>(&self, mut operation: impl FnMut(u32) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut pause = CONFLICT_PAUSE;
        let mut conflicts = 0;
        for tries in 1.. {
            let error = match operation(conflicts).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if tries > MAX_CONFLICT_RETRIES || !error.is_transient() {
                return Err(error);
            }
            conflicts += u32::from(matches!(error, Error::Conflict { .. }));
            tracing::debug!(%error, tries, "store operation tried again");
            self.clock.sleep(self.random.jitter(pause)).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
        unreachable!("the loop returns")
    }

    /// Waits before round `round` + 1 of something that others are at too.
    pub(crate) async fn pause(&self, round: u32) {
        let most = CONFLICT_PAUSE * 2u32.saturating_pow(round.min(6));
        self.clock.sleep(self.random.jitter(most)).await;
    }
}
