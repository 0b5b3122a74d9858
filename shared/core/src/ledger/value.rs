//! What a line of the ledger costs, and what it would have cost otherwise.

use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, Mode, nearest};
use crate::fault::Fault;
use crate::ledger::{LedgerLine, Origin, Phase};
use crate::money::{Meters, PicoUsd, Price};
use crate::prices::Prices;
use crate::time::Timestamp;
use crate::usage::Usage;

/// The baseline where nobody has named one: the cheapest of the full-size models that the
/// catalogue has had for long, so that nothing is made out to be saved against a model that
/// nobody would have taken.
const DEFAULT_BASELINE: (&str, &str) = ("openai", "gpt-4.1");

/// The model that work is compared with, at prices that stay as they were when it was named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// `provider/model`.
    pub model: String,
    /// Its prices.
    pub price: Price,
    /// The price table that they are from.
    pub price_version: String,
}

impl Baseline {
    /// The baseline where nobody has named one; `None` if the catalogue does not have it.
    #[must_use]
    pub fn shipped() -> Option<Self> {
        let catalogue = Catalogue::shipped();
        let (provider, id) = DEFAULT_BASELINE;
        let model = catalogue.get(provider, id)?;
        Some(Self { model: model.name(), price: model.price, price_version: catalogue.price_version.clone() })
    }
}

impl Baseline {
    /// The shipped model that `name`, given in `field`, names.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn shipped_of(field: &str, name: &str) -> Result<Self, Fault> {
        Self::of(field, name, &Prices::default(), Timestamp(0))
    }

    /// The model that `name`, given in `field`, names as `provider/model` or by its bare name,
    /// at its price in `prices` as of `at`.
    ///
    /// # Errors
    /// A fault where there is no such model, none with a price, or one that makes no answers.
    pub fn of(field: &str, name: &str, prices: &Prices, at: Timestamp) -> Result<Self, Fault> {
        let mut all = prices.all(at);
        all.retain(|quote| {
            let facts = Catalogue::shipped().get(&quote.model.provider, &quote.model.id);
            facts.is_none_or(|facts| facts.mode == Mode::Chat)
        });
        let full = all.iter().find(|quote| quote.model.name() == name);
        let Some(quote) = full.or_else(|| all.iter().find(|quote| quote.model.id == name)) else {
            let names: Vec<String> = all.iter().map(|quote| quote.model.name()).collect();
            let nearest = nearest(name, names.iter().map(String::as_str)).join(", ");
            let hint = if nearest.is_empty() { String::new() } else { format!(" Did you mean {nearest}?") };
            return Err(Fault::new(field, format!("No price is known of a model {name:?} for answers.{hint}")));
        };
        Ok(Self { model: quote.model.name(), price: quote.price(), price_version: quote.version.to_owned() })
    }
}

/// What `usage` costs, and what it would have cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bill {
    /// See [`LedgerLine::cost`].
    pub cost: Option<PicoUsd>,
    /// See [`LedgerLine::meters`].
    pub meters: Meters,
    /// See [`LedgerLine::uncached`].
    pub uncached: Option<PicoUsd>,
    /// See [`LedgerLine::baseline`].
    pub baseline: Option<PicoUsd>,
}

impl Bill {
    /// The bill for `usage` at `price`; with a `baseline` where it is to be compared.
    #[must_use]
    pub fn of(price: Option<&Price>, baseline: Option<&Baseline>, usage: &Usage, phase: Phase, origin: Origin) -> Self {
        let Some(price) = price.filter(|_| phase != Phase::Released) else { return Self::default() };
        let meters = match origin {
            Origin::Provider => price.meters(usage),
            Origin::ResponseCache => Meters::default(),
        };
        let plain = uncached(usage);
        Self {
            cost: Some(meters.total()),
            meters,
            uncached: phase.is_kept().then(|| price.cost(&plain)),
            baseline: baseline.filter(|_| phase.is_kept()).map(|baseline| baseline.price.cost(&plain)),
        }
    }
}

/// The same tokens as if no prompt cache had been there.
fn uncached(usage: &Usage) -> Usage {
    Usage { input: usage.total_input(), cache_read: 0, cache_write: 0, cache_write_1h: 0, ..*usage }
}

/// What was saved against the baseline, by what saved it. The three add up to the baseline's
/// cost less the actual one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Savings {
    /// The baseline's cost less what the model that answered would have cost without caches.
    pub routing: PicoUsd,
    /// What that model would have cost, where the response cache answered instead.
    pub response_cache: PicoUsd,
    /// What that model would have cost without its prompt cache, less what it did cost.
    pub provider_cache: PicoUsd,
}

impl Savings {
    /// What `line` saved; `None` where it is not compared.
    #[must_use]
    pub fn of(line: &LedgerLine) -> Option<Self> {
        let (baseline, uncached, cost) = (line.baseline?.0, line.uncached?.0, line.cost?.0);
        let by_cache = PicoUsd(uncached - cost);
        let (response_cache, provider_cache) = match line.origin {
            Origin::Provider => (PicoUsd(0), by_cache),
            Origin::ResponseCache => (by_cache, PicoUsd(0)),
        };
        Some(Self { routing: PicoUsd(baseline - uncached), response_cache, provider_cache })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::usage::Source;

    #[test]
    fn the_shipped_baseline_is_in_the_catalogue() {
        let baseline = Baseline::shipped().unwrap();
        assert_eq!(baseline.model, "openai/gpt-4.1");
        assert_eq!(baseline.price_version, Catalogue::shipped().price_version);
    }

    #[test]
    fn without_a_price_nothing_is_compared() {
        let baseline = Baseline::shipped();
        let usage = Usage::estimate("a", "b");
        let bill = Bill::of(None, baseline.as_ref(), &usage, Phase::Settled, Origin::Provider);
        assert_eq!(bill, Bill::default());
        let free = Bill::of(Some(&Price::of(0, 0)), None, &usage, Phase::Settled, Origin::Provider);
        assert_eq!((free.cost, free.baseline), (Some(PicoUsd(0)), None));
    }

    proptest! {
        #[test]
        fn what_is_metered_is_what_it_costs(
            tokens in prop::array::uniform6(0_u64..1_000_000),
            prices in prop::array::uniform4(0_i128..100_000_000),
        ) {
            let [input, cache_read, cache_write, cache_write_1h, output, reasoning] = tokens;
            let source = Source::Reported;
            let usage = Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning, source };
            let [input, output, cache_read, cache_write] = prices;
            let price = Price { cache_read: Some(cache_read), cache_write: Some(cache_write), ..Price::of(input, output) };
            let bill = Bill::of(Some(&price), None, &usage, Phase::Settled, Origin::Provider);
            prop_assert_eq!(bill.cost, Some(price.cost(&usage)));
            prop_assert_eq!(bill.meters.total(), price.cost(&usage));
        }
    }
}
