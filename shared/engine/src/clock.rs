//! Time: the system's, or a test's.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;
use turnwise_core::time::Timestamp;

/// Where time comes from. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's clock and timers.
    #[default]
    System,
    /// A clock that stands still until it is moved.
    Manual(Arc<Manual>),
}

impl Clock {
    /// Now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(0) + elapsed
            }
            Self::Manual(manual) => manual.now(),
        }
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::System => tokio::time::sleep(duration).await,
            Self::Manual(manual) => {
                // The sender is dropped only with the clock, and nobody sleeps then.
                let _ = manual.sleep(duration).await;
            }
        }
    }

    /// Waits until `at`.
    pub async fn sleep_until(&self, at: Timestamp) {
        self.sleep(at.since(self.now())).await;
    }

    /// What `future` gives, or `None` if it takes longer than `duration`.
    pub async fn timeout<T>(&self, duration: Duration, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            value = future => Some(value),
            () = self.sleep(duration) => None,
        }
    }
}

/// A clock for tests, moved by [`Manual::advance_to_next_timer`].
#[derive(Debug)]
pub struct Manual(Mutex<Timers>);

#[derive(Debug)]
struct Timers {
    now: Timestamp,
    count: u64,
    waiting: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
}

impl Manual {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timers { now, count: 0, waiting: BTreeMap::new() })))
    }

    /// Moves to the next timer that somebody still waits for and fires it; false if
    /// there is none.
    pub fn advance_to_next_timer(&self) -> bool {
        let mut timers = self.timers();
        while let Some(((at, _), timer)) = timers.waiting.pop_first() {
            if timer.is_closed() {
                continue;
            }
            timers.now = timers.now.max(at);
            // A sleeper that left in this moment needs no waking.
            let _ = timer.send(());
            return true;
        }
        false
    }

    fn now(&self) -> Timestamp {
        self.timers().now
    }

    fn sleep(&self, duration: Duration) -> oneshot::Receiver<()> {
        let (timer, fired) = oneshot::channel();
        let mut timers = self.timers();
        let at = timers.now + duration;
        timers.count += 1;
        let order = timers.count;
        timers.waiting.insert((at, order), timer);
        fired
    }

    fn timers(&self) -> std::sync::MutexGuard<'_, Timers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn timers_fire_in_their_order() {
        let manual = Manual::new(Timestamp(0));
        let clock = Clock::Manual(manual.clone());
        let late = clock.sleep(Duration::from_secs(2));
        let early = clock.sleep(Duration::from_secs(1));
        tokio::pin!(late, early);
        assert!(futures_util::poll!(&mut late).is_pending());
        assert!(futures_util::poll!(&mut early).is_pending());

        assert!(manual.advance_to_next_timer());
        assert_eq!(clock.now(), Timestamp(1000));
        assert!(futures_util::poll!(&mut early).is_ready());
        assert!(futures_util::poll!(&mut late).is_pending());

        assert!(manual.advance_to_next_timer());
        assert!(futures_util::poll!(&mut late).is_ready());
        assert!(!manual.advance_to_next_timer());
    }
}
