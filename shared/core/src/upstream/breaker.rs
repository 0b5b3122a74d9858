//! When a model is left alone for a while.
//!
//! ```text
//!              5 requests in a minute, half of them failed;
//!              3 connections in a row; one refusal of our key
//!   closed ───────────────────────────────────────────────► open
//!      ▲                                                     │ 5 s, doubling, up to 300 s
//!      │ 2 successes                                         ▼
//!      └──────────────────────────────── half open ◄─────────┘
//!                                        │   ▲ one probe at a time
//!                                        └───┘ a failure opens it again, for longer
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How long calls are remembered.
const WINDOW: Duration = Duration::from_secs(60);

/// Parts that the window slides by.
const SLOTS: usize = 6;

/// Fewest calls in the window that say anything.
const LEAST_CALLS: u32 = 5;

/// Connections that fail in a row before nobody tries any more.
const MOST_UNCONNECTED: u32 = 3;

/// First pause; it doubles each time the breaker opens without having closed.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Successes in a row that close it again.
const CLOSING_SUCCESSES: u32 = 2;

/// How a call went, as far as the model's health goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The provider did its part, also where it refused a bad request.
    Well,
    /// It failed, and may have said when to come back.
    Ill {
        /// When.
        retry_after: Option<Duration>,
    },
    /// No connection could be made.
    Unconnected,
    /// It does not take our key, or our money is used up.
    Refused,
    /// It ended for reasons of our own.
    Unknown,
}

/// Whether a model may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Yes,
    /// By one caller in the whole fleet, to see how it is.
    Probe,
    /// Not before this.
    No {
        /// When a probe may be made.
        until: Timestamp,
    },
}

/// An open breaker, as it is stored for the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Until when nobody calls.
    pub until: Timestamp,
    /// How often it has opened since it was closed.
    pub times: u32,
}

/// What has to be told to the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has opened.
    Opened(Opened),
    /// It has closed.
    Closed,
}

/// The breaker of one model under one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    slots: [Slot; SLOTS],
    /// Connections that failed since one was made.
    unconnected: u32,
    opened: Option<Opened>,
    /// Successes since it opened.
    successes: u32,
}

/// Calls in a part of the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    /// Which part since the epoch.
    number: u64,
    calls: u32,
    ill: u32,
}

impl Breaker {
    /// Whether the model may be called.
    #[must_use]
    pub fn admits(&self, now: Timestamp) -> Admission {
        match self.opened {
            None => Admission::Yes,
            Some(Opened { until, .. }) if now < until => Admission::No { until },
            Some(_) => Admission::Probe,
        }
    }

    /// How it is open, if it is.
    #[must_use]
    pub const fn opened(&self) -> Option<Opened> {
        self.opened
    }

    /// Notes how a call went; what the fleet has to know of it.
    pub fn note(&mut self, now: Timestamp, verdict: Verdict) -> Option<Change> {
        match verdict {
            Verdict::Unknown => None,
            Verdict::Well => {
                self.unconnected = 0;
                self.count(now, false);
                self.opened?;
                self.successes += 1;
                (self.successes >= CLOSING_SUCCESSES).then(|| {
                    *self = Self::default();
                    Change::Closed
                })
            }
            Verdict::Ill { retry_after } => {
                self.unconnected = 0;
                self.count(now, true);
                (self.opened.is_some() || self.is_ill(now)).then(|| self.open(now, retry_after))
            }
            Verdict::Unconnected => {
                self.unconnected += 1;
                self.count(now, true);
                let is_gone = self.unconnected >= MOST_UNCONNECTED || self.opened.is_some() || self.is_ill(now);
                is_gone.then(|| self.open(now, None))
            }
            Verdict::Refused => Some(self.open(now, None)),
        }
    }

    /// Takes over what the fleet knows: another process opened it, or closed it.
    pub fn hear(&mut self, told: Option<Opened>) {
        match (told, self.opened) {
            (Some(told), known) if known.is_none_or(|known| known.until < told.until) => {
                (self.opened, self.successes) = (Some(told), 0);
            }
            (None, Some(_)) => *self = Self::default(),
            (Some(_) | None, Some(_) | None) => {}
        }
    }

    fn open(&mut self, now: Timestamp, retry_after: Option<Duration>) -> Change {
        // Failures of calls that were under way when it opened make nothing longer.
        let is_late = self.opened.is_some_and(|opened| now < opened.until);
        let times = self.opened.map_or(0, |opened| opened.times) + u32::from(!is_late);
        let doubled = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(times.saturating_sub(1)));
        let pause = doubled.max(retry_after.unwrap_or_default()).min(LONGEST_PAUSE);
        let until = self.opened.map_or(Timestamp(0), |opened| opened.until).max(now + pause);
        let opened = Opened { until, times };
        (self.opened, self.successes, self.unconnected) = (Some(opened), 0, 0);
        Change::Opened(opened)
    }

    fn count(&mut self, now: Timestamp, ill: bool) {
        let number = slot_number(now);
        let slot = &mut self.slots[usize::try_from(number % SLOTS as u64).unwrap_or(0)];
        if slot.number != number {
            *slot = Slot { number, ..Slot::default() };
        }
        slot.calls += 1;
        slot.ill += u32::from(ill);
    }

    fn is_ill(&self, now: Timestamp) -> bool {
        let newest = slot_number(now);
        let recent = self.slots.iter().filter(|slot| slot.number + SLOTS as u64 > newest);
        let (calls, ill) = recent.fold((0, 0), |(calls, ill), slot| (calls + slot.calls, ill + slot.ill));
        calls >= LEAST_CALLS && ill * 2 >= calls
    }
}

fn slot_number(now: Timestamp) -> u64 {
    let slot = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX) / SLOTS as u64;
    now.as_millis() / slot
}

#[cfg(test)]
mod tests {
    use super::*;

    const ILL: Verdict = Verdict::Ill { retry_after: None };
    const START: Timestamp = Timestamp(1_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        START + Duration::from_secs(seconds)
    }

    /// A breaker after `verdicts`, one each second: until which second it is open, if it is.
    fn after(verdicts: &[Verdict]) -> (Breaker, Option<u64>) {
        let mut breaker = Breaker::default();
        for (second, verdict) in verdicts.iter().enumerate() {
            let _ = breaker.note(at(second as u64), *verdict);
        }
        let until = breaker.opened().map(|opened| opened.until.since(START).as_secs());
        (breaker, until)
    }

    #[test]
    fn half_of_five_open_it() {
        assert_eq!(after(&[ILL; 4]).1, None);
        assert_eq!(after(&[ILL; 5]).1, Some(9));
        assert_eq!(after(&[Verdict::Well, Verdict::Well, Verdict::Well, ILL, ILL]).1, None);
        assert_eq!(after(&[Verdict::Well, Verdict::Well, Verdict::Well, ILL, ILL, ILL]).1, Some(10));
    }

    #[test]
    fn what_is_a_minute_old_is_forgotten() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            assert_eq!(breaker.note(at(0), ILL), None);
        }
        assert_eq!(breaker.clone().note(at(49), ILL), Some(Change::Opened(Opened { until: at(54), times: 1 })));
        assert_eq!(breaker.note(at(61), ILL), None);
    }

    #[test]
    fn three_connections_in_a_row_open_it() {
        use Verdict::{Unconnected, Well};
        assert_eq!(after(&[Unconnected, Unconnected]).1, None);
        assert_eq!(after(&[Unconnected, Unconnected, Well, Unconnected]).1, None);
        assert_eq!(after(&[Unconnected; 3]).1, Some(7));
    }

    #[test]
    fn a_refused_key_opens_it_at_once() {
        assert_eq!(after(&[Verdict::Refused]).1, Some(5));
        assert_eq!(after(&[Verdict::Unknown]).1, None);
    }

    #[test]
    fn two_successes_close_it_and_a_failure_doubles_the_pause() {
        let (mut breaker, _) = after(&[Verdict::Refused]);
        assert_eq!(breaker.admits(at(4)), Admission::No { until: at(5) });
        assert_eq!(breaker.admits(at(5)), Admission::Probe);
        assert_eq!(breaker.note(at(5), ILL), Some(Change::Opened(Opened { until: at(15), times: 2 })));
        assert_eq!(breaker.note(at(15), Verdict::Well), None);
        assert_eq!(breaker.admits(at(16)), Admission::Probe);
        assert_eq!(breaker.note(at(16), Verdict::Well), Some(Change::Closed));
        assert_eq!(breaker.admits(at(16)), Admission::Yes);
        assert_eq!(breaker.note(at(17), ILL), None);
    }

    #[test]
    fn late_failures_do_not_make_it_longer_but_a_wish_does() {
        let (mut breaker, _) = after(&[Verdict::Refused]);
        assert_eq!(breaker.note(at(1), Verdict::Unconnected), Some(Change::Opened(Opened { until: at(6), times: 1 })));
        let wish = Verdict::Ill { retry_after: Some(Duration::from_secs(60)) };
        assert_eq!(breaker.note(at(2), wish), Some(Change::Opened(Opened { until: at(62), times: 1 })));
        let far = Verdict::Ill { retry_after: Some(Duration::from_secs(3600)) };
        assert_eq!(breaker.note(at(62), far), Some(Change::Opened(Opened { until: at(362), times: 2 })));
    }

    #[test]
    fn the_fleet_is_heard() {
        let mut breaker = Breaker::default();
        breaker.hear(Some(Opened { until: at(9), times: 2 }));
        assert_eq!(breaker.admits(at(8)), Admission::No { until: at(9) });
        breaker.hear(Some(Opened { until: at(7), times: 1 }));
        assert_eq!(breaker.opened(), Some(Opened { until: at(9), times: 2 }));
        breaker.hear(None);
        assert_eq!(breaker.admits(at(8)), Admission::Yes);
    }
}
