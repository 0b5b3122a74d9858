//! The faults of one run, drawn from its seed, and what was hit.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use turnwise_core::id::ConversationId;
use turnwise_engine::clock::Clock;

use super::kinds::{Fault, Operation, Written};

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

    /// Pairs of one of `operations` that can happen and did not.
    #[must_use]
    pub fn missing(&self, operations: &[Operation]) -> Vec<(Operation, Fault)> {
        let all = operations.iter().flat_map(|operation| Fault::ALL.map(|fault| (*operation, fault)));
        all.filter(|(operation, fault)| fault.fits(*operation) && !self.0.contains_key(&(*operation, *fault))).collect()
    }

    /// How often one of `faults` met `operation`.
    #[must_use]
    pub fn hits(&self, operation: Operation, faults: &[Fault]) -> usize {
        faults.iter().filter_map(|fault| self.0.get(&(operation, *fault))).sum()
    }
}

/// The table of faults against the operations that met any.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let met = |operation: &Operation| self.0.keys().any(|(met, _)| met == operation);
        let operations: Vec<Operation> = Operation::ALL.into_iter().filter(met).collect();
        write!(f, "{:15}", "")?;
        for operation in &operations {
            write!(f, "{:>10}", format!("{operation:?}"))?;
        }
        writeln!(f)?;
        for fault in Fault::ALL {
            write!(f, "{:15}", format!("{fault:?}"))?;
            for operation in &operations {
                let count = self.hits(*operation, &[fault]);
                let cell = if fault.fits(*operation) { count.to_string() } else { "-".to_owned() };
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
    /// Turns as the table confirmed them, the same one again where a write came twice.
    applied: Vec<Written>,
    /// Writes of turns at which a process stopped.
    stopped: Vec<(Fault, Written)>,
}

impl Net {
    /// The network of the run with this seed, which meets at most so many faults.
    #[must_use]
    pub fn seeded(seed: u64, faults: usize, clock: Clock) -> Arc<Self> {
        let rng = StdRng::seed_from_u64(seed);
        let drawn = Drawn {
            rng,
            left: faults,
            may_die: true,
            healed: false,
            coverage: Coverage::default(),
            applied: Vec::new(),
            stopped: Vec::new(),
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

    /// The turns that were written, in their order; one may be there twice.
    #[must_use]
    pub fn applied(&self) -> Vec<Written> {
        self.drawn.lock().unwrap().applied.clone()
    }

    /// How many attempts have taken the lock of `conversation` so far.
    #[must_use]
    pub fn begun(&self, conversation: &ConversationId) -> usize {
        let drawn = self.drawn.lock().unwrap();
        let key = format!("#{conversation}");
        let begun = drawn.applied.iter().filter(|written| written.operation == Operation::Begin);
        begun.filter(|written| written.conversation.ends_with(&key)).count()
    }

    /// The writes of turns at which a process stopped, and whether before or after.
    #[must_use]
    pub fn stopped(&self) -> Vec<(Fault, Written)> {
        self.drawn.lock().unwrap().stopped.clone()
    }

    pub(super) fn draw(&self, operation: Operation, body: &Value) -> Option<Fault> {
        let mut drawn = self.drawn.lock().unwrap();
        // Reads are many and decide little; rare operations would hardly be reached.
        let one_in = match operation {
            Operation::Sweep => ONE_IN * 40,
            Operation::Read => ONE_IN * 6,
            Operation::Begin | Operation::Commit | Operation::Enqueue => ONE_IN,
            Operation::Fail | Operation::Log => ONE_IN / 2,
            Operation::Heartbeat | Operation::Requeue | Operation::Withdraw | Operation::Revoke => 2,
            Operation::Ledger => 1,
        };
        if drawn.left == 0 || drawn.rng.random_range(0..one_in) != 0 {
            return None;
        }
        let fitting: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| fault.fits(operation)).collect();
        let fault = fitting[drawn.rng.random_range(0..fitting.len())];
        drawn.left -= 1;
        *drawn.coverage.0.entry((operation, fault)).or_default() += 1;
        if matches!(fault, Fault::StopBefore | Fault::StopAfter) {
            drawn.stopped.extend(Written::by(operation, body).map(|written| (fault, written)));
        }
        Some(fault)
    }

    /// A pause; one in three is for good.
    pub(super) fn draw_pause(&self, may_be_for_good: bool) -> Option<Duration> {
        let mut drawn = self.drawn.lock().unwrap();
        let for_good = may_be_for_good && drawn.may_die && drawn.rng.random_range(0..3) == 0;
        drawn.may_die &= !for_good;
        (!for_good).then(|| Duration::from_secs(drawn.rng.random_range(1..=LONGEST_PAUSE_S)))
    }

    pub(super) fn note(&self, operation: Operation, body: &Value) {
        self.drawn.lock().unwrap().applied.extend(Written::by(operation, body));
    }
}
