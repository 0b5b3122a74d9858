//! What it takes to choose a model: `cargo bench -p turnwise-tests --bench route`.
//!
//! Absolute times are this machine's; compare within one run: a score with the SHA-256 of the
//! same text, which the first table gives as a ratio. Nothing here allocates, and divan's
//! allocator would say so.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may stop where it breaks, and prints a table"
)]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher};
use turnwise_core::digest::Digest;
use turnwise_core::money::Price;
use turnwise_core::route::{Capabilities, Facts, Health, Lexicon, Need, Objective, Registry, Set, Tier, score, select};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// From a short question to the longest body there is.
const BYTES: [usize; 4] = [100, 500, 8 << 10, 1 << 20];

/// Models to choose from: twice the catalogue.
const MODELS: usize = 100;

/// How often each side of a ratio is timed; the fastest counts.
const ROUNDS: usize = 200;

const PROSE: &str = include_str!("../fixtures/prose.txt");

fn main() {
    print_ratios();
    divan::main();
}

fn text(bytes: usize) -> String {
    let mut text = PROSE.repeat(bytes / PROSE.len() + 1);
    while !text.is_char_boundary(bytes) {
        text.insert(0, 'x');
    }
    text.truncate(bytes);
    text
}

fn print_ratios() {
    println!("{:>8}  {:>10}  {:>10}  {:>6}", "bytes", "score", "SHA-256", "ratio");
    for bytes in BYTES {
        let text = text(bytes);
        let scored = fastest(|| _ = black_box(score(black_box(&text), 0, Lexicon::shipped())));
        let hashed = fastest(|| _ = black_box(Digest::of(black_box(&text))));
        let ratio = scored.as_secs_f64() / hashed.as_secs_f64();
        println!("{bytes:>8}  {scored:>10.2?}  {hashed:>10.2?}  {ratio:>6.2}");
    }
}

/// The mean of a batch that takes long enough to be timed, the fastest of some.
fn fastest(mut work: impl FnMut()) -> Duration {
    const BATCH: u32 = 64;
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        (0..BATCH).for_each(|_| work());
        fastest = fastest.min(began.elapsed() / BATCH);
    }
    fastest
}

fn registry() -> Registry {
    Registry::new((0..MODELS).map(|at| {
        let price = i128::try_from(at * 7 % 31 + 1).unwrap() * 100_000;
        Facts {
            name: format!("provider-{}/model-{at}", at % 8),
            can: Capabilities::of(["tools", "vision", "json_schema"].into_iter().take(at % 4)),
            context_tokens: Some(128_000 << (at % 4)),
            max_output_tokens: Some(16_384),
            price: Some(Price::of(price, 4 * price)),
            tier: Tier::ALL[at % 3],
        }
    }))
}

#[divan::bench(args = BYTES)]
fn scored(bencher: Bencher<'_, '_>, bytes: usize) {
    let text = text(bytes);
    bencher.counter(BytesCount::of_str(&*text)).bench(|| score(black_box(&text), 3, Lexicon::shipped()));
}

#[divan::bench(args = BYTES)]
fn hashed_by_sha_256(bencher: Bencher<'_, '_>, bytes: usize) {
    let text = text(bytes);
    bencher.counter(BytesCount::of_str(&*text)).bench(|| Digest::of(black_box(&text)));
}

#[divan::bench(args = Objective::ALL)]
fn selected_among_100(bencher: Bencher<'_, '_>, objective: Objective) {
    let registry = registry();
    let p50_ms: Vec<Option<u32>> = (0..100).map(|at| (at % 3 > 0).then_some(at * 37 % 900)).collect();
    let health = Health { open: Set::NONE, p50_ms: &p50_ms };
    let can = Capabilities::of(["tools"]);
    let need = Need { can, input_tokens: 900, output_tokens: 500, tier: Tier::Medium, objective, ..Need::default() };
    bencher.bench(|| select(black_box(&registry), black_box(&health), black_box(&need)));
}
