//! The audit log: what people with power over others' data have done. Rows are put
//! and never changed; the functions' roles allow nothing else.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use turnwise_core::id::Tenant;
use turnwise_core::time::Timestamp;
use uuid::Uuid;

use crate::client::Store;
use crate::error::Error;
use crate::item::{instant, text};
use crate::{keys, transact};

/// One act.
#[derive(Debug, Clone)]
pub struct AuditEntry<'a> {
    /// A UUIDv7: entries sort by time, and a second write of one is refused.
    pub id: Uuid,
    /// Whose data it touched.
    pub tenant: &'a Tenant,
    /// What was done: `lock.release`, `dead_letter.redrive`.
    pub action: &'static str,
    /// To what.
    pub subject: &'a str,
    /// Why, in the words of who did it.
    pub reason: &'a str,
    /// The id of the API key that did it.
    pub by: &'a str,
    /// The request, to be found in the log.
    pub request_id: &'a str,
    /// A random number that picks the partition among a day's.
    pub shard: u8,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// The put of an entry, for the transaction that does what it tells of.
    pub(crate) fn audit_member(&self, entry: &AuditEntry<'_>) -> Result<TransactWriteItem, Error> {
        transact::put(
            Put::builder()
                .table_name(&*self.table)
                .item("pk", text(keys::audit(entry.tenant, &entry.at.day(), entry.shard)))
                .item("sk", text(entry.id.to_string()))
                .item("action", text(entry.action))
                .item("subject", text(entry.subject))
                .item("reason", text(entry.reason))
                .item("by", text(entry.by))
                .item("request_id", text(entry.request_id))
                .item("at", instant(entry.at))
                .condition_expression("attribute_not_exists(pk)"),
        )
    }
}
