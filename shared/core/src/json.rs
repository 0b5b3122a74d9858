//! JSON read strictly and written canonically.
//!
//! [`parse`] refuses what two readers could understand differently (a key given
//! twice, nesting without end); [`canonical`] gives one text to equal values, so
//! that a hash over it means something; [`RawMap`] keeps the fields of an object
//! as the client wrote them, for forwarding.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::fault::Fault;
use crate::limits::MAX_JSON_DEPTH;

/// The fields of a JSON object, each as its unparsed text.
pub type RawMap = BTreeMap<String, Box<RawValue>>;

/// Reads one JSON value.
///
/// # Errors
/// A fault that names the place (`body` and its line and column) when the text is
/// not JSON, gives a key twice, or nests deeper than [`MAX_JSON_DEPTH`].
pub fn parse(text: &[u8]) -> Result<Value, Fault> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader).map_err(|error| invalid(&error))?;
    reader.end().map_err(|error| invalid(&error))?;
    Ok(value)
}

/// Reads a JSON object that [`parse`] has accepted, keeping each field's text.
///
/// # Errors
/// A fault when the text is not an object.
pub fn raw_fields(text: &[u8]) -> Result<RawMap, Fault> {
    serde_json::from_slice(text).map_err(|error| invalid(&error))
}

/// The one text of `value`: keys sorted by code point, no white space.
#[must_use]
pub fn canonical(value: &Value) -> String {
    // serde_json's Map is a BTreeMap here: its order is the canonical one.
    value.to_string()
}

/// `value` as unparsed text.
#[must_use]
pub fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// What a JSON value is called in a message.
#[must_use]
pub const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn invalid(error: &serde_json::Error) -> Fault {
    Fault::new("body", format!("The body is not valid JSON: {error}."))
}

struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth >= MAX_JSON_DEPTH {
            return Err(E::custom(format!("nested deeper than {MAX_JSON_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.deeper()?)?;
            if map.insert(key.clone(), value).is_some() {
                return Err(A::Error::custom(format!("the key \"{}\" is given twice", key.escape_debug())));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        match parse(text.as_bytes()) {
            Ok(value) => assert_eq!(canonical(&value), expected),
            Err(fault) => assert!(fault.message.contains(expected), "{fault}"),
        }
    }

    #[test]
    fn equal_values_have_one_canonical_text() {
        check(r#"{ "b": [1, 2.50], "a": "\u0041" }"#, r#"{"a":"A","b":[1,2.5]}"#);
        check("null", "null");
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        check(r#"{"a": 1, "a": 2}"#, "given twice");
        check(r#"{"a": {"b": 1, "b": 1}}"#, "given twice");
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(MAX_JSON_DEPTH), &nested(MAX_JSON_DEPTH));
        check(&nested(MAX_JSON_DEPTH + 1), "nested deeper");
    }

    #[test]
    fn text_after_the_value_is_refused() {
        check("{} {}", "trailing");
        check("", "not valid JSON");
    }
}
