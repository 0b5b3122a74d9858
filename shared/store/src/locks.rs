//! Locks taken away by people.

use aws_sdk_dynamodb::types::Update;
use turnwise_core::audit::Entry;
use turnwise_core::id::ConversationId;

use crate::client::Store;
use crate::conversation;
use crate::error::Error;
use crate::item::{instant, number};
use crate::transact::{self, Outcome};

/// What a forced release writes.
#[derive(Debug)]
pub struct ReleaseLock<'a> {
    /// Whose lock.
    pub conversation: &'a ConversationId,
    /// The fence it was seen with.
    pub fence: u64,
    /// Who did it and why; its tenant is the conversation's.
    pub audit: &'a Entry,
}

impl Store {
    /// Takes the lock of a conversation away from its owner: the fence is raised, and an
    /// audit row tells of it, both or neither. The turn stays as it is; its next attempt
    /// goes on from there. False if the lock has moved on. Idempotent by the audit
    /// entry's id.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction is at the same rows, and what
    /// else the table may answer.
    pub async fn release_lock_by_force(&self, release: &ReleaseLock<'_>) -> Result<bool, Error> {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(conversation::key(&release.audit.tenant, release.conversation)))
            .update_expression("SET fence = fence + :one, updated_at = :now REMOVE #owner, owner_turn, lease_until")
            .condition_expression("fence = :seen AND attribute_exists(#owner)")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":seen", number(release.fence))
            .expression_attribute_values(":now", instant(release.audit.at));
        let members = vec![transact::update(update)?, self.audit_member(release.audit)?];
        match self.transact("release_lock", &release.audit.id.to_string(), members).await? {
            Outcome::Applied => Ok(true),
            Outcome::Refused(_) => Ok(false),
        }
    }
}
