//! A turn stopped from outside: out of its queue, or from under its attempt. The fence
//! is raised in the same transaction, so what the attempt still writes is refused.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use turnwise_core::id::{AttemptId, Tenant};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Revoke, Turn};

use crate::begin::as_seen;
use crate::client::Store;
use crate::conversation;
use crate::error::Error;
use crate::item::{instant, number, text};
use crate::transact::{self, Outcome};
use crate::turn_row;

/// What the revocation of a turn writes.
#[derive(Debug)]
pub struct RevokeTurn<'a> {
    /// Whose.
    pub tenant: &'a Tenant,
    /// The turn as it will stand: FAILED, cancelled.
    pub turn: &'a Turn,
    /// The decision this write carries out.
    pub revoke: Revoke,
    /// Now.
    pub now: Timestamp,
}

/// What a revocation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// The turn stands as written.
    Applied,
    /// The turn has moved on, or had no need of it; nothing was written.
    Changed,
}

impl Store {
    /// Revokes a turn. Idempotent by the turn's newest attempt: once it is written, the
    /// turn is no longer as it was seen.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction is at the same rows, and what
    /// else the table may answer.
    pub async fn revoke_turn(&self, revoke: &RevokeTurn<'_>) -> Result<Revoked, Error> {
        let RevokeTurn { tenant, turn, now, .. } = revoke;
        let row = Put::builder().table_name(&*self.table).set_item(Some(turn_row::write(tenant, turn)?));
        let members = match revoke.revoke {
            Revoke::Withdraw { place } => vec![
                self.shorten_queue(tenant, turn, *now)?,
                transact::put(as_seen(row, "QUEUED", turn.epoch))?,
                self.leave_queue_member(tenant, &turn.key.conversation, place)?,
            ],
            Revoke::Stop { epoch } => vec![
                self.raise_fence(tenant, turn, epoch, &turn.attempt, *now)?,
                transact::put(as_seen(row, "PROCESSING", epoch))?,
            ],
            Revoke::End { epoch } => vec![transact::put(as_seen(row, "PROCESSING", epoch))?],
            Revoke::Cancelled | Revoke::Ended => return Ok(Revoked::Changed),
        };
        match self.transact("revoke_turn", turn.attempt.as_str(), members).await? {
            Outcome::Applied => Ok(Revoked::Applied),
            Outcome::Refused(_) => Ok(Revoked::Changed),
        }
    }

    fn shorten_queue(&self, tenant: &Tenant, turn: &Turn, now: Timestamp) -> Result<TransactWriteItem, Error> {
        transact::update(
            Update::builder()
                .table_name(&*self.table)
                .set_key(Some(conversation::key(tenant, &turn.key.conversation)))
                .update_expression("SET queued = queued - :one, updated_at = :now")
                .condition_expression("queued > :none")
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":none", number(0))
                .expression_attribute_values(":now", instant(now)),
        )
    }

    fn raise_fence(
        &self,
        tenant: &Tenant,
        turn: &Turn,
        epoch: u64,
        owner: &AttemptId,
        now: Timestamp,
    ) -> Result<TransactWriteItem, Error> {
        transact::update(
            Update::builder()
                .table_name(&*self.table)
                .set_key(Some(conversation::key(tenant, &turn.key.conversation)))
                .update_expression("SET fence = fence + :one, updated_at = :now REMOVE #owner, owner_turn, lease_until")
                .condition_expression("fence = :epoch AND #owner = :owner")
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":epoch", number(epoch))
                .expression_attribute_values(":owner", text(owner.as_str()))
                .expression_attribute_values(":now", instant(now)),
        )
    }
}
