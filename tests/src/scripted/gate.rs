//! A gate that holds calls until the test opens it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Longer than anything takes on a busy machine to come to a gate.
const PATIENCE: Duration = Duration::from_secs(60);

/// Holds whoever comes to it until it is opened; clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
    reached: Arc<watch::Sender<usize>>,
}

impl Gate {
    /// One that holds calls from now on.
    #[must_use]
    pub fn closed() -> Self {
        Self { open: Arc::new(watch::Sender::new(false)), reached: Arc::new(watch::Sender::new(0)) }
    }

    /// Lets through all that wait, and all that come.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Returns once a call has come to the gate.
    pub async fn reached(&self) {
        self.reached_by(1).await;
    }

    /// Returns once `calls` calls have come to the gate.
    ///
    /// # Panics
    /// If they do not come in [`PATIENCE`].
    pub async fn reached_by(&self, calls: usize) {
        let mut reached = self.reached.subscribe();
        let in_time = tokio::time::timeout(PATIENCE, reached.wait_for(|seen| *seen >= calls)).await;
        // The sender lives in `self`, so that only time can fail.
        assert!(in_time.is_ok(), "{calls} calls did not come to the gate");
    }

    pub(super) async fn pass(&self) {
        self.reached.send_modify(|seen| *seen += 1);
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }
}
