//! Which of its tools a model may call. Upstreams take the list as advice, or do not know
//! it; Open Responses makes it a promise.

use std::collections::BTreeSet;

use serde_json::Value;
use turnwise_core::generation::{Completion, Generation};
use turnwise_core::outline::Delta;

/// The tools that may be called, where not all of them may.
#[derive(Debug, Default)]
pub(super) struct Allowed(Option<BTreeSet<String>>);

impl Allowed {
    /// What the request's `tool_choice` allows.
    pub(super) fn of(generation: &Generation) -> Self {
        let choice = generation.fields.get("tool_choice");
        let choice: Value = choice.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let tools = choice.pointer("/allowed_tools/tools").and_then(Value::as_array);
        let name = |tool: &Value| tool.pointer("/function/name").and_then(Value::as_str).map(str::to_owned);
        Self(tools.map(|tools| tools.iter().filter_map(name).collect()))
    }

    /// The first tool that `chunk` begins to call and that may not be called.
    pub(super) fn forbidden_in_chunk(&self, chunk: &Value) -> Option<String> {
        self.0.as_ref()?;
        let delta = Delta::of_chunk(chunk);
        delta.calls.iter().map(|call| call.name).find(|name| self.forbids(name)).map(str::to_owned)
    }

    /// The first tool that `completion` calls and that may not be called.
    pub(super) fn forbidden_in(&self, completion: &Completion) -> Option<String> {
        self.0.as_ref()?;
        let body: Value = serde_json::from_str(completion.body.get()).unwrap_or_default();
        let calls = body.pointer("/choices/0/message/tool_calls").and_then(Value::as_array).into_iter().flatten();
        let names = calls.filter_map(|call| call.pointer("/function/name")?.as_str());
        names.map(str::to_owned).find(|name| self.forbids(name))
    }

    fn forbids(&self, name: &str) -> bool {
        !name.is_empty() && self.0.as_ref().is_some_and(|allowed| !allowed.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use turnwise_core::json::{raw, raw_fields};

    use super::*;

    fn check(choice: &Value, called: &str, expected: Option<&str>) {
        let fields = raw_fields(json!({"messages": [], "tool_choice": choice}).to_string().as_bytes()).unwrap();
        let allowed = Allowed::of(&Generation { model: "m".to_owned(), fields });
        let call = json!({"index": 0, "id": "a", "function": {"name": called, "arguments": "{}"}});
        let chunk = json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]});
        let whole = json!({"choices": [{"message": {"content": null, "tool_calls": [call]}}]});
        let found = [allowed.forbidden_in_chunk(&chunk), allowed.forbidden_in(&Completion::new(raw(&whole), ""))];
        assert_eq!(found.map(|name| name.unwrap_or_default()), [expected.unwrap_or_default(); 2], "{choice} {called}");
    }

    #[test]
    fn only_a_tool_that_is_not_on_the_list_is_forbidden() {
        let only_f = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
            {"type": "function", "function": {"name": "f"}}]}});
        check(&only_f, "f", None);
        check(&only_f, "g", Some("g"));
        check(&only_f, "", None);
        check(&json!("auto"), "g", None);
        check(&Value::Null, "g", None);
        check(&json!({"type": "function", "function": {"name": "f"}}), "g", None);
    }
}
