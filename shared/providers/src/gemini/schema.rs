//! JSON schemas, as Gemini reads them.
//!
//! The API has two fields for each schema. `parameters` and `responseSchema` take a subset
//! of OpenAPI's and refuse `$ref`, `additionalProperties`, `const` and more;
//! `parametersJsonSchema` and `responseJsonSchema`
//! (<https://ai.google.dev/api/generate-content>) take JSON schema as it is and are what
//! we send: nothing has to be cut out. Two things only differ from what clients write:
//! a `$ref` stands alone there, and `const`, which is not among what it reads, is said as
//! an `enum` of one.

use serde_json::{Map, Value, json};

/// Keywords whose value is one schema.
const ONE: [&str; 5] = ["items", "additionalProperties", "not", "contains", "propertyNames"];

/// Keywords whose value is a list of schemas.
const LIST: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];

/// Keywords whose value is schemas by name.
const NAMED: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];

/// The schema of a function's arguments; `None` of one without any, since an object
/// without properties is refused and a function may do without a schema.
pub(super) fn of_arguments(schema: &Value) -> Option<Value> {
    let has = |name: &str| schema.get(name).is_some();
    let properties = schema.get("properties").and_then(Value::as_object);
    let takes_any = schema.get("additionalProperties").is_some_and(|rest| *rest != json!(false));
    let is_composed = ["$ref", "anyOf", "oneOf", "allOf", "patternProperties"].into_iter().any(has);
    let takes_none = properties.is_none_or(Map::is_empty) && !takes_any && !is_composed;
    (!takes_none).then(|| adapted(schema))
}

/// `schema`, and all schemas in it, with what Gemini reads differently said its way. As
/// deep as the request's own JSON, which has a limit.
pub(super) fn adapted(schema: &Value) -> Value {
    let Some(schema) = schema.as_object() else { return schema.clone() };
    let refers = schema.get("$ref").is_some_and(Value::is_string);
    let kept = schema.iter().filter(|(name, _)| !refers || name.starts_with('$'));
    let mut adapted: Map<String, Value> = kept.map(|(name, value)| (name.clone(), within(name, value))).collect();
    if let Some(only) = adapted.get("const").filter(|only| only.is_string() || only.is_number()).cloned() {
        adapted.remove("const");
        adapted.insert("enum".to_owned(), json!([only]));
    }
    Value::Object(adapted)
}

/// The value of the keyword `name`.
fn within(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(_) if ONE.contains(&name) => adapted(value),
        Value::Array(schemas) if LIST.contains(&name) => schemas.iter().map(adapted).collect(),
        Value::Object(schemas) if NAMED.contains(&name) => {
            Value::Object(schemas.iter().map(|(name, schema)| (name.clone(), adapted(schema))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            value.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_goes_out_as_it_is() {
        let schema = json!({"type": "object", "additionalProperties": false, "required": ["a"],
            "properties": {"a": {"anyOf": [{"type": "string", "pattern": "x"}, {"type": "null"}]}}});
        assert_eq!(adapted(&schema), schema);
        assert_eq!(adapted(&json!(true)), json!(true));
    }

    #[test]
    fn a_reference_stands_alone() {
        let schema = json!({"$ref": "#/$defs/a", "description": "d", "$defs": {"a": {"type": "string"}}});
        assert_eq!(adapted(&schema), json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}));
    }

    #[test]
    fn a_constant_is_an_enum_of_one_wherever_it_stands() {
        let one = json!({"const": "x"});
        let nested = json!({"properties": {"const": one}, "items": one, "anyOf": [one], "$defs": {"a": one},
                            "enum": [one], "default": one});
        let said = json!({"enum": ["x"]});
        let expected = json!({"properties": {"const": said}, "items": said, "anyOf": [said], "$defs": {"a": said},
                              "enum": [one], "default": one});
        assert_eq!(adapted(&nested), expected);
        assert_eq!(adapted(&json!({"const": true})), json!({"const": true}));
    }

    #[test]
    fn a_function_without_arguments_has_no_schema() {
        for none in [json!({}), json!({"type": "object", "properties": {}, "additionalProperties": false})] {
            assert_eq!(of_arguments(&none), None, "{none}");
        }
        for some in [json!({"properties": {"a": {}}}), json!({"additionalProperties": true}), json!({"$ref": "#/x"})] {
            assert_eq!(of_arguments(&some), Some(some));
        }
    }
}
