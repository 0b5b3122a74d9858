//! What holds whoever asks when.

use std::time::Duration;

use proptest::prelude::*;

use super::fleet::{Fleet, Size};
use super::*;
use crate::limits::CLOCK_SKEW;

/// Checks that between any two of `admitted` no more were let through than one counter would.
fn check_windows(limit: u32, admitted: &[u64]) {
    let every_ns = u128::from(Rate::per_minute(limit).every_ns);
    for (first, begin) in admitted.iter().enumerate() {
        for (last, end) in admitted.iter().enumerate().skip(first) {
            let window_ns = u128::from(end - begin) * u128::from(NANOS_PER_MILLI);
            let most = u128::from(limit) + window_ns / every_ns;
            let count = last - first + 1;
            assert!(count as u128 <= most, "{count} of {limit} a minute within {} ms", end - begin);
        }
    }
}

proptest! {
    #[test]
    fn no_window_has_more_than_its_share(
        limit in prop_oneof![0..8_u32, 20..40_u32, 50..200_u32],
        ahead in prop::collection::vec(0..=2_000_u64, 1..6),
        // Pauses in the order of a cell's time, of a second, and of the whole minute.
        asks in prop::collection::vec(
            (0..6_usize, prop_oneof![8 => 0..20_u64, 8 => 0..1_500_u64, 1 => 0..70_000_u64], 1..40_u32),
            1..300,
        ),
    ) {
        let rate = Rate::per_minute(limit);
        let processes = ahead.len();
        let mut fleet = Fleet::new(rate, ahead.into_iter().map(Duration::from_millis));
        let (mut millis, mut admitted) = (0, Vec::new());
        for (process, pause, cells) in asks {
            millis += pause;
            if fleet.ask(process % processes, after(millis), Size::Fixed(cells)).is_ok() {
                admitted.push(millis);
            }
        }
        check_windows(limit, &admitted);
    }

    #[test]
    fn a_refusal_says_exactly_when_there_is_a_cell_again(
        limit in 1..2_000_u32,
        pauses in prop::collection::vec((0..3_000_u64, 1..300_u32), 0..40),
    ) {
        let rate = Rate::per_minute(limit);
        let (mut bucket, mut now) = (Bucket::default(), T0);
        for (pause, wanted) in pauses {
            now = now + Duration::from_millis(pause);
            if let Ok(take) = bucket.take(rate, now, wanted) {
                bucket = take.after;
            }
        }
        let (_, wait) = drain(&mut bucket, rate, now);
        prop_assert!(wait > Duration::ZERO);
        let then = now + wait;
        prop_assert!(bucket.take(rate, then - Duration::from_millis(1), 1).is_err());
        prop_assert!(bucket.take(rate, then, 1).is_ok());
    }

    #[test]
    fn whoever_waits_as_told_is_told_less_and_less(limit in 1..2_000_u32, tries in 1..2_000_u64) {
        let rate = Rate::per_minute(limit);
        let mut bucket = Bucket::default();
        let (_, wait) = drain(&mut bucket, rate, T0);
        let sooner = Duration::from_millis(tries.min(u64::try_from(wait.as_millis()).unwrap() - 1));
        let told = bucket.take(rate, T0 + sooner, 1).unwrap_err();
        prop_assert_eq!(told, wait - sooner);
    }
}

/// How much of a limit a fleet uses that is asked for twice as much, in percent, and how many
/// writes it takes for a thousand requests let through.
fn share(limit: u32, processes: u64, size: Size) -> (u64, u64) {
    const MINUTES: u64 = 5;
    let ahead =
        (0..processes).map(|index| CLOCK_SKEW * u32::try_from(index).unwrap() / u32::try_from(processes).unwrap());
    let mut fleet = Fleet::new(Rate::per_minute(limit), ahead);
    let asks = u64::from(limit) * 2 * MINUTES;
    let (mut admitted, mut seed) = (0, 1_u64);
    for ask in 0..asks {
        // A generator of the simplest kind spreads the requests over the processes.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let process = usize::try_from((seed >> 33) % processes).unwrap();
        let at = after(ask * MINUTES * 60_000 / asks);
        admitted += u64::from(fleet.ask(process, at, size).is_ok());
    }
    let most = u64::from(limit) * (MINUTES + 1);
    assert!(admitted <= most, "{admitted} of {most}");
    (admitted * 100 / most, fleet.writes * 1_000 / admitted)
}

#[test]
fn leases_leave_little_of_a_limit_unused() {
    println!("   limit  processes  lease      used  writes per 1,000");
    for (limit, processes, size, least) in [
        (60, 1, Size::Fixed(1), 98),
        (60, 16, Size::Fixed(1), 98),
        (60, 16, Size::AsUsed, 98),
        (6_000, 1, Size::Fixed(1), 98),
        (6_000, 1, Size::Fixed(100), 98),
        (6_000, 1, Size::AsUsed, 98),
        (6_000, 16, Size::Fixed(1), 98),
        (6_000, 16, Size::Fixed(100), 95),
        (6_000, 16, Size::Fixed(1_000), 75),
        (6_000, 16, Size::AsUsed, 95),
        (6_000, 100, Size::AsUsed, 95),
    ] {
        let (used, writes) = share(limit, processes, size);
        println!("{limit:>8}  {processes:>9}  {:<10} {used:>3}%  {writes:>5}", format!("{size:?}"));
        assert!(used >= least, "{limit} a minute over {processes} processes with {size:?}: {used}%");
    }
}
