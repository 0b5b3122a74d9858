//! What a request takes at most.

use serde_json::Value;

use crate::json::RawMap;
use crate::money::{PicoUsd, Price};
use crate::tokens::{Scale, count};

/// What an estimate of text is multiplied with to be surely enough: it is within 7 % for the
/// texts that were measured, and others' tokenizers differ by less than the rest.
const SAFETY: Scale = Scale::percent(150);

/// Tokens that stand around a message at most, whoever counts: its role and its marks.
const AROUND_MESSAGE: u64 = 16;

/// Tokens that providers put around tools and formats by themselves: Anthropic documents
/// some hundreds.
const AROUND_TOOLS: u64 = 1_000;

/// Tokens of an attachment at most: the dearest image there is, gpt-4o-mini's of eight tiles.
/// Of documents and sounds nobody can tell, but the model's context ends them.
const MOST_ATTACHMENT: u64 = 50_000;

/// Most input tokens of a chat completion request, its text estimated with `scale`, of a
/// model that takes `context` tokens. No text has more tokens than bytes.
#[must_use]
pub fn most_input(messages: &[Value], fields: &RawMap, scale: Scale, context: Option<u64>) -> u64 {
    let counted = count(messages, fields);
    let estimate = SAFETY.of(scale.of(counted.text).max(counted.text));
    let raw = |name: &str| fields.get(name).map_or(0, |raw| raw.get().len());
    let (tools, format) = (raw("tools"), raw("response_format"));
    let bytes = messages.iter().map(|message| message.to_string().len()).sum::<usize>() + tools + format;
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);

    let text = estimate.min(bytes).saturating_add(AROUND_MESSAGE.saturating_mul(messages.len() as u64));
    let tools = if tools + format > 0 { AROUND_TOOLS } else { 0 };
    let attachments = counted.attachments.saturating_mul(MOST_ATTACHMENT);
    let all = text.saturating_add(tools).saturating_add(attachments);
    context.map_or(all, |context| all.min(context))
}

/// How many answers a request wants, and the output tokens that it names for each.
#[must_use]
pub fn named_output(fields: &RawMap) -> (u64, Option<u64>) {
    let number = |name: &str| fields.get(name).and_then(|raw| serde_json::from_str::<Option<u64>>(raw.get()).ok()?);
    let most = number("max_completion_tokens").or_else(|| number("max_tokens"));
    (number("n").unwrap_or(1).max(1), most)
}

/// What `input` and `output` tokens cost at most: each at the dearest price it may have, as
/// nobody knows what will be written to the provider's cache or found there.
#[must_use]
pub fn worst_cost(price: &Price, input: u64, output: u64) -> PicoUsd {
    let tier = price.long_context.filter(|tier| input > tier.above_input_tokens);
    let inputs = [Some(price.input), price.cache_read, price.cache_write, price.cache_write_1h];
    let of_tier = tier.map_or([None; 3], |tier| [tier.input, tier.cache_read, tier.cache_write]);
    let dearest = inputs.into_iter().chain(of_tier).flatten().max().unwrap_or(0);
    let outputs = [Some(price.output), price.reasoning, tier.and_then(|tier| tier.output.max(tier.reasoning))];
    let written = outputs.into_iter().flatten().max().unwrap_or(0);
    PicoUsd(i128::from(input) * dearest + i128::from(output) * written)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::money::LongContext;
    use crate::usage::{Source, Usage};

    fn input(messages: Value, context: Option<u64>) -> u64 {
        most_input(messages.as_array().unwrap(), &RawMap::new(), Scale::ONE, context)
    }

    #[test]
    fn no_text_is_taken_for_more_tokens_than_bytes() {
        let message = |text: &str| json!([{"role": "user", "content": text}]);
        let dense = message("1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
        assert!(input(dense.clone(), None) <= dense[0].to_string().len() as u64 + AROUND_MESSAGE);
        // Prose is far from it.
        let prose = message(&"It was a dark and stormy night. ".repeat(100));
        let estimate = count(prose.as_array().unwrap(), &RawMap::new()).total();
        assert_eq!(input(prose.clone(), None), SAFETY.of(estimate - 3 + 3) + AROUND_MESSAGE);
        assert_eq!(input(prose, Some(100)), 100, "the model takes no more");
    }

    #[test]
    fn an_attachment_is_taken_for_the_dearest() {
        let with = |parts: Value| input(json!([{"role": "user", "content": parts}]), None);
        let image = json!({"type": "image_url", "image_url": {"url": "a"}});
        assert!(with(json!([image, image])) >= 2 * MOST_ATTACHMENT);
    }

    #[test]
    fn the_dearest_price_counts() {
        let tier = LongContext {
            above_input_tokens: 100,
            input: Some(4),
            output: Some(15),
            cache_read: None,
            cache_write: Some(6),
            reasoning: None,
        };
        let price = Price { cache_write: Some(3), long_context: Some(tier), ..Price::of(2, 10) };
        assert_eq!(worst_cost(&price, 100, 1), PicoUsd(310));
        assert_eq!(worst_cost(&price, 101, 1), PicoUsd(621));
        let usage = Usage {
            input: 0,
            cache_read: 0,
            cache_write: 101,
            cache_write_1h: 0,
            output: 1,
            reasoning: 0,
            source: Source::Reported,
        };
        assert!(price.cost(&usage) <= worst_cost(&price, 101, 1));
    }

    #[test]
    fn several_answers_are_several_times_the_output() {
        let named = |text: &str| named_output(&crate::json::raw_fields(text.as_bytes()).unwrap());
        assert_eq!(named("{}"), (1, None));
        assert_eq!(named(r#"{"max_tokens":5}"#), (1, Some(5)));
        assert_eq!(named(r#"{"max_tokens":5,"max_completion_tokens":6,"n":3}"#), (3, Some(6)));
        assert_eq!(named(r#"{"max_tokens":null,"n":null}"#), (1, None));
    }
}
