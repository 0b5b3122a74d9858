//! The ledger: what each attempt cost, line by line, and what some lines come to.
//!
//! A line is written once and never changed. Counters sum lines up by day, model, project,
//! key and task; [`UsageTotals::of`] says what one line adds to them, so that counters can
//! be made again from lines.
//!
//! - [`totals`]: the counters; [`groups`]: by day, model, project; [`value`]: what a line would have cost otherwise;
//!   [`metrics`]: what that comes to; [`check`]: whether counters and lines agree

pub mod check;
pub mod groups;
pub mod metrics;
pub mod totals;
pub mod value;

pub use self::totals::{UsageRow, UsageTotals};
pub use self::value::{Baseline, Bill, Savings};
use crate::id::{AttemptId, ProjectId};
use crate::money::{Meters, PicoUsd};
use crate::task::Task;
use crate::time::Timestamp;
use crate::usage::{Source, Usage};

/// What became of the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The provider reported the tokens.
    Settled,
    /// We estimated the tokens.
    Estimated,
    /// The answer was paid for and thrown away: it broke off, or another attempt had won.
    Wasted,
    /// The answer was paid for, and another one was asked for in its place: it repeated
    /// what had been said. A line of its own beside that of the other one.
    Regenerated,
    /// The attempt failed and cost nothing that is known.
    Released,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Settled, Self::Estimated, Self::Wasted, Self::Regenerated, Self::Released];

    /// Its name in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Estimated => "estimated",
            Self::Wasted => "wasted",
            Self::Regenerated => "regenerated",
            Self::Released => "released",
        }
    }

    /// The phase called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// The phase of an answer that was kept, by where its tokens come from.
    #[must_use]
    pub const fn kept(source: Source) -> Self {
        match source {
            Source::Reported => Self::Settled,
            Source::Estimated => Self::Estimated,
        }
    }

    /// Whether the answer was kept.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        match self {
            Self::Settled | Self::Estimated => true,
            Self::Wasted | Self::Regenerated | Self::Released => false,
        }
    }

    /// Where the tokens of a line in this phase come from, where the phase says so.
    #[must_use]
    pub const fn source(self) -> Option<Source> {
        match self {
            Self::Settled => Some(Source::Reported),
            Self::Estimated => Some(Source::Estimated),
            Self::Wasted | Self::Regenerated | Self::Released => None,
        }
    }
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// A provider made it.
    #[default]
    Provider,
    /// It was made before, for another request: it costs nothing, and its line's tokens are
    /// those that were saved.
    ResponseCache,
}

impl Origin {
    /// Its name in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::ResponseCache => "response_cache",
        }
    }

    /// The origin called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Provider, Self::ResponseCache].into_iter().find(|origin| origin.name() == name)
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Work {
    /// An answer.
    #[default]
    Answer,
    /// Vectors of texts. No baseline says what these would have cost otherwise.
    Embedding,
}

impl Work {
    /// Its name in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Embedding => "embedding",
        }
    }

    /// The work called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Answer, Self::Embedding].into_iter().find(|work| work.name() == name)
    }
}

/// One line: what one attempt cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerLine {
    /// The attempt that called the provider; with the phase, the line's identity.
    pub attempt: AttemptId,
    /// What became of the money.
    pub phase: Phase,
    /// Where the answer comes from.
    pub origin: Origin,
    /// What was asked for.
    pub work: Work,
    /// The turn's key `session:turn`; `None` for a request that is no turn.
    pub turn: Option<String>,
    /// The project, if any.
    pub project: Option<ProjectId>,
    /// The API key's id.
    pub api_key: String,
    /// What the request is for, if it said so.
    pub task: Option<Task>,
    /// `provider/model`.
    pub model: String,
    /// Tokens; of an answer from the response cache, those that it saved.
    pub usage: Usage,
    /// Exact cost; `None` when the model has no price, or nothing is known to have cost.
    pub cost: Option<PicoUsd>,
    /// The cost by what was charged; its sum is the cost.
    pub meters: Meters,
    /// What the same tokens would have cost with the same model had no cache helped; `None`
    /// for an answer that was not kept and where there is no price.
    pub uncached: Option<PicoUsd>,
    /// What the baseline model would have cost for the same input tokens, none of them
    /// cached, and the actual output tokens; `None` where nothing is to be compared:
    /// without a price, for an answer that was not kept, for embeddings, for our own models.
    pub baseline: Option<PicoUsd>,
    /// Version of the price table the cost was computed with.
    pub price_version: String,
    /// Calls of providers that were made for it; 0 where none was, or it is not known.
    pub calls: u32,
    /// Whether another model gave it than the one that was asked first.
    pub is_fallback: bool,
    /// From the first call to the end of the answer, in milliseconds, pauses between calls
    /// included; `None` where nobody looked at the clock.
    pub latency_ms: Option<u64>,
    /// When.
    pub at: Timestamp,
    /// What else it adds to the day's counters.
    pub counts: Counts,
}

/// What a line adds to the day's counters beside tokens and cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Conversations that began with it: 1 or 0.
    pub conversations: u64,
    /// Messages and items that came in with it, and its answer.
    pub messages: u64,
    /// Whether its process had the conversation in memory; `None` where it had no need.
    pub remembered: Option<bool>,
    /// Answers that repeated what had been said: 1 or 0.
    pub echoes: u64,
}
