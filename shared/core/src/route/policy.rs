//! What a tenant says about the choice of its models.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::select::Objective;
use super::tier::Tier;
use crate::fault::Faults;
use crate::money::PicoUsd;
use crate::reader::{ARRAY, Reader};

/// Most rules of a tenant. They are read one after another for each request, and stand in one
/// row with its other settings.
pub const MAX_RULES: usize = 32;

/// Most models that a rule names, and most whose tier a tenant changes: more than any
/// provider has.
pub const MAX_NAMED: usize = 100;

/// Longest name in a rule, in bytes; models' names have some fifty.
const MAX_NAME_BYTES: usize = 200;

/// Highest price and longest time that a rule can name: what exceeds them is a mistake in the
/// unit.
const MAX_USD_PER_MTOK: PicoUsd = PicoUsd(100_000 * 1_000_000_000_000);
const MAX_P50_MS: u64 = 600_000;

/// What a tenant says about the choice of its models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Of these the first that fits a request holds for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// What models are meant for, where the tenant knows better: by `provider/model`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tiers: BTreeMap<String, Tier>,
}

/// When something holds, and what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// All of it has to fit.
    #[serde(default)]
    pub when: When,
    /// What holds then.
    #[serde(default, rename = "use")]
    pub uses: Use,
}

/// What has to fit a request; what is not there fits every one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct When {
    /// The label of its task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// How complex its text looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The id of its API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its project's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// What holds for a request; what is not there stays as it is without the rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// What is wanted most, whatever the request says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
    /// The models among which there is a choice; a name that ends in `*` stands for all that
    /// begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// As complex as this it counts, whatever its text looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The least that a model has to be meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_tier: Option<Tier>,
    /// The most that a million tokens may cost, in or out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_usd_per_mtok: Option<PicoUsd>,
    /// The longest median time of a model, in milliseconds, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_p50_ms: Option<u32>,
}

/// A request, as rules look at it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Case<'a> {
    /// The label of its task.
    pub task: Option<&'a str>,
    /// How complex its text looks.
    pub tier: Tier,
    /// The id of its API key.
    pub key: &'a str,
    /// Its project's id.
    pub project: Option<&'a str>,
}

impl When {
    fn fits(&self, case: &Case<'_>) -> bool {
        let is_task = self.task.is_none() || self.task.as_deref() == case.task;
        let is_tier = self.tier.is_none_or(|tier| tier == case.tier);
        let is_key = self.key.as_deref().is_none_or(|key| key == case.key);
        let is_project = self.project.is_none() || self.project.as_deref() == case.project;
        is_task && is_tier && is_key && is_project
    }
}

impl Policy {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.tiers.is_empty()
    }

    /// The first rule that fits, with its place.
    #[must_use]
    pub fn rule(&self, case: &Case<'_>) -> Option<(usize, &Rule)> {
        self.rules.iter().enumerate().find(|(_, rule)| rule.when.fits(case))
    }

    /// The policy that `value`, the field `routing` of a request, says.
    ///
    /// # Errors
    /// Every fault, each with its path: `routing.rules[2].use.max_p50_ms`.
    pub fn read(value: &Value) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let policy = Reader::of("routing", value, &mut faults)
            .map(|routing| Self { rules: rules(&routing, &mut faults), tiers: tiers(&routing, &mut faults) });
        faults.into_result()?;
        Ok(policy.unwrap_or_default())
    }
}

fn rules(routing: &Reader<'_>, faults: &mut Faults) -> Vec<Rule> {
    routing.only(&["rules", "tiers"], faults);
    let list = routing.list("rules", faults).unwrap_or_default();
    if list.len() > MAX_RULES {
        faults.add(routing.at("rules"), format!("There are at most {MAX_RULES} rules, got {}.", list.len()));
        return Vec::new();
    }
    let rules = Reader::list_of(&routing.at("rules"), list, faults);
    rules.iter().map(|rule| self::rule(rule, faults)).collect()
}

fn rule(rule: &Reader<'_>, faults: &mut Faults) -> Rule {
    rule.only(&["when", "use"], faults);
    rule.require("use", faults);
    let when = rule.object("when", faults).map(|when| {
        when.only(&["task", "tier", "key", "project"], faults);
        When {
            task: name(&when, "task", faults),
            tier: tier(&when, "tier", faults),
            key: name(&when, "key", faults),
            project: name(&when, "project", faults),
        }
    });
    let uses = rule.object("use", faults).map(|uses| {
        uses.only(&["objective", "models", "tier", "min_tier", "max_usd_per_mtok", "max_p50_ms"], faults);
        Use {
            objective: uses.word("objective", &Objective::ALL.map(Objective::name), faults).and_then(Objective::named),
            models: models(&uses, faults),
            tier: tier(&uses, "tier", faults),
            min_tier: tier(&uses, "min_tier", faults),
            max_usd_per_mtok: max_usd(&uses, faults),
            max_p50_ms: max_p50_ms(&uses, faults),
        }
    });
    if uses.as_ref().is_some_and(|uses| *uses == Use::default()) && faults.0.is_empty() {
        faults.add(rule.at("use"), "The rule says nothing: name an objective, models, a tier or a limit.");
    }
    Rule { when: when.unwrap_or_default(), uses: uses.unwrap_or_default() }
}

fn tiers(routing: &Reader<'_>, faults: &mut Faults) -> BTreeMap<String, Tier> {
    let Some(object) = routing.object("tiers", faults) else { return BTreeMap::new() };
    let names: Vec<&String> = object.names().collect();
    if names.len() > MAX_NAMED {
        faults.add(object.path(), format!("There are at most {MAX_NAMED} models, got {}.", names.len()));
        return BTreeMap::new();
    }
    let mut tiers = BTreeMap::new();
    for name in names {
        if !name.contains('/') || name.len() > MAX_NAME_BYTES {
            faults.add(object.at(name), "Expected a model, as provider/model.");
        }
        if let Some(tier) = tier(&object, name, faults) {
            tiers.insert(name.clone(), tier);
        }
    }
    tiers
}

fn tier(object: &Reader<'_>, name: &str, faults: &mut Faults) -> Option<Tier> {
    object.word(name, &Tier::ALL.map(Tier::name), faults).and_then(Tier::named)
}

fn name(object: &Reader<'_>, field: &str, faults: &mut Faults) -> Option<String> {
    let text = object.text(field, faults)?;
    if text.is_empty() || text.len() > MAX_NAME_BYTES {
        faults.add(object.at(field), format!("Expected a text of 1 to {MAX_NAME_BYTES} bytes."));
        return None;
    }
    Some(text.to_owned())
}

fn models(uses: &Reader<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    let is_good = |name: &&str| !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains(char::is_whitespace);
    let read = |value: &Value| -> Option<Vec<String>> {
        let list = value.as_array().filter(|list| (1..=MAX_NAMED).contains(&list.len()))?;
        list.iter().map(|name| name.as_str().filter(is_good).map(str::to_owned)).collect()
    };
    let value = uses.value("models")?;
    let names = read(value);
    if names.is_none() {
        let message = format!(
            "Expected {ARRAY} of 1 to {MAX_NAMED} models, as provider/model or beginning so and ending in '*'."
        );
        faults.add(uses.at("models"), message);
    }
    names
}

fn max_usd(uses: &Reader<'_>, faults: &mut Faults) -> Option<PicoUsd> {
    let value = uses.value("max_usd_per_mtok")?;
    let text = value.as_str().map(str::to_owned).or_else(|| value.is_number().then(|| value.to_string()));
    let amount = text.and_then(|text| PicoUsd::parse_usd(&text)).filter(|amount| *amount <= MAX_USD_PER_MTOK);
    if amount.is_none() {
        let message = "Expected an amount in USD with at most 12 decimals, such as \"1.50\", up to 100000.";
        faults.add(uses.at("max_usd_per_mtok"), message);
    }
    amount
}

fn max_p50_ms(uses: &Reader<'_>, faults: &mut Faults) -> Option<u32> {
    uses.count("max_p50_ms", 1, MAX_P50_MS, faults).and_then(|time| u32::try_from(time).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy() -> Policy {
        let value = json!({
            "rules": [
                {"when": {"task": "summarise", "tier": "simple"}, "use": {"models": ["groq/*"]}},
                {"when": {"task": "summarise"}, "use": {"objective": "best", "min_tier": "medium"}},
                {"when": {"key": "k1", "project": "p1"}, "use": {"max_usd_per_mtok": "1.50", "max_p50_ms": 900}},
                {"use": {"objective": "cheapest", "tier": "simple"}},
            ],
            "tiers": {"openai/gpt-4o-mini": "medium"},
        });
        Policy::read(&value).unwrap()
    }

    #[test]
    fn the_first_rule_that_fits_holds() {
        let policy = policy();
        let check = |case: Case<'_>, expected: usize| assert_eq!(policy.rule(&case).unwrap().0, expected, "{case:?}");
        let summarise = Case { task: Some("summarise"), ..Case::default() };
        check(summarise, 0);
        check(Case { tier: Tier::Medium, ..summarise }, 1);
        check(Case { key: "k1", project: Some("p1"), ..Case::default() }, 2);
        check(Case { key: "k1", ..Case::default() }, 3);
        check(Case { project: Some("p1"), ..Case::default() }, 3);
        check(Case { task: Some("other"), ..Case::default() }, 3);
        assert!(Policy::default().rule(&summarise).is_none() && Policy::default().is_empty());
    }

    #[test]
    fn what_is_stored_reads_back() {
        let policy = policy();
        assert_eq!(policy.rules[2].uses.max_usd_per_mtok, Some(PicoUsd(1_500_000_000_000)));
        let stored = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&stored).unwrap(), policy);
    }

    #[test]
    fn every_fault_has_its_path() {
        let check = |value: Value, expected: &[&str]| {
            let faults = Policy::read(&value).unwrap_err();
            let fields: Vec<&str> = faults.0.iter().map(|fault| fault.field.as_str()).collect();
            assert_eq!(fields, expected, "{value}");
        };
        check(json!([]), &["routing"]);
        check(json!({"rule": []}), &["routing.rule"]);
        check(json!({"rules": [{"when": {}}, 7]}), &["routing.rules[1]", "routing.rules[0].use"]);
        check(json!({"rules": [{"use": {}}]}), &["routing.rules[0].use"]);
        let bad = json!({"rules": [{
            "if": 1,
            "when": {"task": "", "tier": "hard", "keys": "k"},
            "use": {"objective": "dearest", "models": [], "min_tier": 3, "max_usd_per_mtok": -1, "max_p50_ms": 0},
        }], "tiers": {"mini": "simple", "a/b": "hard"}});
        check(
            bad,
            &[
                "routing.rules[0].if",
                "routing.rules[0].when.keys",
                "routing.rules[0].when.task",
                "routing.rules[0].when.tier",
                "routing.rules[0].use.objective",
                "routing.rules[0].use.models",
                "routing.rules[0].use.min_tier",
                "routing.rules[0].use.max_usd_per_mtok",
                "routing.rules[0].use.max_p50_ms",
                "routing.tiers.a/b",
                "routing.tiers.mini",
            ],
        );
    }

    #[test]
    fn limits_hold_on_both_sides() {
        let rules = |count: usize| json!({"rules": vec![json!({"use": {"objective": "best"}}); count]});
        assert_eq!(Policy::read(&rules(MAX_RULES)).unwrap().rules.len(), MAX_RULES);
        assert!(Policy::read(&rules(MAX_RULES + 1)).is_err());
        let with = |field: &str, value: Value| Policy::read(&json!({"rules": [{"use": {field: value}}]})).is_ok();
        assert!(with("max_p50_ms", json!(600_000)) && !with("max_p50_ms", json!(600_001)));
        assert!(with("max_usd_per_mtok", json!(100_000)) && !with("max_usd_per_mtok", json!("100000.1")));
        assert!(with("models", json!(vec!["a/*"; MAX_NAMED])) && !with("models", json!(vec!["a/*"; MAX_NAMED + 1])));
        let named = |bytes: usize| {
            Policy::read(&json!({"rules": [{"when": {"key": "k".repeat(bytes)}, "use": {"tier": "simple"}}]}))
        };
        assert!(named(MAX_NAME_BYTES).is_ok() && named(MAX_NAME_BYTES + 1).is_err());
        let tiers = |count: usize| -> Value {
            let models = (0..count).map(|at| (format!("a/{at}"), json!("simple")));
            json!({"tiers": models.collect::<serde_json::Map<_, _>>()})
        };
        assert!(Policy::read(&tiers(MAX_NAMED)).is_ok() && Policy::read(&tiers(MAX_NAMED + 1)).is_err());
    }
}
