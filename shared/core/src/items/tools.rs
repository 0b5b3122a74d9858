//! A response's tools as a chat completion's.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::fault::Faults;
use crate::json::{self, RawMap};
use crate::limits::MAX_FUNCTION_NAME_CHARS;
use crate::raw::{list, object, pick};
use crate::reader::{BOOLEAN, Reader, expected, one_of};

const CHOICES: [&str; 3] = ["none", "auto", "required"];

/// Puts `tools`, `tool_choice` and `parallel_tool_calls` of `request` into `chat`.
/// The last two only beside tools: OpenAI refuses them alone in a chat completion,
/// and takes them in a response.
pub(super) fn put(reader: &Reader<'_>, request: &RawMap, chat: &mut RawMap, faults: &mut Faults) {
    let parallel = reader.typed("parallel_tool_calls", BOOLEAN, Value::as_bool, faults);
    let tools = read_tools(reader, request.get("tools").map(AsRef::as_ref), faults);
    let choice = reader.value("tool_choice").and_then(|choice| read_choice(choice, faults));
    if tools.is_empty() {
        let must_call = choice.is_some_and(|choice| choice != "none" && choice != "auto");
        let none_there = reader.value("tools").is_none_or(|tools| tools.as_array().is_some_and(Vec::is_empty));
        if must_call && none_there {
            faults.add("tool_choice", "A tool can only be chosen where there are tools.");
        }
        return;
    }
    chat.insert("tools".to_owned(), list(&tools));
    if let Some(choice) = choice {
        chat.insert("tool_choice".to_owned(), json::raw(&choice));
    }
    if let Some(parallel) = parallel {
        chat.insert("parallel_tool_calls".to_owned(), json::raw(&json!(parallel)));
    }
}

fn read_tools(reader: &Reader<'_>, raw: Option<&RawValue>, faults: &mut Faults) -> Vec<Box<RawValue>> {
    let Some(tools) = reader.list("tools", faults) else { return Vec::new() };
    for (index, tool) in tools.iter().enumerate() {
        if let Some(tool) = Reader::of(format!("tools[{index}]"), tool, faults) {
            check_tool(&tool, faults);
        }
    }
    let raw: Vec<RawMap> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let functions = raw.iter().map(|tool| pick(tool, &["name", "description", "parameters", "strict"]));
    functions.map(|function| object([("function", function), ("type", json::raw(&json!("function")))])).collect()
}

fn check_tool(tool: &Reader<'_>, faults: &mut Faults) {
    tool.require("type", faults);
    match tool.text("type", faults) {
        Some("function") => {}
        Some(other) => {
            let message = format!("Tools of type {other:?} are not supported; expected \"function\".");
            faults.add(tool.at("type"), message);
            return;
        }
        None => return,
    }
    let _ = tool.text("description", faults);
    let _ = tool.object("parameters", faults);
    let _ = tool.typed("strict", BOOLEAN, Value::as_bool, faults);
    let Some(name) = tool.required_name("name", faults) else { return };
    let short = name.chars().count() <= MAX_FUNCTION_NAME_CHARS;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !(short && plain) {
        let message = format!("Expected at most {MAX_FUNCTION_NAME_CHARS} letters, digits, '_' and '-', got {name:?}.");
        faults.add(tool.at("name"), message);
    }
}

/// A `tool_choice` as chat completions have it: a level deeper.
fn read_choice(choice: &Value, faults: &mut Faults) -> Option<Value> {
    match choice {
        Value::String(word) if CHOICES.contains(&word.as_str()) => Some(choice.clone()),
        Value::String(word) => {
            faults.add("tool_choice", one_of(&CHOICES, word));
            None
        }
        Value::Object(fields) => read_chosen(&Reader::new("tool_choice", fields), faults),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            faults.add("tool_choice", expected("a string or an object", choice));
            None
        }
    }
}

fn read_chosen(choice: &Reader<'_>, faults: &mut Faults) -> Option<Value> {
    choice.require("type", faults);
    match choice.text("type", faults)? {
        "function" => function(choice, faults),
        "allowed_tools" => {
            let mode = choice.word("mode", &CHOICES, faults).unwrap_or("auto");
            choice.require("tools", faults);
            let tools = choice.list("tools", faults)?;
            let mut allowed = Vec::with_capacity(tools.len());
            for (index, tool) in tools.iter().enumerate() {
                let tool = Reader::of(format!("{}[{index}]", choice.at("tools")), tool, faults)?;
                let _ = tool.word("type", &["function"], faults);
                allowed.extend(function(&tool, faults));
            }
            // A chat completion knows no list of tools of which none may be called.
            let none = (mode == "none").then(|| json!("none"));
            none.or_else(|| Some(json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}})))
        }
        other => {
            faults.add(choice.at("type"), one_of(&["function", "allowed_tools"], other));
            None
        }
    }
}

fn function(choice: &Reader<'_>, faults: &mut Faults) -> Option<Value> {
    let name = choice.required_name("name", faults)?;
    Some(json!({"type": "function", "function": {"name": name}}))
}
