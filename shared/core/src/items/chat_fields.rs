//! A response's parameters as fields of a chat completion request.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::metadata::check_metadata;
use super::tools;
use crate::fault::Faults;
use crate::json::{self, RawMap};
use crate::limits::{MAX_SAFETY_IDENTIFIER_CHARS, MAX_TOP_LOGPROBS, MIN_OUTPUT_TOKENS};
use crate::raw;
use crate::reader::{BOOLEAN, Reader, expected, one_of};

/// Fields of a response's request that are not a chat completion's: they are the
/// caller's (model, input, where it is stored, how it is sent), are translated here,
/// or say something that chat completions have no word for.
const NOT_FORWARDED: [&str; 26] = [
    "background",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    // Would take the place of the input.
    "messages",
    "metadata",
    "model",
    "moderation",
    // A response has one answer; more would be paid for and thrown away.
    "n",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_options",
    "reasoning",
    "store",
    "stream",
    "stream_options",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "truncation",
];

const TIERS: [&str; 7] = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];
const TRUNCATIONS: [&str; 2] = ["auto", "disabled"];
const VERBOSITIES: [&str; 3] = ["low", "medium", "high"];
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
const SUMMARIES: [&str; 3] = ["auto", "concise", "detailed"];
const FORMATS: [&str; 3] = ["text", "json_object", "json_schema"];

/// The fields of a chat completion request that ask for what `request`, the body of
/// `POST /v1/responses`, asks for. `messages` is not among them: input, instructions
/// and what was said before are the caller's to put together.
///
/// What is a chat completion's as it is, and what nobody here knows, is forwarded as
/// the client wrote it; the caller takes out its own fields first. Schemas keep the
/// order of their properties, which is the order a model answers in.
///
/// # Errors
/// All faults of the parameters, each with the path of its field.
pub fn chat_fields(request: &RawMap) -> Result<RawMap, Faults> {
    let mut faults = Faults::default();
    let parsed: Map<String, Value> =
        request.iter().filter_map(|(name, raw)| Some((name.clone(), serde_json::from_str(raw.get()).ok()?))).collect();
    let reader = Reader::new("", &parsed);
    check_numbers(&reader, &mut faults);
    check_words(&reader, &mut faults);

    let mut chat = request.clone();
    chat.retain(|name, raw| raw.get() != "null" && !NOT_FORWARDED.contains(&name.as_str()));
    if let Some(most) = reader.count("max_output_tokens", MIN_OUTPUT_TOKENS, u64::MAX, &mut faults) {
        chat.insert("max_completion_tokens".to_owned(), json::raw(&json!(most)));
    }
    put_logprobs(&reader, &mut chat, &mut faults);
    put_reasoning(&reader, &mut chat, &mut faults);
    put_text(&reader, request.get("text").map(AsRef::as_ref), &mut chat, &mut faults);
    tools::put(&reader, request, &mut chat, &mut faults);
    faults.into_result().map(|()| chat)
}

fn check_numbers(reader: &Reader<'_>, faults: &mut Faults) {
    let _ = reader.number("temperature", 0.0, 2.0, faults);
    let _ = reader.number("top_p", 0.0, 1.0, faults);
    let _ = reader.number("presence_penalty", -2.0, 2.0, faults);
    let _ = reader.number("frequency_penalty", -2.0, 2.0, faults);
    let _ = reader.count("max_tool_calls", 1, u64::MAX, faults);
}

fn check_words(reader: &Reader<'_>, faults: &mut Faults) {
    let _ = reader.word("service_tier", &TIERS, faults);
    let _ = reader.word("truncation", &TRUNCATIONS, faults);
    let _ = reader.text("user", faults);
    let _ = reader.text("prompt_cache_key", faults);
    let identifier = reader.text("safety_identifier", faults);
    if identifier.is_some_and(|text| text.chars().count() > MAX_SAFETY_IDENTIFIER_CHARS) {
        let message = format!("Expected at most {MAX_SAFETY_IDENTIFIER_CHARS} characters.");
        faults.add(reader.at("safety_identifier"), message);
    }
    if let Some(metadata) = reader.value("metadata") {
        check_metadata("metadata", metadata, faults);
    }
}

/// Chat completions want to be told that there are any before how many.
fn put_logprobs(reader: &Reader<'_>, chat: &mut RawMap, faults: &mut Faults) {
    let included = reader.list("include", faults).unwrap_or_default();
    for (index, name) in included.iter().enumerate().filter(|(_, name)| !name.is_string()) {
        faults.add(format!("include[{index}]"), expected("a string", name));
    }
    let most = reader.count("top_logprobs", 0, MAX_TOP_LOGPROBS, faults).filter(|most| *most > 0);
    let wanted = most.is_some() || included.iter().any(|name| name == "message.output_text.logprobs");
    if wanted {
        chat.insert("logprobs".to_owned(), json::raw(&json!(true)));
    }
    if let Some(most) = most {
        chat.insert("top_logprobs".to_owned(), json::raw(&json!(most)));
    }
}

fn put_reasoning(reader: &Reader<'_>, chat: &mut RawMap, faults: &mut Faults) {
    let Some(reasoning) = reader.object("reasoning", faults) else { return };
    let _ = reasoning.word("summary", &SUMMARIES, faults);
    if let Some(effort) = reasoning.word("effort", &EFFORTS, faults) {
        chat.insert("reasoning_effort".to_owned(), json::raw(&json!(effort)));
    }
}

fn put_text(reader: &Reader<'_>, written: Option<&RawValue>, chat: &mut RawMap, faults: &mut Faults) {
    let Some(text) = reader.object("text", faults) else { return };
    if let Some(verbosity) = text.word("verbosity", &VERBOSITIES, faults) {
        chat.insert("verbosity".to_owned(), json::raw(&json!(verbosity)));
    }
    let Some(format) = text.object("format", faults) else { return };
    format.require("type", faults);
    match format.text("type", faults) {
        // What an upstream does anyway.
        Some("text") | None => {}
        Some("json_object") => {
            chat.insert("response_format".to_owned(), json::raw(&json!({"type": "json_object"})));
        }
        Some("json_schema") => {
            check_schema(&format, faults);
            let text = written.and_then(raw::fields).unwrap_or_default();
            let format = text.get("format").and_then(|format| raw::fields(format)).unwrap_or_default();
            let schema = raw::pick(&format, &["name", "description", "schema", "strict"]);
            let format = raw::object([("json_schema", schema), ("type", json::raw(&json!("json_schema")))]);
            chat.insert("response_format".to_owned(), format);
        }
        Some(other) => faults.add(format.at("type"), one_of(&FORMATS, other)),
    }
}

fn check_schema(format: &Reader<'_>, faults: &mut Faults) {
    let _ = format.required_name("name", faults);
    format.require("schema", faults);
    let _ = format.object("schema", faults);
    let _ = format.text("description", faults);
    let _ = format.typed("strict", BOOLEAN, Value::as_bool, faults);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &str, expected: &str) {
        let chat = chat_fields(&json::raw_fields(request.as_bytes()).unwrap()).unwrap();
        assert_eq!(serde_json::to_string(&chat).unwrap(), expected, "{request}");
    }

    fn refused(request: &Value, fields: &[&str]) {
        let faults = chat_fields(&json::raw_fields(request.to_string().as_bytes()).unwrap()).unwrap_err();
        let found: Vec<&str> = faults.0.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(found, fields, "{request}: {faults}");
    }

    #[test]
    fn what_both_know_and_what_nobody_knows_is_forwarded_as_written() {
        check(
            r#"{"temperature":1.0,"top_p":0.50,"presence_penalty":-2,"service_tier":"flex","user":"u",
                "safety_identifier":"s","prompt_cache_key":"p","x_own":1e3,"seed":null}"#,
            r#"{"presence_penalty":-2,"prompt_cache_key":"p","safety_identifier":"s","service_tier":"flex","temperature":1.0,"top_p":0.50,"user":"u","x_own":1e3}"#,
        );
    }

    #[test]
    fn what_is_a_responses_own_is_not_forwarded() {
        check(
            r#"{"model":"m","input":"a","instructions":"b","previous_response_id":"r","conversation":"c","store":true,
                "background":false,"stream":true,"stream_options":{},"include":[],"metadata":{"a":"b"},"truncation":"auto",
                "max_tool_calls":1,"messages":[],"n":2,"reasoning":null,"text":null,"tools":null,"top_logprobs":0}"#,
            "{}",
        );
    }

    #[test]
    fn other_words_for_the_same() {
        check(r#"{"max_output_tokens":16}"#, r#"{"max_completion_tokens":16}"#);
        check(r#"{"max_output_tokens":16,"max_completion_tokens":99}"#, r#"{"max_completion_tokens":16}"#);
        check(r#"{"reasoning":{"effort":"low","summary":"auto"}}"#, r#"{"reasoning_effort":"low"}"#);
        check(r#"{"text":{"verbosity":"high"}}"#, r#"{"verbosity":"high"}"#);
        check(r#"{"top_logprobs":20}"#, r#"{"logprobs":true,"top_logprobs":20}"#);
        check(r#"{"include":["message.output_text.logprobs"]}"#, r#"{"logprobs":true}"#);
    }

    #[test]
    fn a_schema_keeps_the_order_of_its_properties() {
        check(r#"{"text":{"format":{"type":"text"}}}"#, "{}");
        check(r#"{"text":{"format":{"type":"json_object"}}}"#, r#"{"response_format":{"type":"json_object"}}"#);
        check(
            r#"{"text":{"format":{"type":"json_schema","name":"n","strict":true,"description":null,
                "schema":{"properties":{"reason":{},"answer":{}}}}}}"#,
            r#"{"response_format":{"json_schema":{"name":"n","schema":{"properties":{"reason":{},"answer":{}}},"strict":true},"type":"json_schema"}}"#,
        );
        check(
            r#"{"tools":[{"type":"function","name":"f","description":"d","strict":null,"parameters":{"properties":{"z":{},"a":{}}}}]}"#,
            r#"{"tools":[{"function":{"description":"d","name":"f","parameters":{"properties":{"z":{},"a":{}}}},"type":"function"}]}"#,
        );
    }

    #[test]
    fn a_choice_of_tools_goes_with_tools_only() {
        let tools = r#""tools":[{"type":"function","name":"f"}]"#;
        let sent = r#""tools":[{"function":{"name":"f"},"type":"function"}]}"#;
        for (given, expected) in [
            (r#""none""#, r#""none""#),
            (r#""required""#, r#""required""#),
            (r#"{"type":"function","name":"f"}"#, r#"{"function":{"name":"f"},"type":"function"}"#),
            (
                r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]}"#,
                r#"{"allowed_tools":{"mode":"required","tools":[{"function":{"name":"f"},"type":"function"}]},"type":"allowed_tools"}"#,
            ),
            (r#"{"type":"allowed_tools","mode":"none","tools":[]}"#, r#""none""#),
        ] {
            check(&format!(r#"{{{tools},"tool_choice":{given}}}"#), &format!(r#"{{"tool_choice":{expected},{sent}"#));
        }
        check(
            &format!(r#"{{{tools},"parallel_tool_calls":false}}"#),
            &format!(r#"{{"parallel_tool_calls":false,{sent}"#),
        );
        check(r#"{"tool_choice":"auto","parallel_tool_calls":true,"tools":[]}"#, "{}");
        refused(&json!({"tool_choice": "required"}), &["tool_choice"]);
        refused(&json!({"tool_choice": {"type": "function", "name": "f"}, "tools": []}), &["tool_choice"]);
    }

    #[test]
    fn numbers_have_ranges() {
        for (field, inside, outside) in [
            ("temperature", [0.0, 2.0], [-0.1, 2.1]),
            ("top_p", [0.0, 1.0], [-0.1, 1.1]),
            ("presence_penalty", [-2.0, 2.0], [-2.1, 2.1]),
            ("max_output_tokens", [16.0, 1e6], [15.0, 16.5]),
            ("max_tool_calls", [1.0, 9.0], [0.0, 1.5]),
            ("top_logprobs", [0.0, 20.0], [-1.0, 21.0]),
        ] {
            let whole = |value: f64| format!(r#"{{"{field}":{value}}}"#);
            for value in inside {
                assert!(chat_fields(&json::raw_fields(whole(value).as_bytes()).unwrap()).is_ok(), "{field} {value}");
            }
            for value in outside {
                refused(&serde_json::from_str(&whole(value)).unwrap(), &[field]);
            }
            refused(&json!({field: "1"}), &[field]);
        }
    }

    #[test]
    fn every_fault_is_told_at_its_place() {
        refused(
            &json!({"service_tier": "best", "truncation": "no", "user": 1, "safety_identifier": "s".repeat(65),
                    "metadata": {"a": 1}, "include": ["x", 1], "reasoning": {"effort": "most", "summary": 1},
                    "text": {"verbosity": "loud", "format": {"type": "xml"}}, "parallel_tool_calls": "yes"}),
            &[
                "service_tier",
                "truncation",
                "user",
                "safety_identifier",
                "metadata.a",
                "include[1]",
                "reasoning.summary",
                "reasoning.effort",
                "text.verbosity",
                "text.format.type",
                "parallel_tool_calls",
            ],
        );
        refused(
            &json!({"text": {"format": {"type": "json_schema", "strict": 1}}}),
            &["text.format.name", "text.format.schema", "text.format.strict"],
        );
        refused(&json!({"text": [], "reasoning": 1, "tools": {}}), &["reasoning", "text", "tools"]);
    }

    #[test]
    fn tools_that_are_no_functions_are_named() {
        let request = json!({"tools": [
            {"type": "web_search"}, {"name": "f"}, "f", {"type": "function"}, {"type": "function", "name": "a b", "parameters": []},
            {"type": "function", "name": "f".repeat(64)}, {"type": "function", "name": "f".repeat(65)}]});
        let fields = [
            "tools[0].type",
            "tools[1].type",
            "tools[2]",
            "tools[3].name",
            "tools[4].parameters",
            "tools[4].name",
            "tools[6].name",
        ];
        refused(&request, &fields);
        let faults = chat_fields(&json::raw_fields(request.to_string().as_bytes()).unwrap()).unwrap_err();
        assert!(faults.0[0].message.contains("\"web_search\" are not supported"), "{faults}");

        let tools = json!([{"type": "function", "name": "f"}]);
        for (choice, field) in [
            (json!("any"), "tool_choice"),
            (json!(1), "tool_choice"),
            (json!({"name": "f"}), "tool_choice.type"),
            (json!({"type": "web_search"}), "tool_choice.type"),
            (json!({"type": "function"}), "tool_choice.name"),
            (json!({"type": "allowed_tools"}), "tool_choice.tools"),
            (json!({"type": "allowed_tools", "tools": [{"type": "mcp", "name": "f"}]}), "tool_choice.tools[0].type"),
        ] {
            refused(&json!({"tools": tools, "tool_choice": choice}), &[field]);
        }
    }
}
