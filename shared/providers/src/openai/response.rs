//! A whole answer, read and checked.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use turnwise_core::generation::Completion;
use turnwise_core::json;

use crate::call::Target;
use crate::error::{self, Error};

/// The completion in `body`, kept as the upstream wrote it.
///
/// # Errors
/// When it is an error, or no chat completion.
pub(super) fn completion(target: &Target, body: &[u8], input_text: &str) -> Result<Completion, Error> {
    let body = String::from_utf8_lossy(body).into_owned();
    let body =
        RawValue::from_string(body).map_err(|cause| error::malformed(target, "is not JSON").with_source(cause))?;
    check(target, body.get())?;
    Ok(Completion::new(body, input_text))
}

/// The completion in `body` as the one chunk of a stream, for upstreams that
/// ignore `stream`.
///
/// # Errors
/// As [`completion`].
pub(super) fn as_chunk(target: &Target, body: &[u8]) -> Result<Box<RawValue>, Error> {
    let mut body = check(target, &String::from_utf8_lossy(body))?;
    body["object"] = json!("chat.completion.chunk");
    for choice in body.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(choice) = choice.as_object_mut() else { continue };
        let mut delta = choice.remove("message").unwrap_or_default();
        for (index, call) in delta.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
        {
            if let Some(call) = call.as_object_mut() {
                call.insert("index".to_owned(), json!(index));
            }
        }
        choice.insert("delta".to_owned(), delta);
    }
    Ok(json::raw(&body))
}

/// What is wrong with one choice, if its upstream stopped it with an error.
pub(super) fn check_choice(target: &Target, choice: &Value) -> Result<(), Error> {
    if error::is_error(choice) || choice.get("finish_reason").is_some_and(|reason| reason == "error") {
        return Err(error::in_body(target, choice));
    }
    Ok(())
}

fn check(target: &Target, body: &str) -> Result<Value, Error> {
    let body: Value =
        serde_json::from_str(body).map_err(|cause| error::malformed(target, "is not JSON").with_source(cause))?;
    if error::is_error(&body) {
        return Err(error::in_body(target, &body));
    }
    let choices = body.get("choices").and_then(Value::as_array).filter(|choices| !choices.is_empty());
    let choices = choices.ok_or_else(|| error::malformed(target, "has no choices"))?;
    for choice in choices {
        check_choice(target, choice)?;
        if !choice.get("message").is_some_and(Value::is_object) {
            return Err(error::malformed(target, "has a choice without a message"));
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use turnwise_core::category::Category;
    use turnwise_core::fold::Fold;

    use super::*;

    fn target() -> Target {
        Target { provider: "openai".to_owned(), model: "m".to_owned() }
    }

    #[test]
    fn an_answer_is_kept_as_it_was_written() {
        let body = r#"{"id":"c", "choices": [ {"message":{"content":"h\u0069"},"finish_reason":"stop"} ],"new":1.50}"#;
        let completion = completion(&target(), format!("\n{body}\n").as_bytes(), "").unwrap();
        assert_eq!((completion.body.get(), completion.text.as_str()), (body, "hi"));
    }

    #[test]
    fn what_is_no_completion_is_an_error() {
        let rows = [
            ("<html>", Category::ApiError, "malformed_answer"),
            ("", Category::ApiError, "malformed_answer"),
            ("null", Category::ApiError, "malformed_answer"),
            (r#"{"choices":[]}"#, Category::ApiError, "malformed_answer"),
            (r#"{"choices":[{"text":"completion"}]}"#, Category::ApiError, "malformed_answer"),
            (r#"{"error":{"code":429}}"#, Category::RateLimitError, "rate_limit_exceeded"),
            (r#"{"choices":[{"message":{},"finish_reason":"error"}]}"#, Category::ApiError, "upstream_error"),
            (r#"{"choices":[{"message":{},"error":{"code":402}}]}"#, Category::CostLimitError, "insufficient_quota"),
        ];
        for (body, category, code) in rows {
            let error = completion(&target(), body.as_bytes(), "").unwrap_err();
            assert_eq!((error.category, &*error.code), (category, code), "{body}");
        }
    }

    #[test]
    fn a_null_error_is_none() {
        let body = r#"{"error":null,"choices":[{"message":{"content":"a"},"error":null}]}"#;
        assert!(completion(&target(), body.as_bytes(), "").is_ok());
    }

    #[test]
    fn a_completion_as_a_chunk_folds_back_into_itself() {
        let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
            "choices": [{"index": 0, "finish_reason": "tool_calls", "logprobs": null,
                         "message": {"role": "assistant", "content": null, "refusal": null, "tool_calls": [
                             {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                             {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}]}}]});
        let chunk = as_chunk(&target(), body.to_string().as_bytes()).unwrap();
        let mut fold = Fold::default();
        fold.push(&serde_json::from_str(chunk.get()).unwrap());
        assert_eq!(fold.complete(), body);
    }
}
