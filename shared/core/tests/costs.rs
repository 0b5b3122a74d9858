//! What answers cost at the shipped prices, by hand: one usage for each shape in which providers
//! report tokens, as it is once their adapters have made it OpenAI's.

use serde_json::{Value, json};
use turnwise_core::catalogue::Catalogue;
use turnwise_core::money::PicoUsd;
use turnwise_core::usage::Usage;

fn check(provider: &str, model: &str, usage: &Value, expected: i128) {
    let priced = Catalogue::shipped().get(provider, model);
    let usage = Usage::from_openai(usage);
    let cost = priced.zip(usage.as_ref()).map(|(model, usage)| model.price.cost(usage));
    assert_eq!(cost, Some(PicoUsd(expected)), "{provider}/{model}: {usage:?}");
}

/// A usage of plain tokens.
fn plain(input: u64, output: u64) -> Value {
    json!({"prompt_tokens": input, "completion_tokens": output})
}

#[test]
fn the_check_value_of_the_design_comes_out() {
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010,
        "prompt_tokens_details": {"cached_tokens": 800}});
    check("openai", "gpt-4o-mini", &usage, 96_000_000);
    assert_eq!(PicoUsd(96_000_000).to_string(), "0.000096");
}

#[test]
fn each_providers_usage_is_charged_by_its_buckets() {
    // OpenAI: cached among the input, reasoning among the output. 1500 x 0.75 + 500 x 0.075 + 300 x 4.5.
    let usage = json!({"prompt_tokens": 2000, "completion_tokens": 300, "total_tokens": 2300,
        "prompt_tokens_details": {"cached_tokens": 500}, "completion_tokens_details": {"reasoning_tokens": 200}});
    check("openai", "gpt-5.4-mini", &usage, 2_512_500_000);

    // Anthropic: read, written for minutes, written for an hour. 100 x 4 + 1000 x 0.2 + 300 x 5 + 200 x 8 + 50 x 20.
    let usage = json!({"prompt_tokens": 1600, "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 500, "cache_write_1h_tokens": 200}});
    check("anthropic", "claude-opus-5-5", &usage, 4_700_000_000);

    // Gemini: thoughts are among the output. 600 x 1.25 + 400 x 0.125 + 80 x 10.
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 80, "total_tokens": 1080,
        "prompt_tokens_details": {"cached_tokens": 400}, "completion_tokens_details": {"reasoning_tokens": 60}});
    check("gemini", "gemini-2.5-pro", &usage, 1_600_000_000);

    // Bedrock: 800 x 0.06 + 200 x 0.015 + 100 x 0.24.
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 200}});
    check("bedrock", "amazon.nova-lite-v1:0", &usage, 75_000_000);

    // xAI: reasoning stands beside the completion, as the total shows. 100 x 2 + 50 x 6.
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 150,
        "completion_tokens_details": {"reasoning_tokens": 30}});
    check("xai", "grok-4.7", &usage, 500_000_000);

    // DeepSeek: its own names for what was cached. 100 x 0.3 + 900 x 0.006 + 10 x 1.2.
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010,
        "prompt_cache_hit_tokens": 900, "prompt_cache_miss_tokens": 100});
    check("deepseek", "deepseek-v4-flash", &usage, 47_400_000);

    // OpenRouter: written without a word of how long. 700 x 1 + 100 x 0.1 + 200 x 1.25 + 10 x 5.
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 200}});
    check("anthropic", "claude-haiku-4-5", &usage, 1_010_000_000);

    // Embeddings: input alone. 8 x 0.02.
    check("openai", "text-embedding-3-small", &plain(8, 0), 160_000);
}

#[test]
fn a_long_input_is_priced_anew_as_a_whole_from_the_first_token_beyond_the_threshold() {
    check("openai", "gpt-6-sol", &plain(272_000, 100), 545_000_000_000);
    check("openai", "gpt-6-sol", &plain(272_001, 100), 1_089_504_000_000);
    check("gemini", "gemini-2.5-pro", &plain(200_000, 1), 250_010_000_000);
    check("gemini", "gemini-2.5-pro", &plain(200_001, 1), 500_017_500_000);
    check("anthropic", "claude-haiku-5-5", &plain(100_000, 10), 10_005_000_000);
    check("anthropic", "claude-haiku-5-5", &plain(100_001, 10), 50_025_500_000);
    // Cached tokens count towards the threshold.
    let cached =
        json!({"prompt_tokens": 200_001, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 200_000}});
    check("gemini", "gemini-2.5-pro", &cached, 2_500_000 + 200_000 * 250_000);
}
