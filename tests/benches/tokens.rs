//! What it takes to estimate a text's tokens, beside counting its characters and beside the
//! tokenizer. `cargo bench -p turnwise-tests --bench tokens`.
//!
//! Absolute times are this machine's; compare within one run. The ratios are the estimate
//! over the tokenizer's count, and the characters over four beside it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may stop where it breaks, and says what it found"
)]

use std::hint::black_box;

use divan::Bencher;
use divan::counter::BytesCount;
use serde_json::json;
use turnwise_core::generation::Generation;
use turnwise_core::json::{RawMap, raw_fields};
use turnwise_core::tokens::{count, estimate_tokens};
use turnwise_providers::count::with_tokenizers;

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../fixtures/texts/", $name, ".txt")))),*]
    };
}

const TEXTS: [(&str, &str); 16] = texts![
    "english", "german", "french", "russian", "chinese", "japanese", "arabic", "hindi", "rust", "python", "json",
    "markdown", "emoji", "base64", "digits", "urls",
];

/// Those that are timed: one of each kind.
const TIMED: [&str; 4] = ["english", "chinese", "rust", "base64"];

/// A kilobyte is little, and a hundred what a long conversation has.
const BYTES: usize = 100 * 1024;

fn main() {
    println!("{:<10} {:>7} {:>9} {:>8}", "text", "tokens", "estimate", "chars/4");
    for (name, text) in TEXTS {
        let tokens = exact(&request(text));
        let around = exact(&request(""));
        #[expect(clippy::cast_precision_loss, reason = "counts of some thousands")]
        let ratio = |estimated: u64| estimated as f64 / (tokens - around) as f64;
        let (ours, chars) = (ratio(estimate_tokens(text)), ratio(chars_over_four(text)));
        println!("{name:<10} {:>7} {ours:>9.2} {chars:>8.2}", tokens - around);
    }
    divan::main();
}

fn chars_over_four(text: &str) -> u64 {
    u64::try_from(text.chars().count().div_ceil(4)).unwrap()
}

fn request(text: &str) -> Generation {
    let fields = json!({"messages": [{"role": "user", "content": text}]});
    Generation { model: "gpt-4o".to_owned(), fields: raw_fields(fields.to_string().as_bytes()).unwrap() }
}

fn exact(generation: &Generation) -> u64 {
    with_tokenizers("openai", "gpt-4o", generation).unwrap().tokens
}

fn long(name: &str) -> String {
    let (_, text) = TEXTS.iter().find(|(other, _)| *other == name).unwrap();
    text.repeat(BYTES / text.len() + 1)
}

#[divan::bench(args = TIMED)]
fn estimated(bencher: Bencher<'_, '_>, name: &str) {
    let text = long(name);
    bencher.counter(BytesCount::of_str(&*text)).bench(|| estimate_tokens(black_box(&text)));
}

#[divan::bench(args = TIMED)]
fn characters_counted(bencher: Bencher<'_, '_>, name: &str) {
    let text = long(name);
    bencher.counter(BytesCount::of_str(&*text)).bench(|| chars_over_four(black_box(&text)));
}

#[divan::bench(args = TIMED)]
fn tokenized(bencher: Bencher<'_, '_>, name: &str) {
    let text = long(name);
    let request = request(&text);
    bencher.counter(BytesCount::of_str(&*text)).bench(|| exact(black_box(&request)));
}

/// A conversation of twenty turns, as it is measured for every turn.
#[divan::bench]
fn conversation_estimated(bencher: Bencher<'_, '_>) {
    let (_, text) = TEXTS[0];
    let messages: Vec<_> = (0..40).map(|_| json!({"role": "user", "content": text})).collect();
    bencher.counter(BytesCount::new(40 * text.len())).bench(|| count(black_box(&messages), &RawMap::new()).total());
}
