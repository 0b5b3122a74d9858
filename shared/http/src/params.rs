//! What a request says of its turn outside its input: key, number, delivery,
//! patience.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::IF_MATCH;
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::id::TurnKey;
use turnwise_core::limits::BUSY_WAIT;
use turnwise_core::task::Task;
use turnwise_core::turn::{Delivery, OnBusy};
use turnwise_engine::upstream::policy::fallbacks;

/// The header that names a turn.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header that chooses the delivery mode: `at-least-once` or `at-most-once`.
pub const DELIVERY: &str = "turnwise-delivery";
/// The header that chooses the busy policy: `wait`, `reject`, `enqueue` or `interrupt`.
pub const ON_BUSY: &str = "turnwise-on-busy";

/// The header that lists the models to fall back to.
pub const FALLBACKS: &str = "turnwise-fallback-models";

/// The header that labels a request with what it is for.
pub const TASK: &str = "turnwise-task";

/// The header that names the last event that a client has seen.
pub const LAST_EVENT_ID: &str = "last-event-id";

/// A turn's parameters from headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnHeaders {
    /// `Idempotency-Key`.
    pub key: Option<String>,
    /// `If-Match`: the number the turn must have.
    pub number: Option<u64>,
    /// `Turnwise-Delivery`.
    pub delivery: Option<Delivery>,
    /// `Turnwise-On-Busy`.
    pub on_busy: Option<OnBusy>,
    /// `Prefer` (RFC 7240).
    pub prefer: Prefer,
    /// `Turnwise-Fallback-Models`: the models that are asked when one fails, in turn; none
    /// of them for an empty list.
    pub fallbacks: Option<Vec<String>>,
    /// `Turnwise-Task`: what the request is for.
    pub task: Option<Task>,
    /// `Last-Event-ID`: the last event of the turn's stream that the client has seen.
    pub last_event: Option<u64>,
}

/// The preferences of `Prefer` that we honour; others are ignored, as the standard asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prefer {
    /// `wait=n`: seconds to wait for a turn that another request is running.
    pub wait: Option<Duration>,
    /// `respond-async`: the client will come back for the answer.
    pub respond_async: bool,
}

impl TurnHeaders {
    /// Reads the headers; faults are added to `faults`.
    #[must_use]
    pub fn read(headers: &HeaderMap, faults: &mut Faults) -> Self {
        let mut text = |name| text(headers, name, faults);
        let (key, number) = (text(IDEMPOTENCY_KEY), text(IF_MATCH.as_str()));
        let (delivery, on_busy, prefer) = (text(DELIVERY), text(ON_BUSY), text("prefer"));
        let models = text(FALLBACKS);
        Self {
            key,
            number: number.and_then(|text| faults.keep(parse_number(&text))),
            delivery: delivery.and_then(|text| faults.keep(parse_delivery(DELIVERY, &text))),
            on_busy: on_busy.and_then(|text| faults.keep(parse_on_busy(ON_BUSY, &text))),
            prefer: prefer.map(|text| Prefer::parse(&text)).unwrap_or_default(),
            fallbacks: models.and_then(|models| faults.keep(fallbacks(FALLBACKS, &models))),
            task: task(headers, faults),
            last_event: last_event(headers, faults),
        }
    }
}

/// What a request says in its header that it is for.
#[must_use]
pub fn task(headers: &HeaderMap, faults: &mut Faults) -> Option<Task> {
    let label = text(headers, TASK, faults)?;
    faults.keep(Task::parse(TASK, &label))
}

/// The last event that a client has seen of a stream: the header that browsers send when
/// they come back.
#[must_use]
pub fn last_event(headers: &HeaderMap, faults: &mut Faults) -> Option<u64> {
    let id = text(headers, LAST_EVENT_ID, faults).filter(|id| !id.is_empty())?;
    faults.keep(event_number(LAST_EVENT_ID, &id))
}

/// An event's number as a client gives it back.
///
/// # Errors
/// A fault of `field` for what is no number from 0.
pub fn event_number(field: &str, text: &str) -> Result<u64, Fault> {
    text.parse().map_err(|_| Fault::new(field, format!("Expected the number of an event, 0 or more, got {text:?}.")))
}

impl Prefer {
    /// How long to wait for a turn that another request is running.
    #[must_use]
    pub fn patience(self) -> Duration {
        let longest = if self.respond_async { Duration::ZERO } else { BUSY_WAIT };
        self.wait.unwrap_or(longest)
    }

    fn parse(text: &str) -> Self {
        let mut prefer = Self::default();
        for preference in text.split([',', ';']).map(str::trim) {
            match preference.split_once('=') {
                Some((name, seconds)) if name.trim().eq_ignore_ascii_case("wait") => {
                    let seconds = seconds.trim().trim_matches('"').parse().ok();
                    prefer.wait = seconds.map(|seconds| Duration::from_secs(seconds).min(BUSY_WAIT));
                }
                None if preference.eq_ignore_ascii_case("respond-async") => prefer.respond_async = true,
                Some(_) | None => {}
            }
        }
        prefer
    }
}

/// The idempotency key of a request that takes no turn.
#[must_use]
pub fn idempotency_key(headers: &HeaderMap, faults: &mut Faults) -> Option<String> {
    let key = text(headers, IDEMPOTENCY_KEY, faults)?;
    // The same rules as for the key of a turn.
    faults.keep(TurnKey::hidden("Idempotency-Key", &key)).map(|_| key)
}

fn text(headers: &HeaderMap, name: &'static str, faults: &mut Faults) -> Option<String> {
    match std::str::from_utf8(headers.get(name)?.as_bytes()) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(_) => {
            faults.add(name, "The header is not UTF-8.");
            None
        }
    }
}

/// A delivery mode by name.
///
/// # Errors
/// A fault of `field` that lists the modes.
pub fn parse_delivery(field: &str, text: &str) -> Result<Delivery, Fault> {
    let fault = || Fault::new(field, format!("Expected at-least-once or at-most-once, got {text:?}."));
    Delivery::from_name(text).ok_or_else(fault)
}

/// A busy policy by name.
///
/// # Errors
/// A fault of `field` that lists the policies.
pub fn parse_on_busy(field: &str, text: &str) -> Result<OnBusy, Fault> {
    let fault = || Fault::new(field, format!("Expected {}, got {text:?}.", OnBusy::NAMES));
    OnBusy::from_name(text).ok_or_else(fault)
}

/// A turn's number as an entity tag, quoted or not: `3`, `"3"`.
fn parse_number(text: &str) -> Result<u64, Fault> {
    let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let number = digits.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Fault::new("if-match", format!("Expected a turn's number from 1, got {text:?}.")))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(name: &'static str, value: &'static str) -> (TurnHeaders, Faults) {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        let mut faults = Faults::default();
        (TurnHeaders::read(&headers, &mut faults), faults)
    }

    #[test]
    fn preferences_are_read_and_capped() {
        let wait = |text| Prefer::parse(text).wait;
        assert_eq!(wait("wait=3"), Some(Duration::from_secs(3)));
        assert_eq!(wait("respond-async, wait=600"), Some(BUSY_WAIT));
        assert_eq!(wait("wait=soon"), None);
        assert!(Prefer::parse("respond-async, wait=1").respond_async);
        assert!(!Prefer::parse("return=minimal").respond_async);
    }

    #[test]
    fn a_number_may_be_quoted() {
        assert_eq!(read("if-match", "3").0.number, Some(3));
        assert_eq!(read("if-match", "\"3\"").0.number, Some(3));
        for bad in ["0", "*", "abc", "-1", "W/\"3\""] {
            assert_eq!(read("if-match", bad).1.first_field(), Some("if-match"), "{bad}");
        }
    }

    #[test]
    fn fallbacks_are_a_short_list_which_may_be_empty() {
        let read = |value| read(FALLBACKS, value);
        assert_eq!(read("a/b, c").0.fallbacks, Some(vec!["a/b".to_owned(), "c".to_owned()]));
        assert_eq!(read("none").0.fallbacks, Some(Vec::new()));
        assert_eq!(read("").0.fallbacks, Some(Vec::new()));
        assert_eq!(read("a,b,c,d").1.first_field(), Some(FALLBACKS));
    }

    #[test]
    fn unknown_modes_are_faults_of_their_header() {
        assert_eq!(read(DELIVERY, "exactly-once").1.first_field(), Some(DELIVERY));
        assert_eq!(read(ON_BUSY, "shove").1.first_field(), Some(ON_BUSY));
        assert_eq!(read(DELIVERY, "at-most-once").0.delivery, Some(Delivery::AtMostOnce));
    }

    #[test]
    fn a_task_is_a_label() {
        assert_eq!(read(TASK, " summarise ").0.task.unwrap().as_str(), "summarise");
        assert_eq!(read(TASK, "Summarise!").1.first_field(), Some(TASK));
        assert_eq!(read(TASK, "").1.first_field(), Some(TASK));
    }
}
