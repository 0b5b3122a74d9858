//! Tokens as Anthropic counts them.

use serde_json::Value;
use turnwise_core::usage::{Source, Usage};

/// What was reported so far. Each number is cumulative, so that a later one takes an earlier
/// one's place; one that is not repeated stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Without what a cache served or took: Anthropic counts these apart.
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    /// Among [`Self::cache_written`].
    cache_written_1h: Option<u64>,
    /// Thoughts included.
    output: Option<u64>,
    /// Among [`Self::output`].
    thought: Option<u64>,
}

impl Tokens {
    /// Takes in a `usage` object.
    pub(super) fn take(&mut self, usage: &Value) {
        let number = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
        let (short, long) =
            (number("/cache_creation/ephemeral_5m_input_tokens"), number("/cache_creation/ephemeral_1h_input_tokens"));
        let split = short.map(|short| short.saturating_add(long.unwrap_or(0))).or(long);
        let rows = [
            (&mut self.input, number("/input_tokens")),
            (&mut self.cache_read, number("/cache_read_input_tokens")),
            (&mut self.cache_written, number("/cache_creation_input_tokens").or(split)),
            (&mut self.cache_written_1h, long),
            (&mut self.output, number("/output_tokens")),
            (&mut self.thought, number("/output_tokens_details/thinking_tokens")),
        ];
        for (known, reported) in rows {
            *known = reported.or(*known);
        }
    }

    /// The tokens in our buckets, each in one; `None` where none were reported.
    pub(super) fn usage(&self) -> Option<Usage> {
        let (input, output) = (self.input?, self.output?);
        let written = self.cache_written.unwrap_or(0);
        let written_1h = self.cache_written_1h.unwrap_or(0).min(written);
        let reasoning = self.thought.unwrap_or(0).min(output);
        Some(Usage {
            input,
            cache_read: self.cache_read.unwrap_or(0),
            cache_write: written - written_1h,
            cache_write_1h: written_1h,
            output: output - reasoning,
            reasoning,
            source: Source::Reported,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The buckets `[input, read, write, write_1h, output, reasoning]` that `reports` fill.
    fn check(reports: &[Value], expected: Option<[u64; 6]>) {
        let mut tokens = Tokens::default();
        for report in reports {
            tokens.take(report);
        }
        let buckets = tokens.usage().map(|usage| {
            [usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h, usage.output, usage.reasoning]
        });
        assert_eq!(buckets, expected, "{reports:?}");
    }

    #[test]
    fn input_excludes_what_a_cache_served_or_took() {
        let split = json!({"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 8});
        let report = json!({"input_tokens": 1, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 12,
                            "cache_creation": split, "output_tokens": 32});
        check(&[report], Some([1, 2, 4, 8, 32, 0]));
        check(&[json!({"input_tokens": 1, "cache_creation": split, "output_tokens": 0})], Some([1, 0, 4, 8, 0, 0]));
    }

    #[test]
    fn a_later_report_wins_and_an_absent_number_stays() {
        let first = json!({"input_tokens": 9, "cache_read_input_tokens": 5, "output_tokens": 1,
                           "cache_creation": {"ephemeral_1h_input_tokens": 3}});
        check(&[first.clone(), json!({"output_tokens": 7})], Some([9, 5, 0, 3, 7, 0]));
        let last = json!({"input_tokens": 2, "cache_read_input_tokens": 6, "cache_creation_input_tokens": 4,
                          "output_tokens": 7, "output_tokens_details": {"thinking_tokens": 5}});
        check(&[first, last], Some([2, 6, 1, 3, 2, 5]));
    }

    #[test]
    fn impossible_numbers_are_none() {
        check(&[json!(null)], None);
        check(&[json!({"input_tokens": 1})], None);
        check(&[json!({"input_tokens": -1, "output_tokens": 1.5})], None);
        let beyond = json!({"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 3,
                            "cache_creation": {"ephemeral_5m_input_tokens": u64::MAX, "ephemeral_1h_input_tokens": u64::MAX},
                            "output_tokens_details": {"thinking_tokens": 9}});
        check(&[beyond], Some([1, 0, 0, 3, 0, 2]));
    }
}
