//! Instants and their written form.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A day of UTC, which has no others.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// An instant, in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, as OpenAI's `created` and DynamoDB's TTL want them.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The instant that `text` names in RFC 3339, with any offset; `None` for anything else
    /// and for what was before 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let instant: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(instant.as_millisecond()).ok().map(Self)
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The start of the day of UTC that `text` writes as `2026-11-21`.
    #[must_use]
    pub fn parse_day(text: &str) -> Option<Self> {
        let is_day = text.len() == "2026-11-21".len() && text.parse::<jiff::civil::Date>().is_ok();
        is_day.then(|| Self::parse(&format!("{text}T00:00:00Z"))).flatten()
    }

    /// The start of its day in UTC.
    #[must_use]
    pub fn start_of_day(self) -> Self {
        Self(self.0 - self.0 % Self::DAY_MILLIS)
    }

    const DAY_MILLIS: u64 = DAY.as_secs() * 1000;

    /// The day of this instant in UTC as `2026-11-21`.
    #[must_use]
    pub fn date(self) -> String {
        self.to_string().chars().take("2026-11-21".len()).collect()
    }

    /// The day of this instant in UTC as `yyyymmdd`.
    #[must_use]
    pub fn day(self) -> String {
        self.to_string().chars().take(10).filter(|c| *c != '-').collect()
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-21T10:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        let instant = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{instant:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_with_any_offset() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(Timestamp::parse(text).map(|at| at.0), expected);
        check("2026-11-21T16:00:00Z", Some(1_795_276_800_000));
        check("2026-11-21T17:00:00.000+01:00", Some(1_795_276_800_000));
        for bad in ["", "2026-11-21", "2026-13-21T16:00:00Z", "1969-12-31T23:59:59Z", "16:00"] {
            check(bad, None);
        }
    }

    #[test]
    fn an_instant_is_written_in_utc_with_milliseconds() {
        assert_eq!(Timestamp(1_795_276_800_000).to_string(), "2026-11-21T16:00:00.000Z");
        assert_eq!(Timestamp(1_795_276_800_000).day(), "20261121");
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_day_is_read_as_its_start() {
        let at = Timestamp(1_795_276_800_000);
        assert_eq!(Timestamp::parse_day("2026-11-21"), Some(at.start_of_day()));
        assert_eq!(at.start_of_day().to_string(), "2026-11-21T00:00:00.000Z");
        for bad in ["", "20261121", "2026-02-30", "2026-11-21T16:00:00Z", "1969-12-31"] {
            assert_eq!(Timestamp::parse_day(bad), None, "{bad}");
        }
    }
}
