//! The memory of a process is never stale: whatever two processes do to conversations
//! on one table, each turn is sent what its conversation holds at that moment.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use turnwise_core::digest::Digest;
use turnwise_core::id::{ConversationId, Tenant};
use turnwise_core::items::parse_items;
use turnwise_core::limits::HISTORY_TURNS;
use turnwise_core::time::Timestamp;
use turnwise_engine::Engine;
use turnwise_engine::clock::{Clock, Manual};
use turnwise_engine::conversations::{Addition, ItemQuery, Order};
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

/// Two processes on one table, and what their conversations hold by the test's own book:
/// the messages of each row.
struct World {
    engines: [Engine; 2],
    provider: ScriptedProvider,
    rows: Vec<Vec<Vec<String>>>,
    _table: Table,
}

impl World {
    async fn start() -> Self {
        let (table, provider) = (Table::start().await, ScriptedProvider::start().await);
        provider.otherwise(Script::answer("an answer"));
        // One with room for everything, one that forgets most of what it reads.
        let mut engines = [rig::engine(&table, provider.base_url()), rig::engine(&table, provider.base_url())];
        engines[1].memory = Memory::of_bytes(4_000);
        Self { engines, provider, rows: vec![Vec::new(); 3], _table: table }
    }

    /// A turn, which must be sent what its conversation holds.
    async fn talk(&mut self, process: usize, at: usize, step: usize) {
        let (_, answer) = self.engines[process].answer(request(&name(at), step)).await.unwrap();
        let question = format!("{} question {step}", name(at));
        let window = self.rows[at].len().saturating_sub(HISTORY_TURNS);
        let known = self.rows[at][window..].iter().flatten().cloned();
        assert_eq!(sent(&self.provider), known.chain([question.clone()]).collect::<Vec<_>>());
        let body: Value = serde_json::from_str(answer.output.get()).unwrap();
        let text = body["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
        self.rows[at].push(vec![question, text]);
    }

    async fn add(&mut self, process: usize, at: usize, step: usize) {
        let text = format!("{} added {step}", name(at));
        let items = json!([{"role": "user", "content": text}]);
        let items = parse_items("items", &items).unwrap();
        let addition = Addition { items, key: None, request_hash: Digest::of(&text) };
        self.engines[process].add_items(&rig::caller(), &conversation(at), addition).await.unwrap();
        self.rows[at].push(vec![text]);
    }

    /// Deletes the newest item.
    async fn delete(&mut self, process: usize, at: usize) {
        let (engine, conversation) = (&self.engines[process], conversation(at));
        let query = ItemQuery { after: None, limit: 1, order: Order::Descending };
        let page = engine.list_items(&Tenant::default_tenant(), &conversation, &query).await.unwrap();
        let Some(id) = page.items.first().and_then(|item| item["id"].as_str()) else { return };
        engine.delete_item(&rig::caller(), &conversation, id).await.unwrap();
        let newest = self.rows[at].iter_mut().rev().find(|row| !row.is_empty());
        newest.expect("there was an item").pop();
    }
}

fn name(at: usize) -> String {
    format!("c{at}")
}

fn conversation(at: usize) -> ConversationId {
    ConversationId::parse("c", &name(at)).unwrap()
}

#[tokio::test]
async fn whichever_process_a_turn_comes_to_it_is_sent_the_history_as_it_is() {
    let mut hits = 0;
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut world = World::start().await;
        let mut rng = StdRng::seed_from_u64(seed);
        for step in 0..STEPS {
            let (process, at) = (rng.random_range(0..2), rng.random_range(0..world.rows.len()));
            // There is a conversation from its first turn on.
            match if world.rows[at].is_empty() { 9 } else { rng.random_range(0..10) } {
                0 | 1 => world.add(process, at, step).await,
                2 | 3 => world.delete(process, at).await,
                _ => world.talk(process, at, step).await,
            }
        }
        hits += world.engines.iter().map(|engine| engine.memory.stats().hits).sum::<u64>();
    }
    assert!(hits > SEEDS, "a memory that never serves proves nothing");
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
