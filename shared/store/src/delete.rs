//! A response deleted: its turn marked, and the row with its content emptied.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use turnwise_core::id::{AttemptId, Tenant};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::Turn;

use crate::client::Store;
use crate::error::Error;
use crate::history::PackedEntry;
use crate::item::{number, text};
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
    /// The row as it will stand, with nothing in it.
    pub row: &'a PackedEntry,
    /// The row as it was read; what it held is counted.
    pub before: &'a PackedEntry,
    /// The conversation's version when both were read.
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
            // Whoever has read the content before begins nothing with it any more.
            let gone = -i64::try_from(empty.before.parts).unwrap_or(i64::MAX);
            let conversation = &delete.turn.key.conversation;
            members.push(self.next_version(delete.tenant, conversation, empty.seen_version, gone, delete.now)?);
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
}
