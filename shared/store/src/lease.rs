//! The lease of a conversation's lock: renewed by a living attempt, listed for
//! whoever looks after dead ones.

use aws_sdk_dynamodb::types::ReturnValue;
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
    Alive {
        /// Whether someone asked for the turn to be cancelled.
        cancel_requested: bool,
    },
    /// Another attempt has taken the lock.
    Lost,
}

/// A turn in the index of running turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldTurn {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub key: TurnKey,
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
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match result {
            Ok(answer) => {
                let cancel_requested = answer.attributes().is_some_and(|row| row.contains_key("cancel_requested"));
                Ok(Beat::Alive { cancel_requested })
            }
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
            self.held_turns_of_shard(shard, &mut held).await?;
        }
        Ok(held)
    }

    async fn held_turns_of_shard(&self, shard: u8, held: &mut Vec<HeldTurn>) -> Result<(), Error> {
        let mut start: Option<Item> = None;
        loop {
            let page = self
                .dynamo
                .query()
                .table_name(&*self.table)
                .index_name(INDEX)
                .key_condition_expression("g1pk = :shard")
                .expression_attribute_values(":shard", text(keys::active_shard(shard)))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| Error::from_sdk("held_turns", &error))?;
            for item in page.items() {
                let row = Row(item);
                let (tenant, key) = keys::parse_turn(&row.text("pk")?, &row.text("sk")?)?;
                held.push(HeldTurn { tenant, key });
            }
            start = page.last_evaluated_key().cloned();
            if start.is_none() {
                return Ok(());
            }
        }
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
