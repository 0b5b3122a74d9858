//! The OpenAI-compatible adapter against the scripted provider.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use turnwise_core::category::Category;
use turnwise_core::fold::Fold;
use turnwise_core::generation::{Completion, Event, Generation};
use turnwise_core::json;
use turnwise_core::usage::Source;
use turnwise_providers::{Call, Dispatched, Error, EventStream, ProviderSettings, Providers, Secret, Settings};
use turnwise_tests::scripted::{Gate, Script, ScriptedProvider};

/// Longer than anything here takes on a busy machine; a test that waits so long failed.
const PATIENCE: Duration = Duration::from_secs(10);

fn providers(base_url: &str, key: Option<&str>) -> Providers {
    let settings = ProviderSettings {
        key: key.map(Secret::new),
        base_url: Some(base_url.to_owned()),
        ..ProviderSettings::default()
    };
    let providers = [("openai".to_owned(), settings)].into();
    Providers::new(&Settings { providers, default_model: None }).unwrap()
}

fn call(fields: &str) -> Call {
    let fields = json::raw_fields(fields.as_bytes()).unwrap();
    Call {
        generation: Generation { model: "m".to_owned(), fields },
        id: "chatcmpl-1".to_owned(),
        created_s: 1,
        connect_timeout: None,
    }
}

fn hello() -> Call {
    call(r#"{"messages":[{"role":"user","content":"hello"}]}"#)
}

async fn complete_at(base_url: &str) -> Result<Completion, Error> {
    let resolved = providers(base_url, None).resolve(Some("m")).unwrap();
    tokio::time::timeout(PATIENCE, resolved.provider.complete(&hello())).await.unwrap()
}

async fn complete(script: Script) -> Result<Completion, Error> {
    let upstream = ScriptedProvider::start().await;
    upstream.enqueue(script);
    let result = complete_at(upstream.base_url()).await;
    assert_eq!(upstream.calls(), 1, "a call is never repeated");
    result
}

async fn open(upstream: &ScriptedProvider) -> EventStream {
    let resolved = providers(upstream.base_url(), None).resolve(Some("m")).unwrap();
    resolved.provider.stream(&hello()).await.unwrap()
}

/// How a stream went: what its chunks fold into, and how it ended.
struct Streamed {
    fold: Fold,
    end: Result<(), Error>,
}

async fn stream(script: Script) -> Streamed {
    let upstream = ScriptedProvider::start().await;
    upstream.enqueue(script);
    let events: Vec<_> = tokio::time::timeout(PATIENCE, open(&upstream).await.collect()).await.unwrap();
    assert_eq!(upstream.calls(), 1, "a call is never repeated");

    let mut fold = Fold::default();
    let mut end = None;
    for event in events {
        assert!(end.is_none(), "nothing follows the end");
        match event {
            Ok(Event::Chunk(chunk)) => {
                fold.push(&serde_json::from_str(chunk.get()).unwrap());
            }
            Ok(Event::Finished) => end = Some(Ok(())),
            Err(error) => end = Some(Err(error)),
        }
    }
    Streamed { fold, end: end.expect("a stream ends with Finished or an error") }
}

async fn check_stream(script: Script, text: &str, code: Option<&str>) {
    let shown = format!("{script:?}");
    let streamed = stream(script).await;
    assert_eq!(streamed.fold.text(), text, "{shown}");
    match (streamed.end, code) {
        (Ok(()), None) => assert!(streamed.fold.has_finish(), "{shown}"),
        (Err(error), Some(code)) => assert_eq!((&*error.code, error.dispatched), (code, Dispatched::Maybe), "{shown}"),
        (end, code) => panic!("{shown}: ended with {end:?}, not {code:?}"),
    }
}

#[tokio::test]
async fn a_request_goes_out_as_it_was_written() {
    let upstream = ScriptedProvider::start().await;
    let resolved = providers(upstream.base_url(), Some("sk-1")).resolve(Some("m")).unwrap();
    let call =
        call(r#"{"messages":[ {"role":"user", "content":"gr\u00fc\u00df"} ],"temperature":1.0,"x_own":{"b":1,"a":2}}"#);
    resolved.provider.complete(&call).await.unwrap();

    let request = upstream.requests().remove(0);
    assert_eq!(
        request.raw,
        r#"{"messages":[ {"role":"user", "content":"gr\u00fc\u00df"} ],"model":"m","stream":false,"temperature":1.0,"x_own":{"b":1,"a":2}}"#
    );
    assert_eq!(request.headers["authorization"], "Bearer sk-1");
    assert_eq!(request.headers["content-type"], "application/json");
}

#[tokio::test]
async fn without_a_key_nothing_is_sent_as_one() {
    let upstream = ScriptedProvider::start().await;
    complete_at(upstream.base_url()).await.unwrap();
    assert_eq!(upstream.requests()[0].headers.get("authorization"), None);
}

#[tokio::test]
async fn a_whole_answer_comes_with_text_and_usage() {
    let completion = complete(Script::answer("Hello there")).await.unwrap();
    assert_eq!(completion.text, "Hello there");
    assert_eq!(completion.usage.source, Source::Reported);
    assert_eq!((completion.usage.total_input(), completion.usage.total_output()), (10, 2));
}

#[tokio::test]
async fn a_streamed_answer_folds_into_the_same() {
    let streamed = stream(Script::answer("Hello there, Grüße 😀")).await;
    assert!(streamed.end.is_ok());
    let body = streamed.fold.complete();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello there, Grüße 😀");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["completion_tokens"], 4);
}

#[tokio::test]
async fn usage_that_cannot_be_is_estimated() {
    let impossible = json!({"prompt_tokens": -1, "completion_tokens": 2});
    let completion = complete(Script::answer("Hello").usage(impossible)).await.unwrap();
    assert_eq!(completion.usage.source, Source::Estimated);
    let completion = complete(Script::answer("Hello").without_usage()).await.unwrap();
    assert_eq!(completion.usage.source, Source::Estimated);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let check = async |script: Script, category: Category, code: &str, dispatched: Dispatched| {
        let shown = format!("{script:?}");
        let error = complete(script.clone()).await.unwrap_err();
        assert_eq!((error.category, &*error.code, error.dispatched), (category, code, dispatched), "{shown}");
        assert!(error.message.contains("openai/m"), "{error}");

        let upstream = ScriptedProvider::start().await;
        upstream.enqueue(script);
        let resolved = providers(upstream.base_url(), None).resolve(Some("m")).unwrap();
        let error = resolved.provider.stream(&hello()).await.err().expect("refused before the stream");
        assert_eq!((error.category, &*error.code, error.dispatched), (category, code, dispatched), "{shown}");
    };
    let quota = json!({"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}});
    check(Script::refuse(400), Category::ValidationError, "invalid_request", Dispatched::No).await;
    check(Script::refuse(401), Category::AuthenticationError, "provider_auth_failed", Dispatched::No).await;
    check(Script::refuse(404), Category::NotFoundError, "model_not_found", Dispatched::No).await;
    check(Script::refuse(429), Category::RateLimitError, "rate_limit_exceeded", Dispatched::No).await;
    check(Script::refuse_with(429, &quota), Category::CostLimitError, "insufficient_quota", Dispatched::No).await;
    check(Script::refuse(500), Category::ApiError, "upstream_error", Dispatched::Maybe).await;
    check(Script::refuse(503), Category::ApiError, "upstream_error", Dispatched::No).await;
    check(Script::refuse(504), Category::TimeoutError, "timeout", Dispatched::Maybe).await;
    check(Script::hang_up(), Category::NetworkError, "network_error", Dispatched::Maybe).await;
}

#[tokio::test]
async fn a_pause_asked_for_is_passed_on() {
    let error = complete(Script::refuse(429).header("retry-after-ms", "250")).await.unwrap_err();
    assert_eq!((error.retry_after, error.retryable), (Some(Duration::from_millis(250)), true));
    let error = complete(Script::refuse(429).header("retry-after", "3600")).await.unwrap_err();
    assert_eq!((error.retry_after, error.retryable), (None, true));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = ScriptedProvider::start().await;
    let location = format!("{}/chat/completions", elsewhere.base_url());
    let error = complete(Script::refuse(307).header("location", &location)).await.unwrap_err();
    assert_eq!((&*error.code, error.retryable), ("unexpected_redirect", false));
    assert_eq!(elsewhere.calls(), 0);
}

#[tokio::test]
async fn a_provider_that_is_not_there_was_not_called() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", socket.local_addr().unwrap());
    drop(socket);
    let error = complete_at(&base_url).await.unwrap_err();
    assert_eq!((error.category, error.dispatched), (Category::NetworkError, Dispatched::No));
}

#[tokio::test]
async fn a_broken_whole_answer_is_an_error() {
    let check = async |script: Script, category: Category, code: &str| {
        let error = complete(script).await.unwrap_err();
        assert_eq!((error.category, &*error.code, error.dispatched), (category, code, Dispatched::Maybe));
    };
    let error = json!({"error": {"code": 402, "message": "no credits"}});
    check(Script::answer("Hello").cut_after(0), Category::NetworkError, "network_error").await;
    check(Script::answer("Hello").malformed_after(0), Category::ApiError, "malformed_answer").await;
    check(Script::answer("Hello").error_after(0, error), Category::CostLimitError, "insufficient_quota").await;
    check(Script::answer("Hello").finish_reason("error"), Category::ApiError, "upstream_error").await;
    check(Script::answer("Hello").endless_line_after(0), Category::ApiError, "answer_too_long").await;
    check(Script::pieces(&[br#"{"choices":[]}"#]), Category::ApiError, "malformed_answer").await;
}

#[tokio::test]
async fn a_stream_that_just_stops_is_an_error_and_keeps_its_text() {
    let answer = || Script::answer("one two three");
    check_stream(answer().cut_after(2), "one two ", Some("stream_truncated")).await;
    check_stream(answer().cut_after(3), "one two three", Some("stream_truncated")).await;
    check_stream(answer().end_after(2), "one two ", Some("stream_truncated")).await;
    check_stream(answer().end_after(0), "", Some("stream_truncated")).await;
}

#[tokio::test]
async fn trouble_among_the_chunks_is_an_error_and_keeps_the_text() {
    let answer = || Script::answer("one two three");
    let limited = json!({"error": {"code": 429, "message": "slow down"}});
    check_stream(answer().error_after(1, limited), "one ", Some("rate_limit_exceeded")).await;
    check_stream(answer().malformed_after(1), "one ", Some("malformed_answer")).await;
    check_stream(answer().endless_line_after(1), "one ", Some("malformed_answer")).await;
    check_stream(answer().finish_reason("error"), "one two three", Some("upstream_error")).await;
}

#[tokio::test]
async fn what_servers_get_wrong_without_harm_is_taken() {
    let answer = || Script::answer("one two");
    check_stream(answer().without_done(), "one two", None).await;
    check_stream(answer().without_usage(), "one two", None).await;
    check_stream(answer().finish_reason("length"), "one two", None).await;
    check_stream(answer().ignoring_stream(), "one two", None).await;
    check_stream(answer().noise_after(1, b": OPENROUTER PROCESSING\n\n"), "one two", None).await;
    check_stream(answer().bad_utf8_after(1), "one \u{FFFD}two", None).await;
    check_stream(answer().paced(Duration::from_millis(5)), "one two", None).await;
}

#[tokio::test]
async fn pieces_cut_inside_a_character_are_put_together() {
    let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"😀\"},\"finish_reason\":\"stop\"}]}\r\n\r\n";
    let at = text.find('😀').unwrap() + 2;
    let (head, tail) = text.as_bytes().split_at(at);
    check_stream(Script::pieces(&[head, tail]), "😀", None).await;
}

#[tokio::test]
async fn a_chunk_is_there_before_the_next_is_made() {
    let upstream = ScriptedProvider::start().await;
    let gate = Gate::closed();
    upstream.enqueue(Script::answer("one two").gated_after(1, &gate));
    let mut events = open(&upstream).await;
    gate.reached().await;
    let mut fold = Fold::default();
    while fold.text() != "one " {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap();
        let Event::Chunk(chunk) = event else { panic!("finished while the gate was closed") };
        fold.push(&serde_json::from_str(chunk.get()).unwrap());
    }
    gate.open();
    let rest: Vec<_> = events.collect().await;
    assert!(matches!(rest.last(), Some(Ok(Event::Finished))));
}

#[tokio::test]
async fn a_dropped_stream_is_given_up_at_the_upstream() {
    let upstream = ScriptedProvider::start().await;
    let gate = Gate::closed();
    upstream.enqueue(Script::answer("one two").gated_after(1, &gate));
    let events = open(&upstream).await;
    gate.reached().await;
    drop(events);
    let given_up = async {
        while upstream.abandoned() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, given_up).await.unwrap();
}

#[tokio::test]
async fn one_connection_serves_many_calls() {
    let upstream = ScriptedProvider::start().await;
    upstream.enqueue(Script::answer("first"));
    upstream.enqueue(Script::refuse(503));
    let resolved = providers(upstream.base_url(), None).resolve(Some("m")).unwrap();
    resolved.provider.complete(&hello()).await.unwrap();
    resolved.provider.complete(&hello()).await.unwrap_err();
    for _ in 0..3 {
        let events: Vec<_> = resolved.provider.stream(&hello()).await.unwrap().collect().await;
        assert!(matches!(events.last(), Some(Ok(Event::Finished))));
    }
    resolved.provider.complete(&hello()).await.unwrap();
    assert_eq!((upstream.calls(), upstream.connections(), upstream.abandoned()), (6, 1, 0));
}

/// A server that answers one request a connection and then closes it without
/// announcing so, as a load balancer does with idle ones.
#[tokio::test]
async fn a_connection_that_died_in_the_pool_is_replaced() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", socket.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for _ in 0..3 {
            let (mut peer, _) = socket.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(peer.read(&mut request).await.unwrap() > 0);
            let body = json!({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}).to_string();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            peer.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let resolved = providers(&base_url, None).resolve(Some("m")).unwrap();
    for _ in 0..3 {
        let answer = tokio::time::timeout(PATIENCE, resolved.provider.complete(&hello())).await.unwrap();
        assert_eq!(answer.unwrap().text, "hi");
        // The other side's close arrives while the connection waits for its next use.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.await.unwrap();
}

#[tokio::test]
async fn an_upstream_of_your_own_lists_its_models_once_a_minute() {
    let upstream = ScriptedProvider::start().await;
    upstream.list_models(&["my-model", "gpt-4o-mini"]);
    let providers = providers(upstream.base_url(), None);
    for _ in 0..2 {
        let models = providers.models().await;
        let named = |name: &str| models.iter().filter(|model| model.name == name).count();
        assert_eq!(["local/echo", "openai/my-model", "openai/gpt-4o-mini"].map(named), [1, 1, 1]);
    }
    assert_eq!(upstream.listings(), 1);
}

#[tokio::test]
async fn models_are_listed_also_when_the_upstream_is_down() {
    let models = providers("http://127.0.0.1:1/v1", None).models().await;
    assert!(models.iter().any(|model| model.name == "openai/gpt-4o-mini"));
}

#[tokio::test]
async fn scripts_are_chosen_by_text_then_model_then_turn() {
    let upstream = ScriptedProvider::start().await;
    upstream.on_model("m", Script::answer("by model"));
    upstream.on_text("hello", Script::answer("first"));
    upstream.on_text("hello", Script::answer("from then on"));
    upstream.enqueue(Script::answer("in turn"));
    let provider = providers(upstream.base_url(), None).resolve(Some("m")).unwrap().provider;
    let mut texts = Vec::new();
    for (model, text) in [("m", "hello"), ("m", "hello"), ("m", "hello"), ("m", "bye"), ("x", "bye"), ("x", "bye")] {
        let messages: Value = json!({"messages": [{"role": "user", "content": text}]});
        let mut call = call(&messages.to_string());
        model.clone_into(&mut call.generation.model);
        texts.push(provider.complete(&call).await.unwrap().text);
    }
    assert_eq!(texts, ["first", "from then on", "from then on", "by model", "in turn", "Hello from the script."]);
    assert_eq!((upstream.calls(), upstream.calls_with("bye")), (6, 3));
}
