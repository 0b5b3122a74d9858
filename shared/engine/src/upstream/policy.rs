//! What the operator says about calls of providers.

use std::time::Duration;

use turnwise_core::fault::{Fault, Faults};
use turnwise_core::upstream::budget::{MAX_RETRIES, RETRY_LONGEST};
use turnwise_core::upstream::{RetryPolicy, TimeoutRules};
use turnwise_providers::Providers;

/// The variable with the most calls that repeat a first one.
pub const RETRIES: &str = "TURNWISE_MAX_RETRIES";
/// The variable with the pause before the first repetition, in milliseconds.
pub const INITIAL: &str = "TURNWISE_RETRY_INITIAL_MS";
/// The variable with the rules for time-outs.
pub const TIMEOUTS: &str = "TURNWISE_TIMEOUTS";
/// The variable with the models that are asked when one fails.
pub const FALLBACKS: &str = "TURNWISE_FALLBACK_MODELS";

/// Most models that a request falls back to, in turn: it never makes more calls than that
/// and one.
pub const MAX_FALLBACKS: usize = MAX_RETRIES as usize;

/// What the operator says about calls of providers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallPolicy {
    /// How calls that fail are repeated.
    pub retry: RetryPolicy,
    /// How long each part of a call may take.
    pub timeouts: TimeoutRules,
    /// The models that are asked when one fails, unless the request names its own.
    pub fallbacks: Vec<String>,
}

impl CallPolicy {
    /// The policy that `lookup` finds under the names of the variables; an empty value
    /// counts as absent.
    ///
    /// # Errors
    /// All that is malformed, each under its variable's name; and names of models that
    /// none of `providers` serves.
    pub fn read(lookup: impl Fn(&str) -> Option<String>, providers: &Providers) -> Result<Self, Faults> {
        let find = |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let mut faults = Faults::default();
        let mut policy = Self::default();
        if let Some(retries) = find(RETRIES).and_then(|text| faults.keep(retries(&text))) {
            policy.retry.retries = retries;
        }
        if let Some(initial) = find(INITIAL).and_then(|text| faults.keep(initial(&text))) {
            policy.retry.initial = initial;
        }
        if let Some(text) = find(TIMEOUTS) {
            let rules = TimeoutRules::parse(&text).map_err(|message| Fault::new(TIMEOUTS, message));
            policy.timeouts = faults.keep(rules).unwrap_or_default();
        }
        if let Some(text) = find(FALLBACKS) {
            policy.fallbacks = faults.keep(fallbacks(FALLBACKS, &text)).unwrap_or_default();
            for name in &policy.fallbacks {
                if let Err(unknown) = providers.resolve(Some(name)) {
                    faults.add(FALLBACKS, unknown.to_string());
                }
            }
        }
        faults.into_result().map(|()| policy)
    }
}

/// Names of models to fall back to, as the variable and the header list them; `none` for
/// none.
///
/// # Errors
/// A fault of `field` when there are more than [`MAX_FALLBACKS`].
pub fn fallbacks(field: &str, text: &str) -> Result<Vec<String>, Fault> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none");
    let names: Vec<String> = names.map(str::to_owned).collect();
    if names.len() > MAX_FALLBACKS {
        return Err(Fault::new(field, format!("At most {MAX_FALLBACKS} models can be fallen back to.")));
    }
    Ok(names)
}

fn retries(text: &str) -> Result<u32, Fault> {
    let retries = text.parse().ok().filter(|retries| *retries <= MAX_RETRIES);
    retries.ok_or_else(|| Fault::new(RETRIES, format!("Expected a number from 0 to {MAX_RETRIES}, got {text:?}.")))
}

fn initial(text: &str) -> Result<Duration, Fault> {
    let initial = text.parse().ok().map(Duration::from_millis).filter(|pause| *pause <= RETRY_LONGEST);
    let most = RETRY_LONGEST.as_millis();
    initial.ok_or_else(|| Fault::new(INITIAL, format!("Expected milliseconds from 0 to {most}, got {text:?}.")))
}

#[cfg(test)]
mod tests {
    use turnwise_providers::Settings;

    use super::*;

    fn read(rows: &[(&str, &str)]) -> Result<CallPolicy, Faults> {
        let providers = Providers::new(&Settings::default()).unwrap();
        let lookup = |name: &str| rows.iter().find(|row| row.0 == name).map(|row| row.1.to_owned());
        CallPolicy::read(lookup, &providers)
    }

    #[test]
    fn everything_has_a_default() {
        assert_eq!(read(&[(RETRIES, " ")]).unwrap(), CallPolicy::default());
    }

    #[test]
    fn settings_are_read() {
        let rows = [(RETRIES, "1"), (INITIAL, "5"), (TIMEOUTS, "* total=1s"), (FALLBACKS, "echo, local/echo")];
        let policy = read(&rows).unwrap();
        assert_eq!(policy.retry, RetryPolicy { retries: 1, initial: Duration::from_millis(5) });
        assert_eq!(policy.fallbacks, ["echo", "local/echo"]);
        assert_eq!(policy.timeouts.of("a/b", None).total, Duration::from_secs(1));
    }

    #[test]
    fn all_faults_are_listed_at_once() {
        let rows = [(RETRIES, "4"), (INITIAL, "30001"), (TIMEOUTS, "x"), (FALLBACKS, "nobody/nothing")];
        let fields: Vec<String> = read(&rows).unwrap_err().0.into_iter().map(|fault| fault.field).collect();
        assert_eq!(fields, [RETRIES, INITIAL, TIMEOUTS, FALLBACKS]);
        assert!(read(&[(FALLBACKS, "a,b,c,d")]).is_err());
    }
}
