//! How much of a conversation goes along with a new message.

use serde::{Deserialize, Serialize};

use crate::limits::{HISTORY_TURNS, MAX_HISTORY_TURNS};
use crate::tokens::Scale;

/// OpenAI's code for more than a model takes.
const CONTEXT_EXCEEDED: &str = "context_length_exceeded";

/// The code for a longer answer than a model gives.
const MAX_TOKENS_EXCEEDED: &str = "max_tokens_exceeded";

/// How far an estimate has to be above a model's context for no error of the estimate to
/// explain it. Between that and the context itself the provider decides, as it counts.
const SURELY: Scale = Scale::percent(150);

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
    /// All of it or nothing: what is too long is refused instead of cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

/// Why a request is not sent to its model: it, or the answer it asks for, is too long. Its
/// text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    /// A conversation that goes along whole has more turns than one request takes.
    #[error(
        "The conversation has more than {MAX_HISTORY_TURNS} turns, and none is left out unless truncation is \
             \"auto\". Send that, or make the conversation short with POST /v1/responses/compact."
    )]
    Turns,
    /// A conversation that goes along whole has more tokens than the model takes.
    #[error(
        "The input and what was said before are about {tokens} tokens, and the model takes {context}; nothing is \
             left out unless truncation is \"auto\". Send that, or make the conversation short with POST \
             /v1/responses/compact."
    )]
    Tokens {
        /// As estimated.
        tokens: u64,
        /// What the catalogue says.
        context: u64,
    },
    /// What is new has by itself more tokens than the model takes.
    #[error("The {field} and what goes with it are about {tokens} tokens, and the model takes {context}.")]
    Input {
        /// The request's field.
        field: &'static str,
        /// As estimated.
        tokens: u64,
        /// What the catalogue says.
        context: u64,
    },
    /// It asks for a longer answer than the model gives.
    #[error("{field} is {asked}, and {model} gives at most {most} tokens.")]
    Output {
        /// The request's field.
        field: &'static str,
        /// What it says.
        asked: u64,
        /// `provider/model`.
        model: String,
        /// What the catalogue says.
        most: u64,
    },
}

impl TooLong {
    /// The error's code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Turns | Self::Tokens { .. } | Self::Input { .. } => CONTEXT_EXCEEDED,
            Self::Output { .. } => MAX_TOKENS_EXCEEDED,
        }
    }

    /// The field at fault.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Turns | Self::Tokens { .. } => "input",
            Self::Input { field, .. } | Self::Output { field, .. } => field,
        }
    }
}

impl Window {
    /// The whole conversation.
    #[must_use]
    pub const fn whole() -> Self {
        Self { turns: None, tokens: None, whole: true }
    }

    /// As much of the newest part as fits into the model's context.
    #[must_use]
    pub const fn newest() -> Self {
        Self { turns: Some(MAX_HISTORY_TURNS), tokens: None, whole: false }
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Rows of the conversation that are looked at.
    #[must_use]
    pub fn rows(&self) -> usize {
        // One more than go along tells that there are more.
        let most = if self.whole { MAX_HISTORY_TURNS + 1 } else { HISTORY_TURNS };
        self.turns.map_or(most, |turns| turns.min(MAX_HISTORY_TURNS))
    }

    /// How many of the newest rows go along, where their tokens are `newest_first` and
    /// the new message has `new` tokens. Without a limit of its own the window leaves a
    /// quarter of the model's `context` free, where that is known. A row goes whole or not
    /// at all, and none goes past one that does not fit: a conversation has no holes.
    #[must_use]
    pub fn fitting(&self, context: Option<u64>, new: u64, newest_first: impl Iterator<Item = u64>) -> usize {
        let usual = context.map(|context| budget_of(context).saturating_sub(new));
        let Some(budget) = self.tokens.or(usual).filter(|_| !self.whole) else { return newest_first.count() };
        let mut sum: u64 = 0;
        let fits = |tokens: &u64| {
            sum = sum.saturating_add(*tokens);
            sum <= budget
        };
        newest_first.take_while(fits).count()
    }

    /// Whether a conversation of which [`Self::rows`] has found `rows` may go along with what
    /// is new in `field`. What cannot be left out has about `tokens`: all of it where this
    /// takes the whole, and otherwise what is new.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn check(
        &self,
        context: Option<u64>,
        rows: usize,
        field: &'static str,
        tokens: impl FnOnce() -> u64,
    ) -> Result<(), TooLong> {
        if self.whole && rows > MAX_HISTORY_TURNS {
            return Err(TooLong::Turns);
        }
        let Some(context) = context else { return Ok(()) };
        let tokens = tokens();
        match (tokens > SURELY.of(context), self.whole) {
            (false, _) => Ok(()),
            (true, true) => Err(TooLong::Tokens { tokens, context }),
            (true, false) => Err(TooLong::Input { field, tokens, context }),
        }
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
        let of = |tokens| Window { tokens: Some(tokens), ..Window::default() };
        check(of(60), None, 1000, 3);
        check(of(59), None, 0, 2);
        check(of(30), None, 0, 2);
        check(of(9), None, 0, 0);
        check(of(0), None, 0, 0);
    }

    #[test]
    fn a_quarter_of_a_known_context_stays_free() {
        for window in [Window::default(), Window::newest()] {
            check(window, None, 1000, 3);
            check(window, Some(100), 15, 3);
            check(window, Some(100), 16, 2);
            check(window, Some(100), 1000, 0);
        }
        check(Window::whole(), Some(100), 1000, 3);
    }

    #[test]
    fn turns_are_counted_up_to_a_limit() {
        let of = |turns| Window { turns: Some(turns), ..Window::default() }.rows();
        assert_eq!((Window::default().rows(), of(0), of(7)), (HISTORY_TURNS, 0, 7));
        assert_eq!(of(MAX_HISTORY_TURNS + 1), MAX_HISTORY_TURNS);
        assert_eq!((Window::newest().rows(), Window::whole().rows()), (MAX_HISTORY_TURNS, MAX_HISTORY_TURNS + 1));
    }

    #[test]
    fn what_cannot_be_left_out_is_refused_where_it_is_surely_too_long() {
        let check = |window: Window, context, rows, tokens| window.check(context, rows, "messages", || tokens);
        let whole = |context, rows, tokens| check(Window::whole(), context, rows, tokens);
        assert_eq!(whole(Some(100), MAX_HISTORY_TURNS, 150), Ok(()));
        assert_eq!(whole(Some(100), 1, 151), Err(TooLong::Tokens { tokens: 151, context: 100 }));
        assert_eq!(whole(None, MAX_HISTORY_TURNS, u64::MAX), Ok(()));
        assert_eq!(whole(None, MAX_HISTORY_TURNS + 1, 0), Err(TooLong::Turns));
        for other in [Window::default(), Window::newest()] {
            assert_eq!(check(other, Some(100), MAX_HISTORY_TURNS + 1, 150), Ok(()));
            let refused = TooLong::Input { field: "messages", tokens: 151, context: 100 };
            assert_eq!(check(other, Some(100), 0, 151), Err(refused));
        }
    }

    #[test]
    fn a_refusal_names_its_field() {
        let output = TooLong::Output { field: "max_tokens", asked: 9, model: "a/b".to_owned(), most: 8 };
        assert_eq!((output.code(), output.field()), ("max_tokens_exceeded", "max_tokens"));
        assert_eq!(output.to_string(), "max_tokens is 9, and a/b gives at most 8 tokens.");
        let input = TooLong::Input { field: "message", tokens: 9, context: 8 };
        assert_eq!((input.code(), input.field()), ("context_length_exceeded", "message"));
        assert_eq!((TooLong::Turns.code(), TooLong::Turns.field()), ("context_length_exceeded", "input"));
    }

    #[test]
    fn a_window_is_stored_as_what_it_says() {
        for (window, stored) in
            [(Window::default(), "{}"), (Window::newest(), r#"{"turns":100}"#), (Window::whole(), r#"{"whole":true}"#)]
        {
            assert_eq!(serde_json::to_string(&window).unwrap(), stored);
            assert_eq!(serde_json::from_str::<Window>(stored).unwrap(), window);
        }
    }
}
