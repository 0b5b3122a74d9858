//! A script's reply as HTTP.

use std::io;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::Stream;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use turnwise_core::embedding::{Encoding, Vector};
use turnwise_engine::clock::Clock;

use super::script::{Answer, Interruption, Reply, Script, pause};
use super::{InFlight, Received};

/// A piece of an endless line, in bytes: large, so that its reader's limit is met soon.
const ENDLESS_PIECE_BYTES: usize = 64 * 1024;

/// Tokens that are reported for each input of embeddings.
const EMBEDDING_TOKENS: usize = 10;

/// What is done, in turn, to send a body.
enum Step {
    Send(Vec<u8>),
    Wait(std::time::Duration),
    Pass(super::Gate),
    Break,
    SendForever,
}

pub(super) fn respond(script: Script, request: &Received, call: InFlight, clock: Clock) -> Response {
    let model = request.model().to_owned();
    let (status, content_type, steps) = match script.reply {
        Reply::Answer(answer) if request.body["stream"] == true && !answer.ignores_stream => {
            let asked = request.body.pointer("/stream_options/include_usage") == Some(&json!(true));
            (200, "text/event-stream", streamed(answer, &model, asked))
        }
        Reply::Answer(answer) => (200, "application/json", whole(answer, &model)),
        Reply::Embeddings(always) => (200, "application/json", vec![Step::Send(embeddings(request, always))]),
        Reply::Status(status, body) => (status, "application/json", vec![Step::Send(body)]),
        Reply::Pieces(pieces) => (200, "text/event-stream", pieces.into_iter().map(Step::Send).collect()),
        Reply::HangUp => {
            call.end();
            // Unwinds the connection's task, which closes the socket, and prints nothing.
            std::panic::resume_unwind(Box::new("hang up"))
        }
    };
    let mut response = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    for (name, value) in script.headers {
        response = response.header(name, value);
    }
    response.body(Body::from_stream(bytes(steps, call, clock))).expect("scripted headers are valid")
}

fn bytes(steps: Vec<Step>, call: InFlight, clock: Clock) -> impl Stream<Item = io::Result<Bytes>> {
    async_stream::stream! {
        let last = steps.len().saturating_sub(1);
        let mut call = Some(call);
        for (at, step) in steps.into_iter().enumerate() {
            // A caller that leaves with the last byte has not given up.
            if let Some(call) = call.take_if(|_| at == last && !matches!(step, Step::SendForever)) {
                call.end();
            }
            match step {
                Step::Send(bytes) => yield Ok(Bytes::from(bytes)),
                Step::Wait(pace) => pause(&clock, pace).await,
                Step::Pass(gate) => gate.pass().await,
                Step::Break => {
                    yield Err(io::Error::other("scripted cut"));
                    return;
                }
                Step::SendForever => loop {
                    yield Ok(Bytes::from(vec![b'x'; ENDLESS_PIECE_BYTES]));
                    tokio::task::yield_now().await;
                },
            }
            // The server writes out what it holds whenever this is pending.
            tokio::task::yield_now().await;
        }
        drop(call);
    }
}

fn streamed(answer: Answer, model: &str, with_usage: bool) -> Vec<Step> {
    let chunk = |choices: Value, usage: &Value| {
        let chunk = json!({"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1_700_000_000,
                           "model": model, "choices": choices, "usage": usage});
        event(&chunk.to_string())
    };
    let delta = |delta: Value, reason: Option<&str>| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]), &Value::Null)
    };

    let mut steps = vec![Step::Send(delta(json!({"role": "assistant", "content": ""}), None))];
    for sent in 0..=answer.chunks.len() {
        let now = |at: usize| at == sent;
        steps.extend(answer.noise.iter().filter(|(at, _)| now(*at)).map(|(_, bytes)| Step::Send(bytes.clone())));
        steps.extend(answer.gates.iter().filter(|(at, _)| now(*at)).map(|(_, gate)| Step::Pass(gate.clone())));
        if let Some((_, how)) = answer.interruption.as_ref().filter(|(at, _)| now(*at)) {
            steps.extend(interrupted(how));
            return steps;
        }
        if let Some(said) = answer.chunks.get(sent) {
            steps.push(Step::Wait(answer.pace));
            steps.push(Step::Send(delta(said.clone(), None)));
        }
    }
    steps.push(Step::Send(delta(json!({}), Some(&answer.finish_reason))));
    if let Some(usage) = answer.usage.filter(|_| with_usage) {
        steps.push(Step::Send(chunk(json!([]), &usage)));
    }
    if answer.done {
        steps.push(Step::Send(event("[DONE]")));
    }
    steps
}

fn interrupted(how: &Interruption) -> Vec<Step> {
    match how {
        Interruption::Cut => vec![Step::Break],
        Interruption::End => vec![],
        Interruption::Error(error) => vec![Step::Send(event(&error.to_string()))],
        Interruption::Malformed => vec![Step::Send(event("{\"choices\":[{"))],
        Interruption::EndlessLine => vec![Step::Send(b"data: ".to_vec()), Step::SendForever],
    }
}

fn whole(answer: Answer, model: &str) -> Vec<Step> {
    let mut body = json!({
        "id": "chatcmpl-scripted", "object": "chat.completion", "created": 1_700_000_000, "model": model,
        "choices": [{"index": 0, "logprobs": null, "finish_reason": answer.finish_reason,
                     "message": message(&answer.chunks)}],
    });
    if let Some(usage) = answer.usage {
        body["usage"] = usage;
    }
    let body = body.to_string().into_bytes();
    let half = Step::Send(body[..body.len() / 2].to_vec());

    let pace = answer.pace.saturating_mul(u32::try_from(answer.chunks.len()).unwrap_or(u32::MAX));
    let mut steps = vec![Step::Wait(pace)];
    steps.extend(answer.gates.into_iter().map(|(_, gate)| Step::Pass(gate)));
    match answer.interruption.map(|(_, how)| how) {
        None => steps.push(Step::Send(body)),
        Some(Interruption::Cut) => steps.extend([half, Step::Break]),
        Some(Interruption::End | Interruption::Malformed) => steps.push(half),
        Some(Interruption::Error(error)) => steps.push(Step::Send(error.to_string().into_bytes())),
        Some(Interruption::EndlessLine) => steps.extend([Step::Send(b"{\"x\":\"".to_vec()), Step::SendForever]),
    }
    steps
}

fn embeddings(request: &Received, always: Option<Encoding>) -> Vec<u8> {
    let asked = Encoding::ALL.into_iter().find(|encoding| request.body["encoding_format"] == encoding.name());
    let encoding = always.or(asked).unwrap_or_default();
    let inputs = request.inputs();
    let item = |(index, input): (usize, &&Value)| {
        let bytes = input.as_str().map_or_else(|| input.to_string().len(), str::len);
        let [place, length] = [index, bytes].map(|number| f32::from(u16::try_from(number).unwrap_or(u16::MAX)));
        let vector = Vector::new(vec![place, length, 0.5]).expect("finite numbers");
        json!({"object": "embedding", "index": index, "embedding": vector.written(encoding)})
    };
    let data: Vec<Value> = inputs.iter().enumerate().map(item).collect();
    let tokens = inputs.len() * EMBEDDING_TOKENS;
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    json!({"object": "list", "data": data, "model": request.model(), "usage": usage}).to_string().into_bytes()
}

/// The message that `deltas` add up to.
fn message(deltas: &[Value]) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    if deltas.is_empty() {
        message["content"] = json!("");
    }
    for delta in deltas {
        for name in ["content", "reasoning_content", "refusal"] {
            if let Some(more) = delta[name].as_str() {
                message[name] = json!(message[name].as_str().unwrap_or_default().to_owned() + more);
            }
        }
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            let at = piece["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
            if piece["id"].is_string() {
                let mut call = piece.clone();
                call.as_object_mut().map(|call| call.remove("index"));
                match message["tool_calls"].as_array_mut() {
                    Some(calls) => calls.push(call),
                    None => message["tool_calls"] = json!([call]),
                }
            } else if let Some(more) = piece.pointer("/function/arguments").and_then(Value::as_str) {
                let told = &mut message["tool_calls"][at]["function"]["arguments"];
                *told = json!(told.as_str().unwrap_or_default().to_owned() + more);
            }
        }
    }
    message
}

fn event(data: &str) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}
