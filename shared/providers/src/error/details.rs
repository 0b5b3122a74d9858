//! What Google says of an error beside its status.
//!
//! Its APIs list `google.rpc` messages as `details` of an error
//! (<https://google.aip.dev/193>). Of those, three change what is to be done: the reason
//! in an `ErrorInfo`, the pause in a `RetryInfo`, the limits in a `QuotaFailure`.

use std::time::Duration;

use serde_json::Value;

/// Part of the id of a limit that a day has to pass for, as in
/// `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
const DAILY: &str = "PerDay";

/// What the details of an error say; nothing where there are none.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Details {
    /// `API_KEY_INVALID`, `BILLING_DISABLED` ...
    pub(super) reason: Option<String>,
    /// How long to wait, as the upstream wants it.
    pub(super) retry_delay: Option<Duration>,
    /// A limit is used up that no short pause refills: that of a day, or one of zero.
    pub(super) is_spent: bool,
}

impl Details {
    /// Reads the `details` of an error, whatever they are.
    pub(super) fn read(details: &Value) -> Self {
        let mut read = Self::default();
        for detail in details.as_array().into_iter().flatten() {
            let text = |name: &str| detail.get(name).and_then(Value::as_str);
            read.reason = read.reason.or_else(|| text("reason").map(str::to_owned));
            read.retry_delay = read.retry_delay.or_else(|| text("retryDelay").and_then(seconds));
            let violations = detail.get("violations").and_then(Value::as_array);
            read.is_spent |= violations.into_iter().flatten().any(is_lasting);
        }
        read
    }
}

/// Whether waiting a minute does not help against this violation of a limit.
fn is_lasting(violation: &Value) -> bool {
    let text = |name: &str| violation.get(name).and_then(Value::as_str).unwrap_or_default();
    text("quotaId").contains(DAILY) || text("quotaValue") == "0"
}

/// A duration as protobuf writes it in JSON: `17s`, `0.5s`.
fn seconds(written: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(written.strip_suffix('s')?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(details: &Value, reason: Option<&str>, delay_ms: Option<u64>, is_spent: bool) {
        let (reason, retry_delay) = (reason.map(str::to_owned), delay_ms.map(Duration::from_millis));
        assert_eq!(Details::read(details), Details { reason, retry_delay, is_spent }, "{details}");
    }

    #[test]
    fn three_kinds_of_details_are_read() {
        let limit = |id: &str, value: &str| json!({"violations": [{"quotaId": id, "quotaValue": value}]});
        check(
            &json!([{"reason": "R"}, {"retryDelay": "17s"}, limit("TokensPerMinute", "5")]),
            Some("R"),
            Some(17_000),
            false,
        );
        check(&json!([limit("TokensPerMinute", "5"), limit("RequestsPerDayPerProject", "5")]), None, None, true);
        check(&json!([limit("TokensPerMinute", "0")]), None, None, true);
    }

    #[test]
    fn anything_else_says_nothing() {
        for delay in ["17", "s", "-1s", "NaNs", "infs", "1e300s", "1m"] {
            check(&json!([{"retryDelay": delay}]), None, None, false);
        }
        for details in
            [json!(null), json!("x"), json!([1, "x", null, [], {"violations": 7, "reason": 7, "retryDelay": 7}])]
        {
            check(&details, None, None, false);
        }
        check(&json!([{"violations": ["x", {"quotaId": 7}]}]), None, None, false);
    }
}
