//! Objects taken apart and put together as they are written: a schema's properties
//! keep their order, which parsed ones would lose.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::json::RawMap;

/// The fields of the object `raw`.
pub(crate) fn fields(raw: &RawValue) -> Option<RawMap> {
    serde_json::from_str(raw.get()).ok()
}

/// Those of `fields` that are called one of `names` and not null, as an object.
pub(crate) fn pick(fields: &RawMap, names: &[&str]) -> Box<RawValue> {
    let picked = names.iter().filter_map(|name| Some((*name, fields.get(*name)?)));
    object(picked.filter(|(_, value)| value.get() != "null").map(|(name, value)| (name, value.clone())))
}

/// An object of parts that are written already.
pub(crate) fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Box<RawValue>)>) -> Box<RawValue> {
    written(&fields.into_iter().collect::<BTreeMap<_, _>>())
}

/// A list of parts that are written already.
pub(crate) fn list(items: &[Box<RawValue>]) -> Box<RawValue> {
    written(items)
}

/// What is written of parts that are JSON is JSON: there is no other outcome.
fn written<T: serde::Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
