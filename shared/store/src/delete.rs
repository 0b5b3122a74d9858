//! A response deleted: its turn marked, and the row with its content emptied.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use turnwise_core::id::{AttemptId, Tenant};
use turnwise_core::limits::CLOCK_SKEW;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::Turn;

use crate::client::Store;
use crate::conversation;
use crate::error::Error;
use crate::history::PackedEntry;
use crate::item::{instant, number, text};
use crate::transact::{self, Outcome};
use crate::turn_row;

/// What the deletion of a response writes.
#[derive(Debug)]
pub struct DeleteResponse<'a> {
    /// Whose.
    pub tenant: &'a Tenant,
    /// This deletion.
    pub deletion: &'a AttemptId,
    /// The turn as it will stand: ended as before, and deleted.
    pub turn: &'a Turn,
    /// Its content, where that goes away as well.
    pub empty: Option<EmptyTurn<'a>>,
    /// Now.
    pub now: Timestamp,
}

/// A committed turn's row without its content.
#[derive(Debug, Clone, Copy)]
pub struct EmptyTurn<'a> {
    /// The row as it will stand.
    pub row: &'a PackedEntry,
    /// The conversation's version when the row was read.
    pub seen_version: u64,
}

/// What a deletion came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The turn stands as written.
    Applied,
    /// The turn or its conversation has changed, or is at work; nothing was written.
    Changed,
}

impl Store {
    /// Deletes a response. Idempotent by the deletion's id.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction is at the same rows, and what
    /// else the table may answer.
    pub async fn delete_response(&self, delete: &DeleteResponse<'_>) -> Result<Deleted, Error> {
        let mut members = vec![self.mark_deleted(delete)?];
        if let Some(empty) = delete.empty {
            let row = empty.row.write(delete.tenant, &delete.turn.key.conversation);
            let put = Put::builder().table_name(&*self.table).set_item(Some(row));
            members.push(transact::put(put.condition_expression("attribute_exists(pk)"))?);
            members.push(self.change_content(delete, empty.seen_version)?);
        }
        match self.transact("delete_response", delete.deletion.as_str(), members).await? {
            Outcome::Applied => Ok(Deleted::Applied),
            Outcome::Refused(_) => Ok(Deleted::Changed),
        }
    }

    fn mark_deleted(&self, delete: &DeleteResponse<'_>) -> Result<TransactWriteItem, Error> {
        let (tenant, turn) = (delete.tenant, delete.turn);
        let as_seen = "#state = :state AND epoch = :seen";
        let not_yet = "attribute_not_exists(deleted_at)";
        transact::put(
            Put::builder()
                .table_name(&*self.table)
                .set_item(Some(turn_row::write(tenant, turn)?))
                .condition_expression(format!("{as_seen} AND {not_yet}"))
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":state", text(turn.state.name()))
                .expression_attribute_values(":seen", number(turn.epoch)),
        )
    }

    /// The conversation's next version: whoever has read the content before begins
    /// nothing with it any more.
    fn change_content(&self, delete: &DeleteResponse<'_>, seen_version: u64) -> Result<TransactWriteItem, Error> {
        let unchanged = "version = :version";
        let (free, lapsed) = ("attribute_not_exists(#owner)", "lease_until < :lapsed");
        transact::update(
            Update::builder()
                .table_name(&*self.table)
                .set_key(Some(conversation::key(delete.tenant, &delete.turn.key.conversation)))
                .update_expression("SET version = version + :one, updated_at = :now")
                .condition_expression(format!("{unchanged} AND ({free} OR {lapsed})"))
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_values(":version", number(seen_version))
                .expression_attribute_values(":lapsed", instant(delete.now - CLOCK_SKEW))
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":now", instant(delete.now)),
        )
    }
}
