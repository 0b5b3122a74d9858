//! When refused keys are a pattern: one is a typing mistake, ten in a minute are a program
//! that guesses, or one whose key was revoked.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::time::Timestamp;

/// Refusals within [`WINDOW`] that are a pattern.
const THRESHOLD: usize = 10;

/// The time in which refusals are counted, and for which a pattern is not told again.
const WINDOW: Duration = Duration::from_secs(60);

/// Most keys and addresses that are counted at once. Whoever sends from more than these within
/// a minute is not stopped by counting.
const MAX_COUNTED: usize = 4096;

/// Whose refusals are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// Those of one address, whatever keys it tries.
    Source(IpAddr),
    /// Those of one key, by its id, from whatever addresses it is tried.
    Key(String),
    /// Those of whom nothing is known.
    Unknown,
}

/// Refusals that are a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Whose.
    pub who: Who,
    /// How many there were.
    pub failures: usize,
    /// When the first of them was.
    pub since: Timestamp,
}

/// The refusals of the last minute.
#[derive(Debug, Default)]
pub struct Failures {
    counted: HashMap<Who, Count>,
}

#[derive(Debug, Default)]
struct Count {
    at: VecDeque<Timestamp>,
    told: Option<Timestamp>,
}

impl Failures {
    /// Counts a refusal, for the key and for the address. Tells of the pattern that it
    /// completes, if that was not told within the last minute.
    pub fn note(&mut self, now: Timestamp, key: Option<&str>, source: Option<IpAddr>) -> Option<Pattern> {
        self.forget_old(now);
        let who = [source.map(Who::Source), key.map(|key| Who::Key(key.to_owned()))];
        let known = who.into_iter().flatten().collect::<Vec<_>>();
        let counted = if known.is_empty() { vec![Who::Unknown] } else { known };
        // Both are counted, and one entry tells of both.
        let patterns: Vec<Pattern> = counted.into_iter().filter_map(|who| self.count(now, who)).collect();
        patterns.into_iter().next()
    }

    fn count(&mut self, now: Timestamp, who: Who) -> Option<Pattern> {
        if self.counted.len() >= MAX_COUNTED && !self.counted.contains_key(&who) {
            return None;
        }
        let count = self.counted.entry(who.clone()).or_default();
        count.at.push_back(now);
        if count.at.len() > THRESHOLD {
            count.at.pop_front();
        }
        let is_pattern = count.at.len() == THRESHOLD;
        let is_told = count.told.is_some_and(|told| now.since(told) < WINDOW);
        if !is_pattern || is_told {
            return None;
        }
        count.told = Some(now);
        Some(Pattern { who, failures: count.at.len(), since: count.at.front().copied().unwrap_or(now) })
    }

    fn forget_old(&mut self, now: Timestamp) {
        let is_new = |at: &Timestamp| now.since(*at) < WINDOW;
        self.counted.retain(|_, count| {
            count.at.retain(is_new);
            !count.at.is_empty() || count.told.as_ref().is_some_and(is_new)
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const MINUTE: u64 = 60_000;

    fn address(last: u8) -> Option<IpAddr> {
        Some(Ipv4Addr::new(203, 0, 113, last).into())
    }

    /// Which of the refusals at `times` are told of, by their places.
    fn told(times: &[u64], who: impl Fn(usize) -> (Option<String>, Option<IpAddr>)) -> Vec<usize> {
        let mut failures = Failures::default();
        let tell = |(place, at): (usize, &u64)| {
            let (key, source) = who(place);
            failures.note(Timestamp(*at), key.as_deref(), source).map(|_| place)
        };
        times.iter().enumerate().filter_map(tell).collect()
    }

    #[test]
    fn ten_within_a_minute_are_told_once_a_minute() {
        let each = |pause: u64, count: u64| (0..count).map(|n| 1_000_000 + n * pause).collect::<Vec<_>>();
        let one = |_| (None, address(1));
        assert!(told(&each(0, 9), one).is_empty());
        assert_eq!(told(&each(0, 30), one), [9]);
        // Ten of them span 59,994 ms, and 60,003 ms.
        assert_eq!(told(&each(6_666, 10), one), [9]);
        assert!(told(&each(6_667, 30), one).is_empty());
        // Told at the 10th, silent for a minute, told again.
        assert_eq!(told(&each(5_000, 24), one), [9, 21]);
        let two_minutes = [each(0, 10), each(0, 10).into_iter().map(|at| at + MINUTE).collect()].concat();
        assert_eq!(told(&two_minutes, one), [9, 19]);
    }

    #[test]
    fn an_address_is_counted_whatever_keys_it_tries_and_a_key_from_wherever_it_comes() {
        let times = [1_000_000; 12];
        let by_place = |place: usize| u8::try_from(place).unwrap();
        assert_eq!(told(&times, |place| (Some(format!("key{place}")), address(1))), [9]);
        assert_eq!(told(&times, |place| (Some("key".to_owned()), address(by_place(place)))), [9]);
        assert!(told(&times, |place| (Some(format!("key{place}")), address(by_place(place)))).is_empty());
        assert_eq!(told(&times, |_| (Some("key".to_owned()), address(1))), [9], "one entry for both");
        assert_eq!(told(&times, |_| (None, None)), [9]);
    }

    #[test]
    fn no_more_are_counted_at_once_than_fit() {
        let mut failures = Failures::default();
        for n in 0..MAX_COUNTED + 100 {
            assert_eq!(failures.note(Timestamp(1_000_000), Some(&n.to_string()), None), None);
        }
        assert_eq!(failures.counted.len(), MAX_COUNTED);
        failures.note(Timestamp(1_000_000 + MINUTE), Some("later"), None);
        assert_eq!(failures.counted.len(), 1);
    }
}
