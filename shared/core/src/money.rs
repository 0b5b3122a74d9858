//! Exact cost: integer pico-USD, summed in 128 bits.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::usage::Usage;

/// Pico-USD in one USD.
const PICO: i128 = 1_000_000_000_000;

/// Decimals of an amount in USD.
const PICO_DIGITS: usize = 12;

/// An amount of money in pico-USD (10^-12 USD).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PicoUsd(pub i128);

impl PicoUsd {
    /// The amount that `text` says in USD, a decimal number: `1.5`. `None` for anything else,
    /// for a negative one, and for one with more decimals than are counted.
    #[must_use]
    pub fn parse_usd(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(part) || part.len() > PICO_DIGITS {
            return None;
        }
        let whole = whole.parse::<i128>().ok()?.checked_mul(PICO)?;
        let part = format!("{part:0<PICO_DIGITS$}").parse::<i128>().ok()?;
        whole.checked_add(part).map(Self)
    }
}

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
    /// Per output token.
    pub output: i128,
    /// Per input token read from the prompt cache; as `input` where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<i128>,
    /// Per input token written to the prompt cache; as `input` where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<i128>,
    /// Per input token written to the prompt cache for an hour; as `cache_write` where not
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<i128>,
    /// Per token of reasoning; as `output` where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<i128>,
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
    /// Per input token written to the prompt cache, however long it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<i128>,
    /// Per token of reasoning; as `output` here where neither says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<i128>,
}

impl Price {
    /// One price for input, one for output, whatever else is going on.
    #[must_use]
    pub const fn of(input: i128, output: i128) -> Self {
        Self {
            input,
            output,
            cache_read: None,
            cache_write: None,
            cache_write_1h: None,
            reasoning: None,
            long_context: None,
        }
    }

    /// The exact cost of `usage` at this price.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> PicoUsd {
        self.meters(usage).total()
    }

    /// The same, by what is charged.
    #[must_use]
    pub fn meters(&self, usage: &Usage) -> Meters {
        let tier = self.long_context.filter(|tier| usage.total_input() > tier.above_input_tokens);
        let input = tier.and_then(|tier| tier.input).unwrap_or(self.input);
        let output = tier.and_then(|tier| tier.output).unwrap_or(self.output);
        let cache_read = tier.and_then(|tier| tier.cache_read).or(self.cache_read).unwrap_or(input);

        let tier_write = tier.and_then(|tier| tier.cache_write);
        let cache_write = tier_write.or(self.cache_write).unwrap_or(input);
        let cache_write_1h = tier_write.or(self.cache_write_1h).unwrap_or(cache_write);

        let reasoning = tier.and_then(|tier| tier.reasoning).or(self.reasoning).unwrap_or(output);
        let times = |tokens: u64, price: i128| PicoUsd(i128::from(tokens) * price);
        Meters {
            input: times(usage.input, input),
            cache_read: times(usage.cache_read, cache_read),
            cache_write: times(usage.cache_write, cache_write),
            cache_write_1h: times(usage.cache_write_1h, cache_write_1h),
            output: times(usage.output, output),
            reasoning: times(usage.reasoning, reasoning),
        }
    }
}

/// A cost by what is charged: one amount for each bucket of [`Usage`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meters {
    /// For uncached input tokens.
    pub input: PicoUsd,
    /// For input tokens read from the prompt cache.
    pub cache_read: PicoUsd,
    /// For input tokens written to the prompt cache for minutes.
    pub cache_write: PicoUsd,
    /// For input tokens written to the prompt cache for an hour.
    pub cache_write_1h: PicoUsd,
    /// For output tokens that are text.
    pub output: PicoUsd,
    /// For tokens of reasoning.
    pub reasoning: PicoUsd,
}

impl Meters {
    /// The whole cost.
    #[must_use]
    pub const fn total(&self) -> PicoUsd {
        let input = self.input.0 + self.cache_read.0 + self.cache_write.0 + self.cache_write_1h.0;
        PicoUsd(input + self.output.0 + self.reasoning.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Source;

    fn reported(input: u64, output: u64) -> Usage {
        let source = Source::Reported;
        Usage { input, cache_read: 0, cache_write: 0, cache_write_1h: 0, output, reasoning: 0, source }
    }

    #[test]
    fn the_check_value_comes_out() {
        // 1,000 prompt tokens of which 800 cached, 10 out, on gpt-4o-mini.
        let usage = Usage { cache_read: 800, ..reported(200, 10) };
        let price = Price { cache_read: Some(75_000), ..Price::of(150_000, 600_000) };
        assert_eq!(price.cost(&usage).to_string(), "0.000096");
    }

    #[test]
    fn a_long_input_re_prices_the_whole_request() {
        let tier = LongContext {
            above_input_tokens: 100,
            input: Some(4),
            output: Some(15),
            cache_read: None,
            cache_write: None,
            reasoning: None,
        };
        let price = Price { cache_read: Some(1), long_context: Some(tier), ..Price::of(2, 10) };
        assert_eq!(price.cost(&reported(100, 1)), PicoUsd(210));
        assert_eq!(price.cost(&reported(101, 1)), PicoUsd(419));
    }

    #[test]
    fn writing_to_a_cache_has_its_own_price() {
        let usage = Usage { cache_write: 10, cache_write_1h: 1, ..reported(0, 0) };
        let price = Price::of(4, 0);
        assert_eq!(price.cost(&usage), PicoUsd(44));
        let price = Price { cache_write: Some(5), ..price };
        assert_eq!(price.cost(&usage), PicoUsd(55));
        let price = Price { cache_write_1h: Some(8), ..price };
        assert_eq!(price.cost(&usage), PicoUsd(58));
    }

    #[test]
    fn amounts_are_read_exactly() {
        let check = |text: &str, expected: Option<i128>| assert_eq!(PicoUsd::parse_usd(text), expected.map(PicoUsd));
        check("0", Some(0));
        check("1.5", Some(1_500_000_000_000));
        check("0.000000000001", Some(1));
        check("20", Some(20_000_000_000_000));
        for bad in ["", ".", ".5", "1.", "-1", "+1", "1e3", "1,5", "0.0000000000001", "nan", &"9".repeat(40)] {
            check(bad, None);
        }
    }

    #[test]
    fn amounts_are_written_exactly() {
        assert_eq!(PicoUsd(0).to_string(), "0");
        assert_eq!(PicoUsd(1).to_string(), "0.000000000001");
        assert_eq!(PicoUsd(-1_500_000_000_000).to_string(), "-1.5");
        assert_eq!(PicoUsd(2_000_000_000_000).to_string(), "2");
    }
}
