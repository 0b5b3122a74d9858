//! `local/echo`: repeats the last user message. Needs no key and no network, costs
//! nothing and always gives the same answer, so that a first run and a test work
//! without a provider.

use std::time::Duration;

use serde_json::{Value, json};
use turnwise_core::category::Category;
use turnwise_core::generation::{Completion, Event, Generation};
use turnwise_core::json;
use turnwise_core::usage::{Source, Usage, estimate_tokens};

use crate::call::{Call, EventStream, Target};
use crate::error::{Dispatched, Error};
use crate::settings::Secret;

/// Longest pause before each word, in milliseconds; a field of the request asks
/// for it. Ten seconds are enough to see any time-out and any progress.
const MAX_DELAY_MS: u64 = 10_000;

/// Characters to a token, as [`estimate_tokens`] counts.
const CHARS_PER_TOKEN: usize = 4;

/// The provider `local` with its one model `echo`.
///
/// Understands `max_tokens` and `max_completion_tokens`, and the field
/// `echo_delay_ms`: a pause before each word, 0 to 10,000 ms.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Echo {
    /// The provider's name.
    pub const PROVIDER: &str = "local";
    /// The name of its one model.
    pub const MODEL: &str = "echo";

    /// See [`Provider::complete`](crate::Provider::complete). Takes as long as the
    /// stream would.
    pub(crate) async fn complete(self, call: &Call) -> Result<Completion, Error> {
        let answer = Answer::to(&call.generation)?;
        for _ in answer.words() {
            tokio::time::sleep(answer.delay).await;
        }
        let body = json!({
            "id": call.id,
            "object": "chat.completion",
            "created": call.created_s,
            "model": call.generation.model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": answer.text, "refusal": null},
                "logprobs": null,
                "finish_reason": answer.finish_reason,
            }],
            "usage": answer.usage.to_openai(),
        });
        Ok(Completion::new(json::raw(&body), call.generation.input_text()))
    }

    /// See [`Provider::stream`](crate::Provider::stream). One chunk a word, then the
    /// finish, then the usage with no choices.
    pub(crate) fn stream(self, call: &Call) -> Result<EventStream, Error> {
        let answer = Answer::to(&call.generation)?;
        let (id, created_s, model) = (call.id.clone(), call.created_s, call.generation.model.clone());
        let chunk = move |choices: Value, usage: Value| {
            let body = json!({
                "id": id,
                "object": "chat.completion.chunk",
                "created": created_s,
                "model": model,
                "choices": choices,
                "usage": usage,
            });
            Ok(Event::Chunk(json::raw(&body)))
        };
        let delta = |delta: Value, finish_reason: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}]);
        Ok(Box::pin(async_stream::stream! {
            yield chunk(delta(json!({"role": "assistant", "content": ""}), Value::Null), Value::Null);
            for word in answer.words() {
                tokio::time::sleep(answer.delay).await;
                yield chunk(delta(json!({"content": word}), Value::Null), Value::Null);
            }
            yield chunk(delta(json!({}), json!(answer.finish_reason)), Value::Null);
            yield chunk(json!([]), answer.usage.to_openai());
            yield Ok(Event::Finished);
        }))
    }
}

struct Answer {
    text: String,
    finish_reason: &'static str,
    usage: Usage,
    delay: Duration,
}

impl Answer {
    fn to(generation: &Generation) -> Result<Self, Error> {
        let delay = delay(generation)?;
        let messages: Vec<Value> = serde_json::from_str(generation.input_text()).unwrap_or_default();
        let of_user = messages.iter().rfind(|message| message["role"] == "user");
        let whole = format!("Echo: {}", of_user.map(text).unwrap_or_default());

        let most_chars = max_tokens(generation).map_or(usize::MAX, |tokens| tokens.saturating_mul(CHARS_PER_TOKEN));
        let kept: String = whole.chars().take(most_chars).collect();
        let finish_reason = if kept.len() < whole.len() { "length" } else { "stop" };

        let input: String = messages.iter().map(text).collect();
        let usage = Usage {
            input: estimate_tokens(&input),
            cache_read: 0,
            cache_write: 0,
            output: estimate_tokens(&kept),
            reasoning: 0,
            source: Source::Reported,
        };
        Ok(Self { text: kept, finish_reason, usage, delay })
    }

    /// The text's words, each with the white space after it.
    fn words(&self) -> impl Iterator<Item = &str> {
        self.text.split_inclusive(char::is_whitespace)
    }
}

/// The text of a message: its content, or the text parts of it, one a line.
fn text(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> =
                parts.iter().filter(|part| part["type"] == "text").filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

fn max_tokens(generation: &Generation) -> Option<usize> {
    let number = |field| serde_json::from_str(generation.fields.get(field)?.get()).ok();
    number("max_completion_tokens").or_else(|| number("max_tokens"))
}

fn delay(generation: &Generation) -> Result<Duration, Error> {
    let Some(field) = generation.fields.get("echo_delay_ms") else { return Ok(Duration::ZERO) };
    match serde_json::from_str(field.get()).ok().filter(|delay_ms| *delay_ms <= MAX_DELAY_MS) {
        Some(delay_ms) => Ok(Duration::from_millis(delay_ms)),
        None => {
            let target = Target { provider: Echo::PROVIDER.to_owned(), model: Echo::MODEL.to_owned() };
            let message = format!("{target} takes an echo_delay_ms from 0 to {MAX_DELAY_MS}.");
            let error =
                Error::new(&target, Category::ValidationError, "invalid_request", message.as_str(), Dispatched::No);
            Err(Error { param: Some("echo_delay_ms".into()), detail: Some(Secret::new(message)), ..error })
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use turnwise_core::fold::Fold;

    use super::*;

    fn call(fields: &Value) -> Call {
        let fields = json::raw_fields(fields.to_string().as_bytes()).unwrap();
        let generation = Generation { model: "echo".to_owned(), fields };
        Call { generation, id: "chatcmpl-1".to_owned(), created_s: 7 }
    }

    async fn chunks(call: &Call) -> Vec<Value> {
        let events: Vec<_> = Echo.stream(call).unwrap().collect().await;
        let (last, chunks) = events.split_last().unwrap();
        assert!(matches!(last, Ok(Event::Finished)));
        let parse = |event: &Result<Event, Error>| match event {
            Ok(Event::Chunk(chunk)) => serde_json::from_str(chunk.get()).unwrap(),
            Ok(Event::Finished) | Err(_) => panic!("not a chunk"),
        };
        chunks.iter().map(parse).collect()
    }

    async fn check(fields: Value, text: &str, finish_reason: &str) {
        let call = call(&fields);
        let completion = Echo.complete(&call).await.unwrap();
        let body: Value = serde_json::from_str(completion.body.get()).unwrap();
        assert_eq!(completion.text, text, "{fields}");
        assert_eq!(body["choices"][0]["finish_reason"], finish_reason, "{fields}");
        assert_eq!(completion.usage.total_output(), estimate_tokens(text), "{fields}");
        assert_eq!(completion.usage.source, Source::Reported);

        let mut fold = Fold::default();
        for chunk in chunks(&call).await {
            fold.push(&chunk);
        }
        assert!(fold.has_finish());
        assert_eq!(fold.complete(), body, "{fields}");
    }

    #[tokio::test]
    async fn the_last_user_message_is_repeated() {
        let user = |content: Value| json!({"role": "user", "content": content});
        check(json!({"messages": [user(json!("a")), user(json!("b c"))]}), "Echo: b c", "stop").await;
        check(json!({"messages": [user(json!("a")), {"role": "assistant", "content": "b"}]}), "Echo: a", "stop").await;
        let parts = json!([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]);
        check(json!({"messages": [user(parts)]}), "Echo: a\nb", "stop").await;
        check(json!({"messages": [{"role": "system", "content": "s"}]}), "Echo: ", "stop").await;
        check(json!({"messages": []}), "Echo: ", "stop").await;
    }

    #[tokio::test]
    async fn the_answer_stops_at_its_most_tokens() {
        let fields =
            |field: &str, tokens: u64| json!({"messages": [{"role": "user", "content": "abcdefgh"}], field: tokens});
        // "Echo: abcdefgh" has 14 characters: 4 tokens.
        check(fields("max_tokens", 4), "Echo: abcdefgh", "stop").await;
        check(fields("max_tokens", 3), "Echo: abcdef", "length").await;
        check(fields("max_completion_tokens", 2), "Echo: ab", "length").await;
        check(fields("max_tokens", 0), "", "length").await;
    }

    #[tokio::test]
    async fn a_stream_is_one_chunk_a_word_and_ends_with_the_usage() {
        let chunks = chunks(&call(&json!({"messages": [{"role": "user", "content": "two  words"}]}))).await;
        let texts: Vec<&str> =
            chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/content")?.as_str()).collect();
        assert_eq!(texts, ["", "Echo: ", "two ", " ", "words"]);
        let last = chunks.last().unwrap();
        assert_eq!(last["choices"], json!([]));
        assert_eq!(last["usage"], json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}));
        assert_eq!(last["id"], "chatcmpl-1");
        assert_eq!(last["created"], 7);
    }

    #[tokio::test]
    async fn each_word_waits_for_its_delay() {
        let call = call(&json!({"messages": [{"role": "user", "content": "a"}], "echo_delay_ms": 20}));
        let start = tokio::time::Instant::now();
        Echo.complete(&call).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(40));
    }

    #[test]
    fn a_delay_has_a_limit() {
        let check = |delay: Value, accepted: bool| {
            let result = Answer::to(&call(&json!({"messages": [], "echo_delay_ms": delay})).generation);
            let param = result.err().and_then(|error| error.param);
            assert_eq!(param.as_deref(), if accepted { None } else { Some("echo_delay_ms") });
        };
        check(json!(0), true);
        check(json!(10_000), true);
        check(json!(10_001), false);
        check(json!(-1), false);
        check(json!("1"), false);
    }
}
