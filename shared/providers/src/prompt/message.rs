//! Messages into turns that alternate.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use turnwise_core::fault::Faults;
use turnwise_core::generation::REASONING_DETAILS;

use super::part::{self, Called, Part, Text};

/// What opens a conversation that the assistant would open: formats that alternate want
/// the user to begin.
const OPENING: &str = ".";

/// Under which name arguments go out that are no JSON object: a model's mistake, which
/// must not keep its conversation from going on.
const RAW_ARGUMENTS: &str = "raw_arguments";

/// The format of a thought that names none: Anthropic's clients send theirs so.
const UNNAMED: &str = "anthropic-";

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    User,
    Assistant,
}

/// What somebody says in a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Turn {
    pub(crate) speaker: Speaker,
    /// Never empty.
    pub(crate) parts: Vec<Part>,
}

/// What the system says, and the turns, for the format called `own`. Messages of one speaker in a row are one turn;
/// what tools gave stands before all else in the user's.
///
/// `house` is whose thoughts can go back; see [`super::HOUSES`].
pub(super) fn read(messages: &[Value], house: &str, faults: &mut Faults) -> (Vec<Text>, Vec<Turn>) {
    let names = call_names(messages);
    let (mut system, mut turns): (Vec<Text>, Vec<Turn>) = (Vec::new(), Vec::new());
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages[{index}]");
        let content = |faults: &mut Faults| part::content(&message["content"], &format!("{place}.content"), faults);
        match message["role"].as_str() {
            Some("system" | "developer") => {
                let mut parts = content(faults);
                put_cache_control(&mut parts, message);
                let texts = parts.into_iter().filter_map(|part| match part {
                    Part::Text(text) => Some(text),
                    Part::Image { .. }
                    | Part::File { .. }
                    | Part::Sound { .. }
                    | Part::Thought { .. }
                    | Part::SecretThought(_)
                    | Part::Call(_)
                    | Part::Result { .. } => None,
                });
                system.extend(texts);
            }
            Some("user") => {
                let mut parts = content(faults);
                put_cache_control(&mut parts, message);
                say(&mut turns, Speaker::User, parts);
            }
            Some("assistant") => {
                let mut parts = assistant(message, &place, house, faults);
                put_cache_control(&mut parts, message);
                say(&mut turns, Speaker::Assistant, parts);
            }
            Some("tool") => {
                let id = message["tool_call_id"].as_str().unwrap_or_default().to_owned();
                let given = message["name"].as_str().map(str::to_owned);
                let result = Part::Result {
                    name: names.get(id.as_str()).map(|name| (*name).to_owned()).or(given),
                    id,
                    parts: content(faults),
                    is_error: message["is_error"].as_bool().unwrap_or(false),
                    cache_control: control(message),
                };
                say(&mut turns, Speaker::User, vec![result]);
            }
            Some(other) => {
                faults.add(format!("{place}.role"), format!("This provider takes no message of role {other:?}."));
            }
            None => faults.add(format!("{place}.role"), "A role is required."),
        }
    }
    if turns.first().is_some_and(|turn| turn.speaker == Speaker::Assistant) {
        let opening = Part::Text(Text { text: OPENING.to_owned(), cache_control: None });
        turns.insert(0, Turn { speaker: Speaker::User, parts: vec![opening] });
    }
    (system, turns)
}

fn say(turns: &mut Vec<Turn>, speaker: Speaker, parts: Vec<Part>) {
    if parts.is_empty() {
        return;
    }
    match turns.last_mut().filter(|last| last.speaker == speaker) {
        Some(last) => last.parts.extend(parts),
        None => turns.push(Turn { speaker, parts }),
    }
    if let Some(last) = turns.last_mut().filter(|last| last.speaker == Speaker::User) {
        // Stable: results among themselves, and all else, keep their order.
        last.parts.sort_by_key(|part| !matches!(part, Part::Result { .. }));
    }
}

fn assistant(message: &Value, place: &str, house: &str, faults: &mut Faults) -> Vec<Part> {
    let mut parts = thoughts(message, house);
    parts.extend(part::content(&message["content"], &format!("{place}.content"), faults));
    parts.extend(message["refusal"].as_str().and_then(|text| Part::text(text, None)));
    for (index, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
        match call.pointer("/function/name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
            Some(name) => parts.push(Part::Call(called(call, name, index))),
            None => faults.add(format!("{place}.tool_calls[{index}].function.name"), "A name is required."),
        }
    }
    parts
}

fn called(call: &Value, name: &str, index: usize) -> Called {
    let id = call["id"].as_str().filter(|id| !id.is_empty());
    Called {
        id: id.map_or_else(|| format!("call_{name}_{index}"), str::to_owned),
        name: name.to_owned(),
        arguments: arguments(call.pointer("/function/arguments").unwrap_or(&Value::Null)),
        thought_signature: call
            .pointer("/extra_content/google/thought_signature")
            .and_then(Value::as_str)
            .map(str::to_owned),
        cache_control: control(call),
    }
}

/// Arguments, which OpenAI writes as a text of JSON.
fn arguments(written: &Value) -> Map<String, Value> {
    let text = match written {
        Value::Object(arguments) => return arguments.clone(),
        Value::String(text) if text.trim().is_empty() => return Map::new(),
        Value::String(text) => text,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return Map::new(),
    };
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => arguments,
        Ok(_) | Err(_) => Map::from_iter([(RAW_ARGUMENTS.to_owned(), json!(text))]),
    }
}

/// What the model thought, as far as it can go back: what is not signed is nobody's, and a
/// conversation that another house's model began has that one's signatures, which are
/// refused elsewhere.
fn thoughts(message: &Value, house: &str) -> Vec<Part> {
    let details = message[REASONING_DETAILS].as_array().into_iter().flatten();
    let ours = |detail: &&Value| detail["format"].as_str().unwrap_or(UNNAMED).starts_with(house);
    let thoughts = details.filter(ours).filter_map(|detail| {
        let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
        match detail["type"].as_str() {
            Some("reasoning.text") if !text("signature").is_empty() => {
                Some(Part::Thought { text: text("text"), signature: text("signature") })
            }
            Some("reasoning.encrypted") if !text("data").is_empty() => Some(Part::SecretThought(text("data"))),
            Some(_) | None => None,
        }
    });
    thoughts.collect()
}

/// Which function each call's id stands for.
fn call_names(messages: &[Value]) -> BTreeMap<&str, &str> {
    let calls = messages.iter().flat_map(|message| message["tool_calls"].as_array().into_iter().flatten());
    calls.filter_map(|call| Some((call["id"].as_str()?, call.pointer("/function/name")?.as_str()?))).collect()
}

fn control(value: &Value) -> Option<Value> {
    value.get("cache_control").filter(|control| control.is_object()).cloned()
}

/// A breakpoint behind a whole message is one behind its last part.
fn put_cache_control(parts: &mut [Part], message: &Value) {
    let (Some(control), Some(last)) = (control(message), parts.last_mut()) else { return };
    match last {
        Part::Text(Text { cache_control, .. })
        | Part::Image { cache_control, .. }
        | Part::File { cache_control, .. }
        | Part::Call(Called { cache_control, .. })
        | Part::Result { cache_control, .. } => *cache_control = Some(control),
        Part::Sound { .. } | Part::Thought { .. } | Part::SecretThought(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(Text { text: text.to_owned(), cache_control: None })
    }

    fn check(messages: &Value, system: &[&str], expected: &[(Speaker, Vec<Part>)]) {
        let mut faults = Faults::default();
        let (said, turns) = read(messages.as_array().unwrap(), "anthropic-", &mut faults);
        let said: Vec<&str> = said.iter().map(|text| text.text.as_str()).collect();
        let turns: Vec<_> = turns.into_iter().map(|turn| (turn.speaker, turn.parts)).collect();
        assert_eq!((said.as_slice(), turns.as_slice(), faults.0.len()), (system, expected, 0));
    }

    #[test]
    fn system_messages_are_hoisted_wherever_they_stand() {
        check(
            &json!([{"role": "system", "content": "a"}, {"role": "user", "content": "b"},
                    {"role": "developer", "content": [{"type": "text", "text": "c"}]}, {"role": "user", "content": "d"}]),
            &["a", "c"],
            &[(Speaker::User, vec![text("b"), text("d")])],
        );
    }

    #[test]
    fn a_breakpoint_behind_a_system_message_is_behind_its_last_text() {
        let said = json!([{"role": "system", "content": "a", "cache_control": {"type": "ephemeral"}},
                          {"role": "user", "content": "b"}]);
        let (system, _) = read(said.as_array().unwrap(), "anthropic-", &mut Faults::default());
        assert_eq!(system[0].cache_control, Some(json!({"type": "ephemeral"})));
    }

    #[test]
    fn results_of_parallel_calls_stand_together_and_first() {
        let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        let called = |id: &str, name: &str, arguments: Value| {
            let arguments = arguments.as_object().cloned().unwrap();
            let (id, name) = (id.to_owned(), name.to_owned());
            Part::Call(Called { id, name, arguments, thought_signature: None, cache_control: None })
        };
        let result = |id: &str, name: Option<&str>, said: &str, is_error: bool| Part::Result {
            id: id.to_owned(),
            name: name.map(str::to_owned),
            parts: vec![text(said)],
            is_error,
            cache_control: None,
        };
        check(
            &json!([{"role": "user", "content": "go"},
                    {"role": "assistant", "content": null, "tool_calls": [call("1", "f", r#"{"x":1}"#), call("2", "g", "")]},
                    {"role": "user", "content": "hurry"},
                    {"role": "tool", "tool_call_id": "1", "content": "one"},
                    {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "two"}], "is_error": true},
                    {"role": "tool", "tool_call_id": "3", "content": "stray"}]),
            &[],
            &[
                (Speaker::User, vec![text("go")]),
                (Speaker::Assistant, vec![called("1", "f", json!({"x": 1})), called("2", "g", json!({}))]),
                (
                    Speaker::User,
                    vec![
                        result("1", Some("f"), "one", false),
                        result("2", Some("g"), "two", true),
                        result("3", None, "stray", false),
                        text("hurry"),
                    ],
                ),
            ],
        );
    }

    #[test]
    fn the_user_begins_and_nobody_says_nothing() {
        check(
            &json!([{"role": "assistant", "content": "hello"}, {"role": "user", "content": ""},
                    {"role": "assistant", "content": "again"}]),
            &[],
            &[(Speaker::User, vec![text(OPENING)]), (Speaker::Assistant, vec![text("hello"), text("again")])],
        );
    }

    #[test]
    fn arguments_are_an_object_whatever_the_model_wrote() {
        assert_eq!(arguments(&json!("")), Map::new());
        assert_eq!(arguments(&json!(r#"{"a":1}"#)), json!({"a": 1}).as_object().cloned().unwrap());
        assert_eq!(arguments(&json!("[1]")), json!({"raw_arguments": "[1]"}).as_object().cloned().unwrap());
        assert_eq!(arguments(&json!("{\"a")), json!({"raw_arguments": "{\"a"}).as_object().cloned().unwrap());
    }

    #[test]
    fn only_signed_thoughts_go_back() {
        check(
            &json!([{"role": "user", "content": "a"},
                    {"role": "assistant", "content": "b", "reasoning_content": "unsigned", "reasoning_details": [
                        {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"},
                        {"type": "reasoning.encrypted", "data": "elsewhere", "format": "google-gemini-v1"},
                        {"type": "reasoning.text", "text": "lost"}, {"type": "reasoning.encrypted", "data": "d"}]}]),
            &[],
            &[
                (Speaker::User, vec![text("a")]),
                (
                    Speaker::Assistant,
                    vec![
                        Part::Thought { text: "t".to_owned(), signature: "s".to_owned() },
                        Part::SecretThought("d".to_owned()),
                        text("b"),
                    ],
                ),
            ],
        );
    }
}
