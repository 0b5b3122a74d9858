//! Limits and budgets, as requests write them and answers show them: the same for a key and
//! for a tenant.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use turnwise_core::access::{Budget, Limits};
use turnwise_core::fault::Faults;
use turnwise_core::json::kind_of;
use turnwise_core::money::PicoUsd;
use turnwise_engine::admission::BudgetUse;
use utoipa::ToSchema;

/// Longest amount in a request, in USD: what exceeds it is a mistake in its unit.
const MAX_BUDGET: PicoUsd = PicoUsd(1_000_000_000 * 1_000_000_000_000);

/// How much may be asked for. What is not there is not limited.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LimitsBody {
    /// Requests a minute, 1 to 1,000,000.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, in and out, 1 to 1,000,000,000.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub tokens_per_minute: Option<u64>,
    /// Answers made at once, 1 to 10,000.
    #[schema(minimum = 1, maximum = 10_000)]
    pub concurrent_turns: Option<u64>,
    /// Output tokens of one answer, 1 to 10,000,000.
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub max_output_tokens: Option<u64>,
}

/// What may be spent. What is not there is not limited. Days and months are UTC's.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BudgetBody {
    /// In a day, in USD: a decimal number, as text or as a number.
    pub daily_usd: Option<String>,
    /// In a month, in USD.
    pub monthly_usd: Option<String>,
    /// From this share of either on, in percent, `downgrade_to` answers.
    #[schema(minimum = 1, maximum = 100)]
    pub soft_percent: Option<u8>,
    /// The model that answers from there on, `provider/model`.
    pub downgrade_to: Option<String>,
}

/// What was spent of a budget, in USD. What was asked for without one is not counted here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BudgetUseBody {
    /// Today, in UTC.
    pub day_usd: String,
    /// This month.
    pub month_usd: String,
    /// What requests that are under way have reserved.
    pub reserved_usd: String,
}

impl From<BudgetUse> for BudgetUseBody {
    fn from(used: BudgetUse) -> Self {
        let BudgetUse { day, month, reserved } = used;
        Self { day_usd: day.to_string(), month_usd: month.to_string(), reserved_usd: reserved.to_string() }
    }
}

impl From<&Limits> for LimitsBody {
    fn from(limits: &Limits) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute.map(u64::from),
            tokens_per_minute: limits.tokens_per_minute,
            concurrent_turns: limits.concurrent_turns.map(u64::from),
            max_output_tokens: limits.max_output_tokens,
        }
    }
}

impl From<&Budget> for BudgetBody {
    fn from(budget: &Budget) -> Self {
        Self {
            daily_usd: budget.daily.map(|amount| amount.to_string()),
            monthly_usd: budget.monthly.map(|amount| amount.to_string()),
            soft_percent: budget.soft_percent,
            downgrade_to: budget.downgrade_to.clone(),
        }
    }
}

/// One object of a request, read over what stands already: a field that is there replaces, a
/// null takes away, one that is missing stays.
pub(crate) struct Over<'a> {
    path: &'static str,
    fields: Option<&'a Map<String, Value>>,
    pub(crate) faults: Faults,
}

impl<'a> Over<'a> {
    /// The object `value`, which stands at `path`; every field in it has to be one of `known`.
    pub(crate) fn new(path: &'static str, value: Option<&'a Value>, known: &[&str]) -> Self {
        let mut faults = Faults::default();
        let fields = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(fields)) => Some(fields),
            Some(other) => {
                faults.add(path, format!("Expected an object, got {}.", kind_of(other)));
                None
            }
        };
        let mut over = Self { path, fields, faults };
        for name in over.fields.into_iter().flat_map(Map::keys).filter(|name| !known.contains(&name.as_str())) {
            over.faults.add(over.name(name), format!("There is no such field; there are {}.", known.join(", ")));
        }
        over
    }

    /// What the field `name` becomes.
    pub(crate) fn read<T>(
        &mut self,
        name: &str,
        before: Option<T>,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        match self.fields.and_then(|fields| fields.get(name)) {
            None => before,
            Some(Value::Null) => None,
            Some(value) => {
                let read = read(value);
                if read.is_none() {
                    self.faults.add(self.name(name), format!("Expected {expected}."));
                }
                read
            }
        }
    }

    fn name(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// The limits that `value` makes of `before`.
pub(crate) fn limits(value: Option<&Value>, before: Limits, faults: &mut Faults) -> Limits {
    let known = ["requests_per_minute", "tokens_per_minute", "concurrent_turns", "max_output_tokens"];
    let mut over = Over::new("limits", value, &known);
    let number = |most: u64| move |value: &Value| value.as_u64().filter(|number| (1..=most).contains(number));
    let small =
        |most: u32| move |value: &Value| number(u64::from(most))(value).and_then(|number| u32::try_from(number).ok());
    let limits = Limits {
        requests_per_minute: over.read(known[0], before.requests_per_minute, "1 to 1000000", small(1_000_000)),
        tokens_per_minute: over.read(known[1], before.tokens_per_minute, "1 to 1000000000", number(1_000_000_000)),
        concurrent_turns: over.read(known[2], before.concurrent_turns, "1 to 10000", small(10_000)),
        max_output_tokens: over.read(known[3], before.max_output_tokens, "1 to 10000000", number(10_000_000)),
    };
    faults.0.extend(over.faults.0);
    limits
}

/// The budget that `value` makes of `before`.
pub(crate) fn budget(value: Option<&Value>, before: Budget, faults: &mut Faults) -> Budget {
    let known = ["daily_usd", "monthly_usd", "soft_percent", "downgrade_to"];
    let mut over = Over::new("budget", value, &known);
    let amount = "an amount in USD with at most 12 decimals, such as \"1.50\", up to 1000000000";
    let budget = Budget {
        daily: over.read(known[0], before.daily, amount, usd),
        monthly: over.read(known[1], before.monthly, amount, usd),
        soft_percent: over.read(known[2], before.soft_percent, "1 to 100", |value| {
            value.as_u64().filter(|percent| (1..=100).contains(percent)).and_then(|percent| u8::try_from(percent).ok())
        }),
        downgrade_to: over.read(known[3], before.downgrade_to, "a model, as provider/model", |value| {
            value.as_str().filter(|model| model.contains('/')).map(str::to_owned)
        }),
    };
    faults.0.extend(over.faults.0);
    if budget.soft_percent.is_some() != budget.downgrade_to.is_some() {
        faults.add("budget", "soft_percent and downgrade_to go together.".to_owned());
    }
    budget
}

fn usd(value: &Value) -> Option<PicoUsd> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    PicoUsd::parse_usd(&text).filter(|amount| *amount <= MAX_BUDGET)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_replaces_and_null_takes_away() {
        let before = Limits { requests_per_minute: Some(5), tokens_per_minute: Some(7), ..Limits::default() };
        let mut faults = Faults::default();
        let value = json!({"requests_per_minute": 9, "tokens_per_minute": null});
        let after = limits(Some(&value), before, &mut faults);
        assert_eq!(after, Limits { requests_per_minute: Some(9), tokens_per_minute: None, ..before });
        assert_eq!(limits(None, before, &mut faults), before);
        assert!(faults.0.is_empty());
    }

    #[test]
    fn amounts_are_exact_and_bounded() {
        let check = |value: Value, expected: Option<&str>| {
            let mut faults = Faults::default();
            let read = budget(Some(&json!({"daily_usd": value})), Budget::default(), &mut faults);
            assert_eq!(read.daily.map(|amount| amount.to_string()).as_deref(), expected, "{value}");
            assert_eq!(faults.0.is_empty(), expected.is_some());
        };
        check(json!(0.45), Some("0.45"));
        check(json!("0.45"), Some("0.45"));
        check(json!(20), Some("20"));
        check(json!("1000000000"), Some("1000000000"));
        for bad in [json!("1000000000.1"), json!(-1), json!("1e3"), json!(true), json!([]), json!("")] {
            check(bad, None);
        }
    }

    #[test]
    fn every_fault_is_named_with_its_path() {
        let mut faults = Faults::default();
        limits(Some(&json!({"requests_per_minute": 0, "rpm": 5})), Limits::default(), &mut faults);
        budget(Some(&json!({"soft_percent": 80})), Budget::default(), &mut faults);
        budget(Some(&json!([])), Budget::default(), &mut faults);
        let fields: Vec<_> = faults.0.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["limits.rpm", "limits.requests_per_minute", "budget", "budget"]);
    }
}
