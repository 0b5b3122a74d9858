//! A whole answer.

use serde_json::Value;
use turnwise_core::generation::{Completion, Event};

use super::answer::Answer;
use crate::call::Target;
use crate::chunks;
use crate::error::{self, Error};

/// The completion in `body`, told by `answer`.
///
/// # Errors
/// When it is no answer of Converse's, or one that cannot be used.
pub(super) fn completion(
    target: &Target,
    body: &Value,
    mut answer: Answer,
    input_text: &str,
) -> Result<Completion, Error> {
    let mut events = Vec::new();
    let blocks = body.pointer("/output/message/content").and_then(Value::as_array);
    let blocks = blocks.ok_or_else(|| error::malformed(target, "has no message"))?;
    for (index, block) in (0..).zip(blocks) {
        tell(block, index, &mut answer, &mut events)?;
        answer.end(index, &mut events);
    }
    let reason = body.get("stopReason").and_then(Value::as_str);
    let reason = reason.ok_or_else(|| error::malformed(target, "does not say why it ended"))?;
    answer.finish(reason, body.get("additionalModelResponseFields"), &mut events)?;
    answer.usage(&body["usage"], &mut events);
    Ok(chunks::completion(&events, input_text))
}

/// One block; a kind that we do not know is left out.
fn tell(block: &Value, index: u64, answer: &mut Answer, events: &mut Vec<Event>) -> Result<(), Error> {
    let text = |pointer: &str| block.pointer(pointer).and_then(Value::as_str);
    if let Some(text) = text("/text") {
        answer.text(text, events);
    }
    for cited in block.pointer("/citationsContent/content").and_then(Value::as_array).into_iter().flatten() {
        answer.text(cited["text"].as_str().unwrap_or_default(), events);
    }
    if let Some(call) = block.get("toolUse") {
        let (id, name) = (text("/toolUse/toolUseId").unwrap_or_default(), text("/toolUse/name").unwrap_or_default());
        answer.call(index, id, name, events);
        if let Some(input) = call.get("input").filter(|input| input.is_object()) {
            answer.input(index, &input.to_string(), events)?;
        }
    }
    if let Some(thought) = text("/reasoningContent/reasoningText/text") {
        answer.thought(index, thought, events);
    }
    if let Some(signature) = text("/reasoningContent/reasoningText/signature") {
        answer.signature(index, signature, events);
    }
    if let Some(secret) = text("/reasoningContent/redactedContent") {
        answer.secret(index, secret)?;
    }
    Ok(())
}
