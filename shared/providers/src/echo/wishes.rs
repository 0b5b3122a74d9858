//! The fields of a request that only `local/echo` knows: what it should show.

use std::time::Duration;

use serde_json::value::RawValue;
use turnwise_core::category::Category;
use turnwise_core::json::RawMap;

use super::pieces::MAX_PIECES;
use super::target;
use crate::error::{Dispatched, Error};

/// Longest pause before each piece, in milliseconds. Ten seconds are enough to see
/// any time-out and any progress.
const MAX_DELAY_MS: u64 = 10_000;

/// Most pieces before a failure: no answer has more.
const MAX_FAIL_AFTER: u64 = MAX_PIECES as u64;

/// What the fields ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// `echo_delay_ms`: the pause before each piece.
    pub(super) delay: Duration,
    /// `echo_refusal`: refuses, whatever else is asked.
    pub(super) refusal: bool,
    /// `echo_fail_after`: fails after this many pieces, or at the answer's end if that
    /// comes first.
    pub(super) fail_after: Option<usize>,
}

impl Wishes {
    /// Null counts as absent, as everywhere in a chat completion request.
    pub(super) fn read(fields: &RawMap) -> Result<Self, Error> {
        let given = |field: &str| fields.get(field).map(|value| &**value).filter(|value| value.get() != "null");
        let count = |field, unit, most| given(field).map(|value| count(value, field, unit, most)).transpose();
        let delay_ms = count("echo_delay_ms", "milliseconds", MAX_DELAY_MS)?;
        let fail_after = count("echo_fail_after", "words", MAX_FAIL_AFTER)?;
        let refusal = given("echo_refusal").map(flag).transpose()?;
        Ok(Self {
            delay: Duration::from_millis(delay_ms.unwrap_or(0)),
            refusal: refusal.unwrap_or(false),
            fail_after: fail_after.and_then(|pieces| usize::try_from(pieces).ok()),
        })
    }
}

fn count(value: &RawValue, field: &str, unit: &str, most: u64) -> Result<u64, Error> {
    let count = serde_json::from_str(value.get()).ok().filter(|count| *count <= most);
    count.ok_or_else(|| invalid(field, &format!("a number of {unit} from 0 to {most}")))
}

fn flag(value: &RawValue) -> Result<bool, Error> {
    serde_json::from_str(value.get()).map_err(|_| invalid("echo_refusal", "true or false"))
}

/// The error for a field that is not what is `expected`.
pub(super) fn invalid(field: &str, expected: &str) -> Error {
    let message = format!("{} takes as {field} {expected}.", target());
    let error = Error::new(&target(), Category::ValidationError, "invalid_request", message, Dispatched::No);
    Error { param: Some(field.into()), ..error }
}

/// The error that `echo_fail_after` asks for. Like a provider's own it comes after the
/// call was taken, and the same call may be tried again.
pub(super) fn failure() -> Error {
    let message = format!("{} failed, as echo_fail_after asks it to.", target());
    Error::new(&target(), Category::ApiError, "upstream_error", message, Dispatched::Maybe)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use turnwise_core::json;

    use super::*;

    fn read(field: &str, value: &Value) -> Result<Wishes, Error> {
        Wishes::read(&json::raw_fields(json!({field: value}).to_string().as_bytes()).unwrap())
    }

    #[test]
    fn wishes_are_read() {
        let none = Wishes::default();
        let check =
            |field, value: Value, expected| assert_eq!(read(field, &value).unwrap(), expected, "{field} {value}");
        check("echo_delay_ms", json!(0), none);
        check("echo_delay_ms", json!(10_000), Wishes { delay: Duration::from_secs(10), ..none });
        check("echo_fail_after", json!(0), Wishes { fail_after: Some(0), ..none });
        check("echo_fail_after", json!(MAX_PIECES), Wishes { fail_after: Some(MAX_PIECES), ..none });
        check("echo_refusal", json!(true), Wishes { refusal: true, ..none });
        check("echo_refusal", json!(false), none);
        for field in ["echo_delay_ms", "echo_fail_after", "echo_refusal", "echo_unknown"] {
            check(field, Value::Null, none);
        }
    }

    #[test]
    fn a_wish_outside_its_limits_is_refused_by_name() {
        let check = |field, value: Value| {
            let error = read(field, &value).unwrap_err();
            assert_eq!((error.param.as_deref(), error.category), (Some(field), Category::ValidationError), "{value}");
            assert!(error.message.contains(field), "{error}");
            assert!(!error.retryable);
        };
        for bad in [json!(10_001), json!(-1), json!(1.5), json!("1"), json!(true)] {
            check("echo_delay_ms", bad.clone());
            check("echo_fail_after", bad);
        }
        for bad in [json!("true"), json!(1), json!([])] {
            check("echo_refusal", bad);
        }
    }
}
