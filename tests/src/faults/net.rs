//! The faults of one run, drawn from its seed, and what was hit.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use turnwise_engine::clock::Clock;

use super::kinds::{Fault, Operation};

/// Faults of one run at the most: with more, nothing but faults would be tested.
const MAX_FAULTS: usize = 10;

/// One request in this many meets a fault, as long as the run has any left.
const ONE_IN: u32 = 6;

/// Longest pause of a delayed request and of a stopped process, in seconds: several leases.
const LONGEST_PAUSE_S: u64 = 100;

/// How often each fault met each operation.
#[derive(Debug, Clone, Default)]
pub struct Coverage(pub BTreeMap<(Operation, Fault), usize>);

impl Coverage {
    /// Adds what another run has hit.
    pub fn add(&mut self, other: &Self) {
        for (at, count) in &other.0 {
            *self.0.entry(*at).or_default() += count;
        }
    }

    /// Pairs that can happen and did not.
    #[must_use]
    pub fn missing(&self) -> Vec<(Operation, Fault)> {
        let all = Operation::ALL.into_iter().flat_map(|operation| Fault::ALL.map(|fault| (operation, fault)));
        all.filter(|(operation, fault)| fault.fits(*operation) && !self.0.contains_key(&(*operation, *fault))).collect()
    }
}

/// The table of faults against operations.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:15}", "")?;
        for operation in Operation::ALL {
            write!(f, "{:>10}", format!("{operation:?}"))?;
        }
        writeln!(f)?;
        for fault in Fault::ALL {
            write!(f, "{:15}", format!("{fault:?}"))?;
            for operation in Operation::ALL {
                let count = self.0.get(&(operation, fault)).copied().unwrap_or(0);
                let cell = if fault.fits(operation) { count.to_string() } else { "-".to_owned() };
                write!(f, "{cell:>10}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The network of one run, shared by its processes.
#[derive(Debug)]
pub struct Net {
    pub(super) clock: Clock,
    pub(super) in_flight: AtomicUsize,
    drawn: Mutex<Drawn>,
}

#[derive(Debug)]
struct Drawn {
    rng: StdRng,
    left: usize,
    /// Whether a process may still stop for good: one may, or nobody would be left.
    may_die: bool,
    /// Whether all is well again.
    healed: bool,
    coverage: Coverage,
    /// Which attempt took which epoch, as the table confirmed it.
    epochs: Vec<(String, u64, String)>,
}

impl Net {
    /// The network of the run with this seed.
    #[must_use]
    pub fn seeded(seed: u64, clock: Clock) -> Arc<Self> {
        let rng = StdRng::seed_from_u64(seed);
        let drawn = Drawn {
            rng,
            left: MAX_FAULTS,
            may_die: true,
            healed: false,
            coverage: Coverage::default(),
            epochs: Vec::new(),
        };
        Arc::new(Self { clock, in_flight: AtomicUsize::new(0), drawn: Mutex::new(drawn) })
    }

    /// Whether no request is on its way to the table: everybody sleeps or thinks.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) == 0
    }

    /// No more faults from here on; one that has been drawn does not stop a process any more.
    pub fn heal(&self) {
        let mut drawn = self.drawn.lock().unwrap();
        drawn.left = 0;
        drawn.healed = true;
    }

    pub(super) fn is_healed(&self) -> bool {
        self.drawn.lock().unwrap().healed
    }

    /// What was hit.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.drawn.lock().unwrap().coverage.clone()
    }

    /// Which attempt took which epoch of which conversation.
    #[must_use]
    pub fn epochs(&self) -> Vec<(String, u64, String)> {
        self.drawn.lock().unwrap().epochs.clone()
    }

    pub(super) fn draw(&self, operation: Operation) -> Option<Fault> {
        let mut drawn = self.drawn.lock().unwrap();
        // Reads are many and decide little; rare operations would hardly be reached.
        let one_in = match operation {
            Operation::Read => ONE_IN * 6,
            Operation::Begin | Operation::Commit => ONE_IN,
            Operation::Fail | Operation::Log => ONE_IN / 2,
            Operation::Heartbeat => 2,
            Operation::Ledger => 1,
        };
        if drawn.left == 0 || drawn.rng.random_range(0..one_in) != 0 {
            return None;
        }
        let fitting: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| fault.fits(operation)).collect();
        let fault = fitting[drawn.rng.random_range(0..fitting.len())];
        drawn.left -= 1;
        *drawn.coverage.0.entry((operation, fault)).or_default() += 1;
        Some(fault)
    }

    /// A pause; one in three is for good.
    pub(super) fn draw_pause(&self, may_be_for_good: bool) -> Option<Duration> {
        let mut drawn = self.drawn.lock().unwrap();
        let for_good = may_be_for_good && drawn.may_die && drawn.rng.random_range(0..3) == 0;
        drawn.may_die &= !for_good;
        (!for_good).then(|| Duration::from_secs(drawn.rng.random_range(1..=LONGEST_PAUSE_S)))
    }

    pub(super) fn note_epoch(&self, body: &Value) {
        let update = &body["TransactItems"][0]["Update"];
        let conversation = update["Key"]["pk"]["S"].as_str().unwrap_or_default().to_owned();
        let values = &update["ExpressionAttributeValues"];
        let epoch = values[":epoch"]["N"].as_str().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        let owner = values[":owner"]["S"].as_str().unwrap_or_default().to_owned();
        self.drawn.lock().unwrap().epochs.push((conversation, epoch, owner));
    }
}
