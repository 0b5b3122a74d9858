//! Streams: the time to the first token, the cost of an event, the way back into a stream.
//! `cargo bench -p turnwise-tests --bench stream`.
//!
//! Absolute times are this machine's; compare within one run: what goes through the
//! gateway with the same call made directly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may stop where it breaks")]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use turnwise_core::generation::Generation;
use turnwise_core::id::{ConversationId, TurnId, TurnKey};
use turnwise_core::items::{ResponseHead, ResponseStream};
use turnwise_core::json::RawMap;
use turnwise_core::time::Timestamp;
use turnwise_engine::Engine;
use turnwise_providers::Call;
use turnwise_tests::app::{Events, TestApp};
use turnwise_tests::rig;
use turnwise_tests::scripted::{Script, ScriptedProvider};
use turnwise_tests::table::Table;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Words of a long answer.
const WORDS: usize = 1000;

fn main() {
    divan::main();
}

fn unique() -> String {
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

fn app(words: usize) -> TestApp {
    RUNTIME.block_on(async {
        let app = TestApp::start().await;
        app.provider.otherwise(Script::chunks(std::iter::repeat_n("word ", words)));
        app
    })
}

/// Reads up to the first word of an answer.
async fn first_word(mut events: Events) {
    assert_eq!(events.status, 200);
    while !events.next().await.unwrap().data.contains("word") {}
}

/// A stateless chat completion, from the request to its first word.
#[divan::bench]
fn first_word_of_a_completion(bencher: Bencher<'_, '_>) {
    let app = app(6);
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "stream": true});
    bencher.bench(|| RUNTIME.block_on(async { first_word(app.open("/v1/chat/completions", &[], &body).await).await }));
}

/// The same as a durable turn: T1 is written before the provider is called.
#[divan::bench]
fn first_word_of_a_durable_completion(bencher: Bencher<'_, '_>) {
    let app = app(6);
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "stream": true});
    bencher.bench(|| {
        RUNTIME.block_on(async {
            let key = unique();
            first_word(app.open("/v1/chat/completions", &[("idempotency-key", &key)], &body).await).await;
        });
    });
}

/// A response, which is always durable.
#[divan::bench]
fn first_word_of_a_response(bencher: Bencher<'_, '_>) {
    let app = app(6);
    let body = json!({"model": "gpt-4o-mini", "input": "hello", "stream": true});
    bencher.bench(|| RUNTIME.block_on(async { first_word(app.open("/v1/responses", &[], &body).await).await }));
}

/// The first chunk of the same call, made directly.
#[divan::bench]
fn first_word_directly(bencher: Bencher<'_, '_>) {
    let (engine, _table, _provider): (Engine, Table, ScriptedProvider) = RUNTIME.block_on(async {
        let (table, provider) = (Table::start().await, ScriptedProvider::start().await);
        provider.otherwise(Script::chunks(std::iter::repeat_n("word ", 6)));
        (rig::engine(&table, provider.base_url()), table, provider)
    });
    bencher.bench(|| {
        RUNTIME.block_on(async {
            let resolved = engine.providers.resolve(Some("openai/gpt-4o-mini")).unwrap();
            let messages = json!([{"role": "user", "content": "hello"}]);
            let fields = [("messages".to_owned(), turnwise_core::json::raw(&messages))].into();
            let generation = Generation { model: resolved.model.clone(), fields };
            let call = Call { generation, id: unique(), created_s: 0, connect_timeout: None };
            // The first chunk says who speaks, the second is a word.
            resolved.provider.stream(&call).await.unwrap().take(2).count().await
        })
    });
}

/// Chunks into the text of events, on one core: what each event costs beside its transport.
#[divan::bench]
fn chunks_into_response_events(bencher: Bencher<'_, '_>) {
    let conversation = ConversationId::parse("c", "c").unwrap();
    let key = TurnKey::new("key", conversation, TurnId::parse("t", "t").unwrap()).unwrap();
    let (model, echo) = ("local/echo".to_owned(), RawMap::new());
    let head = ResponseHead { key, created_at: Timestamp(0), model, echo, number: 1, inputs: 1, queued: false };
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini",
        "choices": [{"index": 0, "delta": {"content": "word "}, "logprobs": null, "finish_reason": null}]});
    let chunk = chunk.to_string();
    bencher.counter(ItemsCount::new(WORDS)).bench(|| {
        let mut stream = ResponseStream::new(head.clone());
        stream.begin(1, 1);
        let events = (0..WORDS).flat_map(|_| stream.chunk(&serde_json::from_str::<Value>(&chunk).unwrap()));
        events.map(|event| black_box(event.body.to_string()).len()).sum::<usize>()
    });
}

/// An app with a long response in its log, and the path of its stream.
fn long_response() -> (TestApp, String) {
    let app = app(WORDS);
    let path = RUNTIME.block_on(async {
        let body = json!({"model": "gpt-4o-mini", "input": "hello", "stream": true});
        let events = app.sse("/v1/responses", &body).await;
        let id = events[0].json()["response"]["id"].as_str().unwrap().to_owned();
        format!("/v1/responses/{id}?stream=true")
    });
    (app, path)
}

/// A long stream made, told and logged, end to end.
#[divan::bench(sample_count = 20)]
fn a_long_stream_made(bencher: Bencher<'_, '_>) {
    let app = app(WORDS);
    let body = json!({"model": "gpt-4o-mini", "input": "hello", "stream": true});
    bencher
        .counter(ItemsCount::new(WORDS))
        .bench(|| RUNTIME.block_on(async { app.sse("/v1/responses", &body).await.len() }));
}

/// A long stream played back from its log, end to end.
#[divan::bench(sample_count = 50)]
fn a_long_stream_played_back(bencher: Bencher<'_, '_>) {
    let (app, path) = long_response();
    bencher.counter(ItemsCount::new(WORDS)).bench(|| {
        RUNTIME.block_on(async {
            let reply = app.get(&path).await;
            assert_eq!(reply.status, 200);
            reply.body.len()
        })
    });
}

/// The way back to the end of a long stream: to the first event that was not seen.
#[divan::bench(sample_count = 50)]
fn a_long_stream_resumed_at_its_end(bencher: Bencher<'_, '_>) {
    let (app, path) = long_response();
    let path = format!("{path}&starting_after={WORDS}");
    bencher.bench(|| RUNTIME.block_on(async { app.get(&path).await.status }));
}
