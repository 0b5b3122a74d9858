//! How many tokens a request is, where that can be known exactly.
//!
//! A [`Counter`] is a plain function that composition hands to the engine, because a
//! tokenizer's vocabulary is some megabytes of a binary and only who names [`with_tokenizers`] has
//! them: the function that serves the counting routes, and the local runner. All others
//! estimate. `infra/decisions/token-counting.md` has the measurement.
//!
//! An upstream with a counting endpoint of its own is asked by its adapter, as that is a
//! call over the network: where a counter knows nothing, before the estimate is taken.

mod openai;

use turnwise_core::generation::Generation;
use turnwise_core::tokens::{Counted, Family};

use crate::echo;

/// Tokens of a request that is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub tokens: u64,
    /// Whether they are what the provider would report: its own tokenizer counted them, and
    /// nothing is in the request whose tokens only the provider knows (an image, a tool).
    pub is_exact: bool,
}

impl Count {
    /// What somebody counted.
    #[must_use]
    pub const fn exact(tokens: u64) -> Self {
        Self { tokens, is_exact: true }
    }

    /// What nobody counted.
    #[must_use]
    pub const fn estimated(tokens: u64) -> Self {
        Self { tokens, is_exact: false }
    }
}

/// Counts a request to a provider's model; `None` where it knows no tokenizer of it.
/// Arguments: the provider's name, the model's own name, the request.
pub type Counter = fn(&str, &str, &Generation) -> Option<Count>;

/// Counts for whoever has a tokenizer: `local/echo`, and by their names the models of
/// `OpenAI`, whoever serves them. A [`Counter`]. Takes 0.2 s of one processor and 45 MB at
/// its first use, then some 20 ms a megabyte: not for a thread that others wait for.
#[must_use]
pub fn with_tokenizers(provider: &str, model: &str, generation: &Generation) -> Option<Count> {
    match Family::of(provider, model) {
        Family::OpenAi(tokenizer) => openai::count(tokenizer, generation),
        Family::Echo | Family::Anthropic | Family::Gemini | Family::Other => {
            without_tokenizers(provider, model, generation)
        }
    }
}

/// Counts for `local/echo` alone, and links no vocabulary. A [`Counter`].
#[must_use]
pub fn without_tokenizers(provider: &str, model: &str, generation: &Generation) -> Option<Count> {
    match Family::of(provider, model) {
        Family::Echo => Some(Count { tokens: echo::input_tokens(generation), is_exact: true }),
        Family::OpenAi(_) | Family::Anthropic | Family::Gemini | Family::Other => None,
    }
}

const fn of(counted: Counted) -> Count {
    Count { tokens: counted.total(), is_exact: counted.is_documented }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use turnwise_core::json::raw_fields;
    use turnwise_core::tokens;

    use super::*;
    use crate::call::Call;

    fn generation(model: &str, fields: &Value) -> Generation {
        Generation { model: model.to_owned(), fields: raw_fields(fields.to_string().as_bytes()).unwrap() }
    }

    fn counted(provider: &str, model: &str, fields: &Value) -> Option<Count> {
        with_tokenizers(provider, model, &generation(model, fields))
    }

    /// The example of `OpenAI`, "How to count tokens with tiktoken", with what it says its
    /// API has reported for it.
    #[test]
    fn messages_are_counted_as_openai_reports_them() {
        let example = json!({"messages": [
            {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
            {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
            {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
            {"role": "system", "name": "example_user", "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
            {"role": "system", "name": "example_assistant", "content": "Let's talk later when we're less busy about how to do better."},
            {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable."},
        ]});
        for (model, reported) in [("gpt-3.5-turbo", 129), ("gpt-4-0613", 129), ("gpt-4o", 124), ("gpt-4o-mini", 124)] {
            assert_eq!(counted("openai", model, &example), Some(Count { tokens: reported, is_exact: true }), "{model}");
        }
        assert_eq!(counted("groq", "openai/gpt-oss-20b", &example).map(|count| count.tokens), Some(124));
    }

    #[test]
    fn what_nobody_documents_is_counted_and_not_exact() {
        let plain = json!({"role": "user", "content": "hello"});
        let of = |fields: Value| counted("openai", "gpt-4o", &fields).unwrap();
        let alone = of(json!({"messages": [plain]}));
        assert_eq!(alone, Count { tokens: 3 + 1 + 1 + 3, is_exact: true });
        for fields in [
            json!({"messages": [plain], "tools": [{"type": "function", "function": {"name": "f"}}]}),
            json!({"messages": [plain], "response_format": {"type": "json_object"}}),
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
        ] {
            let count = of(fields.clone());
            assert!(!count.is_exact && count.tokens > alone.tokens, "{fields}");
        }
    }

    #[test]
    fn special_tokens_in_a_text_are_text() {
        let of = |text: &str| {
            counted("openai", "gpt-4o", &json!({"messages": [{"role": "user", "content": text}]})).unwrap()
        };
        assert!(of("<|endoftext|>").tokens > of("a").tokens + 3);
    }

    #[test]
    fn a_text_that_the_tokenizer_cannot_split_is_left_to_the_estimate() {
        let of = |text: String| counted("openai", "gpt-4o", &json!({"messages": [{"role": "user", "content": text}]}));
        for text in [" ".repeat(2_000_000), "a".repeat(200_000), "\n ".repeat(300_000), "<|endoftext|>".repeat(20_000)]
        {
            let count = of(text);
            assert!(count.is_none_or(|count| count.tokens > 0), "and no panic");
        }
    }

    #[tokio::test]
    async fn the_echo_counts_as_it_reports() {
        let fields = json!({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [
            {"type": "text", "text": "größe"}, {"type": "image_url", "image_url": {"url": "x"}}]}]});
        let generation = generation("echo", &fields);
        let call = Call { generation: generation.clone(), id: "c".to_owned(), created_s: 0, connect_timeout: None };
        let reported = crate::echo::Echo.complete(&call).await.unwrap().usage.total_input();
        let expected = Some(Count { tokens: reported, is_exact: true });
        assert_eq!(with_tokenizers("local", "echo", &generation), expected);
        assert_eq!(without_tokenizers("local", "echo", &generation), expected);
    }

    #[test]
    fn others_are_not_counted() {
        let fields = json!({"messages": [{"role": "user", "content": "hello"}]});
        for (provider, model) in
            [("anthropic", "claude-opus-5"), ("gemini", "gemini-3.8-flash"), ("openai", "my-model")]
        {
            assert_eq!(counted(provider, model, &fields), None, "{provider}/{model}");
        }
        assert_eq!(without_tokenizers("openai", "gpt-4o", &generation("gpt-4o", &fields)), None);
    }

    #[test]
    fn an_estimate_is_near_the_exact_count() {
        let text = include_str!("../../../../tests/fixtures/texts/english.txt");
        let messages = json!([{"role": "system", "content": text}, {"role": "user", "content": "Go on."}]);
        let exact = counted("openai", "gpt-4o", &json!({"messages": messages})).unwrap().tokens;
        let estimated = tokens::count(messages.as_array().unwrap(), &turnwise_core::json::RawMap::new()).total();
        assert!(estimated.abs_diff(exact) * 100 < exact * 15, "{estimated} {exact}");
    }
}
