//! The models that may be asked, the best first.
//!
//! Hard filters first, and none of them is ever relaxed; then the objective. Whoever has the
//! same registry, health and need gets the same chain: what is equal in every other way goes by
//! cost, by latency and by its place in the registry. Nothing is allocated.

use super::registry::{Capabilities, Entry, MAX_MODELS, Registry, Set};
use super::tier::Tier;

/// Most models of a chain: as many as one request makes calls.
pub const MAX_CHAIN: usize = 4;

/// Millionths: a price per million tokens is compared with one per token.
const MILLION: u64 = 1_000_000;

/// What a term of [`Objective::Balanced`] weighs, of a hundred. Set by hand: money before
/// quality, as what a model is meant for is looked at before either, and time last, as few
/// models have been measured.
const COST_WEIGHT: u64 = 50;
const QUALITY_WEIGHT: u64 = 30;
const LATENCY_WEIGHT: u64 = 20;

/// How bad a term is at the worst, and where nobody knows.
const WORST: u64 = 1000;
const UNKNOWN: u64 = 500;

/// What is wanted most of those that may be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The least cost, of those meant for requests as complex as this one.
    #[default]
    Cheapest,
    /// The shortest median time, of those.
    Fastest,
    /// The one meant for the most complex, and of equals the dearest.
    Best,
    /// Cost, quality and time, weighted, of those meant for requests as complex as this one.
    Balanced,
}

impl Objective {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cheapest, Self::Fastest, Self::Best, Self::Balanced];

    /// Its name in requests, answers and data.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cheapest => "cheapest",
            Self::Fastest => "fastest",
            Self::Best => "best",
            Self::Balanced => "balanced",
        }
    }

    /// The objective called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|objective| objective.name() == name)
    }
}

/// Why a model may not be asked. A model is counted under the first that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The key's list does not name it.
    AllowList,
    /// The tenant's rule does not allow it, or it is meant for less than the rule asks for.
    Policy,
    /// It does not do what the request needs, or cannot be asked this.
    Capability,
    /// What is sent is more than it takes.
    Context,
    /// It gives no answer of that length.
    MaxOutput,
    /// It costs more than the rule allows, or nobody knows what it costs and a budget holds.
    PriceCap,
    /// Its median time is longer than the rule allows. One that nobody has measured passes:
    /// else nobody ever would.
    LatencyCap,
    /// It is left alone for a while, because it failed.
    Breaker,
}

impl Filter {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// All of them, in the order in which they are looked at.
    pub const ALL: [Self; Self::COUNT] = [
        Self::AllowList,
        Self::Policy,
        Self::Capability,
        Self::Context,
        Self::MaxOutput,
        Self::PriceCap,
        Self::LatencyCap,
        Self::Breaker,
    ];

    /// Its name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllowList => "allow_list",
            Self::Policy => "policy",
            Self::Capability => "capability",
            Self::Context => "context",
            Self::MaxOutput => "max_output",
            Self::PriceCap => "price_cap",
            Self::LatencyCap => "latency_cap",
            Self::Breaker => "breaker",
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::AllowList => 0,
            Self::Policy => 1,
            Self::Capability => 2,
            Self::Context => 3,
            Self::MaxOutput => 4,
            Self::PriceCap => 5,
            Self::LatencyCap => 6,
            Self::Breaker => 7,
        }
    }
}

/// How the models are.
#[derive(Debug, Clone, Copy)]
pub struct Health<'a> {
    /// Those that are left alone.
    pub open: Set,
    /// The median time of each in milliseconds, by place, where anybody knows; a list that is
    /// shorter than the registry says nothing of the rest.
    pub p50_ms: &'a [Option<u32>],
}

impl Health<'_> {
    /// Nobody knows anything.
    pub const UNKNOWN: Health<'static> = Health { open: Set::NONE, p50_ms: &[] };

    fn p50_ms(&self, place: usize) -> Option<u32> {
        self.p50_ms.get(place).copied().flatten()
    }
}

/// What a request needs of its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// What it has to do.
    pub can: Capabilities,
    /// Input tokens, for the cost.
    pub input_tokens: u64,
    /// Tokens that it has to take in any case, the answer left out.
    pub least_context: u64,
    /// Output tokens, for the cost.
    pub output_tokens: u64,
    /// Tokens that the answer may have to have, where the request says so.
    pub asked_output: Option<u64>,
    /// How complex it looks. No filter: where no model is meant for that, those meant for the
    /// most come first.
    pub tier: Tier,
    /// The least that a model has to be meant for.
    pub min_tier: Option<Tier>,
    /// The most that either price may be, in pico-USD a million tokens.
    pub max_price_per_mtok: Option<u64>,
    /// Whether a model without a price cannot be asked.
    pub needs_price: bool,
    /// The longest median time, in milliseconds.
    pub max_p50_ms: Option<u32>,
    /// The models on the key's list.
    pub allowed: Set,
    /// The models that the tenant's rule names.
    pub policy: Set,
    /// The models that cannot be asked this, found out one by one.
    pub unaskable: Set,
    /// What is wanted most.
    pub objective: Objective,
    /// The model that has the conversation in its cache.
    pub warm: Option<usize>,
}

impl Default for Need {
    /// Nothing in particular.
    fn default() -> Self {
        Self {
            can: Capabilities::default(),
            input_tokens: 0,
            least_context: 0,
            output_tokens: 0,
            asked_output: None,
            tier: Tier::Simple,
            min_tier: None,
            max_price_per_mtok: None,
            needs_price: false,
            max_p50_ms: None,
            allowed: Set::ALL,
            policy: Set::ALL,
            unaskable: Set::NONE,
            objective: Objective::default(),
            warm: None,
        }
    }
}

/// Models by their places in the registry, in the order in which they are asked; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    places: [usize; MAX_CHAIN],
    len: usize,
}

impl Chain {
    /// The places.
    #[must_use]
    pub fn places(&self) -> &[usize] {
        &self.places[..self.len]
    }

    /// The place of the one that is asked first.
    #[must_use]
    pub const fn first(&self) -> usize {
        self.places[0]
    }
}

/// How many models each filter took out, in the order of [`Filter::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u16; Filter::COUNT]);

impl Counts {
    /// The filters that took any out, and how many.
    pub fn iter(&self) -> impl Iterator<Item = (Filter, u16)> {
        Filter::ALL.into_iter().map(|filter| (filter, self.0[filter.place()])).filter(|(_, count)| *count > 0)
    }

    /// How many `filter` took out.
    #[must_use]
    pub const fn of(&self, filter: Filter) -> u16 {
        self.0[filter.place()]
    }
}

/// What came of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// Who is asked.
    pub chain: Chain,
    /// Whether the first one is the one that has the conversation in its cache.
    pub is_warm: bool,
    /// Who is not.
    pub excluded: Counts,
}

/// No model may be asked. Its text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoneLeft {
    /// How many models there are.
    pub models: usize,
    /// How many each filter took out.
    pub excluded: Counts,
}

impl std::error::Error for NoneLeft {}

impl std::fmt::Display for NoneLeft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "None of {} models can be asked this:", self.models)?;
        for (at, (filter, count)) in self.excluded.iter().enumerate() {
            write!(f, "{} {count} by {}", if at == 0 { "" } else { "," }, filter.name())?;
        }
        f.write_str(".")
    }
}

impl Registry {
    /// What takes the model at `place` out, if anything does.
    #[must_use]
    pub fn excludes(&self, place: usize, health: &Health<'_>, need: &Need) -> Option<Filter> {
        let entry = self.entries.get(place)?;
        let holds = |filter: &Filter| match filter {
            Filter::AllowList => !need.allowed.contains(place),
            Filter::Policy => !need.policy.contains(place) || need.min_tier.is_some_and(|least| entry.tier < least),
            Filter::Capability => !entry.can.include(need.can) || need.unaskable.contains(place),
            Filter::Context => need.least_context.saturating_add(need.asked_output.unwrap_or(0)) > entry.context,
            Filter::MaxOutput => need.asked_output.is_some_and(|asked| asked > entry.most_output),
            Filter::PriceCap => match (entry.rates, need.max_price_per_mtok) {
                (Some(rates), Some(most)) => rates.input.max(rates.output).saturating_mul(MILLION) > most,
                (Some(_), None) => false,
                (None, most) => most.is_some() || need.needs_price,
            },
            Filter::LatencyCap => need.max_p50_ms.zip(health.p50_ms(place)).is_some_and(|(most, p50_ms)| p50_ms > most),
            Filter::Breaker => health.open.contains(place),
        };
        Filter::ALL.into_iter().find(holds)
    }

    /// What a request of that need costs with the model at `place`, in pico-USD, nothing of it
    /// cached; `None` where nobody knows its price.
    #[must_use]
    pub fn cost(&self, place: usize, need: &Need) -> Option<u64> {
        let rates = self.entries.get(place)?.rates?;
        Some(rates.cost(need.input_tokens, need.output_tokens))
    }
}

/// Up to [`MAX_CHAIN`] models that may be asked, the best first, one of them of another provider
/// than the first where any is left.
///
/// # Errors
/// [`NoneLeft`], with what took them out.
pub fn select(registry: &Registry, health: &Health<'_>, need: &Need) -> Result<Selection, NoneLeft> {
    let mut left = Set::NONE;
    let mut excluded = Counts::default();
    let mut bounds = Bounds::default();
    for (place, entry) in registry.entries.iter().enumerate() {
        match registry.excludes(place, health, need) {
            Some(filter) => excluded.0[filter.place()] += 1,
            None => {
                left.insert(place);
                bounds.widen(entry, registry.cost(place, need), health.p50_ms(place), need.tier);
            }
        }
    }

    let mut best = Best::default();
    for (place, entry) in left_of(registry, &left) {
        best.offer(rank(registry, health, need, &bounds, place, entry), place);
    }
    if best.len == 0 {
        return Err(NoneLeft { models: registry.len(), excluded });
    }
    let mut chain = Chain { places: best.places, len: best.len };

    let shortfall = |place: usize| registry.entries[place].tier.shortfall(need.tier);
    let warm = need.warm.filter(|place| left.contains(*place) && *place < registry.len());
    let warm = warm.filter(|place| shortfall(*place) <= bounds.least_shortfall);
    if let Some(place) = warm {
        chain.put_first(place);
    }
    let first = registry.entries[chain.first()].provider;
    let is_another = |place: usize| registry.entries[place].provider != first;
    if chain.len == MAX_CHAIN && !chain.places().iter().any(|place| is_another(*place)) {
        let mut other = Best::default();
        for (place, entry) in left_of(registry, &left).filter(|(place, _)| is_another(*place)) {
            other.offer(rank(registry, health, need, &bounds, place, entry), place);
        }
        if other.len > 0 {
            chain.places[MAX_CHAIN - 1] = other.places[0];
        }
    }
    Ok(Selection { chain, is_warm: warm.is_some(), excluded })
}

fn left_of<'a>(registry: &'a Registry, left: &'a Set) -> impl Iterator<Item = (usize, &'a Entry)> {
    registry.entries.iter().enumerate().take(MAX_MODELS).filter(|(place, _)| left.contains(*place))
}

impl Chain {
    /// The same, with `place` at its beginning.
    fn put_first(&mut self, place: usize) {
        let found = self.places().iter().position(|other| *other == place);
        let end = found.unwrap_or_else(|| {
            self.len = MAX_CHAIN.min(self.len + 1);
            self.len - 1
        });
        self.places[end] = place;
        self.places[..=end].rotate_right(1);
    }
}

impl Tier {
    /// By how many tiers this falls short of `wanted`.
    const fn shortfall(self, wanted: Self) -> u8 {
        (wanted as u8).saturating_sub(self as u8)
    }
}

/// The best of what is left, for terms that are relative to it.
#[derive(Debug)]
struct Bounds {
    least_cost: u64,
    least_p50_ms: u32,
    least_shortfall: u8,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { least_cost: u64::MAX, least_p50_ms: u32::MAX, least_shortfall: u8::MAX }
    }
}

impl Bounds {
    fn widen(&mut self, entry: &Entry, cost: Option<u64>, p50_ms: Option<u32>, tier: Tier) {
        self.least_cost = self.least_cost.min(cost.unwrap_or(u64::MAX));
        self.least_p50_ms = self.least_p50_ms.min(p50_ms.unwrap_or(u32::MAX));
        self.least_shortfall = self.least_shortfall.min(entry.tier.shortfall(tier));
    }
}

/// What models are ordered by, the least first; their places decide between equals.
type Rank = (u8, u64, u64, u32);

fn rank(registry: &Registry, health: &Health<'_>, need: &Need, bounds: &Bounds, place: usize, entry: &Entry) -> Rank {
    // What nobody knows comes last.
    let cost = registry.cost(place, need).unwrap_or(u64::MAX);
    let p50_ms = health.p50_ms(place).unwrap_or(u32::MAX);
    let shortfall = entry.tier.shortfall(need.tier);
    match need.objective {
        Objective::Cheapest => (shortfall, cost, cost, p50_ms),
        Objective::Fastest => (shortfall, u64::from(p50_ms), cost, p50_ms),
        Objective::Best => (0, WORST.saturating_sub(u64::from(entry.quality)), cost, p50_ms),
        Objective::Balanced => (shortfall, balance(entry, cost, p50_ms, bounds), cost, p50_ms),
    }
}

/// How bad a model is, all in all: each term is 0 for the best that is left.
fn balance(entry: &Entry, cost: u64, p50_ms: u32, bounds: &Bounds) -> u64 {
    let times =
        |least: u64, own: u64| WORST.saturating_mul(least).checked_div(own).map_or(0, |share| WORST - share.min(WORST));
    let cost = if cost == u64::MAX { WORST } else { times(bounds.least_cost, cost) };
    let latency = if p50_ms == u32::MAX { UNKNOWN } else { times(bounds.least_p50_ms.into(), p50_ms.into()) };
    let quality = WORST.saturating_sub(entry.quality.into());
    cost * COST_WEIGHT + latency * LATENCY_WEIGHT + quality * QUALITY_WEIGHT
}

/// The best so far, in order.
#[derive(Debug)]
struct Best {
    ranks: [Rank; MAX_CHAIN],
    places: [usize; MAX_CHAIN],
    len: usize,
}

impl Default for Best {
    fn default() -> Self {
        Self { ranks: [(u8::MAX, u64::MAX, u64::MAX, u32::MAX); MAX_CHAIN], places: [0; MAX_CHAIN], len: 0 }
    }
}

impl Best {
    /// Places come in order, so that of equals the first stays before.
    fn offer(&mut self, rank: Rank, place: usize) {
        let mut at = self.len;
        while at > 0 && rank < self.ranks[at - 1] {
            at -= 1;
        }
        if at == MAX_CHAIN {
            return;
        }
        self.len = MAX_CHAIN.min(self.len + 1);
        self.ranks[at..self.len].rotate_right(1);
        self.places[at..self.len].rotate_right(1);
        (self.ranks[at], self.places[at]) = (rank, place);
    }
}

#[cfg(test)]
#[path = "select/tests.rs"]
mod tests;
