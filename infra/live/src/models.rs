//! Which model stands for each provider. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use turnwise_core::catalogue::Catalogue;
use turnwise_core::money::{PicoUsd, Price};
use turnwise_core::usage::{Source, Usage};

/// The provider that is always there, and that is no provider.
pub(crate) const LOCAL: &str = "local";

/// A model as `GET /v1/models` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Listed {
    /// `provider/model`.
    pub(crate) id: String,
    /// The provider's name.
    pub(crate) owned_by: String,
}

impl Listed {
    /// What it charges; `None` where the catalogue does not know.
    pub(crate) fn price(&self) -> Option<Price> {
        let id = self.id.strip_prefix(&self.owned_by)?.strip_prefix('/')?;
        Catalogue::shipped().get(&self.owned_by, id).map(|model| model.price)
    }
}

/// For each provider, or each of those in `only`, the model of `listed` that costs least: the
/// first one where no price is known.
pub(crate) fn cheapest(listed: Vec<Listed>, only: &[String]) -> Vec<Listed> {
    let wanted = |model: &Listed| model.owned_by != LOCAL && (only.is_empty() || only.contains(&model.owned_by));
    let mut by_provider: BTreeMap<String, Listed> = BTreeMap::new();
    for model in listed.into_iter().filter(wanted) {
        let best = by_provider.entry(model.owned_by.clone()).or_insert_with(|| model.clone());
        if rank(&model) < rank(best) {
            *best = model;
        }
    }
    by_provider.into_values().collect()
}

/// What a token in and a token out cost; a price that is not known comes last.
fn rank(model: &Listed) -> (bool, i128) {
    model.price().map_or((true, 0), |price| (false, price.input + price.output))
}

/// The most that an answer of at most `output_tokens` to a request of `input_bytes` costs: a
/// token is a byte at least.
pub(crate) fn most(price: &Price, input_bytes: u64, output_tokens: u64) -> PicoUsd {
    let usage = Usage {
        input: input_bytes,
        cache_read: 0,
        cache_write: 0,
        cache_write_1h: 0,
        output: output_tokens,
        reasoning: 0,
        source: Source::Estimated,
    };
    price.cost(&usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Vec<Listed> {
        let listed = |name: &&str| {
            let (provider, _) = name.split_once('/').unwrap();
            Listed { id: (*name).to_owned(), owned_by: provider.to_owned() }
        };
        names.iter().map(listed).collect()
    }

    fn check(only: &[&str], expected: &[&str]) {
        let names = [
            "local/echo",
            "openai/gpt-5.5",
            "openai/gpt-4o-mini",
            "openai/gpt-4.1",
            "ollama/b",
            "ollama/a",
            "groq/openai/gpt-oss-20b",
        ];
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(cheapest(listed(&names), &only), listed(expected), "{only:?}");
    }

    #[test]
    fn each_provider_is_asked_with_its_cheapest_model() {
        check(&[], &["groq/openai/gpt-oss-20b", "ollama/b", "openai/gpt-4o-mini"]);
        check(&["openai"], &["openai/gpt-4o-mini"]);
        check(&["xai"], &[]);
    }

    #[test]
    fn the_most_that_an_answer_costs_is_known_before() {
        assert_eq!(most(&Price::of(2, 10), 100, 7), PicoUsd(270));
    }
}
