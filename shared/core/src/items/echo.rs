//! A request's own parameters as its response repeats them.

use serde_json::{Map, Value, json};

use crate::json::RawMap;

/// Fields of a request that its response repeats.
const REPEATED: [&str; 23] = [
    "background",
    "conversation",
    "frequency_penalty",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// What has to be kept of `request` for its response: the fields that are repeated.
#[must_use]
pub fn echoed(request: &RawMap) -> RawMap {
    let mut kept = request.clone();
    kept.retain(|name, raw| raw.get() != "null" && REPEATED.contains(&name.as_str()));
    kept
}

/// The parameters a response must repeat, each with the standard's default for a
/// request that did not give it (or gave what it cannot be: our answers keep their
/// schema whatever was asked).
pub(super) fn echo(request: &RawMap) -> Map<String, Value> {
    let given = |name: &str| request.get(name).and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let or = |name: &str, fits: fn(&Value) -> bool, default: Value| {
        (name.to_owned(), given(name).filter(fits).unwrap_or(default))
    };
    let mut echo: Map<String, Value> = [
        or("background", Value::is_boolean, json!(false)),
        or("frequency_penalty", Value::is_number, json!(0)),
        or("instructions", Value::is_string, Value::Null),
        or("max_output_tokens", Value::is_u64, Value::Null),
        or("max_tool_calls", Value::is_u64, Value::Null),
        or("metadata", Value::is_object, json!({})),
        or("parallel_tool_calls", Value::is_boolean, json!(true)),
        or("presence_penalty", Value::is_number, json!(0)),
        or("prompt_cache_key", Value::is_string, Value::Null),
        or("safety_identifier", Value::is_string, Value::Null),
        or("store", Value::is_boolean, json!(true)),
        or("temperature", Value::is_number, json!(1)),
        or("top_logprobs", Value::is_u64, json!(0)),
        or("top_p", Value::is_number, json!(1)),
        or("truncation", Value::is_string, json!("disabled")),
        ("reasoning".to_owned(), reasoning(given("reasoning"))),
        ("service_tier".to_owned(), service_tier(given("service_tier"))),
        ("text".to_owned(), text(given("text"))),
        ("tool_choice".to_owned(), tool_choice(given("tool_choice"))),
        ("tools".to_owned(), tools(given("tools"))),
    ]
    .into_iter()
    .collect();
    // Not required, and OpenAI's own clients read it back.
    if let Some(user) = given("user").filter(Value::is_string) {
        echo.insert("user".to_owned(), user);
    }
    echo
}

/// `fields` with each of `defaults` it does not have; what is null and may not be is
/// replaced as well.
fn filled(mut fields: Map<String, Value>, defaults: &[(&str, Value)]) -> Map<String, Value> {
    for (name, default) in defaults {
        let field = fields.entry(*name).or_insert(Value::Null);
        if field.is_null() {
            *field = default.clone();
        }
    }
    fields
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(fields)) => fields,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | None => Map::new(),
    }
}

fn reasoning(given: Option<Value>) -> Value {
    Value::Object(filled(object(given), &[("effort", Value::Null), ("summary", Value::Null)]))
}

/// The tier that serves, which is never `auto`: that only lets the upstream choose.
fn service_tier(given: Option<Value>) -> Value {
    given.filter(|tier| tier.is_string() && tier != "auto").unwrap_or_else(|| json!("default"))
}

/// A schema without a description has an empty one: Open Responses requires it to be
/// there, OpenAI that it is not null.
fn text(given: Option<Value>) -> Value {
    let mut text = object(given);
    text.retain(|_, value| !value.is_null());
    let format = filled(object(text.remove("format")), &[("type", json!("text"))]);
    let format = match format["type"].as_str() {
        Some("json_schema") => filled(format, &[("description", json!("")), ("strict", json!(false))]),
        Some(_) | None => format,
    };
    text.insert("format".to_owned(), Value::Object(format));
    Value::Object(text)
}

fn tool_choice(given: Option<Value>) -> Value {
    match given {
        Some(Value::Object(choice)) if choice.get("type") == Some(&json!("allowed_tools")) => {
            Value::Object(filled(choice, &[("mode", json!("auto"))]))
        }
        Some(choice @ (Value::Object(_) | Value::String(_))) => choice,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => json!("auto"),
    }
}

/// `strict` is repeated as null where it was not given, though the standards call true
/// the default: nothing was made strict for such a tool.
fn tools(given: Option<Value>) -> Value {
    let optional = [("description", Value::Null), ("parameters", Value::Null), ("strict", Value::Null)];
    let tools = given.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    tools.map(|tool| Value::Object(filled(tool.clone(), &optional))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::raw_fields;

    fn check(request: &str, name: &str, expected: &Value) {
        assert_eq!(&echo(&raw_fields(request.as_bytes()).unwrap())[name], expected, "{name} of {request}");
    }

    #[test]
    fn a_parameter_nobody_gave_has_its_default() {
        for request in ["{}", r#"{"temperature":null,"text":null,"tools":null,"tool_choice":null,"service_tier":null}"#]
        {
            check(request, "temperature", &json!(1));
            check(request, "text", &json!({"format": {"type": "text"}}));
            check(request, "tools", &json!([]));
            check(request, "tool_choice", &json!("auto"));
            check(request, "service_tier", &json!("default"));
            check(request, "max_output_tokens", &Value::Null);
        }
        check(r#"{"temperature":"hot"}"#, "temperature", &json!(1));
    }

    #[test]
    fn a_parameter_is_repeated_as_it_was_given() {
        check(r#"{"temperature":0.5}"#, "temperature", &json!(0.5));
        check(r#"{"store":false}"#, "store", &json!(false));
        check(r#"{"metadata":{"a":"b"}}"#, "metadata", &json!({"a": "b"}));
        check(r#"{"user":"u"}"#, "user", &json!("u"));
        check(r#"{"service_tier":"flex"}"#, "service_tier", &json!("flex"));
        let choice = json!({"type": "function", "name": "f"});
        check(&json!({"tool_choice": choice}).to_string(), "tool_choice", &choice);
    }

    #[test]
    fn what_a_parameter_left_out_is_filled_in() {
        check(
            r#"{"tools":[{"type":"function","name":"f"}]}"#,
            "tools",
            &json!([{"type": "function", "name": "f", "description": null, "parameters": null, "strict": null}]),
        );
        check(r#"{"reasoning":{"effort":"low"}}"#, "reasoning", &json!({"effort": "low", "summary": null}));
        check(
            r#"{"text":{"verbosity":"low","format":{"type":"json_schema","name":"n","schema":{}}}}"#,
            "text",
            &json!({"verbosity": "low", "format":
                {"type": "json_schema", "name": "n", "schema": {}, "description": "", "strict": false}}),
        );
        check(
            r#"{"tool_choice":{"type":"allowed_tools","tools":[]}}"#,
            "tool_choice",
            &json!({"type": "allowed_tools", "tools": [], "mode": "auto"}),
        );
    }

    #[test]
    fn all_that_is_repeated_is_kept() {
        let everything: RawMap =
            REPEATED.iter().map(|name| ((*name).to_owned(), crate::json::raw(&json!("x")))).collect();
        assert_eq!(echoed(&everything).len(), REPEATED.len());
        let places = ["conversation", "previous_response_id"].len();
        assert_eq!(echo(&everything).len() + places, REPEATED.len());
        assert!(echo(&everything).keys().all(|name| REPEATED.contains(&name.as_str())));
        assert_eq!(echoed(&raw_fields(br#"{"input":"a","user":null,"x_own":1}"#).unwrap()).len(), 0);
    }

    #[test]
    fn the_tier_that_serves_is_never_auto() {
        check(r#"{"service_tier":"auto"}"#, "service_tier", &json!("default"));
    }
}
