//! `OpenAI`'s tokenizers, which it has published.

use std::collections::HashSet;

use serde_json::Value;
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};
use turnwise_core::generation::Generation;
use turnwise_core::tokens::{Tokenizer, count_with, estimate_tokens};

use super::{Count, of};

/// `None` where the messages cannot be read.
pub(super) fn count(tokenizer: Tokenizer, generation: &Generation) -> Option<Count> {
    let messages: Vec<Value> = serde_json::from_str(generation.input_text()).ok()?;
    // Each is made at its first use, and stays.
    let tokenizer = match tokenizer {
        Tokenizer::O200k => o200k_base_singleton(),
        Tokenizer::Cl100k => cl100k_base_singleton(),
    };
    let mut is_whole = true;
    let counted = count_with(&messages, &generation.fields, |text| {
        tokens_of(tokenizer, text).unwrap_or_else(|| {
            is_whole = false;
            estimate_tokens(text)
        })
    });
    let count = of(counted);
    Some(Count { is_exact: count.is_exact && is_whole, ..count })
}

/// `None` for a text that is too long a run of one kind for the regular expression that
/// splits it.
fn tokens_of(tokenizer: &CoreBPE, text: &str) -> Option<u64> {
    // Of the tokenizer's ways to count it is the one that does not panic there. Nothing in a
    // client's text is a special token.
    let (tokens, _) = tokenizer.encode(text, &HashSet::new()).ok()?;
    u64::try_from(tokens.len()).ok()
}
