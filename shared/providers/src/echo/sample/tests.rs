use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};

use super::*;

/// Room as an answer has it, near enough.
const ROOM: usize = 32 * 1024;

fn made(schema: &str) -> Option<String> {
    let schema = Ordered::read(&RawValue::from_string(schema.to_owned()).unwrap());
    sample(&schema, "hi you", ROOM).map(|value| value.to_text())
}

/// Checks what is made of a schema, and that a validator agrees.
fn check(schema: &str, expected: &str) {
    assert_eq!(made(schema).as_deref(), Some(expected), "{schema}");
    check_valid(&serde_json::from_str(schema).unwrap(), expected);
}

fn check_valid(schema: &Value, text: &str) {
    let value = serde_json::from_str(text).unwrap();
    if let Err(fault) = jsonschema::draft202012::validate(schema, &value) {
        panic!("{text} is not valid against {schema}: {fault}");
    }
}

#[test]
fn each_type_has_its_value() {
    check(r#"{"type":"string"}"#, r#""hi you""#);
    check(r#"{"type":"integer"}"#, "1");
    check(r#"{"type":"number"}"#, "1");
    check(r#"{"type":"boolean"}"#, "true");
    check(r#"{"type":"null"}"#, "null");
    check(r#"{"type":"array"}"#, r#"["hi you"]"#);
    check(r#"{"type":"object"}"#, "{}");
    check(r#"{"type":["null","integer"]}"#, "1");
    check(r#"{"type":["null"]}"#, "null");
    check("{}", r#""hi you""#);
    check("true", r#""hi you""#);
    assert_eq!(made("false"), None);
}

#[test]
fn a_given_value_is_taken() {
    check(r#"{"enum":["b","a"],"type":"string"}"#, r#""b""#);
    check(r#"{"const":{"z":1,"a":[2]}}"#, r#"{"z":1,"a":[2]}"#);
}

#[test]
fn strings_keep_their_limits() {
    check(r#"{"type":"string","maxLength":4}"#, r#""hi y""#);
    check(r#"{"type":"string","minLength":8}"#, r#""hi you..""#);
    check(r#"{"format":"date-time"}"#, r#""2000-01-01T00:00:00Z""#);
    check(r#"{"type":"string","format":"unheard-of"}"#, r#""hi you""#);
    assert_eq!(made(r#"{"type":"string","minLength":1000000000000}"#), None);
}

#[test]
fn numbers_keep_their_limits() {
    check(r#"{"type":"integer","minimum":7}"#, "7");
    check(r#"{"type":"integer","minimum":-7}"#, "-7");
    check(r#"{"type":"integer","maximum":0}"#, "0");
    check(r#"{"type":"integer","exclusiveMinimum":7}"#, "8");
    check(r#"{"type":"integer","exclusiveMaximum":-7}"#, "-8");
    check(r#"{"type":"integer","minimum":1.5,"maximum":2.5}"#, "2");
    check(r#"{"type":"integer","multipleOf":5,"minimum":11}"#, "15");
    check(r#"{"type":"number","minimum":0.5}"#, "0.5");
    check(r#"{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}"#, "0.5");
    check(r#"{"multipleOf":0.25,"maximum":0.9}"#, "0.75");
    assert_eq!(made(r#"{"type":"integer","exclusiveMinimum":1,"exclusiveMaximum":2}"#), None);
    assert_eq!(made(r#"{"type":"integer","minimum":1e308,"exclusiveMaximum":1e308}"#), None);
}

#[test]
fn lists_keep_their_limits() {
    check(r#"{"type":"array","items":{"type":"integer"}}"#, "[1]");
    check(r#"{"type":"array","items":{"type":"integer"},"minItems":3}"#, "[1,1,1]");
    check(r#"{"type":"array","items":{"type":"integer"},"maxItems":0}"#, "[]");
    check(r#"{"prefixItems":[{"type":"integer"},{"type":"null"}],"items":false}"#, "[1,null]");
    check(r#"{"prefixItems":[{"type":"integer"}],"items":{"type":"null"},"minItems":2}"#, "[1,null]");
    check(r#"{"type":"array","items":false}"#, "[]");
    assert_eq!(made(r#"{"type":"array","items":{"type":"integer"},"minItems":1000000000000}"#), None);
}

#[test]
fn required_properties_come_in_their_order_or_else_all() {
    let properties =
        r#""type":"object","properties":{"z":{"type":"integer"},"a":{"type":"string"},"m":{"type":"boolean"}}"#;
    check(&format!(r#"{{{properties}}}"#), r#"{"z":1,"a":"hi you","m":true}"#);
    check(&format!(r#"{{{properties},"required":[]}}"#), r#"{"z":1,"a":"hi you","m":true}"#);
    check(&format!(r#"{{{properties},"required":["m","z"]}}"#), r#"{"z":1,"m":true}"#);
    check(&format!(r#"{{{properties},"required":["m","other"]}}"#), r#"{"m":true,"other":"hi you"}"#);
    check(r#"{"properties":{"a":{"properties":{"b":{"items":{"const":2}}}}}}"#, r#"{"a":{"b":[2]}}"#);
    check(r#"{"properties":{"a":false,"b":true}}"#, r#"{"b":"hi you"}"#);
    assert_eq!(made(r#"{"properties":{"a":false},"required":["a"]}"#), None);
}

#[test]
fn the_first_possible_alternative_is_taken_and_null_last() {
    check(r#"{"anyOf":[{"type":"null"},{"type":"integer"},{"type":"string"}]}"#, "1");
    check(r#"{"anyOf":[{"type":"null"},false]}"#, "null");
    check(r#"{"oneOf":[false,{"type":"integer"}]}"#, "1");
    check(
        r#"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"}},"anyOf":[{"required":["b"]},{"required":["a"]}]}"#,
        r#"{"b":null}"#,
    );
    check(r#"{"anyOf":[{"oneOf":[{"const":1},{"const":2}]},{"const":3}]}"#, "1");
}

#[test]
fn all_of_several_schemas_count() {
    check(r#"{"allOf":[{"type":"integer"},{"minimum":3}]}"#, "3");
    check(
        r#"{"allOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"b":{"type":"null"}},"required":["a","b"]}]}"#,
        r#"{"a":1,"b":null}"#,
    );
}

#[test]
fn references_are_followed_as_far_as_there_is_an_end() {
    check(
        r##"{"$ref":"#/$defs/a~1b","$defs":{"a/b":{"$ref":"#/$defs/list/prefixItems/1"},"list":{"prefixItems":[true,{"type":"integer"}]}}}"##,
        "1",
    );
    check(r##"{"$defs":{"n":{"type":"integer"}},"properties":{"a":{"$ref":"#/$defs/n","minimum":4}}}"##, r#"{"a":4}"#);
    for circle in [
        r##"{"$ref":"#"}"##,
        r##"{"anyOf":[{"$ref":"#"}]}"##,
        r##"{"required":["a"],"properties":{"a":{"$ref":"#"}}}"##,
    ] {
        assert_eq!(made(circle), None, "{circle}");
    }
    for unknown in ["https://example.com/schema", "#anchor", "#/nowhere", "x"] {
        assert_eq!(made(&json!({ "$ref": unknown }).to_string()).as_deref(), Some(r#""hi you""#), "{unknown}");
    }
}

#[test]
fn a_recursive_schema_ends() {
    check(
        r##"{"required":["n","next"],"properties":{"n":{"const":1},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}}}"##,
        r#"{"n":1,"next":{"n":1,"next":{"n":1,"next":{"n":1,"next":{"n":1,"next":null}}}}}"#,
    );
    check(
        r##"{"required":["nodes"],"properties":{"nodes":{"type":"array","items":{"$ref":"#"}}}}"##,
        r#"{"nodes":[{"nodes":[{"nodes":[]}]}]}"#,
    );
    // Thirty branches at each node: only a shallow one is small.
    let names: Vec<String> = (0..30).map(|index| format!("p{index}")).collect();
    let branch = json!({"anyOf": [{"$ref": "#"}, {"type": "null"}]});
    let properties: Value = names.iter().map(|name| (name.clone(), branch.clone())).collect();
    let bushy = json!({"type": "object", "properties": properties, "required": names});
    check_valid(&bushy, &made(&bushy.to_string()).unwrap());
}

#[test]
fn a_deep_schema_is_followed_to_its_required_end() {
    let nested = |depth: usize| {
        (0..depth).fold(
            json!({"type": "integer"}),
            |inner, _| json!({"type": "object", "properties": {"a": inner}, "required": ["a"]}),
        )
    };
    for depth in [5, 6, 11, 23] {
        check_valid(&nested(depth), &made(&nested(depth).to_string()).unwrap());
    }
    assert_eq!(made(&nested(24).to_string()), None);
}

#[test]
fn a_long_text_leaves_room_for_every_property() {
    let names: Vec<String> = (0..100).map(|index| format!("p{index}")).collect();
    let properties: Value = names.iter().map(|name| (name.clone(), json!({"type": "string"}))).collect();
    let schema = json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false});
    let ordered = Ordered::read(&RawValue::from_string(schema.to_string()).unwrap());
    let text = sample(&ordered, &"größe ".repeat(10_000), ROOM).unwrap().to_text();
    assert!(text.len() <= ROOM, "{}", text.len());
    check_valid(&schema, &text);
}

#[test]
fn a_schema_made_to_explode_ends_soon() {
    let names: Vec<String> = (0..5000).map(|index| format!("p{index}")).collect();
    let branch = json!({"anyOf": [{"$ref": "#"}, {"$ref": "#/properties/p1"}]});
    let properties: Value = names.iter().map(|name| (name.clone(), branch.clone())).collect();
    let schema = json!({"type": "object", "properties": properties, "required": names});
    assert_eq!(made(&schema.to_string()), None);
    let large = json!({"$defs": {"x": {"const": "x".repeat(400_000)}},
                       "items": {"$ref": "#/$defs/x"}, "minItems": 1_000_000});
    assert_eq!(made(&large.to_string()), None);
}

/// Schemas that have a value, of everything that is understood.
fn schemas() -> impl Strategy<Value = Value> {
    let small = -20..20i64;
    let leaf = prop_oneof![
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "null"})),
        Just(json!({})),
        Just(json!({"$ref": "#/$defs/leaf"})),
        prop::collection::vec(any::<i32>().prop_map(Value::from), 1..3).prop_map(|values| json!({"enum": values})),
        "[a-z]{0,3}".prop_map(|text| json!({"const": text})),
        (0..12u64, 0..9u64)
            .prop_map(|(least, more)| json!({"type": "string", "minLength": least, "maxLength": least + more})),
        (small.clone(), 0..9i64)
            .prop_map(|(least, more)| json!({"type": "integer", "minimum": least, "maximum": least + more})),
        (small.clone(), 1..9i64).prop_map(
            |(above, more)| json!({"type": "number", "exclusiveMinimum": above, "exclusiveMaximum": above + more})
        ),
        (small, 1..9i64).prop_map(|(least, step)| json!({"type": "integer", "minimum": least, "multipleOf": step})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let members = prop::collection::btree_map("[a-e]", (inner.clone(), any::<bool>()), 0..4);
        let object = members.prop_map(|members| {
            let required: Vec<&String> =
                members.iter().filter(|(_, (_, required))| *required).map(|(name, _)| name).collect();
            let properties: Value = members.iter().map(|(name, (schema, _))| (name.clone(), schema.clone())).collect();
            json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
        });
        prop_oneof![
            object,
            (inner.clone(), 0..3u64)
                .prop_map(|(item, least)| json!({"type": "array", "items": item, "minItems": least})),
            prop::collection::vec(inner.clone(), 1..3)
                .prop_map(|items| json!({"type": "array", "prefixItems": items, "items": false})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|alternatives| json!({"anyOf": alternatives})),
            inner.prop_map(|schema| json!({"allOf": [schema]})),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_made_is_valid_against_its_schema(mut schema in schemas()) {
        schema["$defs"] = json!({"leaf": {"type": "string", "maxLength": 3}});
        check_valid(&schema, &made(&schema.to_string()).unwrap());
    }
}
