//! A conversation as people look at it: what its META item holds beside the lock.

use std::collections::BTreeMap;

use turnwise_core::digest::Digest;
use turnwise_core::id::{ConversationId, Tenant};
use turnwise_core::items::Metadata;
use turnwise_core::money::PicoUsd;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::Conversation;

use crate::client::Store;
use crate::conversation;
use crate::error::Error;
use crate::item::{Item, Row, binary, instant};
use crate::pack::{pack, unpack};

/// A conversation with its metadata and with what its turns came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Its name.
    pub id: ConversationId,
    /// Its lock and summary.
    pub conversation: Conversation,
    /// What a client has attached to it.
    pub metadata: Metadata,
    /// What its turns came to.
    pub totals: Totals,
    /// Digest of the request that created it by itself; `None` if a turn did.
    pub request_hash: Option<Digest>,
    /// Where it is listed, once it has a turn.
    pub(crate) listed: Option<Listed>,
    /// Whether its erasure has begun and not ended.
    pub erasing: bool,
}

/// What the committed turns of a conversation came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages and items that came in, and answers.
    pub messages: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// Exact cost, as far as the models have prices.
    pub cost: PicoUsd,
}

/// Where a conversation stands in lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) user: String,
    pub(crate) at: Timestamp,
}

impl Store {
    /// Reads a conversation with its metadata and totals, strongly consistent.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn overview(&self, tenant: &Tenant, conversation: &ConversationId) -> Result<Option<Overview>, Error> {
        let answer = self
            .dynamo
            .get_item()
            .table_name(&*self.table)
            .consistent_read(true)
            .set_key(Some(conversation::key(tenant, conversation)))
            .send()
            .await
            .map_err(|error| Error::from_sdk("get_overview", &error))?;
        answer.item().map(|item| read(item, conversation)).transpose()
    }

    /// Replaces a conversation's metadata; `None` where there is no conversation, or no
    /// longer one. The version stays: metadata is no part of what a model is told, so it
    /// may change while a turn runs. Idempotent: it writes the same values again.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn put_metadata(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        metadata: &Metadata,
        now: Timestamp,
    ) -> Result<Option<Overview>, Error> {
        let result = self
            .dynamo
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(conversation::key(tenant, conversation)))
            .update_expression("SET #metadata = :metadata, updated_at = :now")
            .condition_expression("attribute_exists(fence) AND attribute_not_exists(erased_at)")
            .expression_attribute_names("#metadata", "metadata")
            .expression_attribute_values(":metadata", binary(pack(metadata)?))
            .expression_attribute_values(":now", instant(now))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew)
            .send()
            .await;
        match result {
            Ok(updated) => updated.attributes().map(|item| read(item, conversation)).transpose(),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Ok(None)
            }
            Err(error) => Err(Error::from_sdk("put_metadata", &error)),
        }
    }
}

pub(crate) fn read(item: &Item, id: &ConversationId) -> Result<Overview, Error> {
    let row = Row(item);
    let total = |name| Ok::<_, Error>(row.maybe_number(name)?.unwrap_or(0));
    let listed = match row.maybe_text("user")? {
        None => None,
        Some(user) => Some(Listed { user, at: row.instant("listed_at")? }),
    };
    Ok(Overview {
        id: id.clone(),
        conversation: conversation::read(item)?,
        metadata: row.maybe_bytes("metadata")?.map_or_else(|| Ok(BTreeMap::new()), unpack)?,
        totals: Totals {
            messages: total("messages")?,
            input_tokens: total("input_tokens")?,
            output_tokens: total("output_tokens")?,
            cost: PicoUsd(total("cost_pico_usd")?.into()),
        },
        request_hash: row.maybe_bytes("request_hash")?.map(Digest::from_stored),
        listed,
        erasing: row.maybe_text("g1pk")?.is_some(),
    })
}
