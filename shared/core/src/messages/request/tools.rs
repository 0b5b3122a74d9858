//! A request's tools as a chat completion's.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::fault::Faults;
use crate::json::{self, RawMap};
use crate::limits::MAX_TOOL_NAME_CHARS;
use crate::raw::{list, object, pick};
use crate::reader::{BOOLEAN, Reader, one_of};

const CHOICES: [&str; 4] = ["auto", "any", "tool", "none"];

/// Fields of a tool that are translated; others go along beside its function.
const OF_FUNCTION: [&str; 5] = ["type", "name", "description", "input_schema", "strict"];

/// Puts `tools`, `tool_choice` and `parallel_tool_calls` into `chat`; the last two only
/// beside tools, as OpenAI refuses them alone.
pub(super) fn put(reader: &Reader<'_>, request: &RawMap, chat: &mut RawMap, faults: &mut Faults) {
    let tools = read_tools(reader, request.get("tools").map(AsRef::as_ref), faults);
    let choice = reader.object("tool_choice", faults).and_then(|choice| read_choice(&choice, faults));
    if tools.is_empty() {
        let must_call = choice.as_ref().is_some_and(|choice| choice.word != "none" && choice.word != "auto");
        let none_there = reader.value("tools").is_none_or(|tools| tools.as_array().is_some_and(Vec::is_empty));
        if must_call && none_there {
            faults.add("tool_choice", "A tool can only be chosen where there are tools.");
        }
        return;
    }
    chat.insert("tools".to_owned(), list(&tools));
    if let Some(choice) = choice {
        chat.insert("tool_choice".to_owned(), json::raw(&choice.word));
        if choice.one_at_a_time {
            chat.insert("parallel_tool_calls".to_owned(), json::raw(&json!(false)));
        }
    }
}

fn read_tools(reader: &Reader<'_>, raw: Option<&RawValue>, faults: &mut Faults) -> Vec<Box<RawValue>> {
    let Some(tools) = reader.list("tools", faults) else { return Vec::new() };
    for (index, tool) in tools.iter().enumerate() {
        if let Some(tool) = Reader::of(format!("tools[{index}]"), tool, faults) {
            check_tool(&tool, faults);
        }
    }
    let written: Vec<RawMap> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    written.into_iter().map(function_tool).collect()
}

fn function_tool(mut tool: RawMap) -> Box<RawValue> {
    if let Some(schema) = tool.get("input_schema").cloned() {
        tool.insert("parameters".to_owned(), schema);
    }
    let function = pick(&tool, &["name", "description", "parameters", "strict"]);
    let beside = |name: &str| name != "parameters" && !OF_FUNCTION.contains(&name);
    let rest = tool.iter().filter(|(name, value)| beside(name) && value.get() != "null");
    let own = [("function", function), ("type", json::raw(&json!("function")))];
    object(rest.map(|(name, value)| (name.as_str(), value.clone())).chain(own))
}

fn check_tool(tool: &Reader<'_>, faults: &mut Faults) {
    match tool.text("type", faults) {
        None | Some("custom") => {}
        Some(other) => {
            let message = format!(
                "Tools of type {other:?} are not supported: only tools of your own, with a name and an input_schema, are."
            );
            faults.add(tool.at("type"), message);
            return;
        }
    }
    let _ = tool.text("description", faults);
    tool.require("input_schema", faults);
    let _ = tool.object("input_schema", faults);
    let _ = tool.object("cache_control", faults);
    let _ = tool.typed("strict", BOOLEAN, Value::as_bool, faults);
    let Some(name) = tool.required_name("name", faults) else { return };
    let short = name.chars().count() <= MAX_TOOL_NAME_CHARS;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !(short && plain) {
        let message = format!("Expected at most {MAX_TOOL_NAME_CHARS} letters, digits, '_' and '-', got {name:?}.");
        faults.add(tool.at("name"), message);
    }
}

/// How tools are chosen, in a chat completion's words.
struct Choice {
    word: Value,
    one_at_a_time: bool,
}

fn read_choice(choice: &Reader<'_>, faults: &mut Faults) -> Option<Choice> {
    let one_at_a_time = choice.typed("disable_parallel_tool_use", BOOLEAN, Value::as_bool, faults).unwrap_or(false);
    let word = match choice.required_name("type", faults)? {
        word @ ("auto" | "none") => json!(word),
        "any" => json!("required"),
        "tool" => {
            let name = choice.required_name("name", faults)?;
            json!({"type": "function", "function": {"name": name}})
        }
        other => {
            faults.add(choice.at("type"), one_of(&CHOICES, other));
            return None;
        }
    };
    Some(Choice { word, one_at_a_time })
}
