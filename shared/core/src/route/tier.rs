//! How complex a request is, and what a model is meant for.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::money::Price;

/// The score from which a text is [`Tier::Medium`].
pub const MEDIUM_FROM: u16 = 150;

/// The score from which a text is [`Tier::Complex`].
pub const COMPLEX_FROM: u16 = 350;

/// Least price of an output token of a model that is taken to be meant for what is medium,
/// in pico-USD: 1.50 USD a million.
const MEDIUM_OUTPUT_PRICE: i128 = 1_500_000;

/// The same for what is complex: 8 USD a million.
const COMPLEX_OUTPUT_PRICE: i128 = 8_000_000;

/// Which tier each model of the catalogue is meant for; see the file's own `about`.
const TIERS_JSON: &str = include_str!("../../data/tiers.json");

/// One of three: how complex a text looks, or the most complex that a model is meant for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Greetings, facts, a translated line.
    #[default]
    Simple,
    /// Ordinary work.
    Medium,
    /// Several things at once, or something hard.
    Complex,
}

/// The rows of the file.
#[derive(Deserialize)]
struct Shipped {
    models: std::collections::BTreeMap<String, Tier>,
}

impl Tier {
    /// All, the simplest first.
    pub const ALL: [Self; 3] = [Self::Simple, Self::Medium, Self::Complex];

    /// The tier of a text that scores so much.
    #[must_use]
    pub const fn of_score(score: u16) -> Self {
        match score {
            0..MEDIUM_FROM => Self::Simple,
            MEDIUM_FROM..COMPLEX_FROM => Self::Medium,
            COMPLEX_FROM.. => Self::Complex,
        }
    }

    /// Its name in requests, answers and data.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Medium => "medium",
            Self::Complex => "complex",
        }
    }

    /// The tier called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }

    /// What the model `provider/model` is meant for: as the shipped data says, else as its
    /// list price suggests, and [`Tier::Simple`] where nothing is known.
    #[must_use]
    pub fn of_model(name: &str, price: Option<&Price>) -> Self {
        static SHIPPED: LazyLock<Shipped> = LazyLock::new(|| {
            // A part of the program that a test reads; unreadable, all models go by their price.
            serde_json::from_str(TIERS_JSON).unwrap_or_else(|_| Shipped { models: std::collections::BTreeMap::new() })
        });
        SHIPPED.models.get(name).copied().unwrap_or_else(|| price.map(Self::of_price).unwrap_or_default())
    }

    /// What a price suggests: no more than that whoever sells dear sells it for something.
    #[must_use]
    pub const fn of_price(price: &Price) -> Self {
        match price.output {
            COMPLEX_OUTPUT_PRICE.. => Self::Complex,
            MEDIUM_OUTPUT_PRICE.. => Self::Medium,
            _ => Self::Simple,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Catalogue, Mode};

    #[test]
    fn each_tier_begins_where_the_one_below_ends() {
        let check = |score: u16, expected: Tier| assert_eq!(Tier::of_score(score), expected, "{score}");
        check(0, Tier::Simple);
        check(149, Tier::Simple);
        check(150, Tier::Medium);
        check(349, Tier::Medium);
        check(350, Tier::Complex);
        check(1000, Tier::Complex);
    }

    #[test]
    fn a_price_suggests_a_tier() {
        let check = |output: i128, expected: Tier| assert_eq!(Tier::of_price(&Price::of(0, output)), expected);
        check(0, Tier::Simple);
        check(1_499_999, Tier::Simple);
        check(1_500_000, Tier::Medium);
        check(7_999_999, Tier::Medium);
        check(8_000_000, Tier::Complex);
    }

    #[test]
    fn every_model_of_the_catalogue_has_its_row() {
        let shipped: Shipped = serde_json::from_str(TIERS_JSON).unwrap();
        let chat = Catalogue::shipped().models.iter().filter(|model| model.mode == Mode::Chat);
        let names: Vec<String> = chat.map(crate::catalogue::Model::name).collect();
        assert!(names.iter().all(|name| shipped.models.contains_key(name)), "{names:?}");
        assert_eq!(shipped.models.len(), names.len());
        assert_eq!(Tier::of_model("openai/gpt-6-sol", None), Tier::Complex);
        assert_eq!(Tier::of_model("own/unheard-of", Some(&Price::of(0, 2_000_000))), Tier::Medium);
        assert_eq!(Tier::of_model("own/unheard-of", None), Tier::Simple);
    }

    #[test]
    fn names_are_read_back() {
        assert!(Tier::ALL.into_iter().all(|tier| Tier::named(tier.name()) == Some(tier)));
        assert_eq!(Tier::named("hard"), None);
        assert_eq!(serde_json::to_string(&Tier::Complex).unwrap(), "\"complex\"");
    }
}
