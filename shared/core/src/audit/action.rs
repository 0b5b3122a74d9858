//! What can be done that is written down.

use std::fmt;

/// An act that leaves an entry in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// An API key was made.
    KeyCreate,
    /// An API key got a new secret.
    KeyRotate,
    /// An API key was made useless.
    KeyRevoke,
    /// What an API key may do was changed.
    KeyUpdate,
    /// What holds for all keys of a tenant was changed.
    TenantUpdate,
    /// Prices were imported.
    PricesImport,
    /// Usage counters were made what the ledger says.
    UsageRepair,
    /// A conversation's lock was taken away from its owner.
    LockRelease,
    /// A dead letter was put back into its queue.
    DeadLetterRedrive,
    /// A conversation was erased by an administrator.
    ConversationErase,
    /// Conversations of a person were erased by an administrator.
    PersonErase,
    /// Keys were refused again and again.
    AuthFailures,
    /// A request was refused because a budget was used up.
    BudgetRefused,
    /// The audit log was exported.
    AuditExport,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::KeyCreate,
        Self::KeyRotate,
        Self::KeyRevoke,
        Self::KeyUpdate,
        Self::TenantUpdate,
        Self::PricesImport,
        Self::UsageRepair,
        Self::LockRelease,
        Self::DeadLetterRedrive,
        Self::ConversationErase,
        Self::PersonErase,
        Self::AuthFailures,
        Self::BudgetRefused,
        Self::AuditExport,
    ];

    /// Its name, as rows and queries have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyCreate => "key.create",
            Self::KeyRotate => "key.rotate",
            Self::KeyRevoke => "key.revoke",
            Self::KeyUpdate => "key.update",
            Self::TenantUpdate => "tenant.update",
            Self::PricesImport => "prices.import",
            Self::UsageRepair => "usage.repair",
            Self::LockRelease => "lock.release",
            Self::DeadLetterRedrive => "dead_letter.redrive",
            Self::ConversationErase => "conversation.erase",
            Self::PersonErase => "person.erase",
            Self::AuthFailures => "auth.failures",
            Self::BudgetRefused => "budget.refused",
            Self::AuditExport => "audit.export",
        }
    }

    /// The action called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_found_by_its_name() {
        for action in Action::ALL {
            assert_eq!(Action::named(action.name()), Some(action));
        }
        assert_eq!(Action::named("key.forget"), None);
    }
}
