//! Records of work that is no turn and is to be done once.

use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use serde_json::value::RawValue;
use turnwise_core::digest::Digest;
use turnwise_core::execution::{Execution, ExecutionState};
use turnwise_core::id::{AttemptId, ExecutionKey, Tenant};

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, Row, binary, instant, number, text};
use crate::keys;
use crate::pack::{pack, unpack};
use crate::schema::TTL;

/// Which work.
#[derive(Debug, Clone, Copy)]
pub struct ExecutionId<'a> {
    /// Whose.
    pub tenant: &'a Tenant,
    /// The kind of work: `webhook`, `report`. Keys of one kind say nothing of another's.
    pub scope: &'static str,
    /// Its key.
    pub key: &'a ExecutionKey,
}

/// What an attempt writes when it begins.
#[derive(Debug)]
pub struct BeginExecution<'a> {
    /// Which work.
    pub id: ExecutionId<'a>,
    /// The record as it will stand: PROCESSING, of the epoch this attempt takes.
    pub record: &'a Execution,
    /// The epoch of the record it takes the place of; `None` if there is none.
    pub seen_epoch: Option<u64>,
}

/// What the beginning came to.
#[derive(Debug)]
pub enum ExecutionBegun {
    /// The attempt has the work.
    Begun,
    /// The record had changed, and is now this.
    Refused(Option<Box<Execution>>),
}

impl Store {
    /// Reads a record, strongly consistent, expired or not.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn execution(&self, id: ExecutionId<'_>) -> Result<Option<Execution>, Error> {
        let answer = self
            .dynamo
            .get_item()
            .table_name(&*self.table)
            .consistent_read(true)
            .key("pk", text(keys::executions(id.tenant, id.scope)))
            .key("sk", text(id.key.as_str()))
            .send()
            .await
            .map_err(|error| Error::from_sdk("get_execution", &error))?;
        answer.item().map(read).transpose()
    }

    /// Takes the work: only over the record that was seen. A reply that was lost shows
    /// as a refusal by the attempt's own record.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn begin_execution(&self, begin: &BeginExecution<'_>) -> Result<ExecutionBegun, Error> {
        let put = self.put_execution(begin.id, begin.record)?;
        let put = match begin.seen_epoch {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(seen) => put
                .condition_expression("epoch = :seen OR attribute_not_exists(pk)")
                .expression_attribute_values(":seen", number(seen)),
        };
        self.refusal("begin_execution", put).await
    }

    /// Writes how the work ended, or that it goes on under a new lease: only over the
    /// same epoch at work. Idempotent: it writes the same values again.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn update_execution(&self, id: ExecutionId<'_>, record: &Execution) -> Result<ExecutionBegun, Error> {
        let put = self
            .put_execution(id, record)?
            .condition_expression("epoch = :mine AND #state = :processing")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":mine", number(record.epoch))
            .expression_attribute_values(":processing", text("PROCESSING"));
        self.refusal("update_execution", put).await
    }

    fn put_execution(&self, id: ExecutionId<'_>, record: &Execution) -> Result<PutItemFluentBuilder, Error> {
        let put = self
            .dynamo
            .put_item()
            .table_name(&*self.table)
            .item("pk", text(keys::executions(id.tenant, id.scope)))
            .item("sk", text(id.key.as_str()))
            .item("input_hash", binary(record.input_hash.to_bytes()))
            .item("epoch", number(record.epoch))
            .item("attempt", text(record.attempt.as_str()))
            .item("expires_at", instant(record.expires_at))
            .item(TTL, number(record.expires_at.as_secs()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(match &record.state {
            ExecutionState::Processing { lease_until } => {
                put.item("state", text("PROCESSING")).item("lease_until", instant(*lease_until))
            }
            ExecutionState::Completed(result) => {
                put.item("state", text("COMPLETED")).item("result", binary(pack(result)?))
            }
            ExecutionState::Failed(failure) => {
                put.item("state", text("FAILED")).item("failure", binary(pack(failure)?))
            }
        })
    }

    async fn refusal(&self, operation: &'static str, put: PutItemFluentBuilder) -> Result<ExecutionBegun, Error> {
        let Err(error) = put.send().await else { return Ok(ExecutionBegun::Begun) };
        match error.as_service_error() {
            Some(aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(refused)) => {
                let record = refused.item().map(read).transpose()?;
                Ok(ExecutionBegun::Refused(record.map(Box::new)))
            }
            _ => Err(Error::from_sdk(operation, &error)),
        }
    }
}

fn read(item: &Item) -> Result<Execution, Error> {
    let row = Row(item);
    let state = match row.text("state")?.as_str() {
        "PROCESSING" => ExecutionState::Processing { lease_until: row.instant("lease_until")? },
        "COMPLETED" => {
            let result: Box<RawValue> = unpack(row.maybe_bytes("result")?.unwrap_or_default())?;
            ExecutionState::Completed(result)
        }
        "FAILED" => ExecutionState::Failed(unpack(row.maybe_bytes("failure")?.unwrap_or_default())?),
        other => return Err(Error::corrupt(format!("state {other:?} of an execution"))),
    };
    Ok(Execution {
        input_hash: Digest::from_stored(row.maybe_bytes("input_hash")?.unwrap_or_default()),
        epoch: row.number("epoch")?,
        attempt: AttemptId::from_stored(row.text("attempt")?),
        state,
        expires_at: row.instant("expires_at")?,
    })
}
