//! An object of a request, read field by field with every fault at its place.

use serde_json::{Map, Value};

use crate::fault::Faults;
use crate::json::kind_of;

/// The types a field may have, as they are called in a message.
pub(crate) const STRING: &str = "a string";
pub(crate) const OBJECT: &str = "an object";
pub(crate) const ARRAY: &str = "an array";
pub(crate) const BOOLEAN: &str = "true or false";
pub(crate) const NUMBER: &str = "a number";

/// What is said of a value that is not of the type it should be.
pub(crate) fn expected(kind: &str, value: &Value) -> String {
    format!("Expected {kind}, got {}.", kind_of(value))
}

/// An object and its place in the request, `""` for the request itself. A field
/// that is null counts as one that is not there.
pub(crate) struct Reader<'a> {
    path: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(path: impl Into<String>, fields: &'a Map<String, Value>) -> Self {
        Self { path: path.into(), fields }
    }

    /// The object `value`, or a fault.
    pub(crate) fn of(path: impl Into<String>, value: &'a Value, faults: &mut Faults) -> Option<Self> {
        let path = path.into();
        let Some(fields) = value.as_object() else {
            faults.add(path, expected(OBJECT, value));
            return None;
        };
        Some(Self::new(path, fields))
    }

    /// The objects of the list `values` at `path`, and a fault for each that is none.
    pub(crate) fn list_of(path: &str, values: &'a [Value], faults: &mut Faults) -> Vec<Self> {
        let objects = values.iter().enumerate();
        objects.filter_map(|(index, value)| Self::of(format!("{path}[{index}]"), value, faults)).collect()
    }

    /// The path of a field.
    pub(crate) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The object's own path.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The names of its fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a String> {
        self.fields.keys()
    }

    /// A fault for each field that is not one of `known`.
    pub(crate) fn only(&self, known: &[&str], faults: &mut Faults) {
        for name in self.fields.keys().filter(|name| !known.contains(&name.as_str())) {
            faults.add(self.at(name), format!("There is no such field; there are {}.", known.join(", ")));
        }
    }

    /// A field that is there and not null.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// Whether a field is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The object without the fields that are null.
    pub(crate) fn without_nulls(&self) -> Map<String, Value> {
        self.fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// A field of a type; a fault if it is there and of another.
    pub(crate) fn typed<T>(
        &self,
        name: &str,
        kind: &str,
        read: impl Fn(&'a Value) -> Option<T>,
        faults: &mut Faults,
    ) -> Option<T> {
        let value = self.value(name)?;
        let read = read(value);
        if read.is_none() {
            faults.add(self.at(name), expected(kind, value));
        }
        read
    }

    /// A text.
    pub(crate) fn text(&self, name: &str, faults: &mut Faults) -> Option<&'a str> {
        self.typed(name, STRING, Value::as_str, faults)
    }

    /// A list.
    pub(crate) fn list(&self, name: &str, faults: &mut Faults) -> Option<&'a [Value]> {
        self.typed(name, ARRAY, |value| value.as_array().map(Vec::as_slice), faults)
    }

    /// An object.
    pub(crate) fn object(&self, name: &str, faults: &mut Faults) -> Option<Self> {
        let fields = self.typed(name, OBJECT, Value::as_object, faults)?;
        Some(Self::new(self.at(name), fields))
    }

    /// A fault for a field that is not there.
    pub(crate) fn require(&self, name: &str, faults: &mut Faults) {
        if !self.has(name) {
            faults.add(self.at(name), format!("The field {name} is required."));
        }
    }

    /// A text that must be there; it may be empty.
    pub(crate) fn required_text(&self, name: &str, faults: &mut Faults) -> Option<&'a str> {
        self.require(name, faults);
        self.text(name, faults)
    }

    /// A name that must be there and not be empty.
    pub(crate) fn required_name(&self, name: &str, faults: &mut Faults) -> Option<&'a str> {
        let text = self.required_text(name, faults)?;
        if text.is_empty() {
            faults.add(self.at(name), "Expected a string that is not empty.");
            return None;
        }
        Some(text)
    }

    /// One of some words.
    pub(crate) fn word(&self, name: &str, words: &[&str], faults: &mut Faults) -> Option<&'a str> {
        let text = self.text(name, faults)?;
        if !words.contains(&text) {
            faults.add(self.at(name), one_of(words, text));
            return None;
        }
        Some(text)
    }

    /// A number from `least` to `most`.
    pub(crate) fn number(&self, name: &str, least: f64, most: f64, faults: &mut Faults) -> Option<f64> {
        let number = self.typed(name, NUMBER, Value::as_f64, faults)?;
        if !(least..=most).contains(&number) {
            faults.add(self.at(name), format!("Expected a number from {least} to {most}, got {number}."));
            return None;
        }
        Some(number)
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn count(&self, name: &str, least: u64, most: u64, faults: &mut Faults) -> Option<u64> {
        let value = self.value(name)?;
        let count = value.as_u64().filter(|count| (least..=most).contains(count));
        if count.is_none() {
            let range = if most == u64::MAX { format!("{least} or more") } else { format!("from {least} to {most}") };
            let got = if value.is_number() { value.to_string() } else { kind_of(value).to_owned() };
            faults.add(self.at(name), format!("Expected a whole number, {range}, got {got}."));
        }
        count
    }
}

/// What is said of a word that is none of those it could be.
pub(crate) fn one_of(words: &[&str], got: &str) -> String {
    format!("Expected one of {}, got {got:?}.", words.join(", "))
}
