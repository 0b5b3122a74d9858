//! Chance: ids, jitter, shards; seeded in tests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::distr::Alphanumeric;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use turnwise_core::time::Timestamp;
use uuid::{Builder, Uuid};

/// A source of random numbers. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// Seeded by the operating system.
    #[must_use]
    pub fn from_system() -> Self {
        Self::from(StdRng::from_rng(&mut rand::rng()))
    }

    /// The same numbers for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::from(StdRng::seed_from_u64(seed))
    }

    fn from(rng: StdRng) -> Self {
        Self(Arc::new(Mutex::new(rng)))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A UUIDv7 of the instant `now`: sorts by time.
    #[must_use]
    pub fn uuid_v7(&self, now: Timestamp) -> Uuid {
        let bytes = self.with(|rng| rng.random::<[u8; 10]>());
        Builder::from_unix_timestamp_millis(now.as_millis(), &bytes).into_uuid()
    }

    /// A UUIDv4.
    #[must_use]
    pub fn uuid_v4(&self) -> Uuid {
        Builder::from_random_bytes(self.with(|rng| rng.random())).into_uuid()
    }

    /// `chars` letters and digits of ASCII, all of the 62 equally likely.
    #[must_use]
    pub fn alphanumeric(&self, chars: usize) -> String {
        self.with(|rng| rng.sample_iter(Alphanumeric).take(chars).map(char::from).collect())
    }

    /// A number to pick a shard by.
    #[must_use]
    pub fn shard(&self) -> u8 {
        self.with(|rng| rng.random())
    }

    /// A number from 0 to 1.
    #[must_use]
    pub fn chance(&self) -> f64 {
        self.with(|rng| rng.random_range(0.0..=1.0))
    }

    /// A pause between half of `most` and `most`, so that waiters spread out and
    /// none comes back at once.
    #[must_use]
    pub fn jitter(&self, most: Duration) -> Duration {
        most.mul_f64(self.with(|rng| rng.random_range(0.5..=1.0)))
    }
}
