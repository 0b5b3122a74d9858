//! The lease of a conversation's lock: renewed by a living attempt, listed for
//! whoever looks after dead ones.

use turnwise_core::id::{Tenant, TurnKey};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::Claim;

use crate::client::Store;
use crate::conversation;
use crate::error::Error;
use crate::item::{Item, Row, instant, number, text};
use crate::keys;
use crate::schema::INDEX;

/// What a heartbeat found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The lease is renewed.
    Alive,
    /// The lock is gone: another attempt has it, or the turn was cancelled.
    Lost,
}

/// A turn in the index of running turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldTurn {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub key: TurnKey,
    /// When its newest attempt began.
    pub began_at: Timestamp,
}

impl Store {
    /// Renews the lease of `claim` until `lease_until` and publishes how many
    /// events its stream log holds. Idempotent: it writes the same values again.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn heartbeat(&self, claim: &Claim, lease_until: Timestamp, logged: u64) -> Result<Beat, Error> {
        let newest = "fence = :epoch";
        let mine = "#owner = :owner";
        let result = self
            .dynamo
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(conversation::key(&claim.tenant, &claim.key.conversation)))
            .update_expression("SET lease_until = :lease, logged = :logged")
            .condition_expression(format!("{newest} AND {mine}"))
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":lease", instant(lease_until))
            .expression_attribute_values(":logged", number(logged))
            .expression_attribute_values(":epoch", number(claim.epoch))
            .expression_attribute_values(":owner", text(claim.attempt.as_str()))
            .send()
            .await;
        match result {
            Ok(_) => Ok(Beat::Alive),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Ok(Beat::Lost)
            }
            Err(error) => Err(Error::from_sdk("heartbeat", &error)),
        }
    }

    /// All turns that are, or were when they died, running.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn held_turns(&self) -> Result<Vec<HeldTurn>, Error> {
        let mut held = Vec::new();
        for shard in 0..keys::ACTIVE_SHARDS {
            for row in self.indexed("held_turns", keys::active_shard(shard), None).await? {
                let row = Row(&row);
                let (tenant, key) = keys::parse_turn(&row.text("pk")?, &row.text("sk")?)?;
                held.push(HeldTurn { tenant, key, began_at: keys::parse_instant(&row.text("g1sk")?)? });
            }
        }
        Ok(held)
    }

    /// The rows of one partition of the index, in its order, up to the instant `last`
    /// where one is given. Eventually consistent, as every read of an index is.
    pub(crate) async fn indexed(
        &self,
        operation: &'static str,
        partition: String,
        last: Option<Timestamp>,
    ) -> Result<Vec<Item>, Error> {
        let query = self.dynamo.query().table_name(&*self.table).index_name(INDEX);
        let query = query.expression_attribute_values(":partition", text(partition));
        let query = match last {
            Some(last) => query
                .key_condition_expression("g1pk = :partition AND g1sk <= :last")
                .expression_attribute_values(":last", text(keys::instant(last))),
            None => query.key_condition_expression("g1pk = :partition"),
        };
        let mut rows = query.into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(row) = rows.next().await {
            found.push(row.map_err(|error| Error::from_sdk(operation, &error))?);
        }
        Ok(found)
    }

    /// Ends the lease that the dead attempt of epoch `fence` holds, so that the next
    /// request need not wait for it to lapse. For a caller who knows that the
    /// owner is dead. The owner stays written down, and a live owner's late writes
    /// are still judged by the fence. Idempotent; false if the lock has moved on.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn lapse_lease(&self, held: &HeldTurn, fence: u64) -> Result<bool, Error> {
        let result = self
            .dynamo
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(conversation::key(&held.tenant, &held.key.conversation)))
            .update_expression("SET lease_until = :past")
            .condition_expression("fence = :fence AND attribute_exists(#owner) AND owner_turn = :turn")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":past", number(0))
            .expression_attribute_values(":fence", number(fence))
            .expression_attribute_values(":turn", text(held.key.turn.as_str()))
            .send()
            .await;
        match result {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => {
                Ok(false)
            }
            Err(error) => Err(Error::from_sdk("lapse_lease", &error)),
        }
    }
}
