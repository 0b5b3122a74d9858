//! What a new table of prices changes, and when that has to be confirmed.

use super::{PriceTable, Prices, Quote};
use crate::money::Price;
use crate::time::Timestamp;

/// Models that a table may lose without a confirmation, in percent of those that had a price:
/// providers take some away, but not many at once.
pub const MAX_LOST_PERCENT: usize = 20;

/// How many times as much, or as little, a price may become without a confirmation.
pub const MAX_FACTOR: i128 = 5;

/// One price that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `provider/model`.
    pub model: String,
    /// Which price: `input`, `long_context.output`.
    pub field: &'static str,
    /// What it was; `None` where it had no price of its own.
    pub before: Option<i128>,
    /// What it becomes.
    pub after: Option<i128>,
}

impl Change {
    /// Whether it is more than [`MAX_FACTOR`] times as much or as little; also from nothing to
    /// something, and the other way.
    #[must_use]
    pub fn jumps(&self) -> bool {
        let (Some(before), Some(after)) = (self.before, self.after) else { return false };
        let (less, more) = (before.min(after), before.max(after));
        more > less.saturating_mul(MAX_FACTOR)
    }
}

/// What a new table changes for those whom it holds for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// Models that get a price.
    pub added: Vec<String>,
    /// Models that have none any more.
    pub removed: Vec<String>,
    /// Prices that change.
    pub changed: Vec<Change>,
    /// Models that had a price before.
    pub before: usize,
}

/// Why a table has to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// It has far fewer models.
    Shrinks {
        /// How many lose their price.
        removed: usize,
        /// Of how many.
        before: usize,
    },
    /// A price becomes far more or far less.
    Jumps(Change),
}

impl Diff {
    /// Why it has to be confirmed; nothing where it need not be.
    #[must_use]
    pub fn doubts(&self) -> Vec<Doubt> {
        let shrinks = self.removed.len() * 100 > self.before * MAX_LOST_PERCENT;
        let shrinks = shrinks.then_some(Doubt::Shrinks { removed: self.removed.len(), before: self.before });
        let jumps = self.changed.iter().filter(|change| change.jumps()).cloned().map(Doubt::Jumps);
        shrinks.into_iter().chain(jumps).collect()
    }

    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// What is different in `after` from `before` at `at`.
#[must_use]
pub fn diff(before: &Prices, after: &Prices, at: Timestamp) -> Diff {
    let (old, new) = (before.all(at), after.all(at));
    let same =
        |quotes: &[Quote<'_>], wanted: &Quote<'_>| quotes.iter().position(|quote| quote.model.is_same(wanted.model));
    let mut diff = Diff { before: old.len(), ..Diff::default() };
    for quote in &new {
        match same(&old, quote) {
            None => diff.added.push(quote.model.name()),
            Some(index) => {
                let (before, after) = (numbers(&old[index].price()), numbers(&quote.price()));
                let changed = before.into_iter().zip(after).filter(|(before, after)| before.1 != after.1);
                diff.changed.extend(changed.map(|((field, before), (_, after))| Change {
                    model: quote.model.name(),
                    field,
                    before,
                    after,
                }));
            }
        }
    }
    diff.removed = old.iter().filter(|quote| same(&new, quote).is_none()).map(|quote| quote.model.name()).collect();
    diff
}

/// The prices of the layer that `table` goes into, with it.
#[must_use]
pub fn with(prices: &Prices, table: &PriceTable, is_of_tenant: bool) -> Prices {
    let mut with = prices.clone();
    let tables = if is_of_tenant { &mut with.tenant } else { &mut with.deployment };
    std::sync::Arc::make_mut(tables).push(table.clone());
    with
}

/// Every number of a price, by its name in files.
#[must_use]
pub fn numbers(price: &Price) -> [(&'static str, Option<i128>); 12] {
    let tier = price.long_context;
    [
        ("input", Some(price.input)),
        ("output", Some(price.output)),
        ("cache_read", price.cache_read),
        ("cache_write_5m", price.cache_write),
        ("cache_write_1h", price.cache_write_1h),
        ("reasoning", price.reasoning),
        ("long_context.above_input_tokens", tier.map(|tier| tier.above_input_tokens.into())),
        ("long_context.input", tier.and_then(|tier| tier.input)),
        ("long_context.output", tier.and_then(|tier| tier.output)),
        ("long_context.cache_read", tier.and_then(|tier| tier.cache_read)),
        ("long_context.cache_write", tier.and_then(|tier| tier.cache_write)),
        ("long_context.reasoning", tier.and_then(|tier| tier.reasoning)),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::PricedModel;
    use super::*;

    fn table(models: impl IntoIterator<Item = (String, i128)>) -> PriceTable {
        let models = models.into_iter().map(|(id, input)| PricedModel {
            provider: "p".to_owned(),
            id,
            price: Price::of(input, 10),
            batch: None,
            deprecation_date: None,
        });
        let (version, effective_from) = ("1".to_owned(), Timestamp(0));
        PriceTable { version, effective_from, is_partial: false, source: None, models: models.collect() }
    }

    fn of(models: impl IntoIterator<Item = (String, i128)>) -> Prices {
        Prices::over(Arc::default(), Arc::new(vec![table(models)]))
    }

    fn many(models: usize) -> impl Iterator<Item = (String, i128)> {
        (0..models).map(|model| (model.to_string(), 100))
    }

    #[test]
    fn a_fifth_of_the_models_may_go_and_no_more() {
        let check = |kept: usize, expected: &[Doubt]| {
            let diff = diff(&of(many(10)), &of(many(kept)), Timestamp(0));
            assert_eq!((diff.removed.len(), diff.doubts().as_slice()), (10 - kept, expected), "{kept}");
        };
        check(10, &[]);
        check(8, &[]);
        check(7, &[Doubt::Shrinks { removed: 3, before: 10 }]);
    }

    #[test]
    fn five_times_as_much_or_as_little_is_taken_and_no_more() {
        let check = |after: i128, jumps: bool| {
            let found = diff(&of(many(1)), &of([("0".to_owned(), after)]), Timestamp(0));
            assert_eq!((found.changed.len(), found.doubts().len()), (1, usize::from(jumps)), "{after}");
        };
        check(500, false);
        check(501, true);
        check(20, false);
        check(19, true);
        check(0, true);
        assert!(diff(&of(many(3)), &of(many(3)), Timestamp(0)).is_empty());
    }

    #[test]
    fn what_is_new_is_told_and_doubted_by_nobody() {
        let found = diff(&of(many(1)), &of(many(2)), Timestamp(0));
        assert_eq!((found.added.as_slice(), found.doubts().len()), (["p/1".to_owned()].as_slice(), 0));
    }

    #[test]
    fn a_partial_table_takes_nothing_away() {
        let partial = PriceTable { is_partial: true, ..table([("mine".to_owned(), 1)]) };
        let before = Prices::default();
        let found = diff(&before, &with(&before, &partial, true), Timestamp(0));
        assert_eq!((found.added.as_slice(), found.removed.len()), (["p/mine".to_owned()].as_slice(), 0));
        let whole = table([("mine".to_owned(), 1)]);
        let found = diff(&before, &with(&before, &whole, false), Timestamp(0));
        assert!(matches!(found.doubts()[..], [Doubt::Shrinks { .. }]));
    }
}
