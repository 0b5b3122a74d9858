//! What of a request goes out to an OpenAI-compatible upstream: everything as it was
//! written, but for what belongs to other formats.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_json::value::RawValue;
use turnwise_core::json::{self, RawMap};

use crate::prompt::OWN;

/// The fields of a request that go out, and the names of those that do not.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    pub(super) fields: BTreeMap<&'a str, Cow<'a, RawValue>>,
    pub(super) dropped: BTreeSet<String>,
}

impl<'a> Kept<'a> {
    /// `fields` without those that `refuses` names, in them and in their messages and tools.
    pub(super) fn of(fields: &'a RawMap, refuses: &[String]) -> Self {
        let mut kept = Self { fields: BTreeMap::new(), dropped: BTreeSet::new() };
        for (name, raw) in fields {
            let is_refused = OWN.contains(&name.as_str()) || refuses.contains(name);
            if is_refused {
                kept.dropped.insert(name.clone());
                continue;
            }
            // Parsed only where there may be something to leave out.
            let quoted = |name: &&String| raw.get().contains(&format!("\"{name}\""));
            let suspects: Vec<&String> = refuses.iter().filter(quoted).collect();
            let raw = match name.as_str() {
                "messages" | "tools" if !suspects.is_empty() => kept.without(raw, &suspects),
                _ => Cow::Borrowed(&**raw),
            };
            kept.fields.insert(name, raw);
        }
        kept
    }

    fn without(&mut self, raw: &'a RawValue, refused: &[&String]) -> Cow<'a, RawValue> {
        let mut list: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let mut taken = false;
        for object in list.as_array_mut().into_iter().flatten() {
            taken |= self.take(object, refused);
            // Never deeper: a text, or the schema of a function, may say what it likes.
            for nested in ["content", "tool_calls"] {
                for part in object.get_mut(nested).and_then(Value::as_array_mut).into_iter().flatten() {
                    taken |= self.take(part, refused);
                }
            }
        }
        if taken { Cow::Owned(json::raw(&list)) } else { Cow::Borrowed(raw) }
    }

    fn take(&mut self, object: &mut Value, refused: &[&String]) -> bool {
        let Some(fields) = object.as_object_mut() else { return false };
        let mut taken = false;
        for name in refused {
            if fields.remove(name.as_str()).is_some() {
                self.dropped.insert((*name).clone());
                taken = true;
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(fields: &Value, refuses: &[&str], expected: &Value, dropped: &[&str]) {
        let fields = json::raw_fields(fields.to_string().as_bytes()).unwrap();
        let refuses: Vec<String> = refuses.iter().map(|name| (*name).to_owned()).collect();
        let kept = Kept::of(&fields, &refuses);
        assert_eq!(&serde_json::to_value(&kept.fields).unwrap(), expected);
        assert_eq!(kept.dropped.iter().map(String::as_str).collect::<Vec<_>>(), dropped);
    }

    #[test]
    fn what_is_another_formats_own_never_goes_out() {
        check(
            &json!({"anthropic": {}, "gemini": {}, "bedrock": {}, "x": 1}),
            &[],
            &json!({"x": 1}),
            &["anthropic", "bedrock", "gemini"],
        );
    }

    #[test]
    fn what_is_refused_is_left_out_of_messages_and_tools() {
        check(
            &json!({"top_k": 1,
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "\"top_k\"", "cache_control": {}}]},
                    {"role": "assistant", "reasoning_details": [], "tool_calls": [{"id": "a", "cache_control": {}}]}],
                "tools": [{"function": {"parameters": {"properties": {"top_k": {}}}}, "cache_control": {}}]}),
            &["top_k", "cache_control", "reasoning_details"],
            &json!({
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "\"top_k\""}]},
                    {"role": "assistant", "tool_calls": [{"id": "a"}]}],
                "tools": [{"function": {"parameters": {"properties": {"top_k": {}}}}}]}),
            &["cache_control", "reasoning_details", "top_k"],
        );
    }

    #[test]
    fn what_only_a_text_says_goes_out_as_it_was_written() {
        let fields = json::raw_fields(br#"{"messages":[ {"content":"a \"top_k\""} ]}"#).unwrap();
        let kept = Kept::of(&fields, &["top_k".to_owned()]);
        assert_eq!(kept.fields["messages"].get(), r#"[ {"content":"a \"top_k\""} ]"#);
    }
}
