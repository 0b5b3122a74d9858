//! The queue of a conversation: T0 gives a turn a place, and the row that stands for
//! the place goes away with the write that takes the turn from there.
//!
//! Places grow and are never given twice, so a new turn comes in behind all others. In
//! front of the head comes only a turn that an attempt puts back, and that attempt has
//! raised the fence: whoever has read the head under a fence need not look again before
//! T1, which asserts that fence.

use aws_sdk_dynamodb::types::{Delete, Put, Select, TransactWriteItem, Update};
use turnwise_core::id::{ConversationId, ProjectId, Tenant, TurnId, TurnKey};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Conversation, Lineage, Place, Previous, State, Turn};

use crate::begin::as_seen;
use crate::client::Store;
use crate::conversation;
use crate::error::Error;
use crate::item::{Row, instant, number, text};
use crate::transact::{self, Outcome};
use crate::{keys, turn_row};

/// What T0 writes.
#[derive(Debug)]
pub struct EnqueueTurn<'a> {
    /// Whose conversation.
    pub tenant: &'a Tenant,
    /// The turn as it will stand: QUEUED at its place, with its input.
    pub turn: &'a Turn,
    /// The decision this write carries out.
    pub place: &'a Place,
    /// The conversation's project, if this turn makes the conversation.
    pub project: Option<&'a ProjectId>,
    /// What the turn has to heed if it follows another.
    pub lineage: &'a Lineage,
    /// Now.
    pub now: Timestamp,
}

/// What T0 came to.
#[derive(Debug)]
pub enum Enqueued {
    /// The turn has its place, now or by an earlier try of this request.
    Joined,
    /// Something had changed; nothing was written. Each row whose condition failed,
    /// as it is now.
    Refused {
        /// Lock and summary, if that condition failed.
        conversation: Option<Conversation>,
        /// The turn, if that condition failed.
        turn: Option<Box<Turn>>,
    },
}

/// The turn that comes next in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueHead {
    /// Which.
    pub turn: TurnId,
    /// Its place.
    pub place: u64,
}

/// A queued turn that is due, in the index of queued turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTurn {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub key: TurnKey,
    /// Since when.
    pub due: Timestamp,
}

impl Store {
    /// Writes T0. Idempotent by the attempt's id in the turn's row: sent again after a
    /// lost reply it finds its own row.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction is at the same rows, and what
    /// else the table may answer.
    pub async fn enqueue_turn(&self, enqueue: &EnqueueTurn<'_>) -> Result<Enqueued, Error> {
        let EnqueueTurn { tenant, turn, place, .. } = enqueue;
        let put = Put::builder().table_name(&*self.table).set_item(Some(turn_row::write(tenant, turn)?));
        let put = match place.previous {
            Previous::Absent => put.condition_expression("attribute_not_exists(pk)"),
            Previous::Failed { epoch } => as_seen(put, "FAILED", epoch),
            Previous::Queued { epoch, .. } => as_seen(put, "QUEUED", epoch),
            Previous::Lost { epoch } => as_seen(put, "PROCESSING", epoch),
        };
        let mut members = vec![
            self.lengthen_queue(enqueue)?,
            transact::put(put)?,
            self.join_queue_member(tenant, &turn.key, place.place)?,
        ];
        if let Some(rival) = &enqueue.lineage.rival {
            members.push(self.without_rival_member(tenant, rival)?);
        }
        match self.transact("enqueue_turn", turn.attempt.as_str(), members).await? {
            Outcome::Applied => Ok(Enqueued::Joined),
            Outcome::Refused(rows) => {
                let mut rows = rows.into_iter();
                let conversation = rows.next().flatten().as_ref().map(conversation::read).transpose()?;
                let stored = rows.next().flatten().as_ref().map(turn_row::read).transpose()?;
                if stored.as_ref().is_some_and(|stored| is_ours(stored, turn)) {
                    return Ok(Enqueued::Joined);
                }
                Ok(Enqueued::Refused { conversation, turn: stored.map(Box::new) })
            }
        }
    }

    fn lengthen_queue(&self, enqueue: &EnqueueTurn<'_>) -> Result<TransactWriteItem, Error> {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(conversation::key(enqueue.tenant, &enqueue.turn.key.conversation)))
            .expression_attribute_values(":place", number(enqueue.place.place))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", instant(enqueue.now));
        let longer = "queue_tail = :place, updated_at = :now";
        let update = match enqueue.place.seen_tail {
            Some(seen) => {
                let exists = "attribute_exists(fence)";
                let kept = "attribute_not_exists(erased_at)";
                let tail_holds = if seen == 0 { "attribute_not_exists(queue_tail)" } else { "queue_tail = :seen" };
                let condition = format!("{exists} AND {kept} AND {tail_holds}");
                let update = update.update_expression(format!("SET {longer} ADD queued :one"));
                let update = if seen == 0 { update } else { update.expression_attribute_values(":seen", number(seen)) };
                match enqueue.place.seen_head {
                    None => update.condition_expression(condition),
                    Some(head) => {
                        let is_next = "head = :head";
                        let idle = "attribute_not_exists(#owner)";
                        let nobody_waits = "(attribute_not_exists(queued) OR queued = :none)";
                        update
                            .condition_expression(format!("{condition} AND {is_next} AND {idle} AND {nobody_waits}"))
                            .expression_attribute_names("#owner", "owner")
                            .expression_attribute_values(":head", number(head))
                            .expression_attribute_values(":none", number(0))
                    }
                }
            }
            None => {
                let made = "fence = :zero, head = :zero, version = :zero, queued = :one, created_at = :now";
                let (update, more) = conversation::made_from(update, enqueue.project, enqueue.lineage.parent.as_ref());
                update
                    .update_expression(format!("SET {longer}, {made}{more}"))
                    .condition_expression("attribute_not_exists(pk)")
                    .expression_attribute_values(":zero", number(0))
            }
        };
        transact::update(update)
    }

    /// The put of the row that stands for a place.
    pub(crate) fn join_queue_member(
        &self,
        tenant: &Tenant,
        key: &TurnKey,
        place: u64,
    ) -> Result<TransactWriteItem, Error> {
        transact::put(
            Put::builder()
                .table_name(&*self.table)
                .item("pk", text(keys::conversation(tenant, &key.conversation)))
                .item("sk", text(keys::place(place)))
                .item("turn", text(key.turn.as_str()))
                .condition_expression("attribute_not_exists(pk)"),
        )
    }

    /// The delete of the row that stands for a place.
    pub(crate) fn leave_queue_member(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        place: u64,
    ) -> Result<TransactWriteItem, Error> {
        transact::delete(
            Delete::builder()
                .table_name(&*self.table)
                .key("pk", text(keys::conversation(tenant, conversation)))
                .key("sk", text(keys::place(place)))
                .condition_expression("attribute_exists(pk)"),
        )
    }

    /// The turn that comes next in a conversation, strongly consistent.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn queue_head(&self, tenant: &Tenant, conversation: &ConversationId) -> Result<Option<QueueHead>, Error> {
        let page = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .limit(1)
            .key_condition_expression("pk = :pk AND begins_with(sk, :queue)")
            .expression_attribute_values(":pk", text(keys::conversation(tenant, conversation)))
            .expression_attribute_values(":queue", text(keys::QUEUE))
            .send()
            .await
            .map_err(|error| Error::from_sdk("queue_head", &error))?;
        let head = page.items().first().map(|item| {
            let row = Row(item);
            let place = keys::parse_place(&row.text("sk")?)?;
            Ok(QueueHead { turn: TurnId::from_stored(row.text("turn")?), place })
        });
        head.transpose()
    }

    /// How many turns of the queue come before `place` or stand at it: 1 is the head.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn queue_position(
        &self,
        tenant: &Tenant,
        conversation: &ConversationId,
        place: u64,
    ) -> Result<u64, Error> {
        let page = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .select(Select::Count)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :mine")
            .expression_attribute_values(":pk", text(keys::conversation(tenant, conversation)))
            .expression_attribute_values(":first", text(keys::place(0)))
            .expression_attribute_values(":mine", text(keys::place(place)))
            .send()
            .await
            .map_err(|error| Error::from_sdk("queue_position", &error))?;
        Ok(u64::try_from(page.count()).unwrap_or(0))
    }

    /// Queued turns that are due at the instant `until` or before, of all conversations.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn due_turns(&self, until: Timestamp) -> Result<Vec<DueTurn>, Error> {
        let mut due = Vec::new();
        for shard in 0..keys::QUEUED_SHARDS {
            for row in self.indexed("due_turns", keys::queued_shard(shard), Some(until)).await? {
                let row = Row(&row);
                let (tenant, key) = keys::parse_turn(&row.text("pk")?, &row.text("sk")?)?;
                due.push(DueTurn { tenant, key, due: keys::parse_instant(&row.text("g1sk")?)? });
            }
        }
        Ok(due)
    }
}

/// Whether the row is the one that this request has written.
fn is_ours(stored: &Turn, turn: &Turn) -> bool {
    matches!(stored.state, State::Queued { .. }) && stored.attempt == turn.attempt
}
