//! The translation against the files in `fixtures/gemini`, and against anything else.

mod wire;

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};
use turnwise_core::json::raw_fields;
use turnwise_core::limits::MAX_ANSWER_BYTES;

use super::*;
use crate::registry::tests::providers;
use crate::sse::MAX_EVENT_BYTES;
use crate::stream::{MAX_STREAM_BYTES, Progress, Reader};

pub(super) fn target() -> Target {
    Target { provider: NAME.to_owned(), model: "gemini-asked-for".to_owned() }
}

pub(super) fn generation(model: &str, fields: &Value) -> Generation {
    Generation { model: model.to_owned(), fields: raw_fields(fields.to_string().as_bytes()).unwrap() }
}

fn call() -> Call {
    let generation = generation("gemini-asked-for", &json!({"messages": []}));
    Call { generation, id: "chatcmpl-1".to_owned(), created_s: 7, connect_timeout: None }
}

/// The files of `fixtures/gemini/{kind}` that end in `.{ending}`, with their names.
fn fixtures(kind: &str, ending: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/gemini").join(kind);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == ending)).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// What `expected` says of an answer, of the answer that came.
fn outcome(answered: Result<Completion, Error>) -> Value {
    match answered {
        Ok(completion) => json!({"completion": serde_json::from_str::<Value>(completion.body.get()).unwrap()}),
        Err(error) => json!({"error": {"category": error.category, "code": error.code, "retryable": error.retryable}}),
    }
}

fn expected(fixture: &Value) -> Value {
    let kind = if fixture["error"].is_null() { "completion" } else { "error" };
    json!({kind: fixture[kind]})
}

/// What a reader makes of `pieces`: its chunks, and how it ended.
fn read(pieces: &[&[u8]]) -> (Vec<Event>, Result<(), Error>) {
    let mut reader = Reader::new(target(), Answer::new(target(), &call()));
    let mut events = Vec::new();
    let read = pieces.iter().filter(|piece| !piece.is_empty());
    let mut result = read.map(|piece| reader.push(piece, &mut events)).try_for_each(|progress| {
        assert_eq!(progress?, Progress::More, "only the end of the body is the end");
        Ok(())
    });
    if result.is_ok() {
        result = reader.end(&mut events);
    }
    (events, result)
}

fn texts(events: &[Event]) -> Vec<&str> {
    let chunks = events.iter().map(|event| match event {
        Event::Chunk(chunk) => chunk.get(),
        Event::Finished => panic!("a reader leaves the last event to its caller"),
    });
    chunks.collect()
}

#[test]
fn a_request_is_written_in_geminis_words() {
    for (path, fixture) in fixtures("requests", "json") {
        let fixture: Value = serde_json::from_slice(&fixture).unwrap();
        let generation = generation(fixture["model"].as_str().unwrap(), &fixture["request"]);
        let (seen, wanted) = match request::write(&generation) {
            Ok(written) => (json!([written.body, written.dropped]), json!([fixture["body"], fixture["dropped"]])),
            Err(faults) => {
                let fields: Vec<&str> = faults.0.iter().map(|fault| fault.field.as_str()).collect();
                (json!(fields), fixture["faults"].clone())
            }
        };
        assert_eq!(seen, wanted, "{}", path.display());
    }
}

#[test]
fn an_answer_is_read_into_a_completion() {
    for (path, fixture) in fixtures("answers", "json") {
        let fixture: Value = serde_json::from_slice(&fixture).unwrap();
        let answer = fixture["answer"].to_string();
        assert_eq!(outcome(completion(target(), &call(), answer.as_bytes())), expected(&fixture), "{}", path.display());
    }
}

#[test]
fn a_stream_says_what_its_file_says() {
    for (path, bytes) in fixtures("streams", "sse") {
        let fixture: Value = serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let (events, result) = read(&[&bytes]);
        let answered = result.map(|()| chunks::completion(&events, ""));
        assert_eq!(outcome(answered), expected(&fixture), "{}", path.display());
    }
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    for (path, bytes) in fixtures("streams", "sse") {
        let (whole, result) = read(&[&bytes]);
        let code = result.err().map(|error| error.code);
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let (cut, result) = read(&[head, tail]);
            let cut_code = result.err().map(|error| error.code);
            assert_eq!((texts(&cut), &cut_code), (texts(&whole), &code), "{} cut at {at}", path.display());
        }
    }
}

#[test]
fn an_end_at_any_byte_before_the_finish_is_an_error() {
    for (path, bytes) in fixtures("streams", "sse") {
        let place = format!("{}", path.display());
        let text = String::from_utf8(bytes.clone()).unwrap();
        // The finish has come when the event that holds it has.
        let finish = text.find("finishReason").map(|at| at + text[at..].find(['\r', '\n']).unwrap());
        for at in 0..=bytes.len() {
            match read(&[&bytes[..at]]).1 {
                Ok(()) => {
                    assert!(finish.is_some_and(|finish| at >= finish), "{place} taken for whole when cut at {at}")
                }
                Err(error) if at < finish.unwrap_or_default() => {
                    assert_eq!(&*error.code, "stream_truncated", "{place} cut at {at}");
                }
                Err(_) => {}
            }
        }
    }
}

#[test]
fn a_name_of_a_model_never_leaves_its_place() {
    let rows = [
        ("gemini-2.5-pro", "/models/gemini-2.5-pro:m"),
        ("../files/x?key=1#y", "/models/..%2Ffiles%2Fx%3Fkey%3D1%23y:m"),
        ("a:deleteModel b%2F\\", "/models/a%3AdeleteModel%20b%252F%5C:m"),
        ("ü\r\n", "/models/%C3%BC%0D%0A:m"),
    ];
    for (model, expected) in rows {
        assert_eq!(path(model, "m"), expected);
        let base = "https://host/v1beta";
        let url = reqwest::Url::parse(&format!("{base}{}", path(model, "m?alt=sse"))).unwrap();
        assert!(url.path().starts_with("/v1beta/models/") && url.path().matches('/').count() == 3, "{url}");
        assert_eq!((url.query(), url.fragment()), (Some("alt=sse"), None));
    }
}

#[test]
fn calls_without_an_id_get_one_that_does_not_change() {
    let answer = br#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}]}"#;
    let id = || {
        let body = completion(target(), &call(), answer).unwrap().body;
        let body: Value = serde_json::from_str(body.get()).unwrap();
        body.pointer("/choices/0/message/tool_calls/0/id").and_then(Value::as_str).map(str::to_owned)
    };
    assert_eq!((id(), id()), (Some("call_chatcmpl-1_0".to_owned()), Some("call_chatcmpl-1_0".to_owned())));
}

#[test]
fn what_an_answer_says_it_can_be_told_again() {
    // The message that comes out goes back in as it went out: signatures, ids, arguments.
    let parts = json!([{"text": "hm", "thought": true, "thoughtSignature": "s1"}, {"text": "a", "thoughtSignature": "s2"},
        {"functionCall": {"id": "c1", "name": "f", "args": {"x": 1}}, "thoughtSignature": "s3"},
        {"functionCall": {"id": "c2", "name": "g", "args": {}}}]);
    let answer = json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
    let body = completion(target(), &call(), answer.to_string().as_bytes()).unwrap().body;
    let message = &serde_json::from_str::<Value>(body.get()).unwrap()["choices"][0]["message"];
    let fields = json!({"messages": [{"role": "user", "content": "q"}, message, {"role": "user", "content": "r"}]});
    let written = request::write(&generation("gemini-3.5-flash", &fields)).unwrap();
    assert_eq!(written.body["contents"][1], json!({"role": "model", "parts": parts}));
}

#[test]
fn check_says_what_would_not_go_out() {
    let of = |fields: Value| Gemini::check(&generation("gemini-3.8-flash", &fields));
    let messages = json!([{"role": "user", "content": "hi"}]);
    assert_eq!(of(json!({"messages": messages, "temperature": 1, "user": "u"})).unwrap(), ["temperature", "user"]);
    assert_eq!(of(json!({"messages": messages, "n": 2})).unwrap_err().first_field(), Some("n"));
}

#[test]
fn the_words_of_an_upstream_stay_out_of_messages() {
    let rows = [
        json!({"candidates": [{"finishReason": "my diary", "finishMessage": "my diary"}]}),
        json!({"promptFeedback": {"blockReason": "my diary"}}),
    ];
    for body in rows {
        let error = completion(target(), &call(), body.to_string().as_bytes()).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("diary"));
    }
}

#[test]
fn a_hostile_stream_ends_in_an_error() {
    let deep = format!("data: {}{}\n\n", "[".repeat(200_000), "]".repeat(200_000));
    let long_name = "x".repeat(MAX_EVENT_BYTES / 2);
    let rows = [
        (format!("data: {}", "x".repeat(2 * MAX_EVENT_BYTES)), "malformed_answer"),
        (format!("data: {}", "\"".repeat(2 * MAX_EVENT_BYTES)), "malformed_answer"),
        (deep, "malformed_answer"),
        ("data: \u{0}\u{1}\n\n".to_owned(), "malformed_answer"),
        ("data: {\"candidates\":[{\"finishReason\":7}]}\n\n".to_owned(), "stream_truncated"),
        (format!("data: {{\"candidates\":[{{\"finishReason\":\"{long_name}\"}}]}}\n\n"), "upstream_error"),
        (format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_ANSWER_BYTES)), "answer_too_long"),
        ("data: [DONE]\n\n".to_owned(), "malformed_answer"),
    ];
    for (stream, code) in rows {
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(64 * 1024).collect();
        let error = read(&pieces).1.unwrap_err();
        assert_eq!(&*error.code, code, "{}", &stream[..40.min(stream.len())]);
        assert!(error.to_string().len() < 300);
    }
}

#[test]
fn endless_events_end_at_the_limit_of_a_stream() {
    let mut reader = Reader::new(target(), Answer::new(target(), &call()));
    reader.bytes = MAX_STREAM_BYTES - 100;
    let event = b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n";
    let mut events = Vec::new();
    let ended = std::iter::repeat_with(|| reader.push(event, &mut events)).take(10).find_map(Result::err);
    assert_eq!(ended.map(|error| error.code).as_deref(), Some("answer_too_long"));
}

#[test]
fn names_that_are_repeated_in_every_chunk_are_cut() {
    let name = "x".repeat(100_000);
    let body = json!({"responseId": name, "modelVersion": name, "candidates": [{"finishReason": "STOP"}]});
    let completion = completion(target(), &call(), body.to_string().as_bytes()).unwrap();
    assert!(completion.body.get().len() < 1_000);
}

#[test]
fn a_key_travels_in_a_header_and_makes_the_provider() {
    let configured = |rows: &[(&str, &str, &str)]| {
        providers(rows, None).unwrap().configured().map(|provider| provider.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(configured(&[("gemini", "k", "")]), ["gemini", "local"]);
    assert_eq!(configured(&[("gemini", "", "http://localhost:1/v1beta")]), ["local"]);
    let resolved = providers(&[("gemini", "k", "")], None).unwrap().resolve(Some("gemini-3.8-flash")).unwrap();
    assert_eq!((resolved.name.as_str(), resolved.reasons()), ("gemini/gemini-3.8-flash", true));
}

/// What random streams are made of.
const PARTS: [&str; 10] = [
    " \r\n",
    ": comment\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ü\"}]}}]}\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\"},\"thoughtSignature\":\"s\"}]}}]}\r\n\r\n",
    "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1}}\r\n\r\n",
    "data: {\"error\":{\"code\":500}}\r\r",
    "data: {\"promptFeedback\":{\"blockReason\":\"OTHER\"}}\n\n",
    "data: {\"candidates\":\n\n",
    "{\"candidates\":[{\"finishReason\":\"STOP\"}]}",
    "[{\"error\":{\"code\":429}}]",
];

/// Any value, of the names that an answer has.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["", "STOP", "SAFETY", "ü"]).prop_map(Value::from),
    ];
    let names = [
        "candidates",
        "content",
        "parts",
        "text",
        "thought",
        "thoughtSignature",
        "functionCall",
        "name",
        "args",
        "id",
        "finishReason",
        "index",
        "usageMetadata",
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "totalTokenCount",
        "promptFeedback",
        "blockReason",
        "responseId",
        "modelVersion",
        "logprobsResult",
        "chosenCandidates",
        "topCandidates",
        "token",
        "logProbability",
        "error",
        "code",
        "details",
        "violations",
    ];
    leaf.prop_recursive(6, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(names.to_vec()), inner, 0..5).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn random_streams_cut_at_random_end_alike(
        parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        noise in prop::option::of(any::<(prop::sample::Index, u8)>()),
    ) {
        let mut bytes = parts.concat().into_bytes();
        if let Some((at, byte)) = noise.filter(|_| !bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let code = |result: Result<(), Error>| result.err().map(|error| error.code);
        let ((whole, result), (cut, cut_result)) = (read(&[&bytes]), read(&pieces));
        prop_assert_eq!((texts(&cut), code(cut_result)), (texts(&whole), code(result)));
    }

    #[test]
    fn wrong_types_anywhere_do_no_harm(candidate in values(), other in values(), part in values()) {
        for body in [
            json!({"candidates": [candidate], "usageMetadata": other, "promptFeedback": part}),
            json!({"candidates": [{"content": {"parts": [part, other]}, "logprobsResult": candidate, "finishReason": "STOP"}]}),
            json!([candidate, other, part]),
            other,
        ] {
            let answered = completion(target(), &call(), body.to_string().as_bytes());
            prop_assert!(answered.is_ok() || answered.is_err());
        }
    }

    #[test]
    fn wrong_types_in_a_request_do_no_harm(message in values(), schema in values(), own in values()) {
        let fields = json!({"messages": [{"role": "user", "content": "a"}, message], "gemini": own,
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]});
        let written = request::write(&generation("gemini-3.8-flash", &fields));
        prop_assert!(written.is_ok() || written.is_err());
    }
}
