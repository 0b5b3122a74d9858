//! The engine under faults: two processes, one conversation, three turns that
//! several clients want at once, a network and processes that fail as the seed
//! says, a clock that jumps. Whatever happens, the invariants of the turn hold.
//!
//! `cargo xtask nightly` runs as many seeds as a release asks for, and
//! `TURNWISE_SEEDS=n` any number. A failure prints its seed; `TURNWISE_SEED=n` runs
//! that one; `failing-seeds.txt` keeps those that once failed, and they run first.

mod invariants;
mod late;
mod scenario;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use scenario::Summary;
use turnwise_tests::faults::Coverage;
use turnwise_tests::heavy;

/// Seeds of a run while one works, and of a run in CI.
const SEEDS: u64 = 200;
/// See [`SEEDS`].
const SEEDS_IN_CI: u64 = 1000;

/// Seeds that once failed.
const FAILED_BEFORE: &str = include_str!("failing-seeds.txt");

/// Fewer seeds than this need not reach every pair of fault and operation.
const SEEDS_FOR_COVERAGE: u64 = 1000;

#[test]
fn invariants_hold_under_faults() {
    let _turn = heavy().blocking_lock();
    let seeds = seeds();
    let next = AtomicU64::new(0);
    let total = Mutex::new((Coverage::default(), Summary::default()));
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            threads.spawn(|| {
                loop {
                    let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    let Some(&seed) = seeds.get(at) else { return };
                    let (coverage, summary) = run(seed);
                    let mut total = total.lock().unwrap();
                    total.0.add(&coverage);
                    total.1.add(&summary);
                }
            });
        }
    });

    let (coverage, summary) = total.into_inner().unwrap();
    println!("{} seeds\n{coverage}\n{summary}", seeds.len());
    if seeds.len() as u64 >= SEEDS_FOR_COVERAGE {
        assert_eq!(coverage.missing(), [], "faults that never happened");
        assert_eq!(summary.missing(), Vec::<&str>::new(), "rows of the crash table that were never reached");
    }
}

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("TURNWISE_SEED") {
        return vec![seed];
    }
    let before = FAILED_BEFORE.lines().filter_map(|line| line.split('#').next()?.trim().parse().ok());
    let usual = if std::env::var_os("CI").is_some() { SEEDS_IN_CI } else { SEEDS };
    before.chain(0..number("TURNWISE_SEEDS").unwrap_or(usual)).collect()
}

/// One run on a runtime of its own: its tasks take turns, as its seed's numbers are drawn.
fn run(seed: u64) -> (Coverage, Summary) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(scenario::run(seed))));
    runtime.shutdown_background();
    outcome.unwrap_or_else(|_| panic!("seed {seed} failed; run it alone with TURNWISE_SEED={seed}"))
}
