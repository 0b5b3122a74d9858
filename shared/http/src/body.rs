//! Bodies read strictly: bounded, without doubled keys, every fault named.

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::json::{self, RawMap, kind_of};
use turnwise_core::limits::MAX_BODY_BYTES;

use crate::error::Error;

/// A JSON object as it came and as it reads.
#[derive(Debug)]
pub struct JsonBody {
    /// Its fields, parsed.
    pub fields: Map<String, Value>,
    /// Its fields, each as the client wrote it.
    pub raw: RawMap,
    /// What is wrong with it, so far.
    pub faults: Faults,
}

impl JsonBody {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`], or [`Error::Invalid`] when it is not a JSON object.
    pub async fn read(body: Body) -> Result<Self, Error> {
        Self::parse(&collected(body).await?)
    }

    /// Reads a body that may be left out.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_if_any(body: Body) -> Result<Self, Error> {
        let bytes = collected(body).await?;
        Self::parse(if bytes.is_empty() { b"{}" } else { &bytes })
    }

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let value = json::parse(bytes).map_err(|fault| Error::Invalid(fault.into()))?;
        let Value::Object(fields) = value else {
            return Err(invalid("The body must be a JSON object.".to_owned()));
        };
        let raw = json::raw_fields(bytes).map_err(|fault| Error::Invalid(fault.into()))?;
        Ok(Self { fields, raw, faults: Faults::default() })
    }

    /// A text, if it is there and not null.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.typed(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    /// A boolean, if it is there and not null.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "true or false", Value::as_bool)
    }

    /// A whole number from 0, if it is there and not null.
    pub fn count(&mut self, name: &str) -> Option<u64> {
        self.typed(name, "a whole number, 0 or more", Value::as_u64)
    }

    /// A fault for a field that is there and of another type than `kind`.
    pub fn typed<T>(&mut self, name: &str, kind: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
        let value = self.fields.get(name).filter(|value| !value.is_null())?;
        let read = read(value);
        if read.is_none() {
            self.faults.add(name, format!("Expected {kind}, got {}.", kind_of(value)));
        }
        read
    }
}

async fn collected(body: Body) -> Result<Bytes, Error> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::BodyTooLarge),
        Err(error) => Err(invalid(format!("The body could not be read: {error}."))),
    }
}

fn invalid(message: String) -> Error {
    Error::Invalid(Fault::new("body", message).into())
}
