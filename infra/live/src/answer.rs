//! Whether what came is an answer to what was asked. Pure.

use serde_json::Value;

use crate::prompts::Expected;

/// Why a prompt has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// One of the API's categories, or one of ours for what only a client sees.
    pub(crate) category: String,
    /// What happened.
    pub(crate) message: String,
}

/// The answer that came is not what was asked for.
const UNEXPECTED: &str = "UNEXPECTED_ANSWER";

impl Failure {
    /// A failure with a category of ours.
    pub(crate) fn new(category: &str, message: impl Into<String>) -> Self {
        Self { category: category.to_owned(), message: message.into() }
    }

    /// The failure that an error object of the API tells.
    pub(crate) fn of_error(body: &Value) -> Self {
        let text = |name: &str| body["error"][name].as_str();
        let message = format!("{}: {}", text("code").unwrap_or("no code"), text("message").unwrap_or("no message"));
        Self::new(text("category").unwrap_or(UNEXPECTED), message)
    }
}

/// Whether `body`, a chat completion, is what was expected. It is not judged whether what it
/// says is right: that is the model's business, and this is a test of the way to it.
///
/// # Errors
/// What is missing.
pub(crate) fn check(expected: Expected<'_>, body: &Value) -> Result<(), Failure> {
    let message = &body["choices"][0]["message"];
    let finish = body["choices"][0]["finish_reason"].as_str().unwrap_or("none");
    let fails = |what: &str| Err(Failure::new(UNEXPECTED, format!("{what} (finish_reason {finish})")));
    let text = |name: &str| message[name].as_str().filter(|text| !text.trim().is_empty());
    match expected {
        Expected::Text if text("content").or_else(|| text("refusal")).is_some() => Ok(()),
        Expected::Text => fails("there is no text"),
        Expected::Json(schema) => match text("content").map(serde_json::from_str::<Value>) {
            Some(Ok(value)) if has_required(schema, &value) => Ok(()),
            Some(Ok(_)) => fails("the JSON lacks what its schema requires"),
            Some(Err(_)) => fails("the text is no JSON"),
            None => fails("there is no text"),
        },
        Expected::Call(tool) => {
            let calls = message["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
            let Some(call) = calls.iter().find(|call| call["function"]["name"] == tool["name"]) else {
                return fails("the function is not called");
            };
            let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
            match serde_json::from_str(arguments) {
                Ok(arguments) if has_required(&tool["parameters"], &arguments) => Ok(()),
                Ok(_) => fails("the call lacks arguments"),
                Err(_) => fails("the call's arguments are no JSON"),
            }
        }
    }
}

/// Whether the object `value` has all that `schema` requires of it.
fn has_required(schema: &Value, value: &Value) -> bool {
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    value.is_object() && required.iter().filter_map(Value::as_str).all(|name| value.get(name).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_message(expected: Expected<'_>, message: &Value, complaint: Option<&str>) {
        let body = json!({"choices": [{"message": message, "finish_reason": "stop"}]});
        let found = check(expected, &body).err().map(|failure| failure.message);
        let complaint = complaint.map(|complaint| format!("{complaint} (finish_reason stop)"));
        assert_eq!(found, complaint, "{message}");
    }

    #[test]
    fn a_text_or_a_refusal_is_an_answer() {
        check_message(Expected::Text, &json!({"content": "Paris"}), None);
        check_message(Expected::Text, &json!({"content": null, "refusal": "No."}), None);
        check_message(Expected::Text, &json!({"content": " "}), Some("there is no text"));
    }

    #[test]
    fn json_has_what_its_schema_requires() {
        let schema = json!({"required": ["a"]});
        let expected = Expected::Json(&schema);
        check_message(expected, &json!({"content": "{\"a\":1}"}), None);
        check_message(expected, &json!({"content": "{}"}), Some("the JSON lacks what its schema requires"));
        check_message(expected, &json!({"content": "a"}), Some("the text is no JSON"));
    }

    #[test]
    fn a_call_has_its_name_and_its_arguments() {
        let tool = json!({"name": "f", "parameters": {"required": ["a"]}});
        let expected = Expected::Call(&tool);
        let calls =
            |name: &str, arguments: &str| json!({"tool_calls": [{"function": {"name": name, "arguments": arguments}}]});
        check_message(expected, &calls("f", "{\"a\":1}"), None);
        check_message(expected, &calls("g", "{\"a\":1}"), Some("the function is not called"));
        check_message(expected, &calls("f", "{}"), Some("the call lacks arguments"));
        check_message(expected, &calls("f", "{"), Some("the call's arguments are no JSON"));
        check_message(expected, &json!({"content": "no"}), Some("the function is not called"));
    }

    #[test]
    fn an_error_keeps_its_category() {
        let body = json!({"error": {"category": "RATE_LIMIT_ERROR", "code": "slow", "message": "Too many."}});
        assert_eq!(Failure::of_error(&body), Failure::new("RATE_LIMIT_ERROR", "slow: Too many."));
    }
}
