//! The numbers of a stream's events, by which a client says where to go on.
//!
//! They are counted from 0 and have no gaps. Another attempt at the turn may say
//! something else, so its events have numbers of their own, all of them larger: a
//! number tells which attempt its client was reading.

use crate::limits::NUMBERS_PER_ATTEMPT;

/// The place of an event: which attempt's, and the how-manieth from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The attempt, from 1.
    pub attempt: u32,
    /// The event's position among the attempt's own, from 0.
    pub position: u64,
}

impl Place {
    /// The place whose number is `number`.
    #[must_use]
    pub fn of(number: u64) -> Self {
        let attempt = u32::try_from(number / NUMBERS_PER_ATTEMPT).unwrap_or(u32::MAX);
        Self { attempt: attempt.saturating_add(1), position: number % NUMBERS_PER_ATTEMPT }
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::from(self.attempt.saturating_sub(1)) * NUMBERS_PER_ATTEMPT + self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attempt: u32, position: u64, number: u64) {
        let place = Place { attempt, position };
        assert_eq!((place.number(), Place::of(number)), (number, place));
    }

    #[test]
    fn a_number_tells_its_attempt() {
        check(1, 0, 0);
        check(1, 17, 17);
        check(1, NUMBERS_PER_ATTEMPT - 1, NUMBERS_PER_ATTEMPT - 1);
        check(2, 0, NUMBERS_PER_ATTEMPT);
        check(11, 3, 10 * NUMBERS_PER_ATTEMPT + 3);
    }

    #[test]
    fn no_number_is_too_large_to_be_read() {
        assert_eq!(Place::of(u64::MAX).attempt, u32::MAX);
    }
}
