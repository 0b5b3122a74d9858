//! Background work: the only place that spawns.
//!
//! A Lambda freezes when its reply is out, and a process that ends takes its tasks
//! along. So every task is counted here, and whoever ends an invocation or the
//! process waits for the count to reach zero.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one engine. Cheap to clone; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    handover: CancellationToken,
}

impl Tasks {
    /// Runs `work` to its end, whoever waits for it or not.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(work)
    }

    /// Waits until no task is running. More may be spawned afterwards.
    pub async fn idle(&self) {
        self.tracker.close();
        self.tracker.wait().await;
        self.tracker.reopen();
    }

    /// How many tasks are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Asks work that has not begun to stay undone: it is found again.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Completes when [`Self::stop`] was called.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Asks running turns to stop where they are and let go of their locks, so that
    /// another process can take them over at once.
    pub fn hand_over(&self) {
        self.handover.cancel();
    }

    /// Completes when [`Self::hand_over`] was called.
    pub async fn handed_over(&self) {
        self.handover.cancelled().await;
    }
}
