//! T1: an attempt takes its conversation's lock and writes its turn, both or neither.

use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{ConditionCheck, Put, TransactWriteItem, Update};
use turnwise_core::id::{AttemptId, ProjectId, Tenant, TurnKey};
use turnwise_core::limits::CLOCK_SKEW;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Acquire, Conversation, Lineage, Previous, Turn};

use crate::client::Store;
use crate::conversation;
use crate::error::Error;
use crate::item::{instant, number, text};
use crate::transact::{self, Outcome};
use crate::{keys, turn_row};

/// What T1 writes.
#[derive(Debug)]
pub struct BeginTurn<'a> {
    /// Whose conversation.
    pub tenant: &'a Tenant,
    /// The turn as it will stand: PROCESSING, with its input and this attempt.
    pub turn: &'a Turn,
    /// The decision this write carries out.
    pub acquire: &'a Acquire,
    /// The turn's newest attempt when it was read; `None` if there was no turn.
    pub seen_attempt: Option<&'a AttemptId>,
    /// The new lease.
    pub lease_until: Timestamp,
    /// The conversation's project, if this turn makes the conversation.
    pub project: Option<&'a ProjectId>,
    /// What the turn has to heed if it follows another.
    pub lineage: &'a Lineage,
    /// Now.
    pub now: Timestamp,
}

/// What T1 came to.
#[derive(Debug)]
pub enum Begun {
    /// The attempt owns the lock.
    Acquired,
    /// Something had changed; nothing was written. Each row whose condition failed,
    /// as it is now.
    Refused {
        /// Lock and summary, if that condition failed.
        conversation: Option<Conversation>,
        /// The turn, if that condition failed.
        turn: Option<Box<Turn>>,
    },
}

impl Store {
    /// Writes T1. Idempotent by the attempt's id: sent again after a lost reply it
    /// is applied once; should even the token be forgotten, the refusal shows the
    /// attempt's own turn.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction is at the same rows, and what
    /// else the table may answer.
    pub async fn begin_turn(&self, begin: &BeginTurn<'_>) -> Result<Begun, Error> {
        let mut members = vec![self.take_lock(begin)?, self.write_turn(begin)?];
        if let Previous::Queued { place, .. } = begin.acquire.previous {
            members.push(self.leave_queue_member(begin.tenant, &begin.turn.key.conversation, place)?);
        }
        if let Some(rival) = &begin.lineage.rival {
            members.push(self.without_rival_member(begin.tenant, rival)?);
        }
        match self.transact("begin_turn", begin.turn.attempt.as_str(), members).await? {
            Outcome::Applied => Ok(Begun::Acquired),
            Outcome::Refused(rows) => {
                let mut rows = rows.into_iter();
                let conversation = rows.next().flatten();
                let turn = rows.next().flatten();
                Ok(Begun::Refused {
                    conversation: conversation.as_ref().map(conversation::read).transpose()?,
                    turn: turn.as_ref().map(turn_row::read).transpose()?.map(Box::new),
                })
            }
        }
    }

    fn take_lock(&self, begin: &BeginTurn<'_>) -> Result<TransactWriteItem, Error> {
        let owner: &AttemptId = &begin.turn.attempt;
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(conversation::key(begin.tenant, &begin.turn.key.conversation)))
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", text(owner.as_str()))
            .expression_attribute_values(":turn", text(begin.turn.key.turn.as_str()))
            .expression_attribute_values(":lease", instant(begin.lease_until))
            .expression_attribute_values(":epoch", number(begin.acquire.epoch))
            .expression_attribute_values(":now", instant(begin.now));
        let taken = "fence = :epoch, #owner = :owner, owner_turn = :turn, lease_until = :lease, updated_at = :now";

        let update = match begin.acquire.seen_fence {
            Some(seen) => {
                let unchanged = "fence = :seen";
                let free = "attribute_not_exists(#owner)";
                let lapsed = "lease_until < :lapsed";
                let number_holds = "head = :head";
                let history_holds = "version = :version";
                let condition = format!("{unchanged} AND {number_holds} AND {history_holds} AND ({free} OR {lapsed})");
                let update = update
                    .expression_attribute_values(":seen", number(seen))
                    .expression_attribute_values(":head", number(begin.acquire.number - 1))
                    .expression_attribute_values(":version", number(begin.acquire.seen_version))
                    .expression_attribute_values(":lapsed", instant(begin.now - CLOCK_SKEW));
                match (begin.acquire.previous, begin.acquire.behind_queue) {
                    (Previous::Queued { .. }, _) => update
                        .update_expression(format!("SET {taken}, queued = queued - :one"))
                        .condition_expression(condition)
                        .expression_attribute_values(":one", number(1)),
                    (_, true) => update
                        .update_expression(format!("SET {taken}"))
                        .condition_expression(format!(
                            "{condition} AND (attribute_not_exists(queued) OR queued = :none)"
                        ))
                        .expression_attribute_values(":none", number(0)),
                    (_, false) => update.update_expression(format!("SET {taken}")).condition_expression(condition),
                }
            }
            None => {
                let absent = "attribute_not_exists(pk)";
                let made = "head = :zero, version = :zero, created_at = :now";
                let (update, more) = conversation::made_from(update, begin.project, begin.lineage.parent.as_ref());
                update
                    .update_expression(format!("SET {taken}, {made}{more}"))
                    .condition_expression(absent)
                    .expression_attribute_values(":zero", number(0))
            }
        };
        transact::update(update)
    }

    fn write_turn(&self, begin: &BeginTurn<'_>) -> Result<TransactWriteItem, Error> {
        let put = Put::builder().table_name(&*self.table).set_item(Some(turn_row::write(begin.tenant, begin.turn)?));
        let put = match begin.acquire.previous {
            Previous::Absent => put.condition_expression("attribute_not_exists(pk)"),
            Previous::Queued { epoch, .. } => as_seen(put, "QUEUED", epoch),
            Previous::Failed { epoch } => as_failed(put, epoch, begin.seen_attempt),
            Previous::Lost { epoch } => as_seen(put, "PROCESSING", epoch),
        };
        transact::put(put)
    }
}

impl Store {
    /// The check that the same request does not run, wait or stand committed in the other
    /// of its two places.
    pub(crate) fn without_rival_member(&self, tenant: &Tenant, rival: &TurnKey) -> Result<TransactWriteItem, Error> {
        let (absent, failed) = ("attribute_not_exists(pk)", "#state = :failed");
        transact::check(
            ConditionCheck::builder()
                .table_name(&*self.table)
                .key("pk", text(keys::conversation(tenant, &rival.conversation)))
                .key("sk", text(keys::turn(&rival.turn)))
                .condition_expression(format!("{absent} OR {failed}"))
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":failed", text("FAILED")),
        )
    }
}

/// Puts a row only over the failure of this epoch and of this very attempt. The epoch
/// alone does not tell: a turn that went to the queue since, and was cancelled there, has
/// failed in the same.
fn as_failed(put: PutBuilder, epoch: u64, attempt: Option<&AttemptId>) -> PutBuilder {
    let put = as_seen(put, "FAILED", epoch);
    match attempt {
        Some(attempt) => put
            .condition_expression(format!("{AS_SEEN} AND attempt = :attempt"))
            .expression_attribute_values(":attempt", text(attempt.as_str())),
        None => put,
    }
}

/// The turn stands as it was seen.
const AS_SEEN: &str = "#state = :state AND epoch = :seen";

/// Puts a row only over the turn in this state and of this epoch.
pub(crate) fn as_seen(put: PutBuilder, state: &str, epoch: u64) -> PutBuilder {
    put.condition_expression(AS_SEEN)
        .expression_attribute_names("#state", "state")
        .expression_attribute_values(":state", text(state))
        .expression_attribute_values(":seen", number(epoch))
}
