//! One table of prices, as a file has it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::catalogue::Catalogue;
use crate::fault::Faults;
use crate::json::kind_of;
use crate::money::{LongContext, Price};
use crate::time::Timestamp;

/// Highest price, in pico-USD a token: one USD. A dearer one is a mistake in its unit.
pub const MAX_PRICE: u64 = 1_000_000_000_000;

/// Most models of a table: several times as many as all providers together have that are
/// worth a price, and few enough for one row.
pub const MAX_MODELS: usize = 2_000;

/// Longest version, source and name of a model, in characters: they stand in ledger lines.
const MAX_TEXT_CHARS: usize = 128;

/// What a file may contain, what a model, a price, a tier, a batch.
const FIELDS: [&str; 5] = ["version", "effective_from", "partial", "source", "models"];
const MODEL_FIELDS: [&str; 5] = ["provider", "id", "price", "batch", "deprecation_date"];
const PRICE_FIELDS: [&str; 8] =
    ["input", "output", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "reasoning", "long_context"];
const TIER_FIELDS: [&str; 6] = ["above_input_tokens", "input", "output", "cache_read", "cache_write", "reasoning"];
const BATCH_FIELDS: [&str; 2] = ["input", "output"];

/// Prices that hold from an instant on. All amounts are pico-USD a token: 1 USD a million
/// tokens is 1,000,000.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceTable {
    /// Its name; every charge remembers it.
    pub version: String,
    /// From when on it holds.
    pub effective_from: Timestamp,
    /// Whether models that it does not have keep the prices of the layer below; otherwise they
    /// have none.
    pub is_partial: bool,
    /// Where the prices are from, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The models.
    pub models: Vec<PricedModel>,
}

/// What one model charges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedModel {
    /// The provider's name, as in `provider/model`.
    pub provider: String,
    /// The provider's own name of the model.
    pub id: String,
    /// What it charges.
    pub price: Price,
    /// What it charges in batches, which nothing here sends: to be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// The day from which on its provider may take it away: `2027-04-01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecation_date: Option<String>,
}

/// Prices of requests that may wait for hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Per input token.
    pub input: i128,
    /// Per output token.
    pub output: i128,
}

impl PricedModel {
    /// The model's full name, `provider/model`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider, self.id)
    }

    /// Whether `other` is of the same name.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.provider == other.provider && self.id == other.id
    }

    /// Whether its provider may have taken it away by `at`.
    #[must_use]
    pub fn is_deprecated(&self, at: Timestamp) -> bool {
        let day = self.deprecation_date.as_deref().and_then(Timestamp::parse_day);
        day.is_some_and(|day| at >= day)
    }
}

impl PriceTable {
    /// The prices of `catalogue`, which hold from the beginning.
    #[must_use]
    pub fn of_catalogue(catalogue: &Catalogue) -> Self {
        let models = catalogue.models.iter().map(|model| PricedModel {
            provider: model.provider.clone(),
            id: model.id.clone(),
            price: model.price,
            batch: model.batch,
            deprecation_date: model.deprecation_date.clone(),
        });
        Self {
            version: catalogue.price_version.clone(),
            effective_from: Timestamp(0),
            is_partial: false,
            source: None,
            models: models.collect(),
        }
    }

    /// The model `id` of `provider`.
    #[must_use]
    pub fn get(&self, provider: &str, id: &str) -> Option<&PricedModel> {
        self.models.iter().find(|model| model.provider == provider && model.id == id)
    }

    /// The table that the JSON `value` is; what is wrong with it stands under `path`.
    ///
    /// # Errors
    /// Every fault: fields that are missing, unknown or of another type, models that come
    /// twice, prices that are negative or above one USD a token.
    pub fn parse(path: &str, value: &Value) -> Result<Self, Faults> {
        let mut reader = Reader { faults: Faults::default() };
        let table = reader.table(path, value);
        reader.faults.into_result()?;
        Ok(table)
    }
}

/// Reads a file field by field, and goes on behind each fault.
struct Reader {
    faults: Faults,
}

impl Reader {
    fn table(&mut self, path: &str, value: &Value) -> PriceTable {
        let fields = self.object(path, value, &FIELDS);
        let name = |name: &str| join(path, name);
        let effective_from = self.text(&name("effective_from"), fields.get("effective_from")).and_then(|text| {
            let instant = Timestamp::parse(&text).or_else(|| Timestamp::parse_day(&text));
            if instant.is_none() {
                let message = format!("Expected an instant or a day, such as 2026-12-01T00:00:00Z, got {text:?}.");
                self.faults.add(name("effective_from"), message);
            }
            instant
        });
        let is_partial = match fields.get("partial") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(is_partial)) => *is_partial,
            Some(other) => {
                self.faults.add(name("partial"), format!("Expected true or false, got {}.", kind_of(other)));
                false
            }
        };
        PriceTable {
            version: self.text(&name("version"), fields.get("version")).unwrap_or_default(),
            effective_from: effective_from.unwrap_or_default(),
            is_partial,
            source: fields
                .get("source")
                .filter(|source| !source.is_null())
                .and_then(|source| self.text(&name("source"), Some(source))),
            models: self.models(&name("models"), fields.get("models")),
        }
    }

    fn models(&mut self, path: &str, value: Option<&Value>) -> Vec<PricedModel> {
        let Some(Value::Array(list)) = value else {
            self.faults.add(path, "Expected an array of models.");
            return Vec::new();
        };
        if list.is_empty() || list.len() > MAX_MODELS {
            self.faults.add(path, format!("Expected 1 to {MAX_MODELS} models, got {}.", list.len()));
            return Vec::new();
        }
        let mut models: Vec<PricedModel> = Vec::new();
        for (index, value) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let model = self.model(&path, value);
            if models.iter().any(|known| known.is_same(&model)) {
                self.faults.add(path, format!("The model {} comes twice.", model.name()));
            }
            models.push(model);
        }
        models
    }

    fn model(&mut self, path: &str, value: &Value) -> PricedModel {
        let fields = self.object(path, value, &MODEL_FIELDS);
        let name = |name: &str| join(path, name);
        let deprecation_date = fields.get("deprecation_date").filter(|date| !date.is_null());
        let deprecation_date = deprecation_date.and_then(|date| self.text(&name("deprecation_date"), Some(date)));
        if deprecation_date.as_deref().is_some_and(|date| Timestamp::parse_day(date).is_none()) {
            self.faults.add(name("deprecation_date"), "Expected a day, such as 2027-04-01.");
        }
        let batch = fields.get("batch").filter(|batch| !batch.is_null()).map(|batch| {
            let path = name("batch");
            let fields = self.object(&path, batch, &BATCH_FIELDS);
            let mut price = |name: &str| self.required_price(&join(&path, name), fields.get(name));
            Batch { input: price("input"), output: price("output") }
        });
        PricedModel {
            provider: self.text(&name("provider"), fields.get("provider")).unwrap_or_default(),
            id: self.text(&name("id"), fields.get("id")).unwrap_or_default(),
            price: self.price(&name("price"), fields.get("price").unwrap_or(&Value::Null)),
            batch,
            deprecation_date,
        }
    }

    fn price(&mut self, path: &str, value: &Value) -> Price {
        let fields = self.object(path, value, &PRICE_FIELDS);
        if fields.contains_key("cache_write") && fields.contains_key("cache_write_5m") {
            self.faults
                .add(join(path, "cache_write"), "This is cache_write_5m by its other name; give one of the two.");
        }
        let write = fields.get("cache_write_5m").or_else(|| fields.get("cache_write"));
        let long_context = fields.get("long_context").filter(|tier| !tier.is_null());
        Price {
            input: self.required_price(&join(path, "input"), fields.get("input")),
            output: self.required_price(&join(path, "output"), fields.get("output")),
            cache_read: self.maybe_price(&join(path, "cache_read"), fields.get("cache_read")),
            cache_write: self.maybe_price(&join(path, "cache_write_5m"), write),
            cache_write_1h: self.maybe_price(&join(path, "cache_write_1h"), fields.get("cache_write_1h")),
            reasoning: self.maybe_price(&join(path, "reasoning"), fields.get("reasoning")),
            long_context: long_context.map(|tier| self.tier(&join(path, "long_context"), tier)),
        }
    }

    fn tier(&mut self, path: &str, value: &Value) -> LongContext {
        let fields = self.object(path, value, &TIER_FIELDS);
        let above = fields.get("above_input_tokens").and_then(Value::as_u64).filter(|tokens| *tokens > 0);
        if above.is_none() {
            self.faults.add(join(path, "above_input_tokens"), "Expected a number of tokens from 1.");
        }
        let mut price = |name: &str| self.maybe_price(&join(path, name), fields.get(name));
        LongContext {
            above_input_tokens: above.unwrap_or_default(),
            input: price("input"),
            output: price("output"),
            cache_read: price("cache_read"),
            cache_write: price("cache_write"),
            reasoning: price("reasoning"),
        }
    }

    fn required_price(&mut self, path: &str, value: Option<&Value>) -> i128 {
        if matches!(value, None | Some(Value::Null)) {
            self.faults.add(path, "A price is required; 0 is one.");
        }
        self.maybe_price(path, value).unwrap_or_default()
    }

    fn maybe_price(&mut self, path: &str, value: Option<&Value>) -> Option<i128> {
        let value = value.filter(|value| !value.is_null())?;
        let price = value.as_u64().filter(|price| *price <= MAX_PRICE);
        if price.is_none() {
            let expected = format!("Expected whole pico-USD a token, 0 to {MAX_PRICE} (one USD)");
            self.faults.add(path, format!("{expected}, got {value}."));
        }
        price.map(i128::from)
    }

    fn text(&mut self, path: &str, value: Option<&Value>) -> Option<String> {
        let text = value.and_then(Value::as_str).map(str::trim);
        let is_good = |text: &&str| {
            (1..=MAX_TEXT_CHARS).contains(&text.chars().count()) && !text.contains(|c: char| c.is_control())
        };
        let good = text.filter(is_good);
        if good.is_none() {
            self.faults.add(path, format!("Expected a text of 1 to {MAX_TEXT_CHARS} characters."));
        }
        good.map(str::to_owned)
    }

    /// The fields of an object; each has to be one of `known`.
    fn object<'a>(&mut self, path: &str, value: &'a Value, known: &[&str]) -> std::borrow::Cow<'a, Map<String, Value>> {
        let Value::Object(fields) = value else {
            self.faults.add(path, format!("Expected an object, got {}.", kind_of(value)));
            return std::borrow::Cow::Owned(Map::new());
        };
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            self.faults.add(join(path, name), format!("There is no such field; there are {}.", known.join(", ")));
        }
        std::borrow::Cow::Borrowed(fields)
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_read_whole() {
        let file = json!({
            "version": "2026-12", "effective_from": "2026-12-01", "partial": true, "source": "our contract",
            "models": [{
                "provider": "openai", "id": "gpt-4o-mini", "deprecation_date": "2027-04-01",
                "price": {"input": 150_000, "output": 600_000, "cache_read": 75_000, "cache_write_5m": 1,
                          "cache_write_1h": 2, "reasoning": 3,
                          "long_context": {"above_input_tokens": 200_000, "input": 300_000, "output": null}},
                "batch": {"input": 75_000, "output": 300_000},
            }],
        });
        let table = PriceTable::parse("", &file).unwrap();
        assert_eq!((table.version.as_str(), table.is_partial), ("2026-12", true));
        assert_eq!(table.effective_from.to_string(), "2026-12-01T00:00:00.000Z");
        let model = &table.models[0];
        assert_eq!((model.price.cache_write, model.price.reasoning), (Some(1), Some(3)));
        assert_eq!(model.price.long_context.map(|tier| (tier.input, tier.output)), Some((Some(300_000), None)));
        assert_eq!(model.batch, Some(Batch { input: 75_000, output: 300_000 }));
        let day = |text| Timestamp::parse_day(text).unwrap();
        assert!(model.is_deprecated(day("2027-04-01")) && !model.is_deprecated(Timestamp(day("2027-04-01").0 - 1)));
        let again: PriceTable = serde_json::from_str(&serde_json::to_string(&table).unwrap()).unwrap();
        assert_eq!(again, table);
    }

    #[test]
    fn every_fault_of_a_file_is_named() {
        let good = json!({"input": 1, "output": 1});
        let file = json!({
            "version": "", "effective_from": "soon", "colour": "red",
            "models": [
                {"provider": "p", "id": "a", "price": good},
                {"provider": "p", "id": "a", "price": good, "context": 5},
                {"provider": "p", "id": "b", "price": {"input": -1, "output": 1_000_000_000_001_u64}},
                {"provider": "p", "id": "c", "price": {"input": 0.5}},
                {"provider": "p", "id": "d", "price": {"input": 1, "output": 1, "audio": 1, "long_context": {}},
                 "deprecation_date": "later"},
                7,
            ],
        });
        let faults = PriceTable::parse("table", &file).unwrap_err();
        let fields: Vec<&str> = faults.0.iter().map(|fault| fault.field.as_str()).collect();
        for expected in [
            "table.colour",
            "table.version",
            "table.effective_from",
            "table.models[1].context",
            "table.models[1]",
            "table.models[2].price.input",
            "table.models[2].price.output",
            "table.models[3].price.input",
            "table.models[3].price.output",
            "table.models[4].price.audio",
            "table.models[4].price.long_context.above_input_tokens",
            "table.models[4].deprecation_date",
            "table.models[5]",
        ] {
            assert!(fields.contains(&expected), "{expected}: {fields:?}");
        }
    }

    #[test]
    fn a_price_is_from_nothing_to_one_usd_a_token() {
        let check = |input: Value, is_good: bool| {
            let model = json!({"provider": "p", "id": "a", "price": {"input": input, "output": 0}});
            let file = json!({"version": "1", "effective_from": "2026-01-01", "models": [model]});
            assert_eq!(PriceTable::parse("", &file).is_ok(), is_good, "{input}");
        };
        check(json!(0), true);
        check(json!(MAX_PRICE), true);
        check(json!(MAX_PRICE + 1), false);
        check(json!(-1), false);
        check(json!("1"), false);
    }

    #[test]
    fn the_shipped_catalogue_is_a_table() {
        let table = PriceTable::of_catalogue(Catalogue::shipped());
        assert_eq!(table.models.len(), Catalogue::shipped().models.len());
        assert!(table.get("openai", "gpt-4o-mini").is_some());
    }
}
