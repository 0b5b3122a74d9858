//! JSON whose objects keep the order they are written in: an answer follows the order
//! of its schema's properties, and serde_json's own objects sort their keys.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// One JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ordered {
    /// Neither a list nor an object.
    Scalar(Value),
    List(Vec<Ordered>),
    Object(Vec<(String, Ordered)>),
}

impl Ordered {
    /// What is written in `raw`; null where it cannot be read.
    pub(super) fn read(raw: &RawValue) -> Self {
        serde_json::from_str(raw.get()).unwrap_or(Self::Scalar(Value::Null))
    }

    /// The field `name` of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.fields().iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The fields of an object; of anything else none.
    pub(super) fn fields(&self) -> &[(String, Self)] {
        match self {
            Self::Object(fields) => fields,
            Self::Scalar(_) | Self::List(_) => &[],
        }
    }

    /// The items of a list; of anything else none.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Scalar(_) | Self::Object(_) => &[],
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        self.as_scalar()?.as_str()
    }

    pub(super) fn as_f64(&self) -> Option<f64> {
        self.as_scalar()?.as_f64()
    }

    pub(super) fn as_usize(&self) -> Option<usize> {
        self.as_scalar()?.as_u64().map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    fn as_scalar(&self) -> Option<&Value> {
        match self {
            Self::Scalar(value) => Some(value),
            Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The value as JSON without white space.
    pub(super) fn to_text(&self) -> String {
        // Strings as keys and no foreign types: there is no other outcome.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Scalar(value) => value.serialize(serializer),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
        }
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Ordered;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Ordered, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Ordered::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Ordered, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = entries.next_entry()? {
            fields.push(field);
        }
        Ok(Ordered::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_in_the_order_it_was_read() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Ordered::read(&RawValue::from_string(text.to_owned()).unwrap()).to_text(), expected);
        };
        check(
            r#"{ "z": [1, -2, 2.5, true, null], "a": {"y": "\u0041", "b": {}} }"#,
            r#"{"z":[1,-2,2.5,true,null],"a":{"y":"A","b":{}}}"#,
        );
        check("[]", "[]");
        check(r#""a""#, r#""a""#);
    }
}
