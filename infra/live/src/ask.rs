//! One prompt, buffered or streamed, and its retry.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Response;
use serde_json::Value;
use tokio::time::Instant;
use turnwise_providers::sse::{Frame, Parser};

use crate::answer::{self, Failure};
use crate::budget::{Charge, parse_usd};
use crate::prompts::Prompt;
use crate::server::Server;

/// No answer came, or it broke off.
const NO_ANSWER: &str = "NO_ANSWER";

/// The retry did not get the answer that the first request got.
const RETRY_DIFFERS: &str = "RETRY_DIFFERS";

/// The data of a stream's last event.
const DONE: &str = "[DONE]";

/// What came of one prompt.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Until the answer was there whole.
    pub(crate) latency: Duration,
    /// Until the first piece of a stream that says something.
    pub(crate) first_token: Option<Duration>,
    pub(crate) result: Result<(), Failure>,
    /// What was used, also by an answer that is none to what was asked.
    pub(crate) tokens: Tokens,
    pub(crate) charge: Charge,
}

/// What an answer took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

/// Asks `prompt` of `model` under the idempotency key `name`, and once more when the answer
/// is there: the retry has to bring the same one, and tells what it cost.
pub(crate) async fn ask(server: &Server, prompt: &Prompt, model: &str, name: &str, streamed: bool) -> Outcome {
    let begun = Instant::now();
    let mut first_token = None;
    let told = tell(server, prompt, model, name, streamed, || {
        first_token.get_or_insert_with(|| begun.elapsed());
    });
    let told = told.await;
    let latency = begun.elapsed();
    let settled = match told {
        Ok(told) => settle(server, prompt, model, name, &told).await,
        Err(untold) => Err(untold),
    };
    match settled {
        Ok(Settled { body, tokens, charge }) => {
            Outcome { latency, first_token, result: answer::check(prompt.expected(), &body), tokens, charge }
        }
        Err(Untold { failure, charge }) => {
            Outcome { latency, first_token, result: Err(failure), tokens: Tokens::default(), charge }
        }
    }
}

/// What a client was told.
#[derive(Debug, PartialEq)]
enum Told {
    /// A whole completion.
    Whole(Value),
    /// The text that the pieces of a stream make.
    Pieces(String),
}

/// A client was told no answer.
#[derive(Debug)]
struct Untold {
    failure: Failure,
    charge: Charge,
}

impl Untold {
    fn lost(error: &reqwest::Error) -> Self {
        Self { failure: Failure::new(NO_ANSWER, error.to_string()), charge: Charge::Unknown }
    }

    fn failed(failure: Failure) -> Self {
        Self { failure, charge: Charge::Unknown }
    }
}

async fn tell(
    server: &Server,
    prompt: &Prompt,
    model: &str,
    name: &str,
    streamed: bool,
    said_something: impl FnMut(),
) -> Result<Told, Untold> {
    let response = server.complete(name, &prompt.body(model, streamed)).await.map_err(|error| Untold::lost(&error))?;
    let status = response.status();
    if status.is_success() && streamed {
        return listen(response, said_something).await.map(Told::Pieces);
    }
    let body = response.bytes().await.map_err(|error| Untold::lost(&error))?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() {
        return Ok(Told::Whole(body));
    }
    // What is refused as the request's or the key's fault has not run.
    let charge = if status.is_client_error() { Charge::Nothing } else { Charge::Unknown };
    Err(Untold { failure: Failure::of_error(&body), charge })
}

/// Reads a stream to its end, and gives its text.
async fn listen(response: Response, mut said_something: impl FnMut()) -> Result<String, Untold> {
    let mut bytes = response.bytes_stream();
    let (mut parser, mut frames, mut text) = (Parser::default(), Vec::new(), String::new());
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.map_err(|error| Untold::lost(&error))?;
        let parsed = parser.push(&chunk, &mut frames);
        parsed.map_err(|error| Untold::failed(Failure::new(NO_ANSWER, error.to_string())))?;
        for frame in frames.drain(..) {
            match piece(&frame)? {
                Piece::Done => return Ok(text),
                Piece::Silent => {}
                Piece::Says(more) => {
                    said_something();
                    text.push_str(&more);
                }
            }
        }
    }
    Err(Untold::failed(Failure::new(NO_ANSWER, "the stream ended without [DONE]")))
}

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// The last one.
    Done,
    /// It says nothing yet.
    Silent,
    /// It says something; text, or nothing where it calls or thinks.
    Says(String),
}

fn piece(frame: &Frame) -> Result<Piece, Untold> {
    if frame.data == DONE {
        return Ok(Piece::Done);
    }
    let data: Value = serde_json::from_str(&frame.data).unwrap_or_default();
    if data.get("error").is_some() {
        return Err(Untold::failed(Failure::of_error(&data)));
    }
    let delta = &data["choices"][0]["delta"];
    let text = |name: &str| delta[name].as_str().unwrap_or_default();
    let calls = delta["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty());
    let silent =
        !calls && ["content", "refusal", "reasoning_content", "reasoning"].iter().all(|name| text(name).is_empty());
    Ok(if silent { Piece::Silent } else { Piece::Says(text("content").to_owned()) })
}

/// A committed answer.
#[derive(Debug)]
struct Settled {
    body: Value,
    tokens: Tokens,
    /// `Unknown` where the model's price is.
    charge: Charge,
}

/// Asks again, which has to bring the answer that is committed.
async fn settle(server: &Server, prompt: &Prompt, model: &str, name: &str, told: &Told) -> Result<Settled, Untold> {
    let lost = |error: reqwest::Error| Untold::lost(&error);
    let response = server.complete(name, &prompt.body(model, false)).await.map_err(lost)?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (status, replayed, cost) = (response.status(), header("idempotent-replayed"), header("turnwise-cost-usd"));
    let body: Value = serde_json::from_slice(&response.bytes().await.map_err(lost)?).unwrap_or_default();
    if !status.is_success() {
        return Err(Untold::failed(Failure::of_error(&body)));
    }
    let same = match told {
        Told::Whole(first) => *first == body,
        Told::Pieces(text) => *text == body["choices"][0]["message"]["content"].as_str().unwrap_or_default(),
    };
    if !same || replayed.as_deref() != Some("true") {
        let message = "the retry brought another answer than the first request";
        return Err(Untold::failed(Failure::new(RETRY_DIFFERS, message)));
    }
    let count = |name: &str| body["usage"][name].as_u64().unwrap_or_default();
    let tokens = Tokens { input: count("prompt_tokens"), output: count("completion_tokens") };
    let cost = cost.and_then(|cost| parse_usd(&cost).ok());
    Ok(Settled { body, tokens, charge: cost.map_or(Charge::Unknown, Charge::Exactly) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(delta: &Value, expected: Piece) {
        let data = json!({"choices": [{"delta": delta}]}).to_string();
        assert_eq!(piece(&Frame { data, ..Frame::default() }).unwrap(), expected, "{delta}");
    }

    #[test]
    fn only_what_says_something_is_a_first_token() {
        check(&json!({"role": "assistant", "content": ""}), Piece::Silent);
        check(&json!({"content": "Hi"}), Piece::Says("Hi".to_owned()));
        check(&json!({"reasoning_content": "Hm"}), Piece::Says(String::new()));
        check(&json!({"tool_calls": [{"index": 0}]}), Piece::Says(String::new()));
        assert_eq!(piece(&Frame { data: DONE.to_owned(), ..Frame::default() }).unwrap(), Piece::Done);
    }

    #[test]
    fn an_error_in_a_stream_is_a_failure() {
        let data = json!({"error": {"category": "API_ERROR", "code": "x", "message": "y"}}).to_string();
        let untold = piece(&Frame { data, ..Frame::default() }).unwrap_err();
        assert_eq!(untold.failure, Failure::new("API_ERROR", "x: y"));
    }
}
