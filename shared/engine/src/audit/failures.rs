//! Refused keys that are a pattern, told once: one entry and one line in the log.

use std::net::IpAddr;
use std::sync::PoisonError;

use turnwise_core::audit::{Action, Entry, Pattern, Who};
use turnwise_core::id::Tenant;

use crate::engine::Engine;

/// Longest id of a key that is written down, in characters. A refused key is whatever somebody
/// has sent, and its id is what they say it is.
const MAX_HINT_CHARS: usize = 64;

impl Engine {
    /// Counts a key that was refused: `key_id` is what it says its id is, if it has the form of
    /// a key, and `source` is where it came from. The tenth within a minute, of one key or from
    /// one address, leaves an entry in the log of the default tenant; the count is this process's.
    ///
    /// Never fails: whoever was refused is answered so whatever the table says.
    pub async fn note_auth_failure(&self, key_id: Option<&str>, source: Option<IpAddr>, request_id: &str) {
        let now = self.clock.now();
        let key_id = key_id.map(|id| id.chars().take(MAX_HINT_CHARS).collect::<String>());
        let pattern = {
            let mut failures = self.auth_failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.note(now, key_id.as_deref(), source)
        };
        let Some(Pattern { who, failures, since }) = pattern else { return };
        let subject = match who {
            Who::Source(address) => format!("address {address}"),
            Who::Key(id) => format!("key {id}"),
            Who::Unknown => "unknown".to_owned(),
        };
        tracing::warn!(auth.subject = subject, auth.failures = failures, "keys were refused again and again");
        let mut entry = Entry {
            id: self.random.uuid_v7(now),
            at: now,
            tenant: Tenant::default_tenant(),
            action: Action::AuthFailures.name().to_owned(),
            subject,
            actor: String::new(),
            reason: None,
            request_id: request_id.to_owned(),
            before: None,
            after: None,
            detail: serde_json::Map::new(),
        };
        entry = entry.detail("failures", failures).detail("since", since.to_string());
        entry = key_id.into_iter().fold(entry, |entry, id| entry.detail("key", id));
        entry = source.into_iter().fold(entry, |entry, source| entry.detail("source", source.to_string()));
        if let Err(error) = self.append_audit(&entry).await {
            tracing::warn!(%error, "refused keys could not be written to the audit log");
        }
    }
}
