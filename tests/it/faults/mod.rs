//! The engine under faults: two processes, a network, hints and processes that fail as
//! the seed says, a clock that jumps. Whatever happens, the invariants of the turn hold.
//!
//! - [`scenario`]: three turns of one conversation that several clients want at once
//! - [`queue`]: turns that wait in queues, are cancelled and interrupted
//!
//! `cargo xtask nightly` runs as many seeds as a release asks for, and
//! `TURNWISE_SEEDS=n` any number. A failure prints its seed; `TURNWISE_SEED=n` runs
//! that one; `failing-seeds.txt` and `failing-queue-seeds.txt` keep those that once
//! failed, and they run first.

mod invariants;
mod late;
mod queue;
mod scenario;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use turnwise_tests::faults::Coverage;
use turnwise_tests::faults::kinds::Operation;
use turnwise_tests::heavy;
use world::Summary;

/// How many seeds each scenario is run with.
struct Seeds {
    /// While one works.
    usual: u64,
    /// As many reach every pair of fault and operation, and every row of the summary.
    in_ci: u64,
}

const OF_DIRECT_TURNS: Seeds = Seeds { usual: 200, in_ci: 1000 };

/// One takes as long as ten of the others: eight turns, and sweeps until each has ended.
const OF_QUEUES: Seeds = Seeds { usual: 50, in_ci: 250 };

/// Longest run of one seed. It takes seconds, also where the machine has much else to do.
const LONGEST_RUN: Duration = Duration::from_secs(300);

#[test]
fn invariants_hold_under_faults() {
    check(include_str!("failing-seeds.txt"), &OF_DIRECT_TURNS, &Operation::OF_DIRECT_TURNS, scenario::run);
}

#[test]
fn a_queue_keeps_its_promises_under_faults() {
    check(include_str!("failing-queue-seeds.txt"), &OF_QUEUES, &Operation::ALL, queue::run);
}

/// Runs a scenario with each seed, those that `failed_before` first. Enough seeds reach
/// every fault of `operations` and every row of the scenario's summary.
fn check<F>(failed_before: &str, count: &Seeds, operations: &[Operation], scenario: fn(u64) -> F)
where
    F: Future<Output = (Coverage, Summary)>,
{
    let _turn = heavy().blocking_lock();
    let seeds = seeds(failed_before, count);
    let next = AtomicU64::new(0);
    let total = Mutex::new((Coverage::default(), Summary::default()));
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            threads.spawn(|| {
                loop {
                    let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    let Some(&seed) = seeds.get(at) else { return };
                    let (coverage, summary) = run(seed, scenario);
                    let mut total = total.lock().unwrap();
                    total.0.add(&coverage);
                    total.1.add(&summary);
                }
            });
        }
    });

    let (coverage, summary) = total.into_inner().unwrap();
    eprintln!("{} seeds\n{coverage}\n{summary}", seeds.len());
    if seeds.len() as u64 >= count.in_ci {
        assert_eq!(coverage.missing(operations), [], "faults that never happened");
        assert_eq!(summary.missing(), Vec::<&str>::new(), "rows of the crash table that were never reached");
    }
}

fn seeds(failed_before: &str, count: &Seeds) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("TURNWISE_SEED") {
        return vec![seed];
    }
    let before = failed_before.lines().filter_map(|line| line.split('#').next()?.trim().parse().ok());
    let usual = if std::env::var_os("CI").is_some() { count.in_ci } else { count.usual };
    before.chain(0..number("TURNWISE_SEEDS").unwrap_or(usual)).collect()
}

/// One run on a runtime of its own: its tasks take turns, as its seed's numbers are drawn. One that comes to no end is
/// named too.
fn run<F>(seed: u64, scenario: fn(u64) -> F) -> (Coverage, Summary)
where
    F: Future<Output = (Coverage, Summary)>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let run = async { tokio::time::timeout(LONGEST_RUN, scenario(seed)).await };
        runtime.block_on(run).expect("an end within the longest time of a run")
    }));
    runtime.shutdown_background();
    outcome.unwrap_or_else(|_| panic!("seed {seed} failed; run it alone with TURNWISE_SEED={seed}"))
}
