//! JSON schemas as Anthropic takes them, where an answer is held to one.

use serde_json::{Map, Value, json};

/// Keywords that Anthropic refuses in a schema which it has to follow.
const UNSUPPORTED: [&str; 10] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "$schema",
];

/// Keywords whose value is a schema.
const ONE: [&str; 2] = ["items", "not"];

/// Keywords whose value is a list of schemas.
const LIST: [&str; 4] = ["anyOf", "allOf", "oneOf", "prefixItems"];

/// Keywords whose value holds schemas under names.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];

/// `schema` with every object closed, as Anthropic wants it, and without the keywords that
/// it refuses. Says whether the answer is held to less than was asked for.
pub(super) fn strict(schema: &Value) -> (Value, bool) {
    let mut schema = schema.clone();
    let mut is_less = false;
    restrict(&mut schema, &mut is_less);
    (schema, is_less)
}

fn restrict(schema: &mut Value, is_less: &mut bool) {
    let Some(fields) = schema.as_object_mut() else { return };
    for keyword in UNSUPPORTED {
        *is_less |= fields.remove(keyword).is_some() && keyword != "$schema";
    }
    // One item at the least is the most that can be asked for.
    if fields.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 1) {
        fields.insert("minItems".to_owned(), json!(1));
        *is_less = true;
    }
    if is_object(fields) {
        let before = fields.insert("additionalProperties".to_owned(), json!(false));
        *is_less |= before.is_some_and(|before| before != json!(false));
    }
    for (keyword, value) in fields.iter_mut() {
        match value {
            Value::Object(_) if ONE.contains(&keyword.as_str()) => restrict(value, is_less),
            Value::Array(schemas) if LIST.contains(&keyword.as_str()) => {
                schemas.iter_mut().for_each(|schema| restrict(schema, is_less));
            }
            Value::Object(schemas) if NAMED.contains(&keyword.as_str()) => {
                schemas.values_mut().for_each(|schema| restrict(schema, is_less));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            }
        }
    }
}

fn is_object(fields: &Map<String, Value>) -> bool {
    let is = |kind: &Value| kind == "object";
    let named =
        fields.get("type").is_some_and(|kind| is(kind) || kind.as_array().is_some_and(|all| all.iter().any(is)));
    named || fields.contains_key("properties")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &Value, expected: &Value, is_less: bool) {
        assert_eq!(strict(schema), (expected.clone(), is_less), "{schema}");
    }

    #[test]
    fn every_object_is_closed() {
        check(
            &json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": ["object", "null"]}}}}),
            &json!({"type": "object", "additionalProperties": false, "properties": {
                "a": {"type": "array", "items": {"type": ["object", "null"], "additionalProperties": false}}}}),
            false,
        );
        let open = json!({"type": "object", "additionalProperties": {"type": "string"}});
        check(&open, &json!({"type": "object", "additionalProperties": false}), true);
        check(&json!({"type": "string"}), &json!({"type": "string"}), false);
    }

    #[test]
    fn what_is_refused_is_left_out_and_told() {
        check(&json!({"type": "integer", "minimum": 1}), &json!({"type": "integer"}), true);
        check(&json!({"$schema": "x", "type": "string"}), &json!({"type": "string"}), false);
        check(&json!({"type": "array", "minItems": 1}), &json!({"type": "array", "minItems": 1}), false);
        check(&json!({"type": "array", "minItems": 2}), &json!({"type": "array", "minItems": 1}), true);
        let nested = json!({"anyOf": [{"maxLength": 3}], "$defs": {"d": {"multipleOf": 2}}});
        check(&nested, &json!({"anyOf": [{}], "$defs": {"d": {}}}), true);
    }

    #[test]
    fn a_property_may_be_called_as_a_keyword() {
        let schema = json!({"properties": {"minimum": {"type": "number"}}});
        let expected = json!({"additionalProperties": false, "properties": {"minimum": {"type": "number"}}});
        check(&schema, &expected, false);
    }
}
