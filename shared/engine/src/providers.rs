//! The providers and how they are: their models, prices and breakers, and what calling
//! them took.

use std::collections::{BTreeMap, BTreeSet};

use turnwise_core::time::Timestamp;
use turnwise_core::upstream::{Opened, TimeoutRules, Timeouts};
use turnwise_store::CallCounts;

use crate::engine::Engine;
use crate::error::Error;
use crate::models::ListedModel;

/// One configured provider.
#[derive(Debug)]
pub struct ProviderState {
    /// Its name, as in `provider/model`.
    pub name: String,
    /// Its models, as far as they are listed, and those whose breaker is open.
    pub models: Vec<ModelState>,
    /// What calling it took today, in UTC.
    pub today: CallCounts,
}

/// One model.
#[derive(Debug)]
pub struct ModelState {
    /// What is known of it.
    pub listed: ListedModel,
    /// How its breaker is.
    pub breaker: BreakerState,
    /// How long each part of a call may take.
    pub timeouts: Timeouts,
}

/// How a breaker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// The model is called.
    Closed,
    /// It is left alone.
    Open(Opened),
    /// One caller at a time finds out how it is.
    HalfOpen(Opened),
}

impl BreakerState {
    fn at(opened: Option<Opened>, now: Timestamp) -> Self {
        match opened {
            None => Self::Closed,
            Some(opened) if now < opened.until => Self::Open(opened),
            Some(opened) => Self::HalfOpen(opened),
        }
    }

    /// Its name: `closed`, `open`, `half_open`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open(_) => "open",
            Self::HalfOpen(_) => "half_open",
        }
    }
}

impl Engine {
    /// The configured providers by name, as the whole fleet knows them. What a process has
    /// counted in its last minute may be missing.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn provider_states(&self) -> Result<Vec<ProviderState>, Error> {
        let now = self.clock.now();
        let (open, counts, listed) = tokio::join!(
            self.retry(|_| self.store.open_breakers()),
            self.retry(|_| self.store.call_counts(now)),
            self.models(),
        );
        let open: BTreeMap<String, Opened> = open?.into_iter().map(|breaker| (breaker.name, breaker.opened)).collect();
        let mut counts: BTreeMap<String, CallCounts> = counts?.into_iter().collect();
        for (provider, unwritten) in self.health.unwritten() {
            let known = counts.entry(provider).or_default();
            *known = known.and(&unwritten);
        }
        let states = self.providers.configured().map(|provider| {
            let name = provider.name();
            let suffix = format!("#{}", provider.credential());
            let breaker = |model: &str| BreakerState::at(open.get(&format!("{model}{suffix}")).copied(), now);
            let known: Vec<ListedModel> = listed.iter().filter(|model| model.provider == name).cloned().collect();
            let names: BTreeSet<&str> = known.iter().map(|model| model.name.as_str()).collect();
            // A model that nobody lists may be called, and fail, all the same.
            let unlisted = open.keys().filter_map(|key| key.strip_suffix(&suffix));
            let unlisted = unlisted.filter(|model| model.split('/').next() == Some(name) && !names.contains(model));
            let unlisted: Vec<ListedModel> = unlisted
                .map(|model| ListedModel {
                    name: model.to_owned(),
                    provider: name.to_owned(),
                    mode: None,
                    dimensions: None,
                    facts: None,
                })
                .collect();
            let models = known.into_iter().chain(unlisted).map(|listed| ModelState {
                breaker: breaker(&listed.name),
                timeouts: timeouts(&self.calls.timeouts, &listed),
                listed,
            });
            let models = models.collect();
            ProviderState { name: name.to_owned(), models, today: counts.get(name).copied().unwrap_or_default() }
        });
        Ok(states.collect())
    }
}

fn timeouts(rules: &TimeoutRules, listed: &ListedModel) -> Timeouts {
    rules.of(&listed.name, listed.facts)
}
