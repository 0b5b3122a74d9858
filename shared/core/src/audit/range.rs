//! The time that a reader of the audit log asks for.

use std::time::Duration;

use crate::fault::{Fault, Faults};
use crate::limits::CLOCK_SKEW;
use crate::time::{DAY, Timestamp};

/// Days that are read unless a query says otherwise: what happened lately.
pub const RANGE_DAYS: u32 = 7;

/// Most days of one query: a year, which may be a leap year. Each day is some partitions to
/// look into, also where nothing happened.
pub const MAX_RANGE_DAYS: u32 = 366;

/// A time, from its first instant up to but not with its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Its first instant.
    pub from: Timestamp,
    /// The instant behind its last.
    pub to: Timestamp,
}

impl Range {
    /// What `from` and `to` say, each an instant or a day, both as RFC 3339 has them. A day as
    /// `to` is a part of the range. Without `to` the range ends now, and without `from` it
    /// begins [`RANGE_DAYS`] before its end.
    ///
    /// # Errors
    /// Faults of `from` and `to`.
    pub fn parse(from: Option<&str>, to: Option<&str>, now: Timestamp) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let to = to.and_then(|text| faults.keep(Self::end("to", text)));
        let from = from.and_then(|text| faults.keep(Self::begin("from", text)));
        faults.into_result()?;
        // Entries of processes whose clocks are ahead of ours.
        let to = to.unwrap_or(now + CLOCK_SKEW);
        let range = Self { from: from.unwrap_or(to - DAY * RANGE_DAYS), to };
        if range.from >= range.to {
            return Err(Fault::new("from", "The range begins behind its end.").into());
        }
        if range.is_too_long() {
            return Err(Fault::new("from", format!("A range has at most {MAX_RANGE_DAYS} days.")).into());
        }
        Ok(range)
    }

    /// The starts of the days that it touches, latest first.
    pub fn days(self) -> impl Iterator<Item = Timestamp> {
        let last = (self.to - Duration::from_millis(1)).start_of_day();
        let first = self.from.start_of_day();
        std::iter::successors(Some(last), |day| Some(*day - DAY).filter(|day| day.0 > 0))
            .take_while(move |day| *day >= first)
    }

    /// Whether it has more than [`MAX_RANGE_DAYS`].
    pub(super) fn is_too_long(self) -> bool {
        self.to.since(self.from) > DAY * MAX_RANGE_DAYS + CLOCK_SKEW
    }

    fn begin(field: &str, text: &str) -> Result<Timestamp, Fault> {
        Timestamp::parse(text).or_else(|| Timestamp::parse_day(text)).ok_or_else(|| Self::fault(field, text))
    }

    fn end(field: &str, text: &str) -> Result<Timestamp, Fault> {
        let day = || Timestamp::parse_day(text).map(|day| day + DAY);
        Timestamp::parse(text).or_else(day).ok_or_else(|| Self::fault(field, text))
    }

    fn fault(field: &str, text: &str) -> Fault {
        let expected = "Expected an instant or a day, such as 2026-11-21T16:00:00Z or 2026-11-21";
        Fault::new(field, format!("{expected}, got {text:?}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_276_800_000); // 2026-11-21T16:00:00Z

    fn check(from: Option<&str>, to: Option<&str>, expected: Result<(&str, &str), &str>) {
        let range = Range::parse(from, to, NOW);
        let told = range.as_ref().map(|range| (range.from.to_string(), range.to.to_string()));
        let told = told.as_ref().map(|(from, to)| (from.as_str(), to.as_str()));
        assert_eq!(told.map_err(|faults| faults.first_field().unwrap_or_default()), expected, "{from:?} {to:?}");
    }

    #[test]
    fn a_range_is_read_from_days_and_instants() {
        check(None, None, Ok(("2026-11-14T16:00:02.000Z", "2026-11-21T16:00:02.000Z")));
        check(Some("2026-11-01"), Some("2026-11-01"), Ok(("2026-11-01T00:00:00.000Z", "2026-11-02T00:00:00.000Z")));
        check(None, Some("2026-03-08"), Ok(("2026-03-02T00:00:00.000Z", "2026-03-09T00:00:00.000Z")));
        let instants = (Some("2026-11-01T10:00:00+02:00"), Some("2026-11-01T08:00:00.001Z"));
        check(instants.0, instants.1, Ok(("2026-11-01T08:00:00.000Z", "2026-11-01T08:00:00.001Z")));
        check(Some("2026-11-01T08:00:00Z"), Some("2026-11-01T08:00:00Z"), Err("from"));
        check(Some("yesterday"), None, Err("from"));
        check(None, Some("2026-02-30"), Err("to"));
        check(Some("2027-01-01"), None, Err("from"));
    }

    #[test]
    fn a_range_has_at_most_a_year() {
        check(Some("2024-01-01"), Some("2024-12-31"), Ok(("2024-01-01T00:00:00.000Z", "2025-01-01T00:00:00.000Z")));
        check(Some("2023-12-31"), Some("2024-12-31"), Err("from"));
        let range = Range::parse(Some("2024-01-01"), Some("2024-12-31"), NOW).unwrap();
        assert_eq!(range.days().count(), 366);
    }

    #[test]
    fn the_days_of_a_range_are_those_it_touches() {
        let days = |from: &str, to: &str| -> Vec<String> {
            Range::parse(Some(from), Some(to), NOW).unwrap().days().map(Timestamp::day).collect()
        };
        assert_eq!(days("2026-11-20", "2026-11-21"), ["20261121", "20261120"]);
        assert_eq!(days("2026-11-20T23:59:59Z", "2026-11-21T00:00:00Z"), ["20261120"]);
        assert_eq!(days("2026-11-20T23:59:59Z", "2026-11-21T00:00:00.001Z"), ["20261121", "20261120"]);
    }
}
