//! What is known of the models among which there is a choice.

use super::tier::Tier;
use crate::catalogue::Model;
use crate::money::Price;

/// Most models among which there is a choice: several times the catalogue. Those beyond it
/// are never chosen by themselves.
pub const MAX_MODELS: usize = 256;

const WORDS: usize = MAX_MODELS / 64;

/// What a model can do, or a request asks for: a set of a few names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities(u16);

/// The names that the catalogue has for what a request may ask for; the place is the bit.
const NAMES: [&str; 8] =
    ["tools", "parallel_tools", "vision", "json_schema", "pdf", "audio_in", "reasoning", "prompt_cache"];

impl Capabilities {
    /// Those called `names`; what nobody knows is left out.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let bit = |name: &str| NAMES.iter().position(|known| *known == name).map_or(0, |place| 1 << place);
        Self(names.into_iter().fold(0, |bits, name| bits | bit(name)))
    }

    /// All names there are.
    #[must_use]
    pub const fn known() -> &'static [&'static str] {
        &NAMES
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |(place, _)| self.0 & 1 << place != 0).map(|(_, name)| name)
    }

    /// Whether all of `others` are among them.
    #[must_use]
    pub const fn include(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

/// A set of models of a registry, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set([u64; WORDS]);

impl Set {
    /// No model.
    pub const NONE: Self = Self([0; WORDS]);
    /// Every model.
    pub const ALL: Self = Self([u64::MAX; WORDS]);

    /// Puts the model at `place` in.
    pub const fn insert(&mut self, place: usize) {
        if place < MAX_MODELS {
            self.0[place / 64] |= 1 << (place % 64);
        }
    }

    /// Takes the model at `place` out.
    pub const fn remove(&mut self, place: usize) {
        if place < MAX_MODELS {
            self.0[place / 64] &= !(1 << (place % 64));
        }
    }

    /// Whether the model at `place` is in it.
    #[must_use]
    pub const fn contains(&self, place: usize) -> bool {
        place < MAX_MODELS && self.0[place / 64] >> (place % 64) & 1 == 1
    }
}

impl FromIterator<usize> for Set {
    fn from_iter<T: IntoIterator<Item = usize>>(places: T) -> Self {
        places.into_iter().fold(Self::NONE, |mut set, place| {
            set.insert(place);
            set
        })
    }
}

/// What is known of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// `provider/model`.
    pub name: String,
    /// What it can do.
    pub can: Capabilities,
    /// Tokens it takes and gives in all; `None` sets no limit.
    pub context_tokens: Option<u64>,
    /// Tokens it gives at most; `None` sets no limit.
    pub max_output_tokens: Option<u64>,
    /// What it costs, where that is known.
    pub price: Option<Price>,
    /// The most complex that it is meant for.
    pub tier: Tier,
}

impl Facts {
    /// What the catalogue knows of `model`, at `price`.
    #[must_use]
    pub fn of(model: &Model, price: Option<Price>) -> Self {
        let name = model.name();
        Self {
            can: Capabilities::of(model.capabilities.iter().map(String::as_str)),
            context_tokens: model.context_tokens,
            max_output_tokens: model.max_output_tokens,
            tier: Tier::of_model(&name, price.as_ref()),
            price,
            name,
        }
    }

    fn provider(&self) -> &str {
        self.name.split_once('/').map_or(&*self.name, |(provider, _)| provider)
    }
}

/// Prices in pico-USD a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    pub(super) input: u64,
    pub(super) output: u64,
    /// More input tokens than this re-price the whole request.
    above: u64,
    input_above: u64,
    output_above: u64,
}

impl Rates {
    fn of(price: &Price) -> Self {
        // A price is some million; what is not within 64 bits is dearer than anything.
        let whole = |price: i128| u64::try_from(price.max(0)).unwrap_or(u64::MAX);
        let (input, output) = (whole(price.input), whole(price.output));
        let long = price.long_context;
        Self {
            input,
            output,
            above: long.map_or(u64::MAX, |long| long.above_input_tokens),
            input_above: long.and_then(|long| long.input).map_or(input, whole),
            output_above: long.and_then(|long| long.output).map_or(output, whole),
        }
    }

    /// What a request of so many tokens costs, none of them cached; at most `u64::MAX`.
    pub(super) const fn cost(&self, input: u64, output: u64) -> u64 {
        let (in_price, out_price) =
            if input > self.above { (self.input_above, self.output_above) } else { (self.input, self.output) };
        input.saturating_mul(in_price).saturating_add(output.saturating_mul(out_price))
    }
}

/// One model as it is chosen by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) can: Capabilities,
    pub(super) tier: Tier,
    /// Models of one provider have the same number.
    pub(super) provider: u16,
    /// Its place among all by what it is meant for and its price, 0 to 1000.
    pub(super) quality: u16,
    pub(super) context: u64,
    pub(super) most_output: u64,
    pub(super) rates: Option<Rates>,
}

/// The models among which there is a choice. Made once, and read by every request.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    pub(super) entries: Vec<Entry>,
    facts: Vec<Facts>,
}

impl Registry {
    /// One of `models`, the first [`MAX_MODELS`] of them; their order decides between equals.
    #[must_use]
    pub fn new(models: impl IntoIterator<Item = Facts>) -> Self {
        let facts: Vec<Facts> = models.into_iter().take(MAX_MODELS).collect();
        let mut providers: Vec<&str> = Vec::new();
        let entries = facts.iter().map(|model| {
            let known = providers.iter().position(|provider| *provider == model.provider());
            let provider = known.unwrap_or(providers.len());
            if known.is_none() {
                providers.push(model.provider());
            }
            Entry {
                can: model.can,
                tier: model.tier,
                provider: u16::try_from(provider).unwrap_or(u16::MAX),
                quality: quality(model, &facts),
                context: model.context_tokens.unwrap_or(u64::MAX),
                most_output: model.max_output_tokens.unwrap_or(u64::MAX),
                rates: model.price.as_ref().map(Rates::of),
            }
        });
        Self { entries: entries.collect(), facts }
    }

    /// The same models, of which some are meant for something else.
    #[must_use]
    pub fn with_tiers(&self, tier_of: impl Fn(&str) -> Option<Tier>) -> Self {
        let changed =
            self.facts.iter().cloned().map(|facts| Facts { tier: tier_of(&facts.name).unwrap_or(facts.tier), ..facts });
        Self::new(changed)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is known of each, by place.
    #[must_use]
    pub fn models(&self) -> &[Facts] {
        &self.facts
    }

    /// The place of the model called `name`.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.facts.iter().position(|model| model.name == name)
    }

    /// Those that `is_in` says are in.
    pub fn set(&self, is_in: impl Fn(&Facts) -> bool) -> Set {
        self.facts.iter().enumerate().filter(|(_, facts)| is_in(facts)).map(|(place, _)| place).collect()
    }
}

/// The share of other models, in thousandths, that are meant for less or, meant for the same,
/// are cheaper by what they write and read. Nobody measured how good they are: this is the
/// proxy that there is, and answers say so.
fn quality(model: &Facts, all: &[Facts]) -> u16 {
    let rank = |facts: &Facts| {
        (facts.tier, facts.price.map_or(0, |price| price.output), facts.price.map_or(0, |price| price.input))
    };
    let below = all.iter().filter(|other| rank(other) < rank(model)).count();
    let others = all.len().saturating_sub(1).max(1);
    u16::try_from(below * 1000 / others).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn capabilities_are_read_by_name() {
        let some = Capabilities::of(["tools", "vision", "unheard-of"]);
        assert_eq!(some.names().collect::<Vec<_>>(), ["tools", "vision"]);
        assert!(some.include(Capabilities::of(["vision"])) && some.include(Capabilities::default()));
        assert!(!some.include(Capabilities::of(["vision", "pdf"])));
        let catalogue = Catalogue::shipped();
        let names = catalogue.models.iter().flat_map(|model| model.capabilities.iter());
        assert!(names.into_iter().all(|name| Capabilities::known().contains(&name.as_str())));
    }

    #[test]
    fn a_set_holds_places_up_to_its_limit() {
        let mut set: Set = [0, 63, 64, 255, 256].into_iter().collect();
        let contained: Vec<usize> = (0..300).filter(|place| set.contains(*place)).collect();
        assert_eq!(contained, [0, 63, 64, 255]);
        set.remove(63);
        assert!(!set.contains(63) && set.contains(64));
        assert!(Set::ALL.contains(255) && !Set::ALL.contains(256) && !Set::NONE.contains(0));
    }

    #[test]
    fn a_cost_is_what_the_price_says() {
        use crate::usage::{Source, Usage};
        for model in &Catalogue::shipped().models {
            for (input, output) in [(0, 0), (1_000, 10), (272_000, 1), (272_001, 1), (900_000, 128_000)] {
                let source = Source::Estimated;
                let usage =
                    Usage { input, cache_read: 0, cache_write: 0, cache_write_1h: 0, output, reasoning: 0, source };
                let rates = Rates::of(&model.price);
                assert_eq!(i128::from(rates.cost(input, output)), model.price.cost(&usage).0, "{}", model.name());
            }
        }
        assert_eq!(Rates::of(&Price::of(i128::MAX, -1)).cost(2, 2), u64::MAX);
    }

    #[test]
    fn quality_goes_by_tier_then_by_price() {
        let facts = |name: &str, tier: Tier, output: i128| Facts {
            name: name.to_owned(),
            can: Capabilities::default(),
            context_tokens: None,
            max_output_tokens: None,
            price: Some(Price::of(1, output)),
            tier,
        };
        let models = [
            facts("a/dear-but-simple", Tier::Simple, 90),
            facts("a/complex", Tier::Complex, 10),
            facts("b/complex", Tier::Complex, 20),
        ];
        let registry = Registry::new(models);
        let qualities: Vec<u16> = registry.entries.iter().map(|entry| entry.quality).collect();
        assert_eq!(qualities, [0, 500, 1000]);
        let turned = registry.with_tiers(|name| (name == "a/dear-but-simple").then_some(Tier::Complex));
        assert_eq!(turned.entries[0].quality, 1000);
        let providers: Vec<u16> = registry.entries.iter().map(|entry| entry.provider).collect();
        assert_eq!(providers, [0, 0, 1]);
    }
}
