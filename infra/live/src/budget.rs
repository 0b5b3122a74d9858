//! What may be spent, and what is. Pure.

use turnwise_core::money::PicoUsd;

/// Digits behind the point of an amount in USD, down to a pico-USD.
const DECIMALS: usize = 12;

/// What may be spent. Whoever asks reserves before it the most that its answer can cost.
#[derive(Debug)]
pub(crate) struct Budget {
    most: PicoUsd,
    spent: PicoUsd,
    reserved: PicoUsd,
}

/// What an answer, or its absence, has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// Exactly this.
    Exactly(PicoUsd),
    /// Nothing: the provider refused.
    Nothing,
    /// Nobody says; it may have been all that was reserved.
    Unknown,
}

impl Budget {
    pub(crate) const fn new(most: PicoUsd) -> Self {
        Self { most, spent: PicoUsd(0), reserved: PicoUsd(0) }
    }

    /// Sets `amount` aside, if that is left.
    pub(crate) fn reserve(&mut self, amount: PicoUsd) -> bool {
        let fits = self.spent.0 + self.reserved.0 + amount.0 <= self.most.0;
        if fits {
            self.reserved.0 += amount.0;
        }
        fits
    }

    /// Puts `charge` in the place of what was reserved for it.
    pub(crate) fn settle(&mut self, reserved: PicoUsd, charge: Charge) {
        self.reserved.0 -= reserved.0;
        self.spent.0 += match charge {
            Charge::Exactly(amount) => amount.0,
            Charge::Nothing => 0,
            Charge::Unknown => reserved.0,
        };
    }
}

/// The amount that `text` says in USD: `0.25`, exactly.
///
/// # Errors
/// A sentence, if it says none.
pub(crate) fn parse_usd(text: &str) -> Result<PicoUsd, String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let readable = digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty());
    let number = format!("{whole}{part:0<DECIMALS$}").parse().ok().map(PicoUsd);
    let number = number.filter(|_| readable && part.len() <= DECIMALS);
    number.ok_or_else(|| format!("expected an amount in USD such as 0.25, got {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_exactly() {
        for (text, expected) in
            [("0.25", 250_000_000_000), ("1", 1_000_000_000_000), ("0.000000000001", 1), (".5", 500_000_000_000)]
        {
            assert_eq!(parse_usd(text), Ok(PicoUsd(expected)), "{text}");
        }
        for text in ["", ".", "-1", "1e3", "1.0.0", "0.0000000000001", "+1", "1_0"] {
            assert!(parse_usd(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_is_begun_that_could_pass_the_limit() {
        let mut budget = Budget::new(PicoUsd(10));
        assert!(budget.reserve(PicoUsd(6)));
        assert!(!budget.reserve(PicoUsd(5)), "6 are set aside");
        assert!(budget.reserve(PicoUsd(4)), "just the rest");
        budget.settle(PicoUsd(6), Charge::Exactly(PicoUsd(1)));
        assert!(budget.reserve(PicoUsd(5)), "1 is spent and 4 are set aside");
        budget.settle(PicoUsd(5), Charge::Nothing);
        budget.settle(PicoUsd(4), Charge::Unknown);
        assert!(!budget.reserve(PicoUsd(6)) && budget.reserve(PicoUsd(5)), "5 are spent");
    }
}
