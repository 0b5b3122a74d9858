//! Transactions: their request tokens, and how a refused one explains itself.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::client::Store;
use crate::error::Error;
use crate::item::Item;

/// What a transaction came to, short of an error.
pub(crate) enum Outcome {
    /// All of it was written, now or by an earlier try with the same token.
    Applied,
    /// A condition failed; nothing was written. For each member whose condition
    /// failed the row as it is, in the members' order.
    Refused(Vec<Option<Item>>),
}

impl Store {
    /// Writes `members` in one transaction. Idempotent by a token made of `seed`
    /// and the members themselves: a changed body gets another token.
    pub(crate) async fn transact(
        &self,
        operation: &'static str,
        seed: &str,
        members: Vec<TransactWriteItem>,
    ) -> Result<Outcome, Error> {
        let result = self
            .dynamo
            .transact_write_items()
            .client_request_token(request_token(operation, seed, &members))
            .set_transact_items(Some(members))
            .send()
            .await;
        match result {
            Ok(_) => Ok(Outcome::Applied),
            Err(error) => refusal(operation, &error),
        }
    }
}

fn refusal(operation: &'static str, error: &SdkError<TransactWriteItemsError>) -> Result<Outcome, Error> {
    let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() else {
        return Err(Error::from_sdk(operation, error));
    };
    let reasons = canceled.cancellation_reasons();
    let has = |code: &str| reasons.iter().any(|reason| reason.code() == Some(code));

    if has("ConditionalCheckFailed") {
        return Ok(Outcome::Refused(reasons.iter().map(|reason| reason.item().cloned()).collect()));
    }
    if has("TransactionConflict") {
        return Err(Error::Conflict { operation });
    }
    let reason = describe(reasons);
    if has("ThrottlingError") || has("ProvisionedThroughputExceeded") {
        return Err(Error::Overloaded { operation, reason });
    }
    Err(Error::Refused { operation, reason })
}

fn describe(reasons: &[CancellationReason]) -> String {
    let texts: Vec<String> = reasons
        .iter()
        .filter(|reason| reason.code() != Some("None"))
        .map(|reason| format!("{}: {}", reason.code().unwrap_or("?"), reason.message().unwrap_or("")))
        .collect();
    texts.join("; ")
}

/// A token of 36 characters, DynamoDB's most: a UUID made of the SHA-256 of what
/// is written.
fn request_token(operation: &str, seed: &str, members: &[TransactWriteItem]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(operation);
    hasher.update([0]);
    hasher.update(seed);
    for member in members {
        hasher.update([0]);
        hasher.update(fingerprint(member));
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::from_bytes(bytes).to_string()
}

/// A member as text, its maps in a fixed order.
fn fingerprint(member: &TransactWriteItem) -> String {
    let sorted = |item: Option<&Item>| {
        let mut entries: Vec<_> = item.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}")).collect();
        entries.sort();
        entries.join(",")
    };
    let put = member.put().map(|put| format!("{}|{:?}", sorted(Some(put.item())), put.condition_expression()));
    let update = member.update().map(|update| {
        let (key, values) = (sorted(Some(update.key())), sorted(update.expression_attribute_values()));
        format!("{key}|{values}|{}|{:?}", update.update_expression(), update.condition_expression())
    });
    let delete = member.delete().map(|delete| {
        let (key, values) = (sorted(Some(delete.key())), sorted(delete.expression_attribute_values()));
        format!("{key}|{values}|{:?}", delete.condition_expression())
    });
    let check = member.condition_check().map(|check| {
        let (key, values) = (sorted(Some(check.key())), sorted(check.expression_attribute_values()));
        format!("{key}|{values}|{}", check.condition_expression())
    });
    put.or(update).or(delete).or(check).unwrap_or_default()
}

/// A put as a member of a transaction, explaining itself when its condition fails.
pub(crate) fn put(builder: aws_sdk_dynamodb::types::builders::PutBuilder) -> Result<TransactWriteItem, Error> {
    let put: Put = builder
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .map_err(|error| Error::corrupt(error.to_string()))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// An update as a member of a transaction, explaining itself when its condition fails.
pub(crate) fn update(builder: aws_sdk_dynamodb::types::builders::UpdateBuilder) -> Result<TransactWriteItem, Error> {
    let update: Update = builder
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .map_err(|error| Error::corrupt(error.to_string()))?;
    Ok(TransactWriteItem::builder().update(update).build())
}

/// A delete as a member of a transaction, explaining itself when its condition fails.
pub(crate) fn delete(builder: aws_sdk_dynamodb::types::builders::DeleteBuilder) -> Result<TransactWriteItem, Error> {
    let delete: Delete = builder
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .map_err(|error| Error::corrupt(error.to_string()))?;
    Ok(TransactWriteItem::builder().delete(delete).build())
}

/// A check as a member of a transaction. The row is not sent along when it fails: it is
/// another's.
pub(crate) fn check(
    builder: aws_sdk_dynamodb::types::builders::ConditionCheckBuilder,
) -> Result<TransactWriteItem, Error> {
    let check: ConditionCheck = builder.build().map_err(|error| Error::corrupt(error.to_string()))?;
    Ok(TransactWriteItem::builder().condition_check(check).build())
}
