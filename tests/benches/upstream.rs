//! What stands between a client and a provider: requests forwarded and translated, streams
//! read, and what the gateway adds to a chat completion that is no turn.
//! `cargo bench -p turnwise-tests --bench upstream`.
//!
//! Absolute times are this machine's; compare within one run: a request that is translated
//! with the same one forwarded, a call through the gateway with the same call made directly.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark may stop where it breaks")]

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use turnwise_core::generation::Generation;
use turnwise_core::json::{parse, raw_fields};
use turnwise_providers::{Call, Provider, ProviderSettings, Providers, Secret, Settings, http_client};
use turnwise_tests::app::{KEY, PROVIDER_KEY, TestApp};
use turnwise_tests::scripted::Script;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Words of a streamed answer.
const WORDS: usize = 1_000;

/// The formats that are translated, and the one that is forwarded.
const FORMATS: [&str; 3] = ["openai", "anthropic", "gemini"];

fn main() {
    divan::main();
}

fn provider(name: &str) -> Arc<Provider> {
    let settings = |_| ProviderSettings { key: Some(Secret::new("k")), ..ProviderSettings::default() };
    let providers = FORMATS.map(|name| (name.to_owned(), settings(name))).into();
    let providers = Providers::new(&Settings { providers, default_model: None }).unwrap();
    providers.resolve(Some(&format!("{name}/{}", model(name)))).unwrap().provider
}

fn model(name: &str) -> &'static str {
    match name {
        "anthropic" => "claude-haiku-4-5",
        "gemini" => "gemini-2.5-pro",
        _ => "gpt-4o-mini",
    }
}

/// A request of some 10 KB: a conversation with tools and calls.
fn body() -> String {
    let tool = |name: &str| {
        json!({"type": "function", "function": {"name": name, "description": "Tells what is asked.",
               "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}})
    };
    let turn = |index: usize| {
        let call = json!({"id": format!("call_{index}"), "type": "function",
                          "function": {"name": "weather", "arguments": "{\"city\":\"Bern\"}"}});
        [
            json!({"role": "user", "content": "Would you tell me once more what I ought to know about it? ".repeat(6)}),
            json!({"role": "assistant", "content": null, "tool_calls": [call]}),
            json!({"role": "tool", "tool_call_id": format!("call_{index}"), "content": "Sunny, with some wind."}),
            json!({"role": "assistant", "content": "It is what it was before, and it may yet change. ".repeat(4)}),
        ]
    };
    let messages: Vec<Value> = (0..10).flat_map(turn).chain([json!({"role": "user", "content": "And now?"})]).collect();
    json!({"model": "m", "messages": messages, "tools": [tool("weather"), tool("time")], "temperature": 0.5})
        .to_string()
}

fn call(name: &str, body: &str) -> Call {
    let mut fields = raw_fields(body.as_bytes()).unwrap();
    fields.remove("model");
    let generation = Generation { model: model(name).to_owned(), fields };
    Call { generation, id: "chatcmpl-1".to_owned(), created_s: 1, connect_timeout: None }
}

/// A stream of [`WORDS`] words, as the provider sends it.
fn recorded(name: &str) -> Vec<u8> {
    let mut text = String::new();
    let mut event = |kind: &str, data: &Value| {
        if name == "anthropic" {
            let _ = writeln!(text, "event: {kind}");
        }
        let _ = write!(text, "data: {data}\n\n");
    };
    match name {
        "anthropic" => {
            event(
                "message_start",
                &json!({"type": "message_start", "message": {"id": "msg_1", "type": "message",
                "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}}),
            );
            let block = json!({"type": "text", "text": ""});
            event("content_block_start", &json!({"type": "content_block_start", "index": 0, "content_block": block}));
            for _ in 0..WORDS {
                let delta = json!({"type": "text_delta", "text": "word "});
                event("content_block_delta", &json!({"type": "content_block_delta", "index": 0, "delta": delta}));
            }
            event("content_block_stop", &json!({"type": "content_block_stop", "index": 0}));
            event(
                "message_delta",
                &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                                           "usage": {"output_tokens": WORDS}}),
            );
            event("message_stop", &json!({"type": "message_stop"}));
        }
        "gemini" => {
            for index in 1..=WORDS {
                let mut candidate = json!({"content": {"parts": [{"text": "word "}], "role": "model"}, "index": 0});
                if index == WORDS {
                    candidate["finishReason"] = json!("STOP");
                }
                let usage = json!({"promptTokenCount": 9, "candidatesTokenCount": index, "totalTokenCount": 9 + index});
                event("", &json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"}));
            }
        }
        _ => {
            for _ in 0..WORDS {
                let choice = json!({"index": 0, "delta": {"content": "word "}, "finish_reason": null});
                event("", &json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}));
            }
            let choice = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
            event("", &json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}));
            text.push_str("data: [DONE]\n\n");
        }
    }
    text.into_bytes()
}

/// A client's body, checked and taken apart: what every request costs before anything else.
#[divan::bench]
fn request_parsed(bencher: Bencher<'_, '_>) {
    let body = body();
    bencher.counter(BytesCount::of_str(&body)).bench(|| {
        parse(divan::black_box(body.as_bytes())).unwrap();
        raw_fields(divan::black_box(body.as_bytes())).unwrap()
    });
}

/// The body that goes out: forwarded to OpenAI, translated for the others.
#[divan::bench(args = FORMATS)]
fn request_written(bencher: Bencher<'_, '_>, name: &str) {
    let body = body();
    let (provider, call) = (provider(name), call(name, &body));
    bencher.counter(BytesCount::of_str(&body)).bench(|| provider.body(divan::black_box(&call), true).unwrap());
}

/// A stream's bytes into chunks: checked for OpenAI, translated for the others.
#[divan::bench(args = FORMATS)]
fn stream_read(bencher: Bencher<'_, '_>, name: &str) {
    let recorded = recorded(name);
    let (provider, call) = (provider(name), call(name, &body()));
    bencher.counter(ItemsCount::new(WORDS)).bench(|| provider.play(&call, divan::black_box(&recorded)).unwrap());
}

/// The bytes of a stream into events, whatever they mean.
#[divan::bench]
fn sse_parsed(bencher: Bencher<'_, '_>) {
    let recorded = recorded("openai");
    bencher.counter(BytesCount::new(recorded.len())).bench(|| {
        let mut frames = Vec::new();
        turnwise_providers::sse::Parser::default().push(divan::black_box(&recorded), &mut frames).unwrap();
        frames
    });
}

/// Chat completions of as many clients at once: with the provider itself, and through the
/// gateway, which also writes a line of its ledger.
#[divan::bench(args = [("direct", 1), ("gateway", 1), ("direct", 16), ("gateway", 16)])]
fn completion(bencher: Bencher<'_, '_>, (way, clients): (&str, usize)) {
    let app = RUNTIME.block_on(async {
        let app = TestApp::start().await;
        app.provider.otherwise(Script::answer("an answer of a few words"));
        app
    });
    let (url, key) = match way {
        "direct" => (format!("{}/chat/completions", app.provider.base_url()), PROVIDER_KEY),
        _ => (format!("http://{}/v1/chat/completions", app.address()), KEY),
    };
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}).to_string();
    let client = http_client().unwrap();
    bencher.counter(ItemsCount::new(clients)).bench(|| {
        RUNTIME.block_on(join_all((0..clients).map(|_| async {
            let request = client.post(&url).bearer_auth(key).header("content-type", "application/json");
            let reply = request.body(body.clone()).send().await.unwrap();
            assert_eq!(reply.status(), 200);
            reply.bytes().await.unwrap();
        })));
    });
}
