//! `response_format`: answers that are JSON.

use serde_json::json;
use turnwise_core::json::RawMap;

use super::ordered::Ordered;
use super::sample::sample;

/// The JSON text that is wanted instead of an echo of `text`, in at most about `room`
/// bytes where a schema is given; `None` if plain text is wanted.
///
/// A schema that no small value satisfies gets `{}`.
pub(super) fn structured(fields: &RawMap, text: &str, room: usize) -> Option<String> {
    let format = Ordered::read(fields.get("response_format")?);
    let echo = || json!({ "echo": text }).to_string();
    match format.get("type")?.as_str()? {
        "json_object" => Some(echo()),
        "json_schema" => match format.get("json_schema").and_then(|named| named.get("schema")) {
            Some(schema) => Some(sample(schema, text, room).unwrap_or(Ordered::Object(Vec::new())).to_text()),
            None => Some(echo()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn answered(format: &str, text: &str) -> Option<String> {
        let fields = format!(r#"{{"response_format":{format}}}"#);
        structured(&turnwise_core::json::raw_fields(fields.as_bytes()).unwrap(), text, 1000)
    }

    #[test]
    fn a_format_decides_what_json_is_answered() {
        let check = |format: &str, expected: Option<&str>| {
            assert_eq!(answered(format, "a \"b\"").as_deref(), expected, "{format}");
        };
        let echo = Some(r#"{"echo":"a \"b\""}"#);
        check("null", None);
        check("1", None);
        check(r#"{"type":"text"}"#, None);
        check(r#"{"type":"json_object"}"#, echo);
        check(r#"{"type":"json_schema"}"#, echo);
        check(r#"{"type":"json_schema","json_schema":{"name":"n"}}"#, echo);
        check(
            r#"{"type":"json_schema","json_schema":{"name":"n","schema":{"properties":{"z":{"type":"integer"},"a":{}}}}}"#,
            Some(r#"{"z":1,"a":"a \"b\""}"#),
        );
        check(r#"{"type":"json_schema","json_schema":{"schema":false}}"#, Some("{}"));
        assert_eq!(structured(&RawMap::new(), "a", 1000), None);
    }

    #[test]
    fn a_long_text_is_cut_to_half_the_room() {
        let format = r#"{"type":"json_schema","json_schema":{"schema":{"required":["a"]}}}"#;
        let answer: Value = serde_json::from_str(&answered(format, &"a".repeat(5000)).unwrap()).unwrap();
        assert_eq!(answer["a"].as_str().map(str::len), Some(500));
    }
}
