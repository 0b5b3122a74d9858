//! Bodies about keys, read field by field over what the key is.

use std::time::Duration;

use serde_json::{Map, Value};
use turnwise_core::access::{Scope, Scopes};
use turnwise_core::fault::Faults;
use turnwise_core::time::Timestamp;
use turnwise_engine::keys::{KeySpec, MAX_ROTATION_GRACE};

use crate::handlers::admin::allowance::{Over, budget, limits};

/// Longest name of a key or of its owner, in characters.
const MAX_NAME_CHARS: usize = 100;

/// Most entries of a key's list of models.
const MAX_MODELS: usize = 100;

/// Longest entry of that list, in bytes; models' names have some fifty.
const MAX_MODEL_BYTES: usize = 200;

/// What a body about a key may contain.
const FIELDS: [&str; 8] = ["name", "owner", "tenant", "scopes", "models", "limits", "budget", "expires_at"];

/// What is made of `before` by `fields`, at `now`.
///
/// # Errors
/// Every fault.
pub(super) fn spec(fields: &Map<String, Value>, before: KeySpec, now: Timestamp) -> Result<KeySpec, Faults> {
    let body = Value::Object(fields.clone());
    let mut over = Over::new("", Some(&body), &FIELDS);
    let text = format!("a text of 1 to {MAX_NAME_CHARS} characters, without control characters");
    let name = over.read("name", Some(before.name), &text, label);
    let owner_form = format!("{text} or '#'");
    let owner =
        over.read("owner", Some(before.owner), &owner_form, |value| label(value).filter(|owner| !owner.contains('#')));
    let scopes =
        over.read("scopes", Some(before.scopes), "a list of \"generate\", \"read\", \"reports\", \"admin\"", scopes);
    let list = format!("a list of at most {MAX_MODELS} models, as provider/model or beginning so and ending in '*'");
    let models = over.read("models", before.models, &list, models);
    let time = "a time to come, such as \"2030-01-31T12:00:00Z\"";
    let expires_at = over.read("expires_at", before.expires_at, time, |value| {
        Timestamp::parse(value.as_str()?).filter(|expires_at| *expires_at > now)
    });
    let mut faults = over.faults;
    for (field, is_there) in [("name", name.is_some()), ("owner", owner.is_some()), ("scopes", scopes.is_some())] {
        if !is_there && faults.0.iter().all(|fault| fault.field != field) {
            faults.add(field, "This cannot be taken away.".to_owned());
        }
    }
    let limits = limits(fields.get("limits"), before.limits, &mut faults);
    let budget = budget(fields.get("budget"), before.budget, &mut faults);
    faults.into_result()?;
    Ok(KeySpec {
        name: name.unwrap_or_default(),
        owner: owner.unwrap_or_default(),
        scopes: scopes.unwrap_or_default(),
        models,
        limits,
        budget,
        expires_at,
    })
}

/// For how long the secret before a rotation stays good.
///
/// # Errors
/// A fault when it is no number of seconds up to a week.
pub(super) fn grace(fields: &Map<String, Value>) -> Result<Duration, Faults> {
    let body = Value::Object(fields.clone());
    let mut over = Over::new("", Some(&body), &["grace_s"]);
    let most = MAX_ROTATION_GRACE.as_secs();
    let seconds = over.read("grace_s", None, &format!("0 to {most} seconds"), |value| {
        value.as_u64().filter(|seconds| *seconds <= most)
    });
    over.faults.into_result()?;
    Ok(Duration::from_secs(seconds.unwrap_or(0)))
}

fn label(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    let chars = text.chars().count();
    let is_good = (1..=MAX_NAME_CHARS).contains(&chars) && !text.chars().any(char::is_control);
    is_good.then(|| text.to_owned())
}

fn scopes(value: &Value) -> Option<Scopes> {
    let names = value.as_array()?;
    let scopes: Option<Scopes> = names.iter().map(|name| Scope::named(name.as_str()?)).collect();
    scopes.filter(|_| !names.is_empty())
}

fn models(value: &Value) -> Option<Vec<String>> {
    let names = value.as_array()?;
    let is_good =
        |name: &&str| !name.is_empty() && name.len() <= MAX_MODEL_BYTES && !name.contains(char::is_whitespace);
    let models: Option<Vec<String>> =
        names.iter().map(|name| name.as_str().filter(is_good).map(str::to_owned)).collect();
    models.filter(|models| models.len() <= MAX_MODELS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use turnwise_core::access::{Budget, Limits};

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_276_800_000);

    fn before() -> KeySpec {
        KeySpec {
            name: "checkout".to_owned(),
            owner: "ada".to_owned(),
            scopes: [Scope::Generate].into_iter().collect(),
            models: Some(vec!["local/echo".to_owned()]),
            limits: Limits::default(),
            budget: Budget::default(),
            expires_at: None,
        }
    }

    fn read(body: &Value) -> Result<KeySpec, Vec<String>> {
        let read = spec(body.as_object().unwrap(), before(), NOW);
        read.map_err(|faults| faults.0.into_iter().map(|fault| fault.field).collect())
    }

    #[test]
    fn what_is_not_named_stays() {
        assert_eq!(read(&json!({})), Ok(before()));
        let changed = json!({"models": null, "expires_at": "2030-01-31T12:00:00Z", "scopes": ["admin", "read"]});
        let changed = read(&changed).unwrap();
        assert_eq!(changed.models, None);
        assert_eq!(changed.expires_at.unwrap().to_string(), "2030-01-31T12:00:00.000Z");
        assert_eq!(changed.scopes, [Scope::Read, Scope::Admin].into_iter().collect());
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let bad = json!({
            "name": "", "owner": "a#b", "scopes": ["root"], "models": ["a b"], "expires_at": "2020-01-01T00:00:00Z",
            "limits": {"requests_per_minute": 0}, "budget": {"daily_usd": -1}, "colour": "red",
        });
        let fields = read(&bad).unwrap_err();
        let expected = [
            "colour",
            "name",
            "owner",
            "scopes",
            "models",
            "expires_at",
            "limits.requests_per_minute",
            "budget.daily_usd",
        ];
        assert_eq!(fields, expected);
        assert_eq!(read(&json!({"name": null, "scopes": []})).unwrap_err(), ["scopes", "name"]);
    }

    #[test]
    fn a_grace_is_at_most_a_week() {
        let check = |body: Value, expected: Option<u64>| {
            assert_eq!(grace(body.as_object().unwrap()).ok(), expected.map(Duration::from_secs), "{body}");
        };
        check(json!({}), Some(0));
        check(json!({"grace_s": 604_800}), Some(604_800));
        check(json!({"grace_s": 604_801}), None);
        check(json!({"grace_s": -1}), None);
        check(json!({"graze": 1}), None);
    }
}
