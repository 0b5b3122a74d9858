//! `metadata`: pairs of texts a client attaches to an object.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fault::Faults;
use crate::limits::{MAX_METADATA_KEY_CHARS, MAX_METADATA_PAIRS, MAX_METADATA_VALUE_CHARS};
use crate::reader::{OBJECT, STRING, expected};

/// Pairs of texts a client attaches to an object.
pub type Metadata = BTreeMap<String, String>;

/// The metadata `value`, where [`check_metadata`] finds nothing wrong with it.
#[must_use]
pub fn read_metadata(value: &Value) -> Metadata {
    let pairs = value.as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Adds a fault for all that is wrong with `value`, the metadata in `field`.
pub fn check_metadata(field: &str, value: &Value, faults: &mut Faults) {
    let Some(pairs) = value.as_object() else {
        faults.add(field, expected(OBJECT, value));
        return;
    };
    if pairs.len() > MAX_METADATA_PAIRS {
        faults.add(field, format!("Expected at most {MAX_METADATA_PAIRS} pairs, got {}.", pairs.len()));
    }
    for (key, value) in pairs {
        if key.chars().count() > MAX_METADATA_KEY_CHARS {
            faults.add(field, format!("A key must have at most {MAX_METADATA_KEY_CHARS} characters: {key:?}."));
            continue;
        }
        let field = format!("{field}.{key}");
        match value.as_str() {
            None => faults.add(field, expected(STRING, value)),
            Some(text) if text.chars().count() > MAX_METADATA_VALUE_CHARS => {
                faults.add(field, format!("A value must have at most {MAX_METADATA_VALUE_CHARS} characters."));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn check(value: &Value, fields: &[&str]) {
        let mut faults = Faults::default();
        check_metadata("metadata", value, &mut faults);
        let found: Vec<&str> = faults.0.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(found, fields, "{faults}");
    }

    #[test]
    fn metadata_has_limits() {
        let pairs = |count: usize| Value::from((0..count).map(|n| (n.to_string(), json!(""))).collect::<Map<_, _>>());
        check(&pairs(MAX_METADATA_PAIRS), &[]);
        check(&pairs(MAX_METADATA_PAIRS + 1), &["metadata"]);
        check(&json!({"k".repeat(MAX_METADATA_KEY_CHARS): "ü".repeat(MAX_METADATA_VALUE_CHARS)}), &[]);
        check(&json!({"k".repeat(MAX_METADATA_KEY_CHARS + 1): ""}), &["metadata"]);
        check(&json!({"k": "v".repeat(MAX_METADATA_VALUE_CHARS + 1)}), &["metadata.k"]);
    }

    #[test]
    fn metadata_is_texts() {
        check(&json!([]), &["metadata"]);
        check(&json!({"a": 1, "b": null, "c": "x"}), &["metadata.a", "metadata.b"]);
    }
}
