//! `turnwise verify-keys`, the real program against providers on the loopback address.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use turnwise_tests::process::Program;
use turnwise_tests::scripted::ScriptedProvider;

/// What every provider here accepts, and what nothing may print.
const KEY: &str = "key-that-nobody-may-see";

/// A key that none accepts, just as secret.
const WRONG: &str = "wrong-key-that-nobody-may-see";

/// Anthropic, Gemini and OpenRouter at one address, as far as keys and lists of models go.
async fn providers() -> String {
    let anthropic = json!({"data": [{"id": "claude-a", "type": "model"}], "has_more": false});
    let gemini = json!({"models": [{"name": "models/gemini-a"}, {"name": "models/gemini-b"}]});
    let openrouter = json!({"data": [{"id": "a/b"}, {"id": "c/d"}, {"id": "e/f"}]});
    let guarded =
        |header: &'static str, before: &'static str, body: Value| get(guard).with_state((header, before, body));
    let router = Router::new()
        .route("/anthropic/v1/models", guarded("x-api-key", "", anthropic))
        .route("/gemini/v1beta/models", guarded("x-goog-api-key", "", gemini))
        .route("/openrouter/api/v1/key", guarded("authorization", "Bearer ", json!({"data": {"usage": 0}})))
        // Open to everybody, as the real one.
        .route("/openrouter/api/v1/models", get(|| async { axum::Json(openrouter) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// Gives `body` to whoever has the key.
async fn guard(State((header, before, body)): State<(&str, &str, Value)>, headers: HeaderMap) -> Response {
    let given = headers.get(header).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if given == format!("{before}{KEY}") {
        return axum::Json(body).into_response();
    }
    let error = json!({"type": "error", "error": {"type": "authentication_error", "message": "invalid key"}});
    (StatusCode::UNAUTHORIZED, axum::Json(error)).into_response()
}

/// Settings for three providers at `url`, all with `key`.
fn three(url: &str, key: &str) -> Vec<(&'static str, String)> {
    vec![
        ("ANTHROPIC_BASE_URL", format!("{url}/anthropic")),
        ("ANTHROPIC_API_KEY", key.to_owned()),
        ("GEMINI_BASE_URL", format!("{url}/gemini/v1beta")),
        ("GEMINI_API_KEY", key.to_owned()),
        ("OPENROUTER_BASE_URL", format!("{url}/openrouter/api/v1")),
        ("OPENROUTER_API_KEY", key.to_owned()),
    ]
}

/// Runs the command and gives its exit code and all it said, which never holds a key.
async fn verify(settings: &[(&'static str, String)], arguments: &[&'static str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(&folder.path().join("data")).argument("verify-keys");
    let program = settings.iter().fold(program, |program, (name, value)| program.setting(name, value));
    let program = arguments.iter().fold(program, |program, argument| program.argument(argument));
    let (status, said) = program.run().await;
    assert!(!said.contains(KEY) && !said.contains("nobody-may-see"), "{said}");
    (status.code().unwrap(), said)
}

/// The words of `provider`'s row.
fn row<'a>(said: &'a str, provider: &str) -> Vec<&'a str> {
    let rows = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.into_iter().find(|words| words.first() == Some(&provider)).unwrap_or_else(|| panic!("{provider}: {said}"))
}

#[tokio::test]
async fn providers_of_every_format_are_fine() {
    let (url, scripted) = (providers().await, ScriptedProvider::start().await);
    scripted.list_models(&["gpt-a", "gpt-b", "gpt-c", "gpt-d"]);
    let mut settings = three(&url, KEY);
    settings.push(("OPENAI_BASE_URL", scripted.base_url().to_owned()));
    settings.push(("OPENAI_API_KEY", KEY.to_owned()));
    settings.push(("OLLAMA_BASE_URL", scripted.base_url().to_owned()));
    let (code, said) = verify(&settings, &[]).await;
    assert_eq!(code, 0, "{said}");
    let address = url.strip_prefix("http://").unwrap();
    for (provider, models) in [("anthropic", "1"), ("gemini", "2"), ("openrouter", "3")] {
        let words = row(&said, provider);
        assert_eq!(words[1..5], [address, "yes", "accepted", models], "{said}");
        assert_eq!(words.last(), Some(&"fine"), "{said}");
    }
    assert_eq!(row(&said, "openai")[2..5], ["yes", "accepted", "4"], "{said}");
    assert_eq!(row(&said, "ollama")[2..6], ["yes", "none", "sent", "4"], "{said}");
    assert!(row(&said, "groq").contains(&"GROQ_API_KEY"), "{said}");
    assert!(said.contains("All 5 configured providers are fine."), "{said}");
}

#[tokio::test]
async fn a_key_that_is_refused_fails() {
    let (code, said) = verify(&three(&providers().await, WRONG), &[]).await;
    assert_eq!(code, 1, "{said}");
    for (provider, variable) in
        [("anthropic", "ANTHROPIC_API_KEY"), ("gemini", "GEMINI_API_KEY"), ("openrouter", "OPENROUTER_API_KEY")]
    {
        let words = row(&said, provider);
        assert_eq!(words[2..5], ["yes", "refused", "-"], "{said}");
        assert!(words.contains(&format!("{variable}:").as_str()), "{said}");
    }
    assert!(said.contains("3 of 3 configured providers failed."), "{said}");
}

#[tokio::test]
async fn an_address_where_nobody_is_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let scripted = ScriptedProvider::start().await;
    let settings = [
        ("GROQ_BASE_URL", url),
        ("GROQ_API_KEY", KEY.to_owned()),
        ("XAI_BASE_URL", scripted.base_url().to_owned()),
        ("XAI_API_KEY", KEY.to_owned()),
    ];
    let (code, said) = verify(&settings, &[]).await;
    assert_eq!(code, 1, "{said}");
    assert_eq!(row(&said, "groq")[2..5], ["no", "-", "-"], "{said}");
    assert!(said.contains("refused") && said.contains("Check GROQ_BASE_URL"), "{said}");
    assert_eq!(row(&said, "xai")[2..4], ["yes", "accepted"], "{said}");
    let (code, said) = verify(&settings, &["--provider", "xai"]).await;
    assert_eq!((code, said.contains("groq")), (0, false), "{said}");
}

#[tokio::test]
async fn malformed_settings_are_all_listed() {
    let settings = [
        ("OPENAI_BASE_URL", "api.openai.com".to_owned()),
        ("ANTHROPIC_API_KEY", format!("{KEY} with a space")),
        ("GROQ_API_KEY", KEY.to_owned()),
    ];
    let (code, said) = verify(&settings, &[]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("OPENAI_BASE_URL: ") && said.contains("ANTHROPIC_API_KEY: "), "{said}");
    let (code, said) = verify(&settings, &["--json"]).await;
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &report["ok"], &report["providers"]), (2, &json!(false), &json!([])));
    assert_eq!(report["faults"].as_array().unwrap().len(), 2);
    assert_eq!(verify(&[], &["--provider", "nobody"]).await.0, 2);
}

#[tokio::test]
async fn without_a_provider_nothing_fails_unless_it_is_asked_for() {
    let (code, said) = verify(&[], &[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("No provider is configured"), "{said}");
    assert!(row(&said, "ollama").contains(&"OLLAMA_BASE_URL"), "{said}");
    let (code, said) = verify(&[], &["--provider", "groq"]).await;
    assert_eq!((code, said.contains("not configured: set GROQ_API_KEY")), (1, true), "{said}");
}

#[tokio::test]
async fn json_has_one_shape_for_fine_failed_and_absent_providers() {
    let mut settings = three(&providers().await, KEY);
    settings.push(("GROQ_BASE_URL", "http://127.0.0.1:1/v1".to_owned()));
    settings.push(("GROQ_API_KEY", KEY.to_owned()));
    let (code, said) = verify(&settings, &["--json"]).await;
    assert_eq!(code, 1, "{said}");
    let report: Value = serde_json::from_str(&said).unwrap();
    let (text, number) = (json!({"type": ["string", "null"]}), json!({"type": ["integer", "null"], "minimum": 0}));
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["ok", "providers", "faults"],
        "properties": {
            "ok": {"type": "boolean"},
            "faults": {"type": "array", "maxItems": 0},
            "providers": {"type": "array", "items": {
                "type": "object", "additionalProperties": false,
                "required": ["provider", "configured", "configured_by", "address", "reachable", "key", "models", "latency_ms", "problem"],
                "properties": {
                    "provider": {"type": "string"}, "configured": {"type": "boolean"}, "configured_by": {"type": "string"},
                    "address": text, "reachable": {"type": ["boolean", "null"]},
                    "key": {"enum": ["accepted", "refused", "not_sent", "unknown", null]},
                    "models": number, "latency_ms": number, "problem": text,
                },
            }},
        },
    });
    jsonschema::validate(&schema, &report).unwrap();
    let of = |name: &str| report["providers"].as_array().unwrap().iter().find(|row| row["provider"] == name).unwrap();
    assert_eq!((&of("gemini")["models"], &of("gemini")["problem"]), (&json!(2), &Value::Null));
    assert_eq!((&of("groq")["reachable"], &of("groq")["key"]), (&json!(false), &json!("unknown")));
    assert_eq!((&of("mistral")["configured"], &of("mistral")["address"]), (&json!(false), &Value::Null));
}
