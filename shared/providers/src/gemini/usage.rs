//! What an answer took: `usageMetadata` into buckets.

use serde_json::Value;
use turnwise_core::usage::{Source, Usage};

/// Above this a number of tokens is none: a thousand times what any model takes in and
/// gives, and far below what sums of it could overflow.
const MAX_TOKENS: u64 = 1 << 30;

/// The usage that `metadata` reports; `None` where it reports none, or numbers that
/// cannot be.
///
/// `promptTokenCount` includes `cachedContentTokenCount`. Whether `thoughtsTokenCount` is
/// part of `candidatesTokenCount`, and `toolUsePromptTokenCount` of `promptTokenCount`, has
/// differed between models: the total shows it. Where it fits neither way, they are beside,
/// as the API documents it.
pub(super) fn read(metadata: &Value) -> Option<Usage> {
    let number = |name: &str| match metadata.get(name) {
        // Zero is left out.
        None | Some(Value::Null) => Some(0),
        Some(value) => value.as_u64().filter(|tokens| *tokens <= MAX_TOKENS),
    };
    let (prompt, cached) = (number("promptTokenCount")?, number("cachedContentTokenCount")?);
    let (candidates, thoughts) = (number("candidatesTokenCount")?, number("thoughtsTokenCount")?);
    let (tools, total) = (number("toolUsePromptTokenCount")?, number("totalTokenCount")?);
    if prompt == 0 {
        return None;
    }
    let ways = [(tools, thoughts), (tools, 0), (0, thoughts), (0, 0)];
    let fits = |(tools, thoughts): &(u64, u64)| prompt + tools + candidates + thoughts == total;
    let (tools_beside, thoughts_beside) = ways.into_iter().find(fits).unwrap_or((tools, thoughts));

    let input = prompt + tools_beside;
    let output = candidates + thoughts_beside;
    let (cache_read, reasoning) = (cached.min(input), thoughts.min(output));
    Some(Usage {
        input: input - cache_read,
        cache_read,
        cache_write: 0,
        cache_write_1h: 0,
        output: output - reasoning,
        reasoning,
        source: Source::Reported,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `(prompt, cached, tools, candidates, thoughts, total)` to `(input, cached, output, reasoning)`.
    fn check(given: [u64; 6], expected: [u64; 4]) {
        let names = [
            "promptTokenCount",
            "cachedContentTokenCount",
            "toolUsePromptTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
            "totalTokenCount",
        ];
        let metadata: Value =
            Value::Object(names.iter().zip(given).map(|(name, n)| ((*name).to_owned(), json!(n))).collect());
        let usage = read(&metadata).unwrap();
        assert_eq!([usage.input, usage.cache_read, usage.output, usage.reasoning], expected, "{metadata}");
    }

    #[test]
    fn thoughts_are_inside_the_candidates_or_beside_as_the_total_shows() {
        check([10, 0, 0, 20, 0, 30], [10, 0, 20, 0]);
        check([10, 0, 0, 20, 5, 35], [10, 0, 20, 5]);
        check([10, 0, 0, 20, 5, 30], [10, 0, 15, 5]);
        check([10, 0, 0, 20, 5, 0], [10, 0, 20, 5]);
        check([10, 0, 0, 0, 5, 15], [10, 0, 0, 5]);
    }

    #[test]
    fn a_prompt_includes_what_was_cached() {
        check([1000, 800, 0, 20, 0, 1020], [200, 800, 20, 0]);
        check([10, 20, 0, 1, 0, 11], [0, 10, 1, 0]);
    }

    #[test]
    fn what_tools_put_in_is_input() {
        check([10, 0, 7, 20, 5, 42], [17, 0, 20, 5]);
        check([10, 0, 7, 20, 5, 35], [10, 0, 20, 5]);
        check([10, 0, 7, 20, 5, 37], [17, 0, 15, 5]);
    }

    #[test]
    fn impossible_numbers_are_no_report() {
        for none in [
            json!(null),
            json!([]),
            json!({}),
            json!({"promptTokenCount": -1}),
            json!({"promptTokenCount": "1"}),
            json!({"promptTokenCount": u64::MAX}),
            json!({"promptTokenCount": 1, "totalTokenCount": u64::MAX}),
        ] {
            assert_eq!(read(&none), None, "{none}");
        }
    }
}
