//! Function tools: which of them are called, and with what.

use std::collections::BTreeSet;

use serde_json::Value;
use turnwise_core::digest::Digest;
use turnwise_core::json::RawMap;

use super::ordered::Ordered;
use super::request::field;
use super::sample::sample;
use super::wishes::invalid;
use crate::error::Error;

/// Most calls of one answer: as many tools as OpenAI takes in one request.
const MAX_CALLS: usize = 128;

/// Digits in a call's id, of the digest of its answer's id. Some upstreams, to which the
/// conversation may go on, refuse ids of more than 40 characters.
const ID_DIGITS: usize = 24;

/// One call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FunctionCall {
    pub(super) id: String,
    pub(super) name: String,
    /// A JSON object.
    pub(super) arguments: String,
}

/// What `tool_choice` leaves to choose from.
enum Choice {
    Nothing,
    All,
    One(String),
    Among(BTreeSet<String>),
}

/// The calls that answer `text`, of the answer called `answer`; none where there are no
/// tools or none may be called. Their arguments have at most about `room` bytes in all.
///
/// Called are the one function that is forced, else those that the text names (only the
/// first without `parallel_tool_calls`), else the first. All in the order of `tools`.
///
/// # Errors
/// When a function is forced that is not among the tools.
pub(super) fn calls(fields: &RawMap, text: &str, answer: &str, room: usize) -> Result<Vec<FunctionCall>, Error> {
    let tools = fields.get("tools").map_or(Ordered::Object(Vec::new()), |tools| Ordered::read(tools));
    let functions = functions(&tools);
    let called: Vec<_> = match Choice::read(&field(fields, "tool_choice")) {
        Choice::Nothing => Vec::new(),
        Choice::All => of_several(functions, fields, text),
        Choice::Among(names) => {
            let allowed = functions.into_iter().filter(|(name, _)| names.contains(*name)).collect();
            of_several(allowed, fields, text)
        }
        Choice::One(forced) => match functions.iter().find(|(name, _)| *name == forced) {
            Some(function) => vec![*function],
            None if functions.is_empty() => Vec::new(),
            None => return Err(invalid("tool_choice", "the name of one of the tools")),
        },
    };
    let room = room / called.len().max(1);
    let calls = called.into_iter().enumerate().map(|(index, (name, parameters))| FunctionCall {
        id: format!("call_{:.ID_DIGITS$}_{index}", Digest::of(answer).as_str()),
        name: name.to_owned(),
        arguments: arguments(parameters, text, room),
    });
    Ok(calls.collect())
}

/// Names and parameters of the tools that are functions.
fn functions(tools: &Ordered) -> Vec<(&str, Option<&Ordered>)> {
    let is_function = |tool: &&Ordered| tool.get("type").and_then(Ordered::as_str) == Some("function");
    let functions = tools.items().iter().filter(is_function).filter_map(|tool| tool.get("function"));
    functions.filter_map(|function| Some((function.get("name")?.as_str()?, function.get("parameters")))).collect()
}

/// Those of `functions` that `text` names, else the first.
fn of_several<'a, T: Copy>(functions: Vec<(&'a str, T)>, fields: &RawMap, text: &str) -> Vec<(&'a str, T)> {
    let in_a_name = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
    let words: BTreeSet<&str> = text.split(|character| !in_a_name(character)).collect();
    let parallel = field(fields, "parallel_tool_calls") != Value::Bool(false);

    let mut named: Vec<_> = functions.iter().filter(|(name, _)| words.contains(name)).copied().collect();
    if named.is_empty() {
        named.extend(functions.first().copied());
    }
    named.truncate(if parallel { MAX_CALLS } else { 1 });
    named
}

/// Arguments that are valid against `parameters`; none where no small ones are.
fn arguments(parameters: Option<&Ordered>, text: &str, room: usize) -> String {
    let made = parameters.and_then(|parameters| sample(parameters, text, room));
    let object = made.filter(|made| matches!(made, Ordered::Object(_)));
    object.unwrap_or(Ordered::Object(Vec::new())).to_text()
}

impl Choice {
    fn read(choice: &Value) -> Self {
        let name = |tool: &Value| tool["function"]["name"].as_str().map(str::to_owned);
        match choice["type"].as_str() {
            Some("function") => name(choice).map_or(Self::All, Self::One),
            Some("allowed_tools") => {
                let tools = choice["allowed_tools"]["tools"].as_array();
                Self::Among(tools.into_iter().flatten().filter_map(name).collect())
            }
            Some(_) | None if choice == "none" => Self::Nothing,
            Some(_) | None => Self::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn called(fields: &Value, text: &str) -> Result<Vec<FunctionCall>, Error> {
        let fields = turnwise_core::json::raw_fields(fields.to_string().as_bytes()).unwrap();
        calls(&fields, text, "chatcmpl-1", 1000)
    }

    /// Three functions and a tool that is none.
    fn tools(choice: Value) -> Value {
        let function = |name: &str| json!({"type": "function", "function": {"name": name}});
        let custom = json!({"type": "custom", "custom": {"name": "c"}});
        json!({"tools": [custom, function("get_weather"), function("get"), function("get-time")], "tool_choice": choice})
    }

    fn check(fields: &Value, text: &str, expected: &[&str]) {
        let calls = called(fields, text).unwrap();
        let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, expected, "{fields} {text}");
    }

    #[test]
    fn the_choice_decides_which_function_is_called() {
        let forced = |name: &str| json!({"type": "function", "function": {"name": name}});
        let among = |names: &[&str]| {
            let tools: Vec<Value> = names.iter().map(|name| forced(name)).collect();
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": tools}})
        };
        for choice in [Value::Null, json!("auto"), json!("required"), json!("unheard-of"), json!({"type": "custom"})] {
            check(&tools(choice), "hello", &["get_weather"]);
        }
        check(&tools(json!("none")), "get", &[]);
        check(&tools(forced("get")), "get-time", &["get"]);
        check(&tools(among(&["get-time", "get"])), "hello", &["get"]);
        check(&tools(among(&["get-time"])), "get_weather", &["get-time"]);
        check(&tools(among(&[])), "get", &[]);
    }

    #[test]
    fn functions_that_the_text_names_are_called_in_their_own_order() {
        let check = |text: &str, expected: &[&str]| check(&tools(json!("auto")), text, expected);
        check("first get-time, then get_weather.", &["get_weather", "get-time"]);
        check("\"get\"!", &["get"]);
        check("getting get_weathers", &["get_weather"]);
    }

    #[test]
    fn without_parallel_calls_there_is_one() {
        let with = |parallel: Value| {
            let mut fields = tools(json!("auto"));
            fields["parallel_tool_calls"] = parallel;
            fields
        };
        check(&with(json!(false)), "get-time get", &["get"]);
        check(&with(json!(true)), "get-time get", &["get", "get-time"]);
        check(&with(Value::Null), "get-time get", &["get", "get-time"]);
    }

    #[test]
    fn without_functions_nothing_is_called() {
        let forced = json!({"type": "function", "function": {"name": "f"}});
        for tools in [json!(null), json!([]), json!([{"type": "custom"}, 1, {"type": "function"}]), json!({"a": 1})] {
            check(&json!({"tools": tools, "tool_choice": forced}), "f", &[]);
        }
        check(&json!({}), "f", &[]);
    }

    #[test]
    fn a_forced_function_must_be_there() {
        let forced = json!({"type": "function", "function": {"name": "other"}});
        let error = called(&tools(forced), "get").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("tool_choice"));
    }

    #[test]
    fn arguments_are_valid_against_the_parameters() {
        let check = |parameters: Value, expected: &str| {
            let tool = json!({"type": "function", "function": {"name": "f", "parameters": parameters}});
            let calls = called(&json!({"tools": [tool]}), "hi").unwrap();
            assert_eq!(calls[0].arguments, expected);
        };
        check(json!({"type": "object", "properties": {"city": {"type": "string"}}}), r#"{"city":"hi"}"#);
        check(json!({"type": "object", "properties": {}}), "{}");
        check(json!({"type": "string"}), "{}");
        check(json!(false), "{}");
        check(Value::Null, "{}");
    }

    #[test]
    fn ids_are_made_from_the_answers_and_short() {
        let calls = called(&tools(json!("auto")), "get get-time").unwrap();
        let digest = Digest::of("chatcmpl-1");
        for (index, call) in calls.iter().enumerate() {
            assert_eq!(call.id, format!("call_{}_{index}", &digest.as_str()[..24]));
        }
    }

    #[test]
    fn calls_have_a_limit() {
        let tools: Vec<Value> = (0..MAX_CALLS + 1)
            .map(|index| json!({"type": "function", "function": {"name": format!("f{index}"), "parameters": {"required": ["a"]}}}))
            .collect();
        let text: String = (0..MAX_CALLS + 1).map(|index| format!("f{index} ")).collect();
        let calls = called(&json!({ "tools": tools }), &text).unwrap();
        assert_eq!((calls.len(), calls.last().unwrap().id.len()), (MAX_CALLS, 33));
    }
}
