//! What can be asked of whom on which route: `shared/providers/MATRIX.md`, made from requests
//! that are really sent. `TURNWISE_BLESS=1` writes it anew.

use std::fmt::Write as _;
use std::path::PathBuf;

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use turnwise_tests::app::TestApp;

/// Who is asked: the provider's name and a model of its that can do as much as any.
const PROVIDERS: [(&str, &str); 5] = [
    ("OpenAI-compatible", "openai/gpt-5.5"),
    ("Anthropic", "anthropic/claude-sonnet-4-6"),
    ("Gemini", "gemini/gemini-2.5-pro"),
    ("Bedrock", "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0"),
    ("local/echo", "local/echo"),
];

const SURFACES: [&str; 3] = ["/v1/chat/completions", "/v1/messages", "/v1/responses"];

/// What is asked for, and how each surface says it; none where it cannot.
struct Feature {
    name: &'static str,
    said: [Option<Value>; 3],
}

fn feature(name: &'static str, completions: Value, messages: Value, responses: Value) -> Feature {
    let said = [completions, messages, responses].map(|said| Some(said).filter(|said| !said.is_null()));
    Feature { name, said }
}

/// A user's message with one part, in each surface's words.
fn part(name: &'static str, completions: Value, messages: Value, responses: Value) -> Feature {
    let with = |part: Value, wrap: fn(Value) -> Value| if part.is_null() { Value::Null } else { wrap(part) };
    let message = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let item = |part: Value| json!({"input": [{"type": "message", "role": "user", "content": [part]}]});
    feature(name, with(completions, message), with(messages, message), with(responses, item))
}

#[expect(clippy::too_many_lines, reason = "a table of requests")]
fn features() -> Vec<Feature> {
    const PNG: &str = "iVBORw0KGgo=";
    let data = |kind: &str| format!("data:{kind};base64,{PNG}");
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let function = json!({"type": "function", "function": {"name": "f", "parameters": parameters}});
    let tool = json!({"name": "f", "input_schema": parameters});
    let flat = json!({"type": "function", "name": "f", "parameters": parameters});
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
                        "additionalProperties": false});
    let both = |fields: Value| feature("", fields.clone(), fields.clone(), fields);
    let all = |name: &'static str, fields: Value| Feature { name, ..both(fields) };
    vec![
        all("text", json!({})),
        all("stream", json!({"stream": true})),
        feature(
            "system prompt",
            json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}),
            json!({"system": "s"}),
            json!({"instructions": "s"}),
        ),
        feature("tools", json!({"tools": [function]}), json!({"tools": [tool]}), json!({"tools": [flat]})),
        feature(
            "forced call",
            json!({"tools": [function], "tool_choice": {"type": "function", "function": {"name": "f"}}}),
            json!({"tools": [tool], "tool_choice": {"type": "tool", "name": "f"}}),
            json!({"tools": [flat], "tool_choice": {"type": "function", "name": "f"}}),
        ),
        feature(
            "one call at a time",
            json!({"tools": [function], "parallel_tool_calls": false}),
            json!({"tools": [tool], "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}),
            json!({"tools": [flat], "parallel_tool_calls": false}),
        ),
        part(
            "image, as bytes",
            json!({"type": "image_url", "image_url": {"url": data("image/png")}}),
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}),
            json!({"type": "input_image", "image_url": data("image/png")}),
        ),
        part(
            "image, at an https URL",
            json!({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}),
            json!({"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}),
            json!({"type": "input_image", "image_url": "https://example.org/a.png"}),
        ),
        part(
            "PDF, as bytes",
            json!({"type": "file", "file": {"filename": "a.pdf", "file_data": data("application/pdf")}}),
            json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PNG}}),
            json!({"type": "input_file", "filename": "a.pdf", "file_data": data("application/pdf")}),
        ),
        part(
            "sound",
            json!({"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}),
            Value::Null,
            Value::Null,
        ),
        feature(
            "JSON of a schema",
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}),
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
            json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": schema}}}),
        ),
        feature(
            "JSON of any kind",
            json!({"response_format": {"type": "json_object"}}),
            Value::Null,
            json!({"text": {"format": {"type": "json_object"}}}),
        ),
        feature(
            "log probabilities",
            json!({"logprobs": true, "top_logprobs": 2}),
            Value::Null,
            json!({"top_logprobs": 2}),
        ),
        feature("several choices (n)", json!({"n": 2}), Value::Null, Value::Null),
        feature(
            "most tokens",
            json!({"max_completion_tokens": 500}),
            json!({"max_tokens": 500}),
            json!({"max_output_tokens": 500}),
        ),
        feature("temperature", json!({"temperature": 0.5}), json!({"temperature": 0.5}), json!({"temperature": 0.5})),
        feature("top_p", json!({"top_p": 0.5}), json!({"top_p": 0.5}), json!({"top_p": 0.5})),
        feature("top_k", json!({"top_k": 5}), json!({"top_k": 5}), Value::Null),
        feature(
            "penalties",
            json!({"presence_penalty": 0.5, "frequency_penalty": 0.5}),
            Value::Null,
            json!({"presence_penalty": 0.5, "frequency_penalty": 0.5}),
        ),
        feature("seed", json!({"seed": 7}), Value::Null, Value::Null),
        feature("stop texts", json!({"stop": ["x"]}), json!({"stop_sequences": ["x"]}), Value::Null),
        feature(
            "reasoning effort",
            json!({"reasoning_effort": "low"}),
            json!({"output_config": {"effort": "low"}}),
            json!({"reasoning": {"effort": "low"}}),
        ),
        feature(
            "thinking budget",
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_completion_tokens": 4096}),
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4096}),
            Value::Null,
        ),
        part(
            "prompt cache breakpoint",
            json!({"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}}),
            json!({"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}}),
            Value::Null,
        ),
        feature("user", json!({"user": "u"}), json!({"metadata": {"user_id": "u"}}), json!({"safety_identifier": "u"})),
        feature(
            "search in the web",
            json!({"web_search_options": {}}),
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            json!({"tools": [{"type": "web_search"}]}),
        ),
        feature("a field that nobody knows", json!({"x_own": 1}), json!({"x_own": 1}), Value::Null),
    ]
}

/// A request of `surface` that says `feature` to `model`.
fn request(surface: &str, model: &str, said: &Value) -> Value {
    let mut body = match surface {
        "/v1/responses" => json!({"input": "hello", "store": false}),
        "/v1/messages" => json!({"messages": [{"role": "user", "content": "hello"}], "max_tokens": 100}),
        _ => json!({"messages": [{"role": "user", "content": "hello"}]}),
    };
    body["model"] = json!(model);
    for (name, value) in said.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// What becomes of it: it goes out, it goes out without these fields, or it is refused.
async fn cell(app: &TestApp, surface: &str, model: &str, said: Option<&Value>) -> String {
    let Some(said) = said else { return "–".to_owned() };
    let reply = app.post(surface, &request(surface, model, said)).await;
    let dropped = reply.header("x-turnwise-dropped-params");
    match reply.status {
        400 => {
            assert!(reply.text().contains("invalid_request_error"), "a clear error: {}", reply.text());
            "400".to_owned()
        }
        200 | 502 if dropped.is_empty() => "yes".to_owned(),
        200 | 502 => format!("without {dropped}"),
        other => panic!("{other} for {model} on {surface}: {}", reply.text()),
    }
}

/// A server that takes every request and answers none: what goes out has got through.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(|| async { StatusCode::INTERNAL_SERVER_ERROR });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

async fn table() -> String {
    let nobody = nobody().await;
    let mut builder = TestApp::builder();
    for provider in ["anthropic", "gemini", "bedrock"] {
        builder = builder.with_provider(provider, &nobody, "key");
    }
    let app = builder.start().await;
    let mut text = String::from(
        "# What can be asked of whom\n\n\
         Made by `tests/it/matrix.rs` from requests that are sent. `yes`: it goes out, in the provider's own words.\n\
         `without x`: it goes out without the field x, which is named in `x-turnwise-dropped-params`. `400`: it is\n\
         refused before anything is called, with the field and what to do instead. `–`: the standard has no field for it.\n\n\
         The models: ",
    );
    text.push_str(&PROVIDERS.map(|(_, model)| format!("`{model}`")).join(", "));
    text.push_str(
        ". Others of a provider may take less: what is known of them is in\n\
         `shared/core/data/models.json`. An OpenAI-compatible server at an address of your own gets every field as it was\n\
         written. `/v1/chat` takes the fields of `/v1/chat/completions` beside its own.\n",
    );
    for (index, surface) in SURFACES.iter().enumerate() {
        let names = PROVIDERS.map(|(name, _)| name).join(" | ");
        let _ = write!(text, "\n## `{surface}`\n\n| | {names} |\n|---|---|---|---|---|---|\n");
        for feature in features() {
            let mut cells = Vec::new();
            for (_, model) in PROVIDERS {
                cells.push(cell(&app, surface, model, feature.said[index].as_ref()).await);
            }
            let _ = writeln!(text, "| {} | {} |", feature.name, cells.join(" | "));
        }
    }
    text
}

#[tokio::test]
async fn the_matrix_says_what_is_done() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/providers/MATRIX.md");
    let made = table().await;
    if std::env::var_os("TURNWISE_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    for (made, kept) in made.lines().zip(kept.lines()) {
        assert_eq!(made, kept, "what can be asked has changed: set TURNWISE_BLESS=1 and look at the diff");
    }
    assert_eq!(made.lines().count(), kept.lines().count());
}
