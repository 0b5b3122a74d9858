//! How the providers are: breakers, and counts of calls.
//!
//! Each process sees for itself how its calls go. What opens or closes is written to the
//! table, and read from it by a process that sees something fail: while all is well,
//! nobody reads or writes anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use turnwise_core::time::Timestamp;
use turnwise_core::upstream::{Admission, Breaker, Change, Opened, Verdict};
use turnwise_providers::Resolved;
use turnwise_store::{CallCounts, OpenBreaker};

use super::chain::Chain;
use crate::engine::Engine;

/// Least time between two readings of the fleet's breakers.
const HEAR_EVERY: Duration = Duration::from_secs(5);

/// How long counts of calls that went well are gathered before they are written.
const COUNT_EVERY: Duration = Duration::from_secs(60);

/// How long a process that ends waits for its counts to be written.
const LAST_COUNT: Duration = Duration::from_secs(2);

/// How long one caller alone may try whether a model is well again.
const PROBE_LEASE: Duration = Duration::from_secs(30);

/// How long what this process has told the fleet itself is believed against what it reads.
const TOLD_LATELY: Duration = Duration::from_secs(5);

/// Most models whose calls are remembered: clients may ask for models that nobody has ever
/// heard of.
const MAX_BREAKERS: usize = 1_000;

/// The health of all providers, as this process knows it. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    breakers: BTreeMap<String, Known>,
    heard_at: Option<Timestamp>,
    counts: BTreeMap<String, CallCounts>,
    counted_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Known {
    breaker: Breaker,
    /// When this process last told the fleet something of it.
    told_at: Option<Timestamp>,
}

/// The models of a chain that may be called, by their places in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    /// Never empty.
    pub(super) places: Vec<usize>,
    /// Whether they are asked although all of them are better left alone.
    pub(super) is_forced: bool,
}

impl Health {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admission(&self, name: &str, now: Timestamp) -> Admission {
        self.state().breakers.get(name).map_or(Admission::Yes, |known| known.breaker.admits(now))
    }

    /// Notes how a call went; what the fleet has to know of it.
    fn note(&self, name: &str, now: Timestamp, verdict: Verdict) -> Option<Change> {
        let mut state = self.state();
        if state.breakers.len() >= MAX_BREAKERS {
            state.breakers.retain(|_, known| known.breaker.opened().is_some());
        }
        let known = state.breakers.entry(name.to_owned()).or_default();
        let change = known.breaker.note(now, verdict);
        if change.is_some() {
            known.told_at = Some(now);
        }
        change
    }

    fn hear(&self, open: Vec<OpenBreaker>, now: Timestamp) {
        let mut open: BTreeMap<String, Opened> =
            open.into_iter().map(|breaker| (breaker.name, breaker.opened)).collect();
        let mut state = self.state();
        for (name, known) in &mut state.breakers {
            let told = open.remove(name);
            let told_lately = known.told_at.is_some_and(|at| now.since(at) < TOLD_LATELY);
            if told.is_some() || !told_lately {
                known.breaker.hear(told);
            }
        }
        for (name, opened) in open {
            state.breakers.entry(name).or_default().breaker.hear(Some(opened));
        }
    }

    /// Adds to the counts of `provider`.
    fn count(&self, provider: &str, counts: &CallCounts) {
        let mut state = self.state();
        let known = state.counts.entry(provider.to_owned()).or_default();
        *known = known.and(counts);
    }

    /// The counts that are to be written now: `at_once`, or as they are a minute old.
    fn take_counts(&self, now: Timestamp, at_once: bool) -> BTreeMap<String, CallCounts> {
        let mut state = self.state();
        let since = *state.counted_at.get_or_insert(now);
        if !at_once && now.since(since) < COUNT_EVERY {
            return BTreeMap::new();
        }
        state.counted_at = Some(now);
        std::mem::take(&mut state.counts)
    }

    /// What was counted and is not yet written.
    pub(crate) fn unwritten(&self) -> BTreeMap<String, CallCounts> {
        self.state().counts.clone()
    }

    /// How the breaker `name` is open, as far as this process knows.
    pub(crate) fn opened(&self, name: &str) -> Option<Opened> {
        self.state().breakers.get(name).and_then(|known| known.breaker.opened())
    }
}

impl Engine {
    /// Which of the chain may be called. Where none may, the one that was left alone for
    /// the longest is: somebody has to find out, and a request that has nobody else is
    /// better tried than refused.
    pub(super) async fn admitted(&self, chain: &Chain) -> Admitted {
        let now = self.clock.now();
        let mut places = Vec::new();
        let mut closed: Vec<(Timestamp, usize)> = Vec::new();
        for (place, candidate) in chain.candidates().iter().enumerate() {
            let name = breaker_name(&candidate.resolved);
            match self.health.admission(&name, now) {
                Admission::Yes => places.push(place),
                Admission::Probe if self.may_probe(&name, now).await => places.push(place),
                Admission::Probe => closed.push((now, place)),
                Admission::No { until } => closed.push((until, place)),
            }
        }
        let is_forced = places.is_empty();
        if is_forced {
            places.extend(closed.iter().min().map(|(_, place)| *place));
        }
        Admitted { places, is_forced }
    }

    async fn may_probe(&self, name: &str, now: Timestamp) -> bool {
        self.store.take_probe(name, now, now + PROBE_LEASE).await.unwrap_or_else(|error| {
            tracing::warn!(%error, breaker = name, "whether somebody probes a provider could not be found out");
            false
        })
    }

    /// Notes how a call of `resolved` went, and tells the fleet what it has to know.
    pub(super) fn note_health(&self, resolved: &Resolved, verdict: Verdict) {
        let name = breaker_name(resolved);
        let now = self.clock.now();
        let was_open = self.health.opened(&name).is_some();
        let change = self.health.note(&name, now, verdict);
        let gives_probe_back = was_open && verdict == Verdict::Well && change.is_none();
        if change.is_some() || gives_probe_back {
            self.tasks.spawn(tell(self.clone(), name, change));
        }
        match verdict {
            Verdict::Ill { .. } | Verdict::Unconnected | Verdict::Refused => self.hear_fleet(now),
            Verdict::Well | Verdict::Unknown => {}
        }
    }

    /// Reads what the fleet knows: somebody may have seen more than this process.
    fn hear_fleet(&self, now: Timestamp) {
        {
            let mut state = self.health.state();
            if state.heard_at.is_some_and(|at| now.since(at) < HEAR_EVERY) {
                return;
            }
            state.heard_at = Some(now);
        }
        let engine = self.clone();
        self.tasks.spawn(async move {
            match engine.store.open_breakers().await {
                Ok(open) => engine.health.hear(open, engine.clock.now()),
                Err(error) => tracing::warn!(%error, "the fleet's breakers could not be read"),
            }
        });
    }

    /// Counts a call of `provider`, or what became of one.
    pub(super) fn count(&self, provider: &str, counts: CallCounts) {
        self.health.count(provider, &counts);
    }

    /// Writes what was counted, `at_once` or when it is due, beside whatever goes on.
    pub(super) fn write_counts(&self, at_once: bool) {
        let counts = self.health.take_counts(self.clock.now(), at_once);
        if !counts.is_empty() {
            self.tasks.spawn(put_counts(self.clone(), counts));
        }
    }

    /// Writes what is still counted here alone: a process that ends calls it.
    pub async fn flush_call_counts(&self) {
        let counts = self.health.take_counts(self.clock.now(), true);
        if self.clock.timeout(LAST_COUNT, put_counts(self.clone(), counts)).await.is_none() {
            tracing::warn!("counts of calls were not written in time; they are lost");
        }
    }
}

async fn put_counts(engine: Engine, counts: BTreeMap<String, CallCounts>) {
    for (provider, counts) in counts {
        if let Err(error) = engine.store.count_calls(&provider, &counts, engine.clock.now()).await {
            tracing::warn!(%error, provider, "counts of calls were not written; they are added to the next ones");
            engine.health.count(&provider, &counts);
        }
    }
}

async fn tell(engine: Engine, name: String, change: Option<Change>) {
    let told = match change {
        Some(Change::Opened(opened)) => {
            tracing::warn!(breaker = name, until = %opened.until, times = opened.times, "a provider is left alone");
            engine.store.open_breaker(&OpenBreaker { name: name.clone(), opened }).await
        }
        Some(Change::Closed) => {
            tracing::info!(breaker = name, "a provider is well again");
            engine.store.close_breaker(&name).await
        }
        None => engine.store.give_probe_back(&name).await,
    };
    // This process knows, and the others will see for themselves.
    if let Err(error) = told {
        tracing::warn!(%error, breaker = name, "the fleet was not told about a provider");
    }
}

/// Under which name a model's breaker is kept: another key may be well where this one is
/// refused.
fn breaker_name(resolved: &Resolved) -> String {
    format!("{}#{}", resolved.name, resolved.provider.credential())
}
