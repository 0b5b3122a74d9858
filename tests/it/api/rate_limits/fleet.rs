//! Several processes whose clocks differ, on one table: what they let through together.

use turnwise_core::limits::CLOCK_SKEW;
use turnwise_core::rate::Class;
use turnwise_engine::Engine;
use turnwise_engine::random::Random;
use turnwise_engine::rates::Admission;
use turnwise_tests::table::Table;

use super::*;

/// Requests of a run; they come in groups at once, with pauses in between.
const REQUESTS: usize = 400;

/// One process and its time.
struct Process {
    engine: Engine,
    time: Time,
}

fn process(table: &Table, ahead: Duration) -> Process {
    let manual = Manual::new(Timestamp(1_795_276_800_000) + ahead);
    let clock = Clock::Manual(Arc::clone(&manual));
    let engine = rig::engine(table, "http://127.0.0.1:9/v1");
    let engine = engine.with_time_and_chance(clock.clone(), Random::from_system());
    Process { engine, time: Time { clock, manual } }
}

/// When requests are let through by processes with these clocks, in milliseconds, and how many
/// are refused.
async fn run(limit: u32, ahead: &[Duration], mut seed: u64) -> (Vec<u64>, usize) {
    let table = Table::start().await;
    let processes: Vec<Process> = ahead.iter().map(|ahead| process(&table, *ahead)).collect();
    let (caller, grant) = (rig::caller(), key_of(limit));
    let (mut now, mut admitted, mut refused) = (0, Vec::new(), 0);
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    while admitted.len() + refused < REQUESTS {
        let pause = if draw(20) == 0 { draw(70_000) } else { draw(2_000) };
        now += pause;
        for process in &processes {
            process.time.pass(pause).await;
        }
        let group = (0..=draw(8)).map(|_| {
            let process = &processes[usize::try_from(draw(processes.len() as u64)).unwrap()];
            process.engine.admit(&caller.tenant, "k", &grant, Class::Generate)
        });
        for admission in futures_util::future::join_all(group).await {
            match admission {
                Admission::Admitted(_) => admitted.push(now),
                Admission::Refused(_) => refused += 1,
                Admission::Unlimited => panic!("a key with a limit"),
            }
        }
    }
    (admitted, refused)
}

#[tokio::test]
async fn no_window_has_more_than_its_share() {
    for (limit, seed) in [(3, 1), (20, 2), (100, 3)] {
        let ahead = [Duration::ZERO, CLOCK_SKEW / 2, CLOCK_SKEW];
        let (admitted, refused) = run(limit, &ahead, seed).await;
        for (first, begin) in admitted.iter().enumerate() {
            for (last, end) in admitted.iter().enumerate().skip(first) {
                let most = u64::from(limit) + (end - begin) * u64::from(limit) / 60_000;
                let count = last - first + 1;
                assert!(count as u64 <= most, "{limit} a minute, {begin} to {end} ms: {count}");
            }
        }
        assert!(refused > 0 && admitted.len() > limit as usize, "{limit} a minute: {} and {refused}", admitted.len());
    }
}
