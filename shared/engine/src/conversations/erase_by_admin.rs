//! Erasures that an administrator asks for: of any conversation of the tenant, and of all that
//! stand in a person's list.

use std::time::Duration;

use serde_json::json;
use turnwise_core::audit::{Action, Entry};
use turnwise_core::id::ConversationId;

use crate::audit;
use crate::engine::Engine;
use crate::error::Error;
use crate::turn::Caller;

/// Most conversations erased by one request: a person's page of them.
const MAX_ERASED: usize = 25;

/// From here on a request begins no other erasure: a function behind API Gateway has 29 seconds,
/// and a long conversation takes some.
const ERASING: Duration = Duration::from_secs(10);

/// What one request for the erasure of a person's conversations has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedPerson {
    /// Conversations that are erased and stand in no list any more.
    pub erased: usize,
    /// Conversations that still stand in the person's list.
    pub remaining: u64,
}

impl Engine {
    /// Erases a conversation, whoever it belongs to within the tenant. Written down before it
    /// is done. A second request finds nothing, unless the first was interrupted.
    ///
    /// # Errors
    /// As [`Engine::erase`], and when the audit log does not answer: then nothing is erased.
    pub async fn erase_by_admin(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        const WHAT: &str = "conversation";
        let reason = reason.map(audit::reason).transpose()?;
        let found = self.retry(|_| self.store.overview(&caller.tenant, conversation)).await?;
        let there = found.filter(|found| !found.conversation.erased || found.erasing);
        let Some(found) = there else {
            return Err(Error::NotFound { what: WHAT, name: conversation.to_string() });
        };
        let before = json!({
            "created_at": found.conversation.created_at,
            "fence": found.conversation.fence,
            "head": found.conversation.head,
            "version": found.conversation.version,
        });
        let entry = self.audit_entry(caller, Action::ConversationErase, conversation.as_str());
        let entry = entry.changed(Some(&before), None).detail("turns", found.conversation.head);
        let entry = reason.into_iter().fold(entry, Entry::because);
        self.append_audit(&entry).await?;
        self.erase(caller, WHAT, conversation).await
    }

    /// Erases conversations of the list of `user`, newest first, as many as one request can:
    /// until nothing remains it is to be asked again. Each request is written down before it
    /// erases. Idempotent: what was erased stays so, and what was begun is gone on with.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a reason, and when the store does not answer: what was erased
    /// until then stays so.
    pub async fn erase_person(&self, caller: &Caller, user: &str, reason: &str) -> Result<ErasedPerson, Error> {
        let (tenant, reason) = (&caller.tenant, audit::reason(reason)?);
        let page = self.retry(|_| self.store.threads(tenant, user, None, None, MAX_ERASED)).await?;
        let entry = self.audit_entry(caller, Action::PersonErase, user).because(reason);
        self.append_audit(&entry.detail("conversations", page.threads.len())).await?;

        let until = self.clock.now() + ERASING;
        let mut erased = 0;
        for thread in &page.threads {
            if self.clock.now() >= until {
                break;
            }
            match self.erase(caller, "conversation", &thread.conversation).await {
                // It was erased before, and a late commit or an interruption has left its row.
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            self.retry(|_| self.store.unlist_row(tenant, user, thread)).await?;
            erased += 1;
        }
        let remaining = self.retry(|_| self.store.count_threads(tenant, user)).await?;
        Ok(ErasedPerson { erased, remaining })
    }
}
