//! Items and responses as we write them, against the two descriptions of them:
//! Open Responses' and OpenAI's.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use proptest::prelude::*;
use serde_json::{Value, json};
use turnwise_core::id::ConversationId;
use turnwise_core::items::{
    IncompleteReason, ResponseError, ResponseObject, ResponseState, RowId, chat_fields, compaction_item,
    compaction_object, items_of_messages, output_items, parse_input, resolve, with_ids,
};
use turnwise_core::json::{RawMap, raw_fields};
use turnwise_core::time::Timestamp;
use turnwise_core::usage::{Source, Usage};

static SCHEMAS: LazyLock<BTreeMap<&'static str, Validator>> = LazyLock::new(|| {
    let open_responses = include_str!("../../../tests/fixtures/open-responses.json");
    let openai = include_str!("../../../tests/fixtures/openai-items.json");
    let schemas = [
        ("ResponseResource", open_responses),
        ("ItemField", open_responses),
        ("CompactResource", open_responses),
        ("Response", openai),
        ("ConversationItem", openai),
        ("ItemResource", openai),
    ];
    let mut validators: BTreeMap<_, _> =
        schemas.into_iter().map(|(name, description)| (name, validator(name, description))).collect();
    // Both have a schema of this name.
    validators.insert("openai.CompactResource", validator("CompactResource", openai));
    validators
});

/// What an item of a conversation, of a response's input and of its output is.
const ITEM: [&str; 3] = ["ItemField", "ConversationItem", "ItemResource"];

const RESPONSE: [&str; 2] = ["ResponseResource", "Response"];

fn validator(name: &str, description: &str) -> Validator {
    let mut root: Value = serde_json::from_str(description).unwrap();
    root["$ref"] = json!(format!("#/components/schemas/{name}"));
    jsonschema::options().with_draft(Draft::Draft202012).build(&root).unwrap()
}

fn faults(body: &Value, schema: &str) -> Vec<String> {
    SCHEMAS[schema].iter_errors(body).map(|fault| format!("{}: {fault}", fault.instance_path())).collect()
}

fn check(body: &Value, schemas: &[&str]) {
    for schema in schemas {
        assert_eq!(faults(body, schema), Vec::<String>::new(), "{schema}: {body}");
    }
}

fn named(items: Vec<Value>) -> Vec<Value> {
    let conversation = ConversationId::parse("conversation", "c").unwrap();
    with_ids(items, &conversation, RowId::of_turn(1), 0)
}

fn parsed(input: &Value) -> Vec<Value> {
    resolve(parse_input("input", input).unwrap(), |_| None).unwrap()
}

fn request(fields: &Value) -> RawMap {
    let request = raw_fields(fields.to_string().as_bytes()).unwrap();
    chat_fields(&request).unwrap();
    request
}

fn completion() -> Value {
    let token = json!({"token": "a", "logprob": -0.1, "bytes": null, "top_logprobs": []});
    json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": {"content": [token]},
        "message": {"role": "assistant", "content": "let me see", "refusal": null,
            "annotations": [{"type": "url_citation", "url_citation":
                {"url": "https://example.com", "title": "t", "start_index": 0, "end_index": 3}}],
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}]})
}

fn response<'a>(echo: &'a RawMap, state: ResponseState, output: Vec<Value>) -> ResponseObject<'a> {
    let usage = Usage {
        input: 1,
        cache_read: 2,
        cache_write: 3,
        cache_write_1h: 0,
        output: 4,
        reasoning: 5,
        source: Source::Reported,
    };
    let usage = matches!(state, ResponseState::Completed { .. }).then_some(usage);
    ResponseObject {
        id: "resp_1",
        created_at: Timestamp(1_795_276_800_000),
        state,
        model: "openai/gpt-4o-mini",
        output,
        usage,
        previous_response_id: usage.map(|_| "resp_0"),
        conversation: usage.map(|_| "c"),
        echo,
    }
}

#[test]
fn the_schemas_refuse_what_is_not_whole() {
    let whole = &named(parsed(&json!("hello")))[0];
    for field in ["id", "status", "role", "content"] {
        let mut item = whole.clone();
        item.as_object_mut().unwrap().remove(field);
        assert_ne!(faults(&item, "ItemField"), Vec::<String>::new(), "{field}");
    }
    assert_ne!(faults(&json!({"id": "resp_1"}), "ResponseResource"), Vec::<String>::new());
}

#[test]
fn items_of_requests_are_the_standards_items() {
    let image = json!({"type": "input_image", "image_url": "https://example.com/a.png"});
    let of_file = json!({"type": "input_image", "file_id": "f"});
    let file = json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:,a", "file_url": null});
    let input = json!([
        {"role": "system", "content": "a"},
        {"role": "developer", "content": [{"type": "input_text", "text": "b"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "c"}, image, of_file, file]},
        {"role": "user", "content": []},
        {"role": "assistant", "content": "d", "phase": null},
        {"role": "assistant", "phase": "commentary", "status": "incomplete",
         "content": [{"type": "output_text", "text": "e"}, {"type": "refusal", "refusal": "f"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "g"}], "encrypted_content": null, "content": null},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "h"}], "encrypted_content": "i"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}", "status": null},
        {"type": "function_call_output", "call_id": "a", "output": "1", "id": null},
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "2"}, image, file]},
        compaction_item("a"),
    ]);
    for item in named(parsed(&input)) {
        check(&item, &ITEM);
    }
}

#[test]
fn answers_are_the_standards_items() {
    let refused = json!({"choices": [{"finish_reason": "stop", "message": {"content": null, "refusal": "no"}}]});
    let nothing = json!({"choices": []});
    for completion in [completion(), refused, nothing] {
        for item in named(output_items(&completion)) {
            check(&item, &ITEM);
        }
    }
}

#[test]
fn a_response_is_the_standards_response_at_every_stage() {
    let at = Timestamp(1_795_276_801_000);
    let echo = request(&json!({}));
    let error = ResponseError { code: "server_error".to_owned(), message: "The provider failed.".to_owned() };
    for state in [
        ResponseState::Queued,
        ResponseState::InProgress,
        ResponseState::Completed { at },
        ResponseState::Incomplete { reason: IncompleteReason::MaxOutputTokens },
        ResponseState::Incomplete { reason: IncompleteReason::ContentFilter },
        ResponseState::Failed(error),
        ResponseState::Cancelled,
    ] {
        let mut body = response(&echo, state.clone(), named(output_items(&completion()))).to_json();
        check(&body, &["ResponseResource"]);
        // OpenAI leaves a usage that is not known out, where Open Responses wants null.
        if body["usage"].is_null() {
            body.as_object_mut().unwrap().remove("usage");
        }
        check(&body, &["Response"]);
    }
}

#[test]
fn a_compaction_is_the_standards_compaction() {
    let usage = Usage {
        input: 1,
        cache_read: 2,
        cache_write: 3,
        cache_write_1h: 0,
        output: 4,
        reasoning: 5,
        source: Source::Estimated,
    };
    let output = named(parsed(&json!([{"role": "user", "content": "a"}, compaction_item("b")])));
    let body = compaction_object("resp_1", Timestamp(1_795_276_800_000), &output, &usage);
    check(&body, &["CompactResource", "openai.CompactResource"]);
}

#[test]
fn a_response_repeats_every_parameter_as_the_standard_wants_it() {
    let function = json!({"type": "function", "name": "f"});
    let schema = json!({"type": "json_schema", "name": "n", "schema": {"type": "object"}});
    let at = Timestamp(1_795_276_801_000);
    for fields in [
        json!({"temperature": 0.5, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": -1.5, "top_logprobs": 2,
               "max_output_tokens": 16, "max_tool_calls": 1, "store": false, "background": true, "truncation": "auto",
               "metadata": {"a": "b"}, "safety_identifier": "s", "prompt_cache_key": "p", "service_tier": "flex",
               "instructions": "be brief", "parallel_tool_calls": false, "user": "u"}),
        json!({"tools": [function], "tool_choice": function, "reasoning": {"effort": "low"}, "text": {"format": schema}}),
        json!({"tools": [function], "tool_choice": {"type": "allowed_tools", "tools": [function]},
               "reasoning": {"summary": "auto"}, "text": {"verbosity": "low", "format": {"type": "json_object"}}}),
        json!({"tools": [{"type": "function", "name": "f", "description": "d", "strict": true, "parameters": {}}],
               "tool_choice": "required", "reasoning": {}, "text": {}}),
        json!({"tools": null, "tool_choice": null, "reasoning": null, "text": null, "metadata": null, "store": null,
               "temperature": null, "max_output_tokens": null, "instructions": null, "service_tier": null}),
    ] {
        let echo = request(&fields);
        let body = response(&echo, ResponseState::Completed { at }, named(output_items(&completion()))).to_json();
        check(&body, &RESPONSE);
    }
}

fn part(assistant: bool) -> BoxedStrategy<Value> {
    let text = "[a-z]{0,5}";
    if assistant {
        return prop_oneof![
            text.prop_map(|text| json!({"type": "output_text", "text": text})),
            text.prop_map(|text| json!({"type": "refusal", "refusal": text})),
        ]
        .boxed();
    }
    prop_oneof![
        text.prop_map(|text| json!({"type": "input_text", "text": text})),
        text.prop_map(|url| json!({"type": "input_image", "image_url": url})),
        text.prop_map(|data| json!({"type": "input_file", "file_data": data})),
    ]
    .boxed()
}

fn item() -> impl Strategy<Value = Value> {
    let message = |role: &'static str| {
        proptest::collection::vec(part(role == "assistant"), 0..4)
            .prop_map(move |parts| json!({"role": role, "content": parts}))
    };
    prop_oneof![
        message("user"),
        message("assistant"),
        "[a-z]{1,3}".prop_map(|id| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"})),
        ("[a-z]{1,3}", proptest::collection::vec(part(false), 0..3))
            .prop_map(|(id, parts)| json!({"type": "function_call_output", "call_id": id, "output": parts})),
        Just(json!({"type": "reasoning", "summary": []})),
        "[a-z]{0,5}".prop_map(|summary| compaction_item(&summary)),
    ]
}

proptest! {
    #[test]
    fn any_items_are_the_standards_items_and_stay_so_over_messages(input in proptest::collection::vec(item(), 0..8)) {
        let items = parsed(&json!(input));
        let messages = turnwise_core::items::messages_of_items(&items);
        for item in named(items).into_iter().chain(named(items_of_messages(&messages))) {
            check(&item, &ITEM);
        }
    }
}
