//! The events of responses, against both descriptions of them and against themselves.

mod compliance;
mod schema;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};
use turnwise_core::limits::NUMBERS_PER_STREAM;
use turnwise_tests::app::Sse;

use super::schema::{check_response, validator};

/// What comes once, at the end.
const ENDS: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

/// The two descriptions' schemas of events, each by the type it describes.
static EVENTS: LazyLock<[BTreeMap<String, Validator>; 2]> = LazyLock::new(|| {
    let open_responses = include_str!("../../../../fixtures/open-responses.json");
    let openai = include_str!("../../../../fixtures/openai-items.json");
    [events_of(open_responses, "StreamingEvent"), events_of(openai, "Event")]
});

fn events_of(description: &str, suffix: &str) -> BTreeMap<String, Validator> {
    let root: Value = serde_json::from_str(description).unwrap();
    let schemas = root["components"]["schemas"].as_object().unwrap();
    let events = schemas.iter().filter(|(name, _)| name.ends_with(suffix));
    let events = events.map(|(name, schema)| {
        let kind = schema.pointer("/properties/type/enum/0").and_then(Value::as_str).unwrap();
        (kind.to_owned(), validator(name, description))
    });
    events.collect()
}

/// Checks one event's form.
pub(in crate::api) fn check_event(event: &Sse) {
    let body = event.json();
    let kind = body["type"].as_str().unwrap_or_else(|| panic!("an event without a type: {body}"));
    assert_eq!((event.event.as_str(), event.id.as_str()), (kind, ""), "{body}");
    assert!(body["sequence_number"].is_u64(), "{body}");
    let [open_responses, openai] = &*EVENTS;
    check_against(open_responses, kind, &body);

    // OpenAI has another name for what a model thought, and leaves out a usage that is not known.
    let kind = kind.replace("response.reasoning.", "response.reasoning_text.");
    let mut body = with_type(body.clone(), &kind);
    if let Some(response) = body.get_mut("response") {
        check_response(response);
        if response["usage"].is_null() {
            response.as_object_mut().unwrap().remove("usage");
        }
    }
    check_against(openai, &kind, &body);
}

fn with_type(mut body: Value, kind: &str) -> Value {
    body["type"] = json!(kind);
    body
}

fn check_against(schemas: &BTreeMap<String, Validator>, kind: &str, body: &Value) {
    let schema = schemas.get(kind).unwrap_or_else(|| panic!("no standard has the event {kind}"));
    let faults = schema.iter_errors(body).map(|fault| format!("{}: {fault}", fault.instance_path()));
    assert_eq!(faults.collect::<Vec<_>>(), Vec::<String>::new(), "{body}");
}

/// Checks a stream of one attempt from its first event to its last, and gives back the
/// response that it ends with.
pub(in crate::api) fn check_stream(events: &[Sse]) -> Value {
    let (done, events) = events.split_last().expect("a stream has events");
    assert_eq!((done.data.as_str(), done.event.as_str()), ("[DONE]", ""));
    events.iter().for_each(check_event);
    let bodies: Vec<Value> = events.iter().map(Sse::json).collect();
    let first = bodies[0]["sequence_number"].as_u64().unwrap();
    assert_eq!(first % NUMBERS_PER_STREAM, 0, "{}", bodies[0]);
    for (body, number) in bodies.iter().zip(first..) {
        assert_eq!(body["sequence_number"], number, "{body}");
    }
    let kinds: Vec<&str> = events.iter().map(|event| event.event.as_str()).collect();
    let queued = kinds.get(1) == Some(&"response.queued");
    let prelude = ["response.created", "response.queued", "response.in_progress"];
    let prelude: Vec<&str> = prelude.into_iter().filter(|kind| queued || *kind != "response.queued").collect();
    assert_eq!(kinds[..prelude.len()], prelude, "{kinds:?}");
    for once in prelude.into_iter().chain(["error"]) {
        assert!(kinds.iter().filter(|kind| **kind == once).count() <= 1, "{once}: {kinds:?}");
    }
    let ends: Vec<usize> = (0..kinds.len()).filter(|at| ENDS.contains(&kinds[*at])).collect();
    assert_eq!(ends, [kinds.len() - 1], "{kinds:?}");
    check_items(&bodies);
    bodies[ends[0]]["response"].clone()
}

/// An item while it is told.
#[derive(Debug, Default)]
struct Told {
    id: Value,
    /// The texts of its parts, or its arguments.
    grown: Vec<String>,
    parts_done: usize,
    item: Option<Value>,
}

/// Checks that items are told in their order and add up to the response's output: deltas to
/// texts, texts to parts, parts to items.
fn check_items(bodies: &[Value]) {
    let mut items: Vec<Told> = Vec::new();
    for body in bodies.iter().filter(|body| body["output_index"].is_u64()) {
        let index = usize::try_from(body["output_index"].as_u64().unwrap()).unwrap();
        let kind = body["type"].as_str().unwrap();
        if kind == "response.output_item.added" {
            assert_eq!(index, items.len(), "{body}");
            assert_eq!(body["item"]["content"].as_array().map_or(0, Vec::len), 0, "{body}");
            items.push(Told { id: body["item"]["id"].clone(), ..Told::default() });
            continue;
        }
        let told = &mut items[index];
        assert!(told.item.is_none(), "nothing comes behind an item's end: {body}");
        if kind == "response.output_item.done" {
            assert_eq!(body["item"]["id"], told.id, "{body}");
            let parts = body["item"]["content"].as_array().map_or(0, Vec::len);
            assert_eq!(told.parts_done, parts, "{body}");
            told.item = Some(body["item"].clone());
            continue;
        }
        assert_eq!(body["item_id"], told.id, "{body}");
        check_part(told, kind, body);
    }
    let told: Vec<Value> = items.into_iter().map(|told| told.item.expect("every item is done")).collect();
    let output = bodies.last().unwrap()["response"]["output"].clone();
    assert_eq!(json!(told), output);
}

fn check_part(told: &mut Told, kind: &str, body: &Value) {
    let part = body["content_index"].as_u64().map_or(0, |index| usize::try_from(index).unwrap());
    let (_, what) = kind.rsplit_once('.').unwrap();
    let is_part = kind.starts_with("response.content_part.");
    match what {
        "added" if is_part => {
            assert_eq!((part, told.parts_done), (told.grown.len(), told.grown.len()), "{body}");
            told.grown.push(String::new());
        }
        "delta" => {
            // A call has no parts.
            told.grown.resize(told.grown.len().max(1), String::new());
            assert_eq!(part + 1, told.grown.len(), "{body}");
            told.grown[part].push_str(body["delta"].as_str().unwrap());
        }
        "done" => {
            let whole = if is_part { &body["part"] } else { body };
            let texts = ["text", "refusal", "arguments"].into_iter().filter_map(|name| whole[name].as_str());
            assert_eq!(texts.collect::<Vec<_>>(), [told.grown.get(part).map_or("", String::as_str)], "{body}");
            told.parts_done += usize::from(is_part);
        }
        "added" => {}
        other => panic!("what is {other}? {body}"),
    }
}
