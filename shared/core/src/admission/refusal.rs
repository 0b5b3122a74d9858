//! Why a request is not let in.

use std::time::Duration;

use super::period::Period;
use super::tokens::TokenLevel;
use crate::money::PicoUsd;
use crate::time::Timestamp;

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// One key's.
    Key,
    /// All keys' of a tenant together.
    Tenant,
}

impl Owner {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Tenant => "tenant",
        }
    }
}

/// Why a request is not let in. Its text is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It may cost more than is left.
    #[error(
        "The request may cost up to {worst} USD, and of the {limit} USD of {} {left} are left; it begins anew at {resets}.",
        self.scope()
    )]
    Budget {
        /// Whose budget.
        owner: Owner,
        /// For which time.
        period: Period,
        /// The budget.
        limit: PicoUsd,
        /// What is left of it while other requests are under way.
        left: PicoUsd,
        /// What the request may cost.
        worst: PicoUsd,
        /// When the budget begins anew.
        resets: Timestamp,
    },
    /// It asks for more tokens than are left for now.
    #[error("The request may take {asked} tokens, and this {}'s limit of {} a minute has {} left.",
        owner.name(), level.limit, level.remaining)]
    Tokens {
        /// Whose limit.
        owner: Owner,
        /// The tokens it may take, in and out.
        asked: u64,
        /// When there are enough.
        wait: Duration,
        /// What is left.
        level: TokenLevel,
    },
    /// It asks for more tokens than there ever are.
    #[error("The request may take {asked} tokens, and this {}'s limit is {limit} a minute: ask for less, or for a shorter answer.",
        owner.name())]
    TooManyTokens {
        /// Whose limit.
        owner: Owner,
        /// The tokens it may take, in and out.
        asked: u64,
        /// The limit.
        limit: u64,
    },
    /// As many answers are being made as may be.
    #[error("This {} may have {limit} answers made at once.", owner.name())]
    Concurrency {
        /// Whose limit.
        owner: Owner,
        /// The limit.
        limit: u32,
    },
    /// Nobody knows what the model costs.
    #[error("A budget holds, and the price of {model} is not known: ask for a model that has one.")]
    NotPriced {
        /// The model, `provider/model`.
        model: String,
    },
}

impl Refusal {
    /// Whether it is about money.
    #[must_use]
    pub const fn is_about_money(&self) -> bool {
        match self {
            Self::Budget { .. } | Self::NotPriced { .. } => true,
            Self::Tokens { .. } | Self::TooManyTokens { .. } | Self::Concurrency { .. } => false,
        }
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Budget { .. } => "budget_exceeded",
            Self::NotPriced { .. } => "model_not_priced",
            Self::Tokens { .. } => "rate_limit_exceeded",
            Self::TooManyTokens { .. } => "request_exceeds_limit",
            Self::Concurrency { .. } => "too_many_concurrent_turns",
        }
    }

    /// When the same request may be let in, where time alone helps soon.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::Tokens { wait, .. } => Some(*wait),
            Self::Concurrency { .. } => Some(crate::limits::CONCURRENCY_RETRY_AFTER),
            Self::Budget { .. } | Self::NotPriced { .. } | Self::TooManyTokens { .. } => None,
        }
    }

    /// Whose limit of which time it is: `this key's day`.
    #[must_use]
    pub fn scope(&self) -> String {
        match self {
            Self::Budget { owner, period, .. } => format!("this {}'s {}", owner.name(), period.name()),
            Self::Tokens { owner, .. } | Self::TooManyTokens { owner, .. } | Self::Concurrency { owner, .. } => {
                format!("this {}", owner.name())
            }
            Self::NotPriced { model } => model.clone(),
        }
    }
}
