//! Everything a use case needs, built once by composition.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use turnwise_core::access::{Grant, Peppers};
use turnwise_core::audit::Failures;
use turnwise_core::ledger::Baseline;
use turnwise_core::prices::PriceTable;
use turnwise_core::time::Timestamp;
use turnwise_providers::Providers;
use turnwise_providers::count::{Counter, without_tokenizers};
use turnwise_store::Store;
use turnwise_store::queue::Queue;

use crate::admission::{Accounts, Alerts};
use crate::clock::Clock;
use crate::keys::KeyCache;
use crate::live::Hub;
use crate::measure::Learned;
use crate::memory::Memory;
use crate::random::Random;
use crate::rates::Rates;
use crate::tasks::Tasks;
use crate::upstream::Health;
use crate::upstream::policy::CallPolicy;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The use cases over one table, one queue and a set of providers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The table.
    pub store: Store,
    /// Upstream models.
    pub providers: Arc<Providers>,
    /// Where hints about due work go.
    pub queue: Queue,
    /// How they are called.
    pub calls: Arc<CallPolicy>,
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub random: Random,
    /// How long what was said is kept; `None` keeps it for ever.
    pub retention: Option<Duration>,
    /// Background work.
    pub tasks: Tasks,
    /// Conversations read lately.
    pub memory: Memory,
    /// Counts tokens exactly, where it can.
    pub counter: Counter,
    /// Where alerts go.
    pub alerts: Arc<Alerts>,
    /// What answers are compared with, where their tenant has named nothing.
    pub baseline: Option<Arc<Baseline>>,
    /// The operator's own table of prices, under those of the table.
    pub price_file: Option<Arc<PriceTable>>,
    pub(crate) accounts: Accounts,
    /// What the digests of API keys depend on.
    pub peppers: Arc<Peppers>,
    pub(crate) key_cache: KeyCache,
    pub(crate) calibration: Learned,
    pub(crate) rates: Rates,
    pub(crate) hub: Arc<Hub>,
    pub(crate) health: Health,
    pub(crate) auth_failures: Arc<Mutex<Failures>>,
}

impl Engine {
    /// An engine on the system's clock and random numbers.
    #[must_use]
    pub fn new(store: Store, queue: Queue, providers: Providers) -> Self {
        Self {
            store,
            providers: Arc::new(providers),
            calls: Arc::default(),
            queue,
            clock: Clock::System,
            random: Random::from_system(),
            retention: None,
            tasks: Tasks::default(),
            memory: Memory::default(),
            counter: without_tokenizers,
            alerts: Arc::default(),
            baseline: Baseline::shipped().map(Arc::new),
            price_file: None,
            accounts: Accounts::default(),
            peppers: Arc::default(),
            key_cache: KeyCache::default(),
            calibration: Learned::default(),
            rates: Rates::default(),
            hub: Arc::default(),
            health: Health::default(),
            auth_failures: Arc::default(),
        }
    }

    /// The same engine on another clock and other random numbers, for tests.
    #[must_use]
    pub fn with_time_and_chance(mut self, clock: Clock, random: Random) -> Self {
        self.clock = clock;
        self.random = random;
        self
    }

    /// The same engine, calling providers as `calls` says.
    #[must_use]
    pub fn with_calls(mut self, calls: CallPolicy) -> Self {
        self.calls = Arc::new(calls);
        self
    }

    /// The same engine with another counter of tokens: by itself it links none that brings a
    /// vocabulary along.
    #[must_use]
    pub fn with_counter(mut self, counter: Counter) -> Self {
        self.counter = counter;
        self
    }

    /// The same engine with the peppers of its deployment; without any, no API key can be
    /// created and none of the table is accepted.
    #[must_use]
    pub fn with_peppers(mut self, peppers: Peppers) -> Self {
        self.peppers = Arc::new(peppers);
        self
    }

    /// The same engine, keeping what is said from now on for `retention`; `None` keeps it
    /// for ever.
    #[must_use]
    pub fn with_retention(mut self, retention: Option<Duration>) -> Self {
        self.retention = retention;
        self
    }

    /// The same engine, sending alerts as `alerts` says.
    #[must_use]
    pub fn with_alerts(mut self, alerts: Alerts) -> Self {
        self.alerts = Arc::new(alerts);
        self
    }

    /// The same engine, comparing answers with `baseline` where their tenant has named nothing.
    #[must_use]
    pub fn with_baseline(mut self, baseline: Option<Baseline>) -> Self {
        self.baseline = baseline.map(Arc::new).or(self.baseline);
        self
    }

    /// The same engine with the operator's own table of prices.
    #[must_use]
    pub fn with_price_file(mut self, table: Option<PriceTable>) -> Self {
        self.price_file = table.map(Arc::new);
        self
    }

    /// When something said at `at` is as if it were gone, if ever: as the tenant's settings
    /// say, else the operator's.
    pub(crate) fn expires_at(&self, at: Timestamp, grant: &Grant) -> Option<Timestamp> {
        let of_tenant = grant.settings.retention_days.map(|days| Some(DAY * days).filter(|time| !time.is_zero()));
        of_tenant.unwrap_or(self.retention).map(|retention| at + retention)
    }
}
