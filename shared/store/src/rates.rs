//! The shared state of rate limits: one row a bucket, one conditional write a lease.

use std::time::Duration;

use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use turnwise_core::id::Tenant;
use turnwise_core::rate::{Bucket, Class, Write};
use turnwise_core::time::Timestamp;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, number, text};
use crate::keys;
use crate::schema::TTL;

/// How long a bucket's row is kept after it was last asked. A minute later it says nothing
/// any more; the rest is for clocks.
const KEPT: Duration = Duration::from_secs(3600);

/// Which bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BucketId {
    /// Whose.
    pub tenant: Tenant,
    /// The key's id; `None` for all keys of the tenant together.
    pub api_key: Option<String>,
    /// Which requests it counts.
    pub class: Class,
}

/// What a lease came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leased {
    /// The cells are the caller's; the bucket without them.
    Taken(Bucket),
    /// Others have taken too many meanwhile; the bucket as it is.
    Changed(Bucket),
}

impl Store {
    /// Takes cells of the bucket `id`, as `write` says. Not idempotent: where it is applied
    /// twice, or its reply is lost, cells are taken that nobody uses, and fewer requests are
    /// let through.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn lease_cells(&self, id: &BucketId, write: &Write, now: Timestamp) -> Result<Leased, Error> {
        let update = self
            .dynamo
            .update_item()
            .table_name(&*self.table)
            .key("pk", text(keys::rate(&id.tenant, id.api_key.as_deref(), id.class)))
            .key("sk", text(keys::RATE))
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":ttl", number((now + KEPT).as_secs()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = match *write {
            Write::Begin { bucket, unless_after_ns } => update
                .update_expression("SET tat = :tat, since = :since, #ttl = :ttl")
                .condition_expression("attribute_not_exists(tat) OR tat <= :latest")
                .expression_attribute_values(":tat", number(bucket.tat_ns))
                .expression_attribute_values(":since", number(bucket.since_ns))
                .expression_attribute_values(":latest", number(unless_after_ns)),
            Write::Add { add_ns, unless_after_ns } => update
                .update_expression("SET tat = tat + :add, #ttl = :ttl")
                .condition_expression("tat <= :latest")
                .expression_attribute_values(":add", number(add_ns))
                .expression_attribute_values(":latest", number(unless_after_ns)),
        };
        let error = match update.send().await {
            Ok(written) => return bucket(written.attributes()).map(Leased::Taken),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(found)) => {
                bucket(found.item()).map(Leased::Changed)
            }
            _ => Err(Error::from_sdk("lease_cells", &error)),
        }
    }
}

/// The bucket of a row; without one, that of nobody.
fn bucket(row: Option<&Item>) -> Result<Bucket, Error> {
    let Some(row) = row else { return Ok(Bucket::default()) };
    let row = Row(row);
    Ok(Bucket { since_ns: row.number("since")?, tat_ns: row.number("tat")? })
}
