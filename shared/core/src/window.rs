//! How much of a conversation goes along with a new message.

use serde::{Deserialize, Serialize};

use crate::limits::{HISTORY_TURNS, MAX_HISTORY_TURNS};

/// The part of a model's context that history and new message may fill together, in
/// quarters: the rest is for instructions, tools and the answer.
const CONTEXT_QUARTERS: u64 = 3;

/// How much of a conversation goes along; what is not said is as usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The newest turns, at most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<usize>,
    /// Their tokens, as estimated, at most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

impl Window {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Rows of the conversation that are looked at.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.turns.unwrap_or(HISTORY_TURNS).min(MAX_HISTORY_TURNS)
    }

    /// How many of the newest rows go along, where their tokens are `newest_first` and
    /// the new message has `new` tokens. Without a limit of its own the window leaves a
    /// quarter of the model's `context` free, where that is known. A row goes whole or not
    /// at all, and none goes past one that does not fit: a conversation has no holes.
    #[must_use]
    pub fn fitting(&self, context: Option<u64>, new: u64, newest_first: impl Iterator<Item = u64>) -> usize {
        let usual = context.map(|context| budget_of(context).saturating_sub(new));
        let Some(budget) = self.tokens.or(usual) else { return newest_first.count() };
        let mut sum: u64 = 0;
        let fits = |tokens: &u64| {
            sum = sum.saturating_add(*tokens);
            sum <= budget
        };
        newest_first.take_while(fits).count()
    }
}

/// What may be sent to a model with `context` tokens, so that an answer fits in too.
pub(crate) const fn budget_of(context: u64) -> u64 {
    context / 4 * CONTEXT_QUARTERS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(window: Window, context: Option<u64>, new: u64, expected: usize) {
        assert_eq!(window.fitting(context, new, [10, 20, 30].into_iter()), expected);
    }

    #[test]
    fn the_newest_rows_go_along_as_far_as_they_fit() {
        let of = |tokens| Window { tokens: Some(tokens), turns: None };
        check(of(60), None, 1000, 3);
        check(of(59), None, 0, 2);
        check(of(30), None, 0, 2);
        check(of(9), None, 0, 0);
        check(of(0), None, 0, 0);
    }

    #[test]
    fn a_quarter_of_a_known_context_stays_free() {
        check(Window::default(), None, 1000, 3);
        check(Window::default(), Some(100), 15, 3);
        check(Window::default(), Some(100), 16, 2);
        check(Window::default(), Some(100), 1000, 0);
    }

    #[test]
    fn turns_are_counted_up_to_a_limit() {
        let of = |turns| Window { turns: Some(turns), tokens: None }.rows();
        assert_eq!((Window::default().rows(), of(0), of(7)), (HISTORY_TURNS, 0, 7));
        assert_eq!(of(MAX_HISTORY_TURNS + 1), MAX_HISTORY_TURNS);
    }
}
