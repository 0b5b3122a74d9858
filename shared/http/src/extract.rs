//! Path and query read so that what is wrong with them is told as JSON.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use turnwise_core::fault::Fault;
use turnwise_core::limits::{MAX_PAGE_SIZE, PAGE_SIZE};

use crate::error::Error;

/// The query's parameters.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(params)| Self(params)).map_err(|rejection| fault("query", &rejection.body_text()))
    }
}

/// The path's one variable segment, decoded.
#[derive(Debug)]
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(segment)| Self(segment)).map_err(|rejection| fault("path", &rejection.body_text()))
    }
}

/// The path's two variable segments, decoded.
#[derive(Debug)]
pub(crate) struct Segments(pub(crate) String, pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path((first, second))| Self(first, second)).map_err(|rejection| fault("path", &rejection.body_text()))
    }
}

/// A boolean of the query; `false` where it is not given.
///
/// # Errors
/// A fault when it is neither `true` nor `false`.
pub(crate) fn flag(name: &str, text: Option<&str>) -> Result<bool, Fault> {
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Fault::new(name, format!("Expected true or false, got {other:?}."))),
    }
}

/// How many rows a page has, from the query's `limit`.
///
/// # Errors
/// A fault when it is not a number from 1 to [`MAX_PAGE_SIZE`].
pub(crate) fn page_size(text: Option<&str>) -> Result<usize, Fault> {
    let Some(text) = text else { return Ok(PAGE_SIZE) };
    let size = text.parse().ok().filter(|size| (1..=MAX_PAGE_SIZE).contains(size));
    size.ok_or_else(|| Fault::new("limit", format!("Expected a number from 1 to {MAX_PAGE_SIZE}, got {text:?}.")))
}

fn fault(field: &str, message: &str) -> Error {
    Error::Invalid(Fault::new(field, format!("{message}.")).into())
}
