//! Attributes written and read.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use turnwise_core::time::Timestamp;

use crate::error::Error;

/// A row as the SDK gives it.
pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn instant(at: Timestamp) -> AttributeValue {
    number(at.as_millis())
}

pub(crate) fn binary(bytes: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

pub(crate) fn json(value: &impl Serialize) -> Result<AttributeValue, Error> {
    serde_json::to_string(value).map(text).map_err(|error| Error::corrupt(format!("cannot be written: {error}")))
}

/// Reads the attributes of one row; an error names the attribute.
pub(crate) struct Row<'a>(pub(crate) &'a Item);

impl Row<'_> {
    pub(crate) fn text(&self, name: &str) -> Result<String, Error> {
        self.maybe_text(name)?.ok_or_else(|| missing(name))
    }

    pub(crate) fn maybe_text(&self, name: &str) -> Result<Option<String>, Error> {
        self.read(name, |value| value.as_s().ok().cloned())
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64, Error> {
        self.maybe_number(name)?.ok_or_else(|| missing(name))
    }

    pub(crate) fn maybe_number(&self, name: &str) -> Result<Option<u64>, Error> {
        self.read(name, |value| value.as_n().ok().and_then(|digits| digits.parse().ok()))
    }

    /// A number that may be negative.
    pub(crate) fn maybe_signed(&self, name: &str) -> Result<Option<i128>, Error> {
        self.read(name, |value| value.as_n().ok().and_then(|digits| digits.parse().ok()))
    }

    pub(crate) fn instant(&self, name: &str) -> Result<Timestamp, Error> {
        self.number(name).map(Timestamp)
    }

    pub(crate) fn maybe_bytes(&self, name: &str) -> Result<Option<&[u8]>, Error> {
        match self.0.get(name) {
            None => Ok(None),
            Some(AttributeValue::B(blob)) => Ok(Some(blob.as_ref())),
            Some(_) => Err(unreadable(name)),
        }
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        serde_json::from_str(&self.text(name)?).map_err(|error| Error::corrupt(format!("attribute {name}: {error}")))
    }

    fn read<T>(&self, name: &str, read: impl Fn(&AttributeValue) -> Option<T>) -> Result<Option<T>, Error> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| unreadable(name)),
        }
    }
}

fn missing(name: &str) -> Error {
    Error::corrupt(format!("attribute {name} is missing"))
}

fn unreadable(name: &str) -> Error {
    Error::corrupt(format!("attribute {name} has another type"))
}
