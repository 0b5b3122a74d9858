//! How many tokens a request has, counted by Bedrock.

use serde_json::{Map, Value, json};

use crate::call::Target;
use crate::error::{self, Error};

/// The fields of a request that say something to the model, and so are counted.
const COUNTED: [&str; 4] = ["messages", "system", "toolConfig", "additionalModelRequestFields"];

/// What asks for the count of Converse's `request`.
pub(super) fn body(request: &Value) -> Value {
    let counted = COUNTED.iter().filter_map(|name| Some(((*name).to_owned(), request.get(name)?.clone())));
    let counted: Map<String, Value> = counted.collect();
    json!({"input": {"converse": counted}})
}

/// The count in `answer`.
pub(super) fn tokens(target: &Target, answer: &Value) -> Result<u64, Error> {
    let count = answer.get("inputTokens").and_then(Value::as_u64);
    count.ok_or_else(|| error::malformed(target, "has no count of tokens"))
}
