//! Tokens of one answer, in disjoint buckets.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::json::RawMap;
use crate::tokens::{count, estimate_tokens};

/// Of `prompt_tokens_details`: tokens written to the prompt cache, as OpenRouter calls them.
const CACHE_WRITE: &str = "cache_write_tokens";

/// Of `prompt_tokens_details`: those among them that are kept for an hour.
const CACHE_WRITE_1H: &str = "cache_write_1h_tokens";

/// Where the numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The provider reported them.
    Reported,
    /// We estimated them from the text.
    Estimated,
}

/// Tokens of one answer. Each token is in exactly one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that no cache served.
    pub input: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cache_read: u64,
    /// Input tokens written to the provider's prompt cache, to be kept for minutes.
    pub cache_write: u64,
    /// Input tokens written to the provider's prompt cache, to be kept for an hour: some
    /// providers charge more for them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_1h: u64,
    /// Output tokens that are text.
    pub output: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// Where the numbers come from.
    pub source: Source,
}

impl Usage {
    /// An estimate from the messages that went in, a JSON array, and the text that came out.
    #[must_use]
    pub fn estimate(messages: &str, output_text: &str) -> Self {
        // What is no array of messages is estimated as the text that it is.
        let input = serde_json::from_str::<Vec<Value>>(messages)
            .map_or_else(|_| estimate_tokens(messages), |messages| count(&messages, &RawMap::new()).total());
        Self {
            input,
            cache_read: 0,
            cache_write: 0,
            cache_write_1h: 0,
            output: estimate_tokens(output_text),
            reasoning: 0,
            source: Source::Estimated,
        }
    }

    /// The usage an OpenAI-shaped answer reports; `None` when it reports none or
    /// numbers that cannot be (negative, fractional).
    ///
    /// `prompt_tokens` includes cached tokens, `completion_tokens` includes reasoning;
    /// where the total shows that it does not (xAI's), reasoning is added.
    #[must_use]
    pub fn from_openai(usage: &Value) -> Option<Self> {
        let number = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
        let prompt = number("/prompt_tokens")?;
        let completion = number("/completion_tokens")?;
        let cached = number("/prompt_tokens_details/cached_tokens").or_else(|| number("/prompt_cache_hit_tokens"));
        let cache_read = cached.unwrap_or(0).min(prompt);
        let written = |name: &str| number(&format!("/prompt_tokens_details/{name}")).unwrap_or(0);
        let cache_write_1h = written(CACHE_WRITE_1H).min(prompt - cache_read);
        let cache_write = written(CACHE_WRITE).min(prompt - cache_read).saturating_sub(cache_write_1h);
        let reasoning = number("/completion_tokens_details/reasoning_tokens").unwrap_or(0);
        let sum = prompt.checked_add(completion)?;
        let is_beside = reasoning > 0 && number("/total_tokens") == sum.checked_add(reasoning);
        let reasoning = if is_beside { reasoning } else { reasoning.min(completion) };
        Some(Self {
            input: prompt - cache_read - cache_write - cache_write_1h,
            cache_read,
            cache_write,
            cache_write_1h,
            output: if is_beside { completion } else { completion - reasoning },
            reasoning,
            source: Source::Reported,
        })
    }

    /// The usage as OpenAI's `usage` object. Its details are there where they say
    /// something: tokens read from a cache or written to it, tokens of reasoning.
    #[must_use]
    pub fn to_openai(&self) -> Value {
        let mut usage = json!({
            "prompt_tokens": self.total_input(),
            "completion_tokens": self.total_output(),
            "total_tokens": self.total_input() + self.total_output(),
        });
        let written = self.cache_write + self.cache_write_1h;
        let details =
            [("cached_tokens", self.cache_read), (CACHE_WRITE, written), (CACHE_WRITE_1H, self.cache_write_1h)];
        for (name, tokens) in details.into_iter().filter(|(_, tokens)| *tokens > 0) {
            usage["prompt_tokens_details"][name] = json!(tokens);
        }
        if self.reasoning > 0 {
            usage["completion_tokens_details"] = json!({"reasoning_tokens": self.reasoning});
        }
        usage
    }

    /// This and what another answer took.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let is_estimated = [self.source, other.source].contains(&Source::Estimated);
        Self {
            input: self.input + other.input,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
            cache_write_1h: self.cache_write_1h + other.cache_write_1h,
            output: self.output + other.output,
            reasoning: self.reasoning + other.reasoning,
            source: if is_estimated { Source::Estimated } else { Source::Reported },
        }
    }

    /// All input tokens: what OpenAI calls `prompt_tokens`.
    #[must_use]
    pub fn total_input(&self) -> u64 {
        self.input + self.cache_read + self.cache_write + self.cache_write_1h
    }

    /// All output tokens: what OpenAI calls `completion_tokens`.
    #[must_use]
    pub fn total_output(&self) -> u64 {
        self.output + self.reasoning
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(input: u64, output: u64) -> Usage {
        let source = Source::Reported;
        Usage { input, cache_read: 0, cache_write: 0, cache_write_1h: 0, output, reasoning: 0, source }
    }

    #[test]
    fn reported_tokens_fall_into_disjoint_buckets() {
        let usage = Usage::from_openai(&json!({
            "prompt_tokens": 1000, "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 800},
            "completion_tokens_details": {"reasoning_tokens": 4},
        }))
        .unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.output, usage.reasoning), (200, 800, 6, 4));
        assert_eq!((usage.total_input(), usage.total_output()), (1000, 10));
    }

    #[test]
    fn details_are_written_where_they_are_not_zero() {
        let check = |cache_read: u64, reasoning: u64, expected: Value| {
            let usage = Usage { cache_read, reasoning, ..reported(3, 2) };
            assert_eq!(usage.to_openai(), expected);
            assert_eq!(Usage::from_openai(&expected), Some(usage));
        };
        check(0, 0, json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}));
        check(
            4,
            1,
            json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10,
                   "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 1}}),
        );
    }

    #[test]
    fn tokens_written_to_a_cache_are_of_two_kinds() {
        let usage = Usage { cache_read: 1, cache_write: 2, cache_write_1h: 4, ..reported(8, 16) };
        let written = json!({"prompt_tokens": 15, "completion_tokens": 16, "total_tokens": 31,
            "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 6, "cache_write_1h_tokens": 4}});
        assert_eq!(usage.to_openai(), written);
        assert_eq!(Usage::from_openai(&written), Some(usage));
    }

    #[test]
    fn reasoning_beside_the_completion_is_added_to_it() {
        let check = |total: u64, expected: (u64, u64)| {
            let usage = json!({"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": total,
                               "completion_tokens_details": {"reasoning_tokens": 5}});
            let usage = Usage::from_openai(&usage).unwrap();
            assert_eq!((usage.output, usage.reasoning), expected, "{total}");
        };
        check(24, (9, 5));
        check(19, (4, 5));
        check(0, (4, 5));
    }

    #[test]
    fn impossible_numbers_are_no_report() {
        assert_eq!(Usage::from_openai(&json!({"prompt_tokens": -1, "completion_tokens": 1})), None);
        assert_eq!(Usage::from_openai(&json!({"prompt_tokens": 1})), None);
        assert_eq!(Usage::from_openai(&json!(null)), None);
    }

    #[test]
    fn a_sum_is_estimated_where_a_part_of_it_is() {
        let one = Usage { cache_read: 2, cache_write: 4, cache_write_1h: 32, reasoning: 16, ..reported(1, 8) };
        let both = Usage { cache_read: 4, cache_write: 8, cache_write_1h: 64, reasoning: 32, ..reported(2, 16) };
        assert_eq!(one.and(&one), both);
        assert_eq!(one.and(&Usage { source: Source::Estimated, ..one }), Usage { source: Source::Estimated, ..both });
    }

    #[test]
    fn messages_and_an_answer_are_estimated() {
        let messages = json!([{"role": "user", "content": "hello"}]);
        let usage = Usage::estimate(&messages.to_string(), "hello");
        let expected = count(messages.as_array().unwrap(), &RawMap::new()).total();
        assert_eq!((usage.input, usage.output, usage.source), (expected, estimate_tokens("hello"), Source::Estimated));
        assert_eq!(Usage::estimate("", "").total_input(), 0);
        assert_eq!(Usage::estimate("a text", "").input, estimate_tokens("a text"));
    }
}
