//! Items of a request, checked and made whole.
//!
//! What clients may leave out is filled in, so that everything after this has one
//! form of each item to deal with. Fields nobody here knows stay.

use serde_json::{Map, Value, json};

use super::compaction;
use super::content::{self, Parts, STATUSES};
use super::kind::Kind;
use crate::fault::Faults;
use crate::limits::{MAX_COMPACTION_ITEMS, MAX_ITEMS_PER_CALL};
use crate::reader::{ARRAY, Reader, expected, one_of};

/// The type of an item that is only mentioned.
const REFERENCE: &str = "item_reference";

const PHASES: [&str; 2] = ["commentary", "final_answer"];

/// One item of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum InputItem {
    /// The item itself, whole.
    Item(Value),
    /// An item that is stored; see [`resolve`].
    Reference(Reference),
}

/// A mention of an item that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where the request mentions it: `input[2].id`.
    pub field: String,
    /// The item's id, as the client wrote it.
    pub id: String,
}

/// The `input` of a response: a text, or a list of items.
///
/// # Errors
/// All faults, each with the path of its field.
pub fn parse_input(field: &str, value: &Value) -> Result<Vec<InputItem>, Faults> {
    match value {
        Value::String(text) => {
            let parts = vec![content::input_text(text)];
            Ok(vec![InputItem::Item(message("user", parts))])
        }
        Value::Array(items) => read_items(field, items),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(fault(field, expected("a string or an array", value)))
        }
    }
}

/// The `items` of a call that adds them to a conversation.
///
/// # Errors
/// All faults, each with the path of its field; more than [`MAX_ITEMS_PER_CALL`]
/// items are one.
pub fn parse_items(field: &str, value: &Value) -> Result<Vec<InputItem>, Faults> {
    let Some(items) = value.as_array() else { return Err(fault(field, expected(ARRAY, value))) };
    if items.len() > MAX_ITEMS_PER_CALL {
        let message = format!("Expected at most {MAX_ITEMS_PER_CALL} items, got {}.", items.len());
        return Err(fault(field, message));
    }
    read_items(field, items)
}

/// `input` with each reference replaced by the item `find` has for its id.
///
/// # Errors
/// A fault for each reference to an item that `find` does not have.
pub fn resolve(input: Vec<InputItem>, mut find: impl FnMut(&Reference) -> Option<Value>) -> Result<Vec<Value>, Faults> {
    let mut faults = Faults::default();
    let mut items = Vec::with_capacity(input.len());
    for item in input {
        match item {
            InputItem::Item(item) => items.push(item),
            InputItem::Reference(reference) => match find(&reference) {
                Some(item) => items.push(item),
                None => faults.add(reference.field, format!("There is no item {:?} here.", reference.id)),
            },
        }
    }
    faults.into_result().map(|()| items)
}

/// A whole message item.
pub(super) fn message(role: &str, parts: Vec<Value>) -> Value {
    json!({"type": Kind::Message.name(), "role": role, "status": "completed", "content": parts})
}

fn fault(field: &str, message: String) -> Faults {
    let mut faults = Faults::default();
    faults.add(field, message);
    faults
}

fn read_items(field: &str, values: &[Value]) -> Result<Vec<InputItem>, Faults> {
    let mut faults = Faults::default();
    let mut compactions = 0;
    let items = values.iter().enumerate().filter_map(|(index, value)| {
        let is_compaction = Kind::of(value) == Kind::Compaction;
        compactions += usize::from(is_compaction);
        if is_compaction && compactions > MAX_COMPACTION_ITEMS {
            faults.add(format!("{field}[{index}]"), format!("Expected at most {MAX_COMPACTION_ITEMS} compactions."));
            return None;
        }
        let item = Reader::of(format!("{field}[{index}]"), value, &mut faults)?;
        read_item(&item, &mut faults)
    });
    let items = items.collect();
    faults.into_result().map(|()| items)
}

/// An item; what it returns beside faults is not used.
fn read_item(item: &Reader<'_>, faults: &mut Faults) -> Option<InputItem> {
    let name = type_of(item, faults)?;
    // A field every item may have, given back by clients that send our items again.
    let _ = item.text("id", faults);
    if name == REFERENCE {
        let id = item.required_name("id", faults)?.to_owned();
        return Some(InputItem::Reference(Reference { field: item.at("id"), id }));
    }
    let Some(kind) = Kind::IN_REQUESTS.into_iter().find(|kind| kind.name() == name) else {
        let names: Vec<&str> = Kind::IN_REQUESTS.into_iter().map(Kind::name).chain([REFERENCE]).collect();
        faults.add(item.at("type"), one_of(&names, name));
        return None;
    };
    let _ = item.word("status", &STATUSES, faults);
    let mut fields = item.without_nulls();
    fields.insert("type".to_owned(), json!(name));
    if kind.has_status() {
        fields.entry("status").or_insert_with(|| json!("completed"));
    }
    match kind {
        Kind::Message => read_message(item, &mut fields, faults),
        Kind::FunctionCall => read_call(item, faults),
        Kind::FunctionCallOutput => read_output(item, &mut fields, faults),
        Kind::Reasoning => read_reasoning(item, faults),
        Kind::Compaction => read_compaction(item, faults),
        Kind::Other => {}
    }
    Some(InputItem::Item(Value::Object(fields)))
}

/// An item's `type`. Only two may leave it out: a message has a role, a reference
/// has nothing but its id.
fn type_of<'a>(item: &Reader<'a>, faults: &mut Faults) -> Option<&'a str> {
    if item.has("type") {
        return item.text("type", faults);
    }
    if item.has("role") {
        return Some(Kind::Message.name());
    }
    if item.has("id") && !item.has("content") {
        return Some(REFERENCE);
    }
    faults.add(item.at("type"), "A type is required, or the role of a message.");
    None
}

fn read_message(item: &Reader<'_>, fields: &mut Map<String, Value>, faults: &mut Faults) {
    let _ = item.word("phase", &PHASES, faults);
    item.require("role", faults);
    item.require("content", faults);
    let role = item.word("role", &Parts::ROLES, faults);
    // Without a valid role, what its content may be is not known: no more faults.
    let (Some(content), Some(parts)) = (item.value("content"), role.and_then(Parts::of_role)) else { return };
    fields.insert("content".to_owned(), Value::Array(parts.read(&item.at("content"), content, faults)));
}

/// No upper bound on the length of a `call_id`, though the standards name one: it is
/// an upstream's own, and a client that gives it back must not be refused.
fn read_call(item: &Reader<'_>, faults: &mut Faults) {
    let _ = item.required_name("call_id", faults);
    let _ = item.required_name("name", faults);
    let _ = item.required_text("arguments", faults);
}

fn read_output(item: &Reader<'_>, fields: &mut Map<String, Value>, faults: &mut Faults) {
    let _ = item.required_name("call_id", faults);
    item.require("output", faults);
    if let Some(output) = item.value("output").filter(|output| !output.is_string()) {
        let parts = Parts::Input.read(&item.at("output"), output, faults);
        fields.insert("output".to_owned(), Value::Array(parts));
    }
}

fn read_reasoning(item: &Reader<'_>, faults: &mut Faults) {
    item.require("summary", faults);
    let _ = item.text("encrypted_content", faults);
    for (name, part) in [("summary", "summary_text"), ("content", "reasoning_text")] {
        for (index, value) in item.list(name, faults).unwrap_or_default().iter().enumerate() {
            let Some(text) = Reader::of(format!("{}[{index}]", item.at(name)), value, faults) else { continue };
            text.require("type", faults);
            let _ = text.word("type", &[part], faults);
            let _ = text.required_text("text", faults);
        }
    }
}

fn read_compaction(item: &Reader<'_>, faults: &mut Faults) {
    let Some(content) = item.required_text("encrypted_content", faults) else { return };
    if compaction::unpack(content).is_none() {
        let message = "This is no compaction made here, or it is damaged. POST /v1/responses/compact makes one.";
        faults.add(item.at("encrypted_content"), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: Value, expected: Value) {
        let items: Vec<Value> = resolve(parse_input("input", &input).unwrap(), |_| None).unwrap();
        assert_eq!(Value::Array(items), expected, "{input}");
    }

    fn refused(input: Value, fields: &[&str]) {
        let faults = parse_input("input", &input).unwrap_err();
        let found: Vec<&str> = faults.0.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(found, fields, "{input}: {faults}");
    }

    #[test]
    fn a_text_is_a_users_message() {
        check(
            json!("hello"),
            json!([{"type": "message", "role": "user", "status": "completed",
                    "content": [{"type": "input_text", "text": "hello"}]}]),
        );
    }

    #[test]
    fn easy_messages_are_made_whole() {
        let whole = |role: &str, part: Value| json!({"type": "message", "role": role, "status": "completed", "content": [part]});
        for role in ["user", "system", "developer"] {
            check(
                json!([{"role": role, "content": "a"}]),
                json!([whole(role, json!({"type": "input_text", "text": "a"}))]),
            );
        }
        let said = whole("assistant", json!({"type": "output_text", "text": "a", "annotations": [], "logprobs": []}));
        for content in [
            json!("a"),
            json!([{"type": "input_text", "text": "a"}]),
            json!([{"type": "output_text", "text": "a", "annotations": null}]),
        ] {
            check(json!([{"role": "assistant", "content": content}]), json!([said]));
        }
    }

    #[test]
    fn nulls_go_and_unknown_fields_stay() {
        check(
            json!([{"type": null, "id": null, "role": "user", "status": null, "phase": null, "x_own": 1,
                    "content": [{"type": "input_text", "text": "a", "x_part": 2, "other": null}]}]),
            json!([{"type": "message", "role": "user", "status": "completed", "x_own": 1,
                    "content": [{"type": "input_text", "text": "a", "x_part": 2}]}]),
        );
    }

    #[test]
    fn images_and_files_are_made_whole() {
        let of = |part: Value| json!([{"type": "message", "role": "user", "status": "completed", "content": [part]}]);
        for (part, whole) in [
            (json!({"image_url": "data:,a"}), json!({"image_url": "data:,a", "detail": "auto"})),
            (json!({"file_id": "f"}), json!({"image_url": null, "file_id": "f", "detail": "auto"})),
            (json!({"image_url": "data:,a", "detail": "low"}), json!({"image_url": "data:,a", "detail": "low"})),
        ] {
            let typed = |mut part: Value| {
                part["type"] = json!("input_image");
                of(part)
            };
            check(typed(part), typed(whole));
        }
        let file = of(json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:,a"}));
        check(file.clone(), file);
    }

    #[test]
    fn calls_outputs_and_thoughts_are_items() {
        check(
            json!([
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "a", "output": "1", "status": "incomplete"},
                {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": null},
            ]),
            json!([
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}", "status": "completed"},
                {"type": "function_call_output", "call_id": "a", "output": "1", "status": "incomplete"},
                {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}], "status": "completed"},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}]},
            ]),
        );
    }

    #[test]
    fn compactions_are_those_made_here() {
        let whole = |summary: &str| compaction::compaction_item(summary);
        check(json!([whole("a")]), json!([whole("a")]));
        let mut named = whole("a");
        named["id"] = json!("cmp_1");
        check(json!([named]), json!([named]));
        let foreign = json!({"type": "compaction", "id": null, "encrypted_content": "gAAAAABpM0Yj"});
        refused(
            json!([foreign, {"type": "compaction"}, {"type": "compaction", "encrypted_content": 7}]),
            &["input[0].encrypted_content", "input[1].encrypted_content", "input[2].encrypted_content"],
        );
        let many = |count: usize| json!(vec![whole("a"); count]);
        check(many(MAX_COMPACTION_ITEMS), many(MAX_COMPACTION_ITEMS));
        refused(many(MAX_COMPACTION_ITEMS + 1), &[&format!("input[{MAX_COMPACTION_ITEMS}]")]);
    }

    #[test]
    fn a_whole_item_is_whole_already() {
        let items = json!([
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "incomplete", "phase": "final_answer",
             "content": [{"type": "output_text", "text": "a", "annotations": [{"type": "url_citation"}], "logprobs": []},
                         {"type": "refusal", "refusal": "b"}]},
        ]);
        check(items.clone(), items);
    }

    #[test]
    fn references_are_left_for_the_caller() {
        let stored = json!({"type": "message", "id": "msg_1"});
        for reference in [json!({"type": "item_reference", "id": "msg_1"}), json!({"id": "msg_1"})] {
            let input = parse_input("input", &json!([{"role": "user", "content": "a"}, reference])).unwrap();
            let expected = Reference { field: "input[1].id".to_owned(), id: "msg_1".to_owned() };
            assert_eq!(input[1], InputItem::Reference(expected.clone()));
            let found = resolve(input.clone(), |asked| (*asked == expected).then(|| stored.clone())).unwrap();
            assert_eq!(found[1], stored);
            assert_eq!(resolve(input, |_| None).unwrap_err().first_field(), Some("input[1].id"));
        }
    }

    #[test]
    fn every_fault_is_told_at_its_place() {
        refused(json!({}), &["input"]);
        refused(json!(null), &["input"]);
        refused(json!(["text"]), &["input[0]"]);
        refused(
            json!([
                {"type": "web_search_call"},
                {"type": 7},
                {"content": "a"},
                {"role": "tool", "content": "a"},
                {"role": "user"},
                {"type": "message", "content": "a"},
                {"role": "user", "content": 7, "status": "done", "id": 1},
            ]),
            &[
                "input[0].type",
                "input[1].type",
                "input[2].type",
                "input[3].role",
                "input[4].content",
                "input[5].role",
                "input[6].id",
                "input[6].status",
                "input[6].content",
            ],
        );
        refused(
            json!([
                {"role": "user", "content": [
                    {"type": "output_text", "text": "a"}, {"type": "input_text"}, "a", {"text": "a"},
                    {"type": "input_image", "detail": "best"}, {"type": "input_file"}, {"type": "input_image", "image_url": {"url": "a"}},
                ]},
                {"role": "system", "content": [{"type": "input_image", "image_url": "a"}]},
                {"role": "assistant", "content": [{"type": "refusal"}, {"type": "output_text", "text": "a", "annotations": {}}]},
            ]),
            &[
                "input[0].content[0].type",
                "input[0].content[1].text",
                "input[0].content[2]",
                "input[0].content[3].type",
                "input[0].content[4]",
                "input[0].content[4].detail",
                "input[0].content[5]",
                "input[0].content[6].image_url",
                "input[1].content[0].type",
                "input[2].content[0].refusal",
                "input[2].content[1].annotations",
            ],
        );
        refused(
            json!([
                {"type": "function_call", "call_id": "", "arguments": {}},
                {"type": "function_call_output", "output": {}},
                {"type": "function_call_output", "call_id": "a"},
                {"type": "reasoning"},
                {"type": "reasoning", "summary": [{"type": "text", "text": 1}]},
                {"type": "item_reference"},
            ]),
            &[
                "input[0].call_id",
                "input[0].name",
                "input[0].arguments",
                "input[1].call_id",
                "input[1].output",
                "input[2].output",
                "input[3].summary",
                "input[4].summary[0].type",
                "input[4].summary[0].text",
                "input[5].id",
            ],
        );
    }

    #[test]
    fn a_call_adds_so_many_items_at_most() {
        let items = |count: usize| Value::Array(vec![json!({"role": "user", "content": "a"}); count]);
        assert_eq!(parse_items("items", &items(MAX_ITEMS_PER_CALL)).unwrap().len(), MAX_ITEMS_PER_CALL);
        assert_eq!(parse_items("items", &items(MAX_ITEMS_PER_CALL + 1)).unwrap_err().first_field(), Some("items"));
        assert_eq!(parse_input("input", &items(MAX_ITEMS_PER_CALL + 1)).unwrap().len(), MAX_ITEMS_PER_CALL + 1);
        assert_eq!(parse_items("items", &json!("text")).unwrap_err().first_field(), Some("items"));
    }
}
