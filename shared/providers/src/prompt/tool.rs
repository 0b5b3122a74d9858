//! Tools, and which of them may be called.

use serde_json::{Map, Value, json};
use turnwise_core::fault::Faults;

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// The JSON schema of its arguments.
    pub(crate) parameters: Value,
    /// Whether the arguments must follow the schema.
    pub(crate) strict: Option<bool>,
    pub(crate) cache_control: Option<Value>,
}

/// Whether tools are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    /// As the model likes.
    #[default]
    Auto,
    /// Not at all.
    None,
    /// At least one.
    Required,
    /// This one.
    Function(String),
}

/// The tools that may be called. A list of allowed ones leaves only those: a tool that a
/// model does not know it cannot call.
pub(super) fn read(fields: &Map<String, Value>, faults: &mut Faults) -> (Vec<Tool>, Choice) {
    let listed = fields.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut tools: Vec<Tool> = listed.iter().enumerate().filter_map(|(index, tool)| one(tool, index, faults)).collect();
    let choice = match fields.get("tool_choice") {
        None | Some(Value::Null) => Choice::Auto,
        Some(Value::String(word)) => named(word, faults),
        Some(choice) => match choice.get("type").and_then(Value::as_str) {
            Some("function") => function(choice, faults),
            Some("allowed_tools") => {
                let allowed = choice.pointer("/allowed_tools/tools").and_then(Value::as_array);
                let name = |tool: &Value| tool.pointer("/function/name").and_then(Value::as_str).map(str::to_owned);
                let allowed: Vec<String> = allowed.into_iter().flatten().filter_map(name).collect();
                tools.retain(|tool| allowed.contains(&tool.name));
                named(choice.pointer("/allowed_tools/mode").and_then(Value::as_str).unwrap_or("auto"), faults)
            }
            Some(_) | None => {
                faults.add("tool_choice.type", "Expected function or allowed_tools.");
                Choice::Auto
            }
        },
    };
    if let Choice::Function(name) = &choice
        && !tools.iter().any(|tool| tool.name == *name)
    {
        faults.add("tool_choice.function.name", format!("There is no tool {name:?} among the tools."));
    }
    (tools, choice)
}

fn named(word: &str, faults: &mut Faults) -> Choice {
    match word {
        "auto" => Choice::Auto,
        "none" => Choice::None,
        "required" => Choice::Required,
        other => {
            faults.add("tool_choice", format!("Expected auto, none, required or a function, got {other:?}."));
            Choice::Auto
        }
    }
}

fn function(choice: &Value, faults: &mut Faults) -> Choice {
    match choice.pointer("/function/name").and_then(Value::as_str) {
        Some(name) => Choice::Function(name.to_owned()),
        None => {
            faults.add("tool_choice.function.name", "The name of a function is required.");
            Choice::Auto
        }
    }
}

fn one(tool: &Value, index: usize, faults: &mut Faults) -> Option<Tool> {
    if tool.get("type").is_none_or(|kind| kind != "function") {
        faults.add(format!("tools[{index}].type"), "Only tools of type function can be given to this provider.");
        return None;
    }
    let Some(name) = tool.pointer("/function/name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
        faults.add(format!("tools[{index}].function.name"), "A name is required.");
        return None;
    };
    let parameters = tool.pointer("/function/parameters").filter(|schema| schema.is_object()).cloned();
    Some(Tool {
        name: name.to_owned(),
        description: tool.pointer("/function/description").and_then(Value::as_str).map(str::to_owned),
        parameters: parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
        strict: tool.pointer("/function/strict").and_then(Value::as_bool),
        cache_control: tool.get("cache_control").filter(|control| control.is_object()).cloned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Value {
        json!({"type": "function", "function": {"name": name}})
    }

    fn check(choice: &Value, names: &[&str], expected: &Choice, fault: Option<&str>) {
        let fields = json!({"tools": [tool("f"), tool("g")], "tool_choice": choice});
        let mut faults = Faults::default();
        let (tools, choice) = read(fields.as_object().unwrap(), &mut faults);
        let seen: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!((seen.as_slice(), &choice, faults.first_field()), (names, expected, fault));
    }

    #[test]
    fn a_choice_is_a_word_a_function_or_a_list() {
        let both = ["f", "g"];
        check(&Value::Null, &both, &Choice::Auto, None);
        check(&json!("none"), &both, &Choice::None, None);
        check(&json!("required"), &both, &Choice::Required, None);
        check(&json!("any"), &both, &Choice::Auto, Some("tool_choice"));
        check(&tool("g"), &both, &Choice::Function("g".to_owned()), None);
        check(&tool("h"), &both, &Choice::Function("h".to_owned()), Some("tool_choice.function.name"));
        let list = |mode: &str| json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [tool("g")]}});
        check(&list("auto"), &["g"], &Choice::Auto, None);
        check(&list("required"), &["g"], &Choice::Required, None);
    }

    #[test]
    fn a_tool_without_parameters_takes_none() {
        let mut faults = Faults::default();
        let (tools, _) = read(json!({"tools": [tool("f")]}).as_object().unwrap(), &mut faults);
        assert_eq!(tools[0].parameters, json!({"type": "object", "properties": {}}));
    }
}
