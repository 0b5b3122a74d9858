//! The memory of a process is never stale: whatever two processes do to conversations
//! on one table, each turn is sent what its conversation holds at that moment.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use turnwise_core::limits::HISTORY_TURNS;
use turnwise_core::time::Timestamp;
use turnwise_engine::Engine;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::memory::Memory;
use turnwise_engine::random::Random;
use turnwise_engine::turn::TurnRequest;
use turnwise_tests::rig;
use turnwise_tests::scripted::{Script, ScriptedProvider};
use turnwise_tests::table::Table;

const MODEL: &str = "openai/gpt-4o-mini";

/// Runs with different numbers, and steps of each.
const SEEDS: u64 = 20;
const STEPS: usize = 60;

fn request(conversation: &str, turn: usize) -> TurnRequest {
    rig::request(conversation, &format!("t{turn}"), &format!("{conversation} question {turn}"), MODEL)
}

/// What the provider was sent last.
fn sent(provider: &ScriptedProvider) -> Vec<String> {
    let messages = provider.requests().last().map(|request| request.body["messages"].clone()).unwrap_or_default();
    let texts =
        messages.as_array().into_iter().flatten().map(|message| message["content"].as_str().unwrap().to_owned());
    texts.collect()
}

#[tokio::test]
async fn whichever_process_a_turn_comes_to_it_is_sent_the_history_as_it_is() {
    for seed in 0..SEEDS {
        let (table, provider) = (Table::start().await, ScriptedProvider::start().await);
        provider.otherwise(Script::answer("an answer"));
        // One with room for everything, one that forgets most of what it reads.
        let mut engines = [rig::engine(&table, provider.base_url()), rig::engine(&table, provider.base_url())];
        engines[1].memory = Memory::of_bytes(4_000);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut histories: Vec<Vec<String>> = vec![Vec::new(); 3];
        for step in 0..STEPS {
            let at = rng.random_range(0..histories.len());
            let name = format!("c{at}");
            let engine = &engines[rng.random_range(0..engines.len())];
            let history = &mut histories[at];
            let (_, answer) = engine.answer(request(&name, step)).await.unwrap();
            let question = format!("{name} question {step}");
            let window = history.len().saturating_sub(2 * HISTORY_TURNS);
            let expected: Vec<String> = history[window..].iter().cloned().chain([question.clone()]).collect();
            assert_eq!(sent(&provider), expected, "seed {seed}, step {step}");
            let body: Value = serde_json::from_str(answer.output.get()).unwrap();
            let text = body["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
            history.extend([question, text]);
        }
        let hits = engines.each_ref().map(|engine| engine.memory.stats().hits);
        assert!(hits[0] > 0, "seed {seed}: a memory that never serves proves nothing");
    }
}

#[tokio::test]
async fn a_process_that_goes_on_with_a_conversation_reads_it_once() {
    let (table, provider) = (Table::start().await, ScriptedProvider::start().await);
    provider.otherwise(Script::answer("an answer"));
    let engine = rig::engine(&table, provider.base_url());
    for turn in 0..30 {
        engine.answer(request("c", turn)).await.unwrap();
    }
    let stats = engine.memory.stats();
    assert_eq!((stats.hits, stats.misses, stats.conversations), (29, 0, 1), "the first turn made the conversation");
}

#[tokio::test]
async fn what_has_expired_is_no_longer_remembered() {
    const KEPT: Duration = Duration::from_secs(3600);
    let (table, provider) = (Table::start().await, ScriptedProvider::start().await);
    provider.otherwise(Script::answer("an answer"));
    let manual = Manual::new(Timestamp(1_795_276_800_000));
    let clock = Clock::Manual(Arc::clone(&manual));
    let engine = rig::engine(&table, provider.base_url()).with_time_and_chance(clock.clone(), Random::seeded(1));
    let engine = engine.with_retention(Some(KEPT));
    engine.answer(request("c", 0)).await.unwrap();
    rig::pass(&clock, &manual, KEPT / 2).await;
    engine.answer(request("c", 1)).await.unwrap();
    rig::pass(&clock, &manual, KEPT / 2).await;
    engine.answer(request("c", 2)).await.unwrap();
    assert_eq!(sent(&provider), ["c question 1", "an answer", "c question 2"]);
    assert_eq!(engine.memory.stats().misses, 0);
}

#[tokio::test]
async fn the_memory_stays_within_its_bytes() {
    const BYTES: u64 = 64 * 1024;
    let (table, provider) = (Table::start().await, ScriptedProvider::start().await);
    provider.otherwise(Script::answer(&"word ".repeat(2000)));
    let mut engine: Engine = rig::engine(&table, provider.base_url());
    engine.memory = Memory::of_bytes(BYTES);
    for conversation in 0..40 {
        engine.answer(request(&format!("c{conversation}"), 0)).await.unwrap();
        assert!(engine.memory.stats().bytes <= BYTES, "{:?}", engine.memory.stats());
    }
    assert!(engine.memory.stats().conversations < 40);
    assert_eq!(json!(sent(&provider).len()), 1);
}
