//! Exact cost: integer pico-USD, summed in 128 bits.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::usage::Usage;

/// Pico-USD in one USD.
const PICO: i128 = 1_000_000_000_000;

/// An amount of money in pico-USD (10^-12 USD).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PicoUsd(pub i128);

/// USD with 12 decimals and no trailing zeros: `0.000096`.
impl fmt::Display for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let amount = self.0.unsigned_abs();
        let (whole, part) = (amount / PICO.unsigned_abs(), amount % PICO.unsigned_abs());
        let digits = format!("{part:012}");
        let digits = digits.trim_end_matches('0');
        let point = if digits.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{digits}")
    }
}

/// What one model charges, in pico-USD a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Per uncached input token.
    pub input: i128,
    /// Per output token, reasoning included.
    pub output: i128,
    /// Per input token read from the prompt cache; as `input` where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<i128>,
    /// Other prices for the whole request when its input is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_context: Option<LongContext>,
}

/// Prices of a request whose input exceeds a threshold; a field not given keeps its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongContext {
    /// More input tokens than this re-price the whole request.
    pub above_input_tokens: u64,
    /// Per uncached input token.
    pub input: Option<i128>,
    /// Per output token.
    pub output: Option<i128>,
    /// Per input token read from the prompt cache.
    pub cache_read: Option<i128>,
}

impl Price {
    /// The exact cost of `usage` at this price.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> PicoUsd {
        let tier = self.long_context.filter(|tier| usage.total_input() > tier.above_input_tokens);
        let input = tier.and_then(|tier| tier.input).unwrap_or(self.input);
        let output = tier.and_then(|tier| tier.output).unwrap_or(self.output);
        let cache_read = tier.and_then(|tier| tier.cache_read).or(self.cache_read).unwrap_or(input);

        let times = |tokens: u64, price: i128| i128::from(tokens) * price;
        PicoUsd(
            times(usage.input + usage.cache_write, input)
                + times(usage.cache_read, cache_read)
                + times(usage.total_output(), output),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Source;

    #[test]
    fn the_check_value_comes_out() {
        // 1,000 prompt tokens of which 800 cached, 10 out, on gpt-4o-mini.
        let usage =
            Usage { input: 200, cache_read: 800, cache_write: 0, output: 10, reasoning: 0, source: Source::Reported };
        let price = Price { input: 150_000, output: 600_000, cache_read: Some(75_000), long_context: None };
        assert_eq!(price.cost(&usage).to_string(), "0.000096");
    }

    #[test]
    fn a_long_input_re_prices_the_whole_request() {
        let tier = LongContext { above_input_tokens: 100, input: Some(4), output: Some(15), cache_read: None };
        let price = Price { input: 2, output: 10, cache_read: Some(1), long_context: Some(tier) };
        let usage =
            |input| Usage { input, cache_read: 0, cache_write: 0, output: 1, reasoning: 0, source: Source::Reported };
        assert_eq!(price.cost(&usage(100)), PicoUsd(210));
        assert_eq!(price.cost(&usage(101)), PicoUsd(419));
    }

    #[test]
    fn amounts_are_written_exactly() {
        assert_eq!(PicoUsd(0).to_string(), "0");
        assert_eq!(PicoUsd(1).to_string(), "0.000000000001");
        assert_eq!(PicoUsd(-1_500_000_000_000).to_string(), "-1.5");
        assert_eq!(PicoUsd(2_000_000_000_000).to_string(), "2");
    }
}
