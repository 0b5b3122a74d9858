//! What models charge: tables of prices with a version and an instant from which they hold.
//!
//! Three layers lie above one another: the table of a tenant, that of the deployment, and the
//! catalogue that is part of the program. Who asks for the price of a model gets the first
//! that says something of it, as it holds at that instant, and the version that a charge is
//! to remember.
//!
//! - [`table`]: one table, as a file has it; [`import`]: what a new one changes, and when it
//!   has to be confirmed

pub mod import;
pub mod table;

use std::sync::Arc;

pub use self::import::{Change, Diff, Doubt, diff};
pub use self::table::{Batch, PriceTable, PricedModel};
use crate::catalogue::Catalogue;
use crate::money::Price;
use crate::time::Timestamp;

/// Whose table it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The tenant's.
    Tenant,
    /// The deployment's.
    Deployment,
    /// The program's own.
    Shipped,
}

impl Layer {
    /// Its name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Deployment => "deployment",
            Self::Shipped => "shipped",
        }
    }
}

/// A price, and where it is from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quote<'a> {
    /// The model with its prices.
    pub model: &'a PricedModel,
    /// The table's version.
    pub version: &'a str,
    /// Whose table it is.
    pub layer: Layer,
}

impl Quote<'_> {
    /// What is charged.
    #[must_use]
    pub const fn price(&self) -> Price {
        self.model.price
    }
}

/// The tables that hold for somebody. Cheap to clone; those of most tenants are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prices {
    /// The tenant's, in the order in which they were imported.
    pub tenant: Arc<Vec<PriceTable>>,
    /// The deployment's, likewise.
    pub deployment: Arc<Vec<PriceTable>>,
    shipped: Arc<Vec<PriceTable>>,
}

impl Default for Prices {
    /// The shipped catalogue alone.
    fn default() -> Self {
        Self::over(Arc::default(), Arc::default())
    }
}

impl Prices {
    /// The tables of a tenant over those of the deployment, over the shipped catalogue.
    #[must_use]
    pub fn over(tenant: Arc<Vec<PriceTable>>, deployment: Arc<Vec<PriceTable>>) -> Self {
        static SHIPPED: std::sync::LazyLock<Arc<Vec<PriceTable>>> =
            std::sync::LazyLock::new(|| Arc::new(vec![PriceTable::of_catalogue(Catalogue::shipped())]));
        Self { tenant, deployment, shipped: Arc::clone(&SHIPPED) }
    }

    /// What the model `id` of `provider` charges at `at`; `None` where no table says, or the
    /// first that is complete does not have it.
    #[must_use]
    pub fn of(&self, provider: &str, id: &str, at: Timestamp) -> Option<Quote<'_>> {
        for (layer, tables) in self.layers() {
            let Some(table) = in_force(tables, at) else { continue };
            match table.get(provider, id) {
                Some(model) => return Some(Quote { model, version: &table.version, layer }),
                None if table.is_partial => {}
                None => return None,
            }
        }
        None
    }

    /// All models that have a price at `at`, by provider and name.
    #[must_use]
    pub fn all(&self, at: Timestamp) -> Vec<Quote<'_>> {
        let mut quotes: Vec<Quote<'_>> = Vec::new();
        for (layer, tables) in self.layers() {
            let Some(table) = in_force(tables, at) else { continue };
            for model in &table.models {
                let is_new = !quotes.iter().any(|known| known.model.is_same(model));
                if is_new {
                    quotes.push(Quote { model, version: &table.version, layer });
                }
            }
            if !table.is_partial {
                break;
            }
        }
        quotes.sort_by(|a, b| (&a.model.provider, &a.model.id).cmp(&(&b.model.provider, &b.model.id)));
        quotes
    }

    /// The version of the table that says most of all prices at `at`: the first layer's that
    /// has one. What a charge without a price remembers.
    #[must_use]
    pub fn version(&self, at: Timestamp) -> &str {
        let found = self.layers().into_iter().find_map(|(_, tables)| in_force(tables, at));
        found.map_or("none", |table| table.version.as_str())
    }

    fn layers(&self) -> [(Layer, &[PriceTable]); 3] {
        [(Layer::Tenant, &self.tenant), (Layer::Deployment, &self.deployment), (Layer::Shipped, &self.shipped)]
    }
}

/// The table that holds at `at`: of those that have begun the one that began last, and of
/// equals the one that was imported last.
#[must_use]
pub fn in_force(tables: &[PriceTable], at: Timestamp) -> Option<&PriceTable> {
    tables.iter().filter(|table| table.effective_from <= at).max_by_key(|table| table.effective_from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(version: &str, from: u64, is_partial: bool, models: &[(&str, i128)]) -> PriceTable {
        let models = models.iter().map(|(id, input)| PricedModel {
            provider: "p".to_owned(),
            id: (*id).to_owned(),
            price: Price::of(*input, 0),
            batch: None,
            deprecation_date: None,
        });
        let effective_from = Timestamp(from);
        PriceTable { version: version.to_owned(), effective_from, is_partial, source: None, models: models.collect() }
    }

    fn prices(tenant: Vec<PriceTable>, deployment: Vec<PriceTable>) -> Prices {
        Prices::over(Arc::new(tenant), Arc::new(deployment))
    }

    #[test]
    fn the_first_layer_that_says_something_is_believed() {
        let prices = prices(
            vec![table("t1", 0, true, &[("a", 1)])],
            vec![table("d1", 0, true, &[("a", 2), ("b", 3)]), table("d2", 100, false, &[("b", 4)])],
        );
        let check = |id: &str, at: u64, expected: Option<(i128, &str)>| {
            let quote = prices.of("p", id, Timestamp(at));
            assert_eq!(quote.map(|quote| (quote.price().input, quote.version)), expected, "{id} at {at}");
        };
        check("a", 0, Some((1, "t1")));
        check("b", 99, Some((3, "d1")));
        check("b", 100, Some((4, "d2")));
        check("c", 99, None);
        let shipped = |at| prices.of("openai", "gpt-4o-mini", Timestamp(at)).map(|quote| quote.layer);
        // A complete table hides what lies below it.
        assert_eq!((shipped(99), shipped(100)), (Some(Layer::Shipped), None));
        assert_eq!(prices.all(Timestamp(100)).len(), 2);
        assert_eq!(prices.all(Timestamp(99)).len(), 2 + Catalogue::shipped().models.len());
        assert_eq!((prices.version(Timestamp(0)), Prices::default().version(Timestamp(0))), ("t1", "2026-11-20"));
    }

    #[test]
    fn of_two_tables_that_begin_at_once_the_later_import_holds() {
        let tables = [table("1", 5, true, &[]), table("2", 5, true, &[]), table("3", 4, true, &[])];
        let version = |at| in_force(&tables, Timestamp(at)).map(|table| table.version.as_str());
        assert_eq!((version(3), version(4), version(5)), (None, Some("3"), Some("2")));
    }

    #[test]
    fn nothing_is_charged_for_what_costs_nothing_and_nobody_knows_is_not_nothing() {
        let prices = prices(vec![table("t", 0, true, &[("free", 0)])], Vec::new());
        assert_eq!(prices.of("p", "free", Timestamp(0)).map(|quote| quote.price().input), Some(0));
        assert_eq!(prices.of("p", "unknown", Timestamp(0)), None);
    }
}
