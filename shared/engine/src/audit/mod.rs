//! The audit log: written with what it tells of, read page by page or as a whole.
//!
//! - `read`: pages and exports
//! - `failures`: refused keys that are a pattern

mod failures;
mod read;

use turnwise_core::audit::{Action, Entry};
use turnwise_core::fault::Fault;
use turnwise_core::id::Tenant;

pub use read::{AuditPage, AuditQuery, MAX_EXPORTED};
pub use turnwise_store::AuditFilter;

use crate::engine::Engine;
use crate::error::Error;
use crate::keys::check_tenant;
use crate::turn::Caller;

/// Longest reason for an act, in characters: a sentence or two.
pub const MAX_REASON_CHARS: usize = 500;

impl Engine {
    /// The entry of what `caller` does to `subject`, to be written with it or before it.
    #[must_use]
    pub fn audit_entry(&self, caller: &Caller, action: Action, subject: impl Into<String>) -> Entry {
        let at = self.clock.now();
        Entry {
            id: self.random.uuid_v7(at),
            at,
            tenant: caller.tenant.clone(),
            action: action.name().to_owned(),
            subject: subject.into(),
            actor: caller.api_key.clone(),
            reason: None,
            request_id: caller.request_id.clone(),
            before: None,
            after: None,
            detail: serde_json::Map::new(),
        }
    }

    /// The same, of what belongs to `tenant`, for which `caller` may act.
    #[must_use]
    pub fn audit_entry_of(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        action: Action,
        subject: impl Into<String>,
    ) -> Entry {
        Entry { tenant: tenant.clone(), ..self.audit_entry(caller, action, subject) }
    }

    /// Writes an entry by itself, for what is no transaction of its own.
    ///
    /// # Errors
    /// When the store does not answer: then nothing must be done that the entry tells of.
    pub async fn append_audit(&self, entry: &Entry) -> Result<(), Error> {
        Ok(self.retry(|_| self.store.append_audit(entry)).await?)
    }
}

/// A reason that can stand in the log.
///
/// # Errors
/// [`Error::Invalid`] when there is none, or it is longer than [`MAX_REASON_CHARS`].
pub(crate) fn reason(text: &str) -> Result<&str, Error> {
    let reason = text.trim();
    let chars = reason.chars().count();
    if chars == 0 || chars > MAX_REASON_CHARS {
        let message = format!("A reason of 1 to {MAX_REASON_CHARS} characters is required; it goes to the audit log.");
        return Err(Error::Invalid(Fault::new("reason", message).into()));
    }
    Ok(reason)
}

/// The tenant that `caller` asks about: its own, unless an operator names another one.
///
/// # Errors
/// [`Error::OperatorOnly`] when somebody else names one.
pub fn tenant_of(caller: &Caller, named: Option<&Tenant>) -> Result<Tenant, Error> {
    let tenant = named.unwrap_or(&caller.tenant);
    check_tenant(caller, tenant).map(|()| tenant.clone())
}
