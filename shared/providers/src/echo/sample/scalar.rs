//! Strings and numbers within the limits of a schema.

use serde_json::Value;

use super::Parts;
use crate::echo::ordered::Ordered;

/// Integers up to here are exact as a 64-bit float, which all limits are read as.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Fills a text up to its least length.
const PADDING: &str = ".";

/// A string of a format that clients check or parse; of others any text will do.
pub(super) fn formatted(format: &str) -> Option<&'static str> {
    Some(match format {
        "date-time" => "2000-01-01T00:00:00Z",
        "date" => "2000-01-01",
        "time" => "00:00:00Z",
        "duration" => "P1D",
        "email" => "echo@example.com",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" => "https://example.com/",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        _ => return None,
    })
}

/// `text` in at most `room` bytes, and between `least` and `most` characters long.
pub(super) fn text(text: &str, room: usize, least: usize, most: usize) -> String {
    let mut bytes = 0;
    let fits = |character: &char| {
        bytes += character.len_utf8();
        bytes <= room
    };
    let kept: String = text.chars().take(most).take_while(fits).collect();
    let missing = least.saturating_sub(kept.chars().count());
    kept + &PADDING.repeat(missing)
}

/// The least number allowed, else 1, else the nearest that the limits allow.
pub(super) fn number(parts: &Parts<'_>) -> Option<Value> {
    let limit = |name| parts.get(name).and_then(Ordered::as_f64);
    let integer = parts.kind() == "integer";
    let (least, most) = (limit("minimum"), limit("maximum"));
    let (above, below) = (limit("exclusiveMinimum"), limit("exclusiveMaximum"));
    let step = limit("multipleOf").filter(|step| *step > 0.0 && (!integer || step.fract() == 0.0));
    let step = step.or(integer.then_some(1.0));

    let fits = |number: &f64| {
        let high_enough = least.is_none_or(|least| *number >= least) && above.is_none_or(|above| *number > above);
        let low_enough = most.is_none_or(|most| *number <= most) && below.is_none_or(|below| *number < below);
        number.is_finite() && high_enough && low_enough
    };
    let middle = least.or(above).zip(most.or(below)).map(|(low, high)| low.midpoint(high));
    let above = above.map(|above| above + step.unwrap_or(1.0));
    let below = below.map(|below| below - step.unwrap_or(1.0));
    let wishes = [least, Some(1.0), above, most, below, middle, Some(0.0)].into_iter().flatten();
    let stepped = |wish: f64| match step {
        Some(step) => [(wish / step).ceil() * step, (wish / step).floor() * step],
        None => [wish, wish],
    };
    wishes.flat_map(stepped).find(fits).map(written)
}

/// The number, without a fraction where it has none.
fn written(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() <= MAX_EXACT { Value::from(number as i64) } else { Value::from(number) }
}
