//! The cases of Open Responses' public compliance tests, with `local/echo` as the model.

use serde_json::{Value, json};
use turnwise_tests::app::{Sse, TestApp};

use super::super::{RESPONSES, check_response, ok, with};
use super::check_stream;

/// The smallest image there is: one red dot.
const DOT: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

/// A case: its name, what is asked, the types of the items that answer it.
fn cases() -> [(&'static str, Value, &'static [&'static str]); 6] {
    let message = |role: &str, content: Value| json!({"type": "message", "role": role, "content": content});
    let said = |text: &str| message("user", json!(text));
    let weather = json!({"type": "function", "name": "get_weather",
        "description": "Get the current weather for a location",
        "parameters": {"type": "object", "required": ["location"], "properties": {"location": {"type": "string",
            "description": "The city and state, e.g. San Francisco, CA"}}}});
    let image = json!([{"type": "input_text", "text": "What do you see in this image? Answer in one sentence."},
                       {"type": "input_image", "image_url": DOT}]);
    [
        ("basic text", json!({"input": [said("Say hello in exactly 3 words.")]}), &["message"]),
        ("streaming", json!({"input": [said("Count from 1 to 5.")]}), &["message"]),
        (
            "system prompt",
            json!({"input": [message("system", json!("You are a pirate. Always respond in pirate speak.")),
                             said("Say hello.")]}),
            &["message"],
        ),
        (
            "tool calling",
            json!({"input": [said("What's the weather like in San Francisco?")], "tools": [weather]}),
            &["function_call"],
        ),
        ("image input", json!({"input": [message("user", image)]}), &["message"]),
        (
            "multi-turn",
            json!({"input": [said("My name is Alice."),
                             message("assistant", json!("Hello Alice! Nice to meet you. How can I help you today?")),
                             said("What is my name?")]}),
            &["message"],
        ),
    ]
}

fn check_answer(name: &str, response: &Value, items: &[&str]) {
    check_response(response);
    assert_eq!(response["status"], "completed", "{name}");
    let output = response["output"].as_array().unwrap();
    let types: Vec<&str> = output.iter().filter_map(|item| item["type"].as_str()).collect();
    assert_eq!(types, items, "{name}");
    for call in output.iter().filter(|item| item["type"] == "function_call") {
        let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
        assert!(call["name"] == "get_weather" && arguments["location"].is_string(), "{name}: {call}");
    }
}

#[tokio::test]
async fn every_case_passes_whole_and_streamed() {
    let app = TestApp::builder().without_openai().start().await;
    for (name, body, items) in cases() {
        let body = with(body, "model", "local/echo");
        let reply = app.post(RESPONSES, &body).await;
        check_answer(name, &ok(&reply), items);

        let streamed = with(body, "stream", true);
        let events = app.open(RESPONSES, &[], &streamed).await;
        assert_eq!((events.status, events.header("content-type")), (200, "text/event-stream"), "{name}");
        let events = events.rest().await;
        let response = check_stream(&events);
        check_answer(name, &response, items);
        check_steps(name, &events, items[0]);

        // Nothing is streamed otherwise than it is answered whole.
        let answered = ok(&reply);
        for field in ["model", "usage", "tools", "text", "truncation"] {
            assert_eq!(response[field], answered[field], "{name}: {field}");
        }
    }
}

/// The events without which a client could not show the item as it comes.
fn check_steps(name: &str, events: &[Sse], item: &str) {
    let steps: &[&str] = match item {
        "function_call" => &[
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
        ],
        _ => &[
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
        ],
    };
    let mut kinds: Vec<&str> = events.iter().map(|event| event.event.as_str()).collect();
    kinds.retain(|kind| steps.contains(kind));
    kinds.dedup();
    assert_eq!(kinds, steps, "{name}");
    let added = events.iter().find(|event| event.event == "response.output_item.added").unwrap().json();
    assert_eq!(added["item"]["type"], item, "{name}");
}

#[tokio::test]
async fn a_call_that_was_answered_is_gone_on_from() {
    let app = TestApp::builder().without_openai().start().await;
    let (_, body, _) = cases().into_iter().find(|(name, ..)| *name == "tool calling").unwrap();
    let first = ok(&app.post(RESPONSES, &with(body.clone(), "model", "local/echo")).await);
    let call_id = first["output"][0]["call_id"].clone();
    let output = json!([{"type": "function_call_output", "call_id": call_id, "output": "sunny"}]);
    let second = json!({"model": "local/echo", "previous_response_id": first["id"], "input": output,
                        "tools": body["tools"], "stream": true});
    let response = check_stream(&app.sse(RESPONSES, &second).await);
    check_answer("the output of a call", &response, &["message"]);
    assert_eq!(response["previous_response_id"], first["id"]);
}
