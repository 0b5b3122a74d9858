//! What some lines of the ledger come to, and the counters that hold it.

use crate::id::ProjectId;
use crate::ledger::{LedgerLine, Origin, Phase, Savings, Work};
use crate::money::{Meters, PicoUsd};
use crate::task::Task;
use crate::time::Timestamp;
use crate::usage::Source;

/// A number that is added up.
trait Count: Copy {
    fn number(self) -> i128;
    fn of(number: i128) -> Self;
}

impl Count for u64 {
    fn number(self) -> i128 {
        self.into()
    }

    /// A count is never below 0, and no count of ours comes near 2^64.
    fn of(number: i128) -> Self {
        Self::try_from(number.max(0)).unwrap_or(Self::MAX)
    }
}

impl Count for PicoUsd {
    fn number(self) -> i128 {
        self.0
    }

    fn of(number: i128) -> Self {
        Self(number)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident: $kind:ty = $name:literal,)*) => {
        /// What some lines of the ledger come to.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct UsageTotals {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl UsageTotals {
            /// The names of all counters in rows, in a fixed order.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// All counters, in the order of [`Self::NAMES`].
            #[must_use]
            pub fn counters(&self) -> Vec<(&'static str, i128)> {
                vec![$(($name, self.$field.number())),*]
            }

            /// The sums whose counters `read` gives by name; a counter that is not there is 0.
            ///
            /// # Errors
            /// What `read` says.
            pub fn read<E>(mut read: impl FnMut(&'static str) -> Result<Option<i128>, E>) -> Result<Self, E> {
                Ok(Self { $($field: Count::of(read($name)?.unwrap_or(0)),)* })
            }

            /// Adds `other`.
            pub fn add(&mut self, other: &Self) {
                $(self.$field = Count::of(self.$field.number().saturating_add(other.$field.number()));)*
            }
        }
    };
}

counters! {
    /// Answers that were kept: committed turns, and answered requests that are no turns.
    requests: u64 = "requests",
    /// Answers that were paid for and thrown away, those of [`Self::regenerated`] not among them.
    wasted: u64 = "wasted",
    /// Answers that were paid for and replaced, as they repeated what had been said.
    regenerated: u64 = "regenerated",
    /// Lines whose model has no price; nothing of them is in any cost.
    unpriced: u64 = "unpriced",
    /// Lines whose tokens are estimated.
    estimated: u64 = "estimated",
    /// Kept answers that were embeddings.
    embeddings: u64 = "embeddings",
    /// Kept answers that came from the response cache; their tokens are in [`Self::saved_tokens`] alone.
    cache_hits: u64 = "cache_hits",
    /// Answers that repeated what had been said.
    echoes: u64 = "echoes",
    /// Calls of providers beyond the first, of lines that cost something.
    retries: u64 = "retries",
    /// Lines whose answer another model gave than the one that was asked first.
    fallbacks: u64 = "fallbacks",
    /// All input tokens, cached ones and those of thrown-away answers included.
    input_tokens: u64 = "input_tokens",
    /// Of these, tokens read from a provider's prompt cache.
    cache_read_tokens: u64 = "cache_read_tokens",
    /// Of these, tokens written to a provider's prompt cache for minutes.
    cache_write_tokens: u64 = "cache_write_tokens",
    /// Of these, tokens written to a provider's prompt cache for an hour.
    cache_write_1h_tokens: u64 = "cache_write_1h_tokens",
    /// All output tokens, reasoning included, likewise.
    output_tokens: u64 = "output_tokens",
    /// Of these, tokens of reasoning.
    reasoning_tokens: u64 = "reasoning_tokens",
    /// Tokens that the response cache saved, in and out.
    saved_tokens: u64 = "saved_tokens",
    /// Exact cost, as far as the models have prices; thrown-away answers included.
    cost: PicoUsd = "cost_pico_usd",
    /// Of it, what was charged for uncached input tokens.
    input_cost: PicoUsd = "cost_input",
    /// Of it, for tokens read from a prompt cache.
    cache_read_cost: PicoUsd = "cost_cache_read",
    /// Of it, for tokens written to a prompt cache for minutes.
    cache_write_cost: PicoUsd = "cost_cache_write",
    /// Of it, for tokens written to a prompt cache for an hour.
    cache_write_1h_cost: PicoUsd = "cost_cache_write_1h",
    /// Of it, for output tokens that are no reasoning.
    output_cost: PicoUsd = "cost_output",
    /// Of it, for tokens of reasoning.
    reasoning_cost: PicoUsd = "cost_reasoning",
    /// Of it, what [`Self::wasted`] answers cost.
    wasted_cost: PicoUsd = "cost_wasted",
    /// Of it, what [`Self::regenerated`] answers cost.
    regenerated_cost: PicoUsd = "cost_regenerated",
    /// Of it, what embeddings cost.
    embedding_cost: PicoUsd = "cost_embedding",
    /// What the baseline model would have cost, of the answers that are compared with it.
    baseline: PicoUsd = "baseline",
    /// Answers that are compared with the baseline.
    compared: u64 = "compared",
    /// Saved by the choice of the model; negative where it was dearer than the baseline's.
    saved_routing: PicoUsd = "saved_routing",
    /// Saved by the response cache.
    saved_response_cache: PicoUsd = "saved_response",
    /// Saved by providers' prompt caches; negative where writing cost more than reading saved.
    saved_provider_cache: PicoUsd = "saved_provider",
    /// Conversations that began.
    conversations: u64 = "conversations",
    /// Messages and items that came in, and answers.
    messages: u64 = "messages",
    /// Turns whose process had the conversation in memory.
    memory_hits: u64 = "memory_hits",
    /// Turns whose process had to read it.
    memory_misses: u64 = "memory_misses",
}

impl UsageTotals {
    /// What `line` adds to the counters of its day, model, project, key and task. Nothing
    /// for an attempt that cost nothing that is known.
    #[must_use]
    pub fn of(line: &LedgerLine) -> Self {
        if line.phase == Phase::Released {
            return Self::default();
        }
        let count = |is: bool| u64::from(is);
        let cost = line.cost.unwrap_or_default();
        let costs = |is: bool| if is { cost } else { PicoUsd(0) };
        let is_embedding = line.work == Work::Embedding;
        let (was_wasted, was_replaced) = (line.phase == Phase::Wasted, line.phase == Phase::Regenerated);
        let Savings { routing, response_cache, provider_cache } = Savings::of(line).unwrap_or_default();
        let Meters { input, cache_read, cache_write, cache_write_1h, output, reasoning } = line.meters;
        let counts = line.counts;
        let others = Self {
            requests: count(line.phase.is_kept()),
            wasted: count(was_wasted),
            regenerated: count(was_replaced),
            unpriced: count(line.cost.is_none()),
            embeddings: count(is_embedding && line.phase.is_kept()),
            echoes: counts.echoes,
            retries: line.calls.saturating_sub(1).into(),
            fallbacks: count(line.is_fallback),
            cost,
            input_cost: input,
            cache_read_cost: cache_read,
            cache_write_cost: cache_write,
            cache_write_1h_cost: cache_write_1h,
            output_cost: output,
            reasoning_cost: reasoning,
            wasted_cost: costs(was_wasted),
            regenerated_cost: costs(was_replaced),
            embedding_cost: costs(is_embedding && line.phase.is_kept()),
            baseline: line.baseline.unwrap_or_default(),
            compared: count(line.baseline.is_some()),
            saved_routing: routing,
            saved_response_cache: response_cache,
            saved_provider_cache: provider_cache,
            conversations: counts.conversations,
            messages: counts.messages,
            memory_hits: count(counts.remembered == Some(true)),
            memory_misses: count(counts.remembered == Some(false)),
            ..Self::default()
        };
        let usage = &line.usage;
        match line.origin {
            Origin::Provider => Self {
                estimated: count(usage.source == Source::Estimated),
                input_tokens: usage.total_input(),
                cache_read_tokens: usage.cache_read,
                cache_write_tokens: usage.cache_write,
                cache_write_1h_tokens: usage.cache_write_1h,
                output_tokens: usage.total_output(),
                reasoning_tokens: usage.reasoning,
                ..others
            },
            Origin::ResponseCache => {
                Self { cache_hits: 1, saved_tokens: usage.total_input() + usage.total_output(), ..others }
            }
        }
    }

    /// All that was saved against the baseline, or lost where it is negative, before what
    /// was thrown away and embeddings are subtracted.
    #[must_use]
    pub fn saved(&self) -> PicoUsd {
        PicoUsd(self.saved_routing.0 + self.saved_response_cache.0 + self.saved_provider_cache.0)
    }
}

/// What one day came to for one model, project, key and task of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The start of the day, in UTC.
    pub day: Timestamp,
    /// Who served it.
    pub provider: String,
    /// The provider's own name of the model; `#` is written as `_`.
    pub model: String,
    /// The project, if any.
    pub project: Option<ProjectId>,
    /// The API key's id; `#` is written as `_`.
    pub api_key: String,
    /// What it was for, where requests said so.
    pub task: Option<Task>,
    /// The sums.
    pub totals: UsageTotals,
}

impl UsageRow {
    /// What `line` adds to the counters, and where.
    #[must_use]
    pub fn of(line: &LedgerLine) -> Self {
        let (provider, model) = line.model.split_once('/').unwrap_or(("", &line.model));
        // `#` separates the parts of a counter's key.
        let plain = |text: &str| text.replace('#', "_");
        Self {
            day: line.at.start_of_day(),
            provider: plain(provider),
            model: plain(model),
            project: line.project.clone(),
            api_key: plain(&line.api_key),
            task: line.task.clone(),
            totals: UsageTotals::of(line),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::id::AttemptId;
    use crate::ledger::{Baseline, Bill, Counts};
    use crate::money::Price;
    use crate::usage::Usage;

    const USAGE: Usage = Usage {
        input: 100,
        cache_read: 50,
        cache_write: 20,
        cache_write_1h: 10,
        output: 30,
        reasoning: 5,
        source: Source::Reported,
    };

    pub(in crate::ledger) fn line(phase: Phase, origin: Origin) -> LedgerLine {
        let price =
            Price { cache_read: Some(1), cache_write: Some(12), cache_write_1h: Some(20), ..Price::of(10, 100) };
        let baseline = Baseline { model: "a/b".to_owned(), price: Price::of(20, 200), price_version: "1".to_owned() };
        let bill = Bill::of(Some(&price), Some(&baseline), &USAGE, phase, origin);
        LedgerLine {
            attempt: AttemptId::from_stored("a".to_owned()),
            phase,
            origin,
            work: Work::Answer,
            turn: None,
            project: None,
            api_key: "k".to_owned(),
            task: None,
            model: "p/m".to_owned(),
            usage: USAGE,
            cost: bill.cost,
            meters: bill.meters,
            uncached: bill.uncached,
            baseline: bill.baseline,
            price_version: "1".to_owned(),
            calls: 3,
            is_fallback: true,
            latency_ms: Some(7),
            at: Timestamp(0),
            counts: Counts { conversations: 1, messages: 2, remembered: Some(false), echoes: 1 },
        }
    }

    #[test]
    fn a_kept_answer_adds_to_every_counter_it_speaks_of() {
        let totals = UsageTotals::of(&line(Phase::Settled, Origin::Provider));
        // 100 x 10 + 50 x 1 + 20 x 12 + 10 x 20 + 35 x 100.
        assert_eq!(totals.cost, PicoUsd(1000 + 50 + 240 + 200 + 3500));
        // 180 x 20 + 35 x 200.
        assert_eq!(totals.baseline, PicoUsd(10_600));
        assert_eq!(totals.saved().0, totals.baseline.0 - totals.cost.0);
        // Uncached 180 x 10 + 3500 = 5300: 5300 more than the baseline's, 310 less than was paid.
        assert_eq!((totals.saved_routing, totals.saved_provider_cache), (PicoUsd(5300), PicoUsd(310)));
        assert_eq!((totals.requests, totals.retries, totals.fallbacks, totals.echoes), (1, 2, 1, 1));
        assert_eq!((totals.input_tokens, totals.output_tokens, totals.reasoning_tokens), (180, 35, 5));
        assert_eq!((totals.memory_hits, totals.memory_misses, totals.messages), (0, 1, 2));
        let meters = [totals.input_cost, totals.cache_read_cost, totals.cache_write_cost, totals.cache_write_1h_cost];
        let meters = meters.into_iter().chain([totals.output_cost, totals.reasoning_cost]);
        assert_eq!(meters.map(|meter| meter.0).sum::<i128>(), totals.cost.0);
    }

    #[test]
    fn an_answer_from_the_cache_costs_nothing_and_saves_its_tokens() {
        let totals = UsageTotals::of(&line(Phase::Settled, Origin::ResponseCache));
        assert_eq!((totals.cost, totals.input_tokens, totals.output_tokens), (PicoUsd(0), 0, 0));
        assert_eq!((totals.requests, totals.cache_hits, totals.saved_tokens), (1, 1, 215));
        assert_eq!((totals.saved_response_cache, totals.saved_routing), (PicoUsd(5300), PicoUsd(5300)));
        assert_eq!(totals.saved(), totals.baseline);
    }

    #[test]
    fn what_was_thrown_away_costs_and_saves_nothing() {
        let wasted = UsageTotals::of(&line(Phase::Wasted, Origin::Provider));
        assert_eq!((wasted.requests, wasted.wasted, wasted.compared), (0, 1, 0));
        assert_eq!((wasted.wasted_cost, wasted.saved()), (wasted.cost, PicoUsd(0)));
        let replaced = UsageTotals::of(&line(Phase::Regenerated, Origin::Provider));
        assert_eq!((replaced.regenerated, replaced.wasted, replaced.regenerated_cost), (1, 0, replaced.cost));
        assert_eq!(UsageTotals::of(&line(Phase::Released, Origin::Provider)), UsageTotals::default());
    }

    #[test]
    fn counters_are_read_back_as_they_were_written() {
        let mut totals = UsageTotals::of(&line(Phase::Settled, Origin::Provider));
        totals.saved_routing = PicoUsd(-7);
        let written = totals.counters();
        let find = |name: &str| written.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        let read = UsageTotals::read(|name| Ok::<_, ()>(find(name))).unwrap();
        assert_eq!(read, totals);
        let mut twice = totals;
        twice.add(&totals);
        assert_eq!(twice.cost.0, 2 * totals.cost.0);
        assert_eq!(UsageTotals::NAMES.len(), written.len());
    }
}
