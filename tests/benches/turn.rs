//! A turn end to end on the embedded engine, and what the gateway adds to a streamed
//! chat. `cargo bench -p turnwise-tests --bench turn`.
//!
//! Absolute times are this machine's; compare within one run: a turn with the same
//! round trips to the table alone, a streamed chat with the same call made directly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may stop where it breaks")]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use divan::Bencher;
use divan::counter::ItemsCount;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::json;
use tokio::runtime::Runtime;
use turnwise_core::generation::Generation;
use turnwise_core::id::{ConversationId, Tenant, TurnId, TurnKey};
use turnwise_engine::Engine;
use turnwise_engine::follow::Frame;
use turnwise_providers::Call;
use turnwise_tests::rig;
use turnwise_tests::scripted::{Script, ScriptedProvider};
use turnwise_tests::table::Table;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static NEXT: AtomicU64 = AtomicU64::new(0);

fn main() {
    divan::main();
}

fn unique() -> String {
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

/// An engine with what it stands on, kept alive together.
struct Bench {
    engine: Engine,
    _table: Table,
    _provider: ScriptedProvider,
}

fn bench() -> Bench {
    RUNTIME.block_on(async {
        let (table, provider) = (Table::start().await, ScriptedProvider::start().await);
        provider.otherwise(Script::chunks("an answer of a few words".split_inclusive(' ')));
        Bench { engine: rig::engine(&table, provider.base_url()), _table: table, _provider: provider }
    })
}

/// Whole turns of as many conversations at once: query, T1, provider, T2.
#[divan::bench(args = [1, 16])]
fn turn_buffered(bencher: Bencher<'_, '_>, clients: usize) {
    let bench = bench();
    bencher.counter(ItemsCount::new(clients)).bench(|| {
        RUNTIME.block_on(join_all((0..clients).map(|_| async {
            bench.engine.answer(rig::request(&unique(), "1", "hello", "local/echo")).await.unwrap();
        })));
    });
}

/// The same number of round trips to the same table, and nothing else.
#[divan::bench(args = [1, 16])]
fn table_round_trips(bencher: Bencher<'_, '_>, clients: usize) {
    let bench = bench();
    let tenant = Tenant::default_tenant();
    bencher.counter(ItemsCount::new(clients)).bench(|| {
        RUNTIME.block_on(join_all((0..clients).map(|_| async {
            let name = unique();
            let conversation = ConversationId::parse("c", &name).unwrap();
            let key = TurnKey { conversation: conversation.clone(), turn: TurnId::parse("t", "1").unwrap() };
            let store = &bench.engine.store;
            let now = bench.engine.clock.now();
            tokio::try_join!(store.open(&tenant, &conversation, 20, now), store.turn(&tenant, &key)).unwrap();
            store.turn(&tenant, &key).await.unwrap();
            store.turn(&tenant, &key).await.unwrap();
        })));
    });
}

/// A retry of a committed turn.
#[divan::bench]
fn replay(bencher: Bencher<'_, '_>) {
    let bench = bench();
    let request = rig::request("replayed", "1", "hello", "local/echo");
    RUNTIME.block_on(bench.engine.answer(request.clone())).unwrap();
    bencher.bench(|| RUNTIME.block_on(bench.engine.answer(request.clone())).unwrap());
}

/// A streamed, durable chat through the gateway to a provider on loopback.
#[divan::bench]
fn stream_through_the_engine(bencher: Bencher<'_, '_>) {
    let bench = bench();
    bencher.bench(|| {
        RUNTIME.block_on(async {
            let mut request = rig::request(&unique(), "1", "hello", "openai/gpt-4o-mini");
            request.input.stream = true;
            let (_, _, frames) = bench.engine.stream(request).await.unwrap();
            frames.count().await
        })
    });
}

/// The first event of the same, which is what a person waits for.
#[divan::bench]
fn first_event_through_the_engine(bencher: Bencher<'_, '_>) {
    let bench = bench();
    bencher.bench(|| {
        RUNTIME.block_on(async {
            let mut request = rig::request(&unique(), "1", "hello", "openai/gpt-4o-mini");
            request.input.stream = true;
            let (_, _, mut frames) = bench.engine.stream(request).await.unwrap();
            while !matches!(frames.next().await.unwrap(), Frame::Event(_)) {}
        })
    });
}

/// The same call made directly.
#[divan::bench]
fn stream_directly(bencher: Bencher<'_, '_>) {
    let bench = bench();
    bencher.bench(|| {
        RUNTIME.block_on(async {
            let resolved = bench.engine.providers.resolve(Some("openai/gpt-4o-mini")).unwrap();
            let messages = json!([{"role": "user", "content": "hello"}]);
            let fields = [("messages".to_owned(), turnwise_core::json::raw(&messages))].into();
            let generation = Generation { model: resolved.model.clone(), fields };
            let call = Call { generation, id: unique(), created_s: 0, connect_timeout: None };
            resolved.provider.stream(&call).await.unwrap().count().await
        })
    });
}
