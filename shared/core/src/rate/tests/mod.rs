mod fleet;
mod properties;

use std::time::Duration;

use super::*;
use crate::access::{Grant, Limits, TenantSettings};
use crate::limits::{ADMIN_REQUESTS_PER_MINUTE, READ_REQUESTS_PER_MINUTE};

/// When the tests begin.
const T0: Timestamp = Timestamp(1_795_276_800_000);

fn after(millis: u64) -> Timestamp {
    T0 + Duration::from_millis(millis)
}

/// Takes one cell after another at `now`, until there is none: how many, and the wait for the next.
fn drain(bucket: &mut Bucket, rate: Rate, now: Timestamp) -> (u32, Duration) {
    let mut taken = 0;
    loop {
        match bucket.take(rate, now, 1) {
            Ok(take) => *bucket = take.after,
            Err(wait) => return (taken, wait),
        }
        taken += 1;
    }
}

#[test]
fn a_full_bucket_gives_the_whole_limit_at_once() {
    for limit in [1, 2, 5, 29, 30, 31, 60, 600, 10_000] {
        let rate = Rate::per_minute(limit);
        assert_eq!(drain(&mut Bucket::default(), rate, T0).0, limit);
        assert_eq!(Bucket::default().take(rate, T0, u32::MAX).unwrap().cells, limit);
    }
}

#[test]
fn cells_come_back_one_by_one_when_the_skew_has_passed() {
    let rate = Rate::per_minute(60);
    let mut bucket = Bucket::default();
    assert_eq!(drain(&mut bucket, rate, T0), (60, Duration::from_secs(3)));
    assert_eq!(drain(&mut bucket, rate, after(2_999)), (0, Duration::from_millis(1)));
    assert_eq!(drain(&mut bucket, rate, after(3_000)), (1, Duration::from_secs(1)));
    assert_eq!(drain(&mut bucket, rate, after(13_000)), (10, Duration::from_secs(1)));
}

#[test]
fn a_bucket_is_full_again_when_every_clock_says_so() {
    let rate = Rate::per_minute(5);
    let mut bucket = Bucket::default();
    drain(&mut bucket, rate, T0);
    assert_eq!(bucket.reset(T0), Duration::from_secs(62));
    assert_eq!(drain(&mut bucket.clone(), rate, after(61_999)).0, 4);
    assert_eq!(drain(&mut bucket, rate, after(62_000)).0, 5);
    assert_eq!(Bucket::default().reset(T0), Duration::ZERO);
}

#[test]
fn a_limit_of_nothing_lets_nothing_through() {
    let none = Rate::per_minute(0);
    assert_eq!(Bucket::default().take(none, T0, 1), Err(Duration::from_secs(60)));
    assert_eq!(Bucket::default().left(none, T0), 0);
}

#[test]
fn more_than_is_left_is_not_given() {
    let rate = Rate::per_minute(5);
    let first = Bucket::default().take(rate, T0, 3).unwrap();
    let second = first.after.take(rate, T0, 3).unwrap();
    assert_eq!((first.cells, second.cells), (3, 2));
    assert_eq!((first.after.left(rate, T0), second.after.left(rate, T0)), (2, 0));
}

#[test]
fn a_leased_cell_is_good_up_to_its_instant() {
    let rate = Rate::per_minute(60);
    let take = Bucket::default().take(rate, T0, 3).unwrap();
    let slots = Slots::of(&take, rate, take.after.tat_ns);
    let check = |millis: u64, left: u32| assert_eq!(slots.left(after(millis)), left, "after {millis} ms");
    check(0, 3);
    check(1, 2);
    check(1_000, 2);
    check(1_001, 1);
    check(2_000, 1);
    check(2_001, 0);

    let mut used = slots;
    let oldest = used.take(after(500)).unwrap();
    assert!(oldest.is_good(after(1_000)) && !oldest.is_good(after(1_001)));
    assert_eq!(used.left(after(500)), 1);
    assert_eq!(Slots::default().clone().take(T0), None);
}

#[test]
fn a_lease_grows_while_it_is_used_up() {
    let check = |limit: u32, used: u32, waiting: u32, expected: u32| {
        assert_eq!(lease::size(Rate::per_minute(limit), used, waiting), expected, "{limit} {used} {waiting}");
    };
    check(6_000, 0, 1, 1);
    check(6_000, 1, 1, 2);
    check(6_000, 40, 1, 80);
    check(6_000, 100, 1, 100);
    check(60, 1, 1, 1);
    check(5, 1, 1, 1);
    check(5, 1, 20, 20);
}

#[test]
fn keys_and_tenants_limits_hold_for_what_providers_are_asked() {
    let limits = |requests_per_minute| Limits { requests_per_minute, ..Limits::default() };
    let check = |key: Option<u32>, tenant: Option<u32>, class: Class, expected: &[(Whose, u32)]| {
        let settings = TenantSettings { limits: limits(tenant), ..TenantSettings::default() };
        let grant = Grant { limits: limits(key), settings, ..Grant::default() };
        let held: Vec<_> = holds(&grant, class).iter().map(|hold| (hold.whose, hold.limit())).collect();
        assert_eq!(held, expected, "{class}");
    };
    check(None, None, Class::Generate, &[]);
    check(Some(5), None, Class::Embeddings, &[(Whose::Key, 5)]);
    check(Some(5), Some(7), Class::Generate, &[(Whose::Key, 5), (Whose::Tenant, 7)]);
    check(None, Some(0), Class::Generate, &[(Whose::Tenant, 0)]);
    check(Some(5), Some(7), Class::Read, &[(Whose::Key, READ_REQUESTS_PER_MINUTE)]);
    check(None, None, Class::Admin, &[(Whose::Key, ADMIN_REQUESTS_PER_MINUTE)]);
}
