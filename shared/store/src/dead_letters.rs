//! Dead letters: turns of a queue that ended without an answer. Nobody waited for them
//! at an open connection, so they are listed for whoever looks after them, and can be
//! put back.

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use turnwise_core::audit::Entry;
use turnwise_core::id::{Tenant, TurnKey};
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Outcome as Fate, State, Turn};

use crate::begin::as_seen;
use crate::client::Store;
use crate::conversation;
use crate::error::Error;
use crate::item::{Item, Row, instant, number, text};
use crate::transact::{self, Outcome};
use crate::{keys, turn_row};

/// A turn of a queue that ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which.
    pub key: TurnKey,
    /// Its failure's code.
    pub code: String,
    /// Its failure's message.
    pub message: String,
    /// When it failed.
    pub failed_at: Timestamp,
}

/// One page of them, oldest first.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterPage {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

impl Store {
    /// Dead letters behind the cursor `after` of an earlier page.
    ///
    /// # Errors
    /// When the table does not answer or a row cannot be read.
    pub async fn dead_letters(
        &self,
        tenant: &Tenant,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DeadLetterPage, Error> {
        let query = self
            .dynamo
            .query()
            .table_name(&*self.table)
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .expression_attribute_values(":pk", text(keys::dead_letters(tenant)));
        let query = match after {
            Some(after) => query
                .key_condition_expression("pk = :pk AND sk > :after")
                .expression_attribute_values(":after", text(after)),
            None => query.key_condition_expression("pk = :pk"),
        };
        let page = query.send().await.map_err(|error| Error::from_sdk("list_dead_letters", &error))?;
        let letters = page.items().iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let next = page.last_evaluated_key().and_then(|key| key.get("sk")).and_then(|sk| sk.as_s().ok()).cloned();
        Ok(DeadLetterPage { letters, next })
    }

    /// Puts a dead letter back at the end of its conversation's queue. `turn` is the turn
    /// as it will stand: QUEUED at the place behind `seen_tail`. False if the turn or the
    /// queue has changed. Idempotent by the turn's new attempt id.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction is at the same rows, and what
    /// else the table may answer.
    pub async fn redrive_turn(
        &self,
        letter: &DeadLetter,
        turn: &Turn,
        seen_tail: u64,
        audit: &Entry,
    ) -> Result<bool, Error> {
        let tenant = &audit.tenant;
        let place = turn.place.unwrap_or(0);
        let row = Put::builder().table_name(&*self.table).set_item(Some(turn_row::write(tenant, turn)?));
        let queue = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(conversation::key(tenant, &turn.key.conversation)))
            .update_expression("SET queue_tail = :place, updated_at = :now ADD queued :one")
            .condition_expression("queue_tail = :seen AND attribute_not_exists(erased_at)")
            .expression_attribute_values(":place", number(place))
            .expression_attribute_values(":seen", number(seen_tail))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", instant(audit.at));
        let members = vec![
            transact::update(queue)?,
            transact::put(as_seen(row, "FAILED", turn.epoch))?,
            self.join_queue_member(tenant, &turn.key, place)?,
            self.remove_letter(tenant, letter)?,
            self.audit_member(audit)?,
        ];
        match self.transact("redrive_turn", turn.attempt.as_str(), members).await? {
            Outcome::Applied => Ok(true),
            Outcome::Refused(_) => Ok(false),
        }
    }

    fn remove_letter(&self, tenant: &Tenant, letter: &DeadLetter) -> Result<TransactWriteItem, Error> {
        transact::delete(
            Delete::builder()
                .table_name(&*self.table)
                .key("pk", text(keys::dead_letters(tenant)))
                .key("sk", text(keys::dead_letter(letter.failed_at, &letter.key)))
                .condition_expression("attribute_exists(pk)"),
        )
    }

    pub(crate) fn dead_letter_member(
        &self,
        tenant: &Tenant,
        turn: &Turn,
        now: Timestamp,
    ) -> Result<TransactWriteItem, Error> {
        let (code, message) = match &turn.state {
            State::Failed(failure) => (failure.code.as_str(), failure.message.as_str()),
            State::Queued { .. } | State::Processing | State::Completed(_) => ("", ""),
        };
        transact::put(
            Put::builder()
                .table_name(&*self.table)
                .item("pk", text(keys::dead_letters(tenant)))
                .item("sk", text(keys::dead_letter(now, &turn.key)))
                .item("conversation", text(turn.key.conversation.as_str()))
                .item("turn", text(turn.key.turn.as_str()))
                .item("code", text(code))
                .item("message", text(message))
                .item("failed_at", instant(now)),
        )
    }
}

/// Whether a turn that ends so is a dead letter: it came from the queue and failed for
/// good. A cancelled one is as its owner wants it, and one whose outcome is not known
/// must not be asked again.
pub(crate) fn is_dead_letter(turn: &Turn) -> bool {
    let failed = match &turn.state {
        State::Failed(failure) => failure.outcome == Fate::Final,
        State::Queued { .. } | State::Processing | State::Completed(_) => false,
    };
    failed && turn.place.is_some()
}

fn read(item: &Item) -> Result<DeadLetter, Error> {
    let row = Row(item);
    Ok(DeadLetter {
        key: TurnKey {
            conversation: turnwise_core::id::ConversationId::from_stored(row.text("conversation")?),
            turn: turnwise_core::id::TurnId::from_stored(row.text("turn")?),
        },
        code: row.text("code")?,
        message: row.text("message")?,
        failed_at: row.instant("failed_at")?,
    })
}
