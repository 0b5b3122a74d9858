//! Where a reader of the audit log goes on.

use std::fmt;

use uuid::Uuid;

use super::Range;
use crate::time::Timestamp;

/// Bits of a UUIDv7 behind its instant.
const BITS_BEHIND_INSTANT: u32 = 80;

/// Hexadecimal digits of an id in a cursor.
const ID_DIGITS: usize = 32;

/// Behind the last entry of a page. What is added later comes before that, so a cursor goes on
/// where it would have gone on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The entries that follow have lower ids than this.
    pub before: Uuid,
    /// Where the range begins, which may have been reckoned from the time of the first page.
    pub from: Timestamp,
}

impl Cursor {
    /// The cursor that an earlier page gave.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, from) = text.split_at_checked(ID_DIGITS)?;
        let is_plain = id.bytes().chain(from.bytes()).all(|byte| byte.is_ascii_hexdigit());
        let cursor = Self { before: Uuid::try_parse(id).ok()?, from: Timestamp(from.parse().ok()?) };
        // A page of another range than the longest was never given.
        is_plain.then_some(cursor).filter(|cursor| cursor.range().is_some())
    }

    /// What is left of the range.
    #[must_use]
    pub fn range(self) -> Option<Range> {
        let to = instant_of(self.before) + std::time::Duration::from_millis(1);
        Some(Range { from: self.from, to }).filter(|range| range.from < range.to && !range.is_too_long())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.before.simple(), self.from.as_millis())
    }
}

impl Range {
    /// The lowest and the highest id that entries of the range can have.
    #[must_use]
    pub fn ids(self) -> (Uuid, Uuid) {
        (lowest_id(self.from), id_before(lowest_id(self.to)))
    }
}

/// No entry of the instant `at`, or of a later one, has a lower id.
#[must_use]
pub fn lowest_id(at: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(at.as_millis()) << BITS_BEHIND_INSTANT)
}

/// The highest id below `id`.
#[must_use]
pub fn id_before(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_sub(1))
}

/// The lowest id above `id`.
#[must_use]
pub fn id_behind(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_add(1))
}

/// The instant of a UUIDv7.
#[must_use]
pub fn instant_of(id: Uuid) -> Timestamp {
    Timestamp(u64::try_from(id.as_u128() >> BITS_BEHIND_INSTANT).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DAY;

    const NOW: Timestamp = Timestamp(1_795_276_800_000);

    #[test]
    fn a_cursor_is_read_back() {
        let cursor = Cursor { before: Uuid::from_u128(lowest_id(NOW).as_u128() | 7), from: NOW - DAY };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        assert_eq!(cursor.range(), Some(Range { from: NOW - DAY, to: Timestamp(NOW.0 + 1) }));
        let text = cursor.to_string();
        let long_ago = Cursor { from: NOW - DAY * 400, ..cursor }.to_string();
        let reversed = Cursor { from: NOW + DAY, ..cursor }.to_string();
        for bad in
            ["", "x", &text[1..], &text.replace('0', "-"), &format!("{text}z"), &text[..32], "é", &long_ago, &reversed]
        {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_stand_for_their_instants() {
        let (low, high) = Range { from: NOW, to: Timestamp(NOW.0 + 1) }.ids();
        assert_eq!((instant_of(low), instant_of(high)), (NOW, NOW));
        assert_eq!(instant_of(id_before(low)).0, NOW.0 - 1);
        assert_eq!(instant_of(id_behind(high)).0, NOW.0 + 1);
        assert_eq!(id_before(Uuid::nil()), Uuid::nil());
    }
}
