//! Which buckets a request has to pass.

use std::fmt;

use super::Rate;
use crate::access::Grant;
use crate::limits::{ADMIN_REQUESTS_PER_MINUTE, READ_REQUESTS_PER_MINUTE};

/// A process counts this part of a limit that only protects the table by itself, and writes
/// nothing for it: a read costs less than the write that would count it.
const OWN_PART: u32 = 10;

/// What a request asks of the service; each class is counted for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// An answer of a model.
    Generate,
    /// Embeddings.
    Embeddings,
    /// Anything that asks no more than the table.
    Read,
    /// An operator's work.
    Admin,
}

impl Class {
    /// Its name, as it stands in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Embeddings => "embeddings",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whose requests a bucket counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Those of one key.
    Key,
    /// Those of all keys of a tenant.
    Tenant,
}

/// A bucket that a request has to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Whose requests it counts.
    pub whose: Whose,
    /// How many it lets through, those of all processes together.
    pub rate: Rate,
    /// How many each process lets through beside that.
    pub own: Option<Rate>,
}

impl Hold {
    const fn shared(whose: Whose, limit: u32) -> Self {
        Self { whose, rate: Rate::per_minute(limit), own: None }
    }

    /// One that protects the table. One process lets the whole limit through, several a
    /// little more.
    const fn protecting(limit: u32) -> Self {
        let own = limit / OWN_PART;
        Self { whose: Whose::Key, rate: Rate::per_minute(limit - own), own: Some(Rate::per_minute(own)) }
    }

    /// The limit, as its client is told.
    #[must_use]
    pub fn limit(self) -> u32 {
        self.rate.limit() + self.own.map_or(0, Rate::limit)
    }
}

/// The buckets that a request of `class` has to pass, the key's own first.
#[must_use]
pub fn holds(grant: &Grant, class: Class) -> Vec<Hold> {
    match class {
        Class::Generate | Class::Embeddings => {
            let key = grant.limits.requests_per_minute.map(|limit| Hold::shared(Whose::Key, limit));
            let tenant = grant.settings.limits.requests_per_minute.map(|limit| Hold::shared(Whose::Tenant, limit));
            key.into_iter().chain(tenant).collect()
        }
        Class::Read => vec![Hold::protecting(READ_REQUESTS_PER_MINUTE)],
        Class::Admin => vec![Hold::protecting(ADMIN_REQUESTS_PER_MINUTE)],
    }
}
