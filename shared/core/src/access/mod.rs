//! Who may do what, and how much of it.
//!
//! - [`Grant`]: what one request may do: its key's rights within its tenant's
//! - [`Limits`], [`Budget`]: how much of it; the same words for a key and for a tenant
//! - [`TenantSettings`]: what holds for all keys of a tenant
//! - [`ApiKey`]: a key as the table has it, [`KeyText`] as its holder has it; [`Peppers`]: what
//!   stands between the two; [`accepts`]: whether they belong together

mod key;
mod pepper;
mod record;
mod scope;

use serde::{Deserialize, Serialize};

pub use self::key::{KEY_ID_CHARS, KEY_SECRET_CHARS, KeyId, KeyText};
pub use self::pepper::{KeyDigest, MIN_PEPPER_BYTES, Peppers};
pub use self::record::{Accepted, ApiKey, Standing, accepts};
pub use self::scope::{Scope, Scopes};
use crate::ledger::Baseline;
use crate::money::PicoUsd;
use crate::prices::Prices;

/// Stands at the end of a name in an allow-list that means every model beginning so.
const ANY_BEHIND: char = '*';

/// How much a key, or all keys of a tenant together, may ask for. `None` sets no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Requests a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, in and out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Answers made at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_turns: Option<u32>,
    /// Output tokens of one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
}

/// How much a key, or all keys of a tenant together, may spend. Days and months are UTC's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// In a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<PicoUsd>,
    /// In a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly: Option<PicoUsd>,
    /// From this share of either on, in percent, `downgrade_to` answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_percent: Option<u8>,
    /// The model that answers from there on, `provider/model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downgrade_to: Option<String>,
}

impl Budget {
    /// Whether it limits anything.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.daily.is_some() || self.monthly.is_some()
    }
}

/// What holds for all keys of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSettings {
    /// Limits of all its keys together.
    #[serde(default)]
    pub limits: Limits,
    /// What all its keys together may spend.
    #[serde(default)]
    pub budget: Budget,
    /// Where alerts about its budgets go, `https`; the operator's address where none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_webhook: Option<String>,
    /// Days that what is said is kept, instead of the operator's; 0 keeps it for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// What its answers are compared with, at the prices of when it was named; the
    /// deployment's baseline where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Box<Baseline>>,
}

/// What one request may do: its key's rights within its tenant's. Whose key it is, its
/// caller says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What for.
    pub scopes: Scopes,
    /// Whether it may act for other tenants: a key of the deployment itself, not of the table.
    pub is_operator: bool,
    /// The models it may ask, as [`may_use`](Self::may_use) reads them; `None` for all.
    pub models: Option<Vec<String>>,
    /// The key's limits.
    pub limits: Limits,
    /// The key's budget.
    pub budget: Budget,
    /// What holds for all keys of the tenant.
    pub settings: TenantSettings,
    /// What models charge it.
    pub prices: Prices,
}

impl Default for Grant {
    /// Everything within the tenant, without limits.
    fn default() -> Self {
        Self {
            scopes: Scopes::ALL,
            is_operator: false,
            models: None,
            limits: Limits::default(),
            budget: Budget::default(),
            settings: TenantSettings::default(),
            prices: Prices::default(),
        }
    }
}

impl Grant {
    /// What an administrator's key of the deployment itself may do.
    #[must_use]
    pub fn of_operator() -> Self {
        Self { is_operator: true, ..Self::default() }
    }

    /// What a user's key of the deployment itself may do.
    #[must_use]
    pub fn of_user() -> Self {
        Self { scopes: Scopes::ALL.without(Scope::Admin), ..Self::default() }
    }

    /// Whether it may ask `model`, `provider/model`: one of its list, or beginning as one
    /// that ends in `*`.
    #[must_use]
    pub fn may_use(&self, model: &str) -> bool {
        let is_named = |entry: &String| match entry.strip_suffix(ANY_BEHIND) {
            Some(beginning) => model.starts_with(beginning),
            None => entry == model,
        };
        self.models.as_ref().is_none_or(|models| models.iter().any(is_named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_models_allows_what_it_names() {
        let check = |models: Option<&[&str]>, model: &str, expected: bool| {
            let models = models.map(|models| models.iter().map(|&name| name.to_owned()).collect());
            let grant = Grant { models, ..Grant::default() };
            assert_eq!(grant.may_use(model), expected, "{model}");
        };
        check(None, "openai/gpt-4o", true);
        check(Some(&[]), "openai/gpt-4o", false);
        check(Some(&["openai/gpt-4o"]), "openai/gpt-4o", true);
        check(Some(&["openai/gpt-4o"]), "openai/gpt-4o-mini", false);
        check(Some(&["local/*", "openai/gpt-4o*"]), "openai/gpt-4o-mini", true);
        check(Some(&["local/*"]), "openai/local/x", false);
        check(Some(&["*"]), "openai/gpt-4o", true);
    }
}
