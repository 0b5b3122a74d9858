//! Days and months, UTC's.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// What a budget is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A day.
    Day,
    /// A month.
    Month,
}

impl Period {
    /// Both, the shorter first.
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// Which one `at` is in: `yyyymmdd` or `yyyymm` as a number, so that a later one is more.
    #[must_use]
    pub fn of(self, at: Timestamp) -> i128 {
        let date = date(at);
        let month = i128::from(date.year()) * 100 + i128::from(date.month());
        match self {
            Self::Day => month * 100 + i128::from(date.day()),
            Self::Month => month,
        }
    }

    /// When the one that `at` is in is over.
    #[must_use]
    pub fn end(self, at: Timestamp) -> Timestamp {
        let date = date(at);
        let next = match self {
            Self::Day => date.tomorrow(),
            Self::Month => date.last_of_month().tomorrow(),
        };
        // The calendar ends in the year 9999.
        let next = next.and_then(|next| next.to_zoned(TimeZone::UTC));
        next.map_or(at, |next| Timestamp(u64::try_from(next.timestamp().as_millisecond()).unwrap_or(0)))
    }
}

fn date(at: Timestamp) -> Date {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let instant = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    instant.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_end_at_midnight_utc() {
        let check = |at: u64, day: i128, day_ends: &str, month_ends: &str| {
            let at = Timestamp(at);
            assert_eq!((Period::Day.of(at), Period::Month.of(at)), (day, day / 100));
            assert_eq!(Period::Day.end(at).to_string(), day_ends);
            assert_eq!(Period::Month.end(at).to_string(), month_ends);
        };
        // 2026-11-21T16:00:00Z, and the last millisecond of that year.
        check(1_795_276_800_000, 20_261_121, "2026-11-22T00:00:00.000Z", "2026-12-01T00:00:00.000Z");
        check(1_798_761_599_999, 20_261_231, "2027-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z");
        check(1_798_761_600_000, 20_270_101, "2027-01-02T00:00:00.000Z", "2027-02-01T00:00:00.000Z");
    }
}
