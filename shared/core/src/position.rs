//! The numbers of a stream's events, by which a client says where to go on.
//!
//! They are counted from 0 and have no gaps. Another attempt at the turn may say
//! something else, so its stream has numbers of its own, all of them larger: a number
//! tells which stream its client was reading.

use crate::limits::NUMBERS_PER_STREAM;

/// Where an event stands: in which of the turn's streams, and as the how-manieth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The stream, from 1.
    pub stream: u32,
    /// The event among the stream's own, from 0.
    pub index: u64,
}

impl Position {
    /// The position whose number is `number`.
    #[must_use]
    pub fn of(number: u64) -> Self {
        let stream = u32::try_from(number / NUMBERS_PER_STREAM).unwrap_or(u32::MAX);
        Self { stream: stream.saturating_add(1), index: number % NUMBERS_PER_STREAM }
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::from(self.stream.saturating_sub(1)) * NUMBERS_PER_STREAM + self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: u32, index: u64, number: u64) {
        let place = Position { stream, index };
        assert_eq!((place.number(), Position::of(number)), (number, place));
    }

    #[test]
    fn a_number_tells_its_attempt() {
        check(1, 0, 0);
        check(1, 17, 17);
        check(1, NUMBERS_PER_STREAM - 1, NUMBERS_PER_STREAM - 1);
        check(2, 0, NUMBERS_PER_STREAM);
        check(11, 3, 10 * NUMBERS_PER_STREAM + 3);
    }

    #[test]
    fn no_number_is_too_large_to_be_read() {
        assert_eq!(Position::of(u64::MAX).stream, u32::MAX);
    }
}
