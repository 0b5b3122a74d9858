//! T2 and T2f: an attempt commits its answer, or its failure, and lets go of the
//! lock. One transaction; only the owner of the newest fence gets it through.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use turnwise_core::id::ConversationId;
use turnwise_core::time::Timestamp;
use turnwise_core::turn::{Claim, State, Turn};

use crate::client::Store;
use crate::conversation;
use crate::dead_letters::is_dead_letter;
use crate::error::Error;
use crate::history::PackedEntry;
use crate::item::{instant, number, text};
use crate::ledger::RecordLedger;
use crate::stream_log::LogEnd;
use crate::transact::{self, Outcome};
use crate::{threads, turn_row};

/// What T2 writes.
#[derive(Debug)]
pub struct CommitTurn<'a> {
    /// The lock's owner.
    pub claim: &'a Claim,
    /// The turn as it will stand: COMPLETED.
    pub turn: &'a Turn,
    /// Its messages.
    pub messages: &'a PackedEntry,
    /// Its ledger line, with the usage counters it adds to.
    pub ledger: &'a RecordLedger<'a>,
    /// The terminal marker of its stream log, where it has one.
    pub log_end: Option<&'a LogEnd>,
    /// Whose list of conversations it appears in, with its first turn.
    pub user: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// What T2f writes: the turn's failure, or, for a turn of the queue that may run
/// again, its return there.
#[derive(Debug)]
pub struct FailTurn<'a> {
    /// The lock's owner.
    pub claim: &'a Claim,
    /// The turn as it will stand: FAILED or QUEUED.
    pub turn: &'a Turn,
    /// What the attempt cost, or that it cost nothing that is known.
    pub ledger: &'a RecordLedger<'a>,
    /// The terminal marker of its stream log, where it has one.
    pub log_end: Option<&'a LogEnd>,
    /// Now.
    pub now: Timestamp,
}

/// What T2 or T2f came to.
#[derive(Debug)]
pub enum Committed {
    /// The turn stands as written, now or by an earlier try of this attempt.
    Applied,
    /// This attempt no longer owns the lock; nothing was written.
    Superseded,
}

/// What becomes of the conversation with its lock.
#[derive(Clone, Copy)]
enum Release<'a> {
    /// A turn more.
    Committed(&'a CommitTurn<'a>),
    /// A turn back in the queue.
    Requeued,
    /// Nothing else.
    Failed,
}

impl Store {
    /// Writes T2. Idempotent by the attempt's id; a refusal is resolved by reading
    /// the turn, so that a lost reply is told from a lost lock.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another transaction is at the same rows (take
    /// another shard for the ledger), and what else the table may answer.
    pub async fn commit_turn(&self, commit: &CommitTurn<'_>) -> Result<Committed, Error> {
        let claim = commit.claim;
        let mut members = vec![
            self.release_lock(claim, Release::Committed(commit), commit.now)?,
            self.end_turn(claim, commit.turn)?,
            self.put_new(commit.messages.write(&claim.tenant, &claim.key.conversation))?,
        ];
        members.extend(self.ledger_members(commit.ledger)?);
        if let Some(end) = commit.log_end {
            members.push(self.log_end_member(claim, end)?);
        }
        if is_listed_now(claim) {
            members.extend(self.list_members(claim, commit.user, commit.now)?);
        }
        self.finish("commit_turn", claim, commit.turn, members).await
    }

    /// Writes T2f. Idempotent as [`Self::commit_turn`] is.
    ///
    /// # Errors
    /// As [`Self::commit_turn`].
    pub async fn fail_turn(&self, fail: &FailTurn<'_>) -> Result<Committed, Error> {
        let claim = fail.claim;
        let requeued = fail.turn.place.filter(|_| matches!(fail.turn.state, State::Queued { .. }));
        let release = match requeued {
            Some(_) => Release::Requeued,
            None => Release::Failed,
        };
        let mut members = vec![self.release_lock(claim, release, fail.now)?, self.end_turn(claim, fail.turn)?];
        if let Some(place) = requeued {
            members.push(self.join_queue_member(&claim.tenant, &claim.key, place)?);
        } else if is_dead_letter(fail.turn) {
            members.push(self.dead_letter_member(&claim.tenant, fail.turn, fail.now)?);
        }
        members.extend(self.ledger_members(fail.ledger)?);
        if let Some(end) = fail.log_end {
            members.push(self.log_end_member(claim, end)?);
        }
        self.finish("fail_turn", claim, fail.turn, members).await
    }

    async fn finish(
        &self,
        operation: &'static str,
        claim: &Claim,
        turn: &Turn,
        members: Vec<TransactWriteItem>,
    ) -> Result<Committed, Error> {
        match self.transact(operation, claim.attempt.as_str(), members).await? {
            Outcome::Applied => Ok(Committed::Applied),
            Outcome::Refused(rows) => {
                // The turn is the second member; its row explains a refusal, but is
                // absent when only the lock's condition failed.
                let stored = match rows.into_iter().nth(1).flatten() {
                    Some(row) => Some(turn_row::read(&row)?),
                    None => self.turn(&claim.tenant, &claim.key).await?,
                };
                let ours = stored
                    .is_some_and(|stored| stored.attempt == claim.attempt && stored.state.name() == turn.state.name());
                Ok(if ours { Committed::Applied } else { Committed::Superseded })
            }
        }
    }

    fn release_lock(&self, claim: &Claim, release: Release<'_>, now: Timestamp) -> Result<TransactWriteItem, Error> {
        let newest = "fence = :epoch";
        let mine = "#owner = :owner";
        let released = "REMOVE #owner, owner_turn, lease_until";
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(conversation::key(&claim.tenant, &claim.key.conversation)))
            .condition_expression(format!("{newest} AND {mine}"))
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":epoch", number(claim.epoch))
            .expression_attribute_values(":owner", text(claim.attempt.as_str()))
            .expression_attribute_values(":now", instant(now));
        let update = match release {
            Release::Committed(commit) => count(update, commit, released),
            Release::Requeued => update
                .update_expression(format!("SET queued = queued + :one, updated_at = :now {released}"))
                .expression_attribute_values(":one", number(1)),
            Release::Failed => update.update_expression(format!("SET updated_at = :now {released}")),
        };
        transact::update(update)
    }

    fn end_turn(&self, claim: &Claim, turn: &Turn) -> Result<TransactWriteItem, Error> {
        debug_assert!(!matches!(turn.state, State::Processing), "an attempt leaves its turn in another state");
        transact::put(
            Put::builder()
                .table_name(&*self.table)
                .set_item(Some(turn_row::write(&claim.tenant, turn)?))
                .condition_expression("#state = :processing AND epoch = :epoch")
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":processing", text(State::Processing.name()))
                .expression_attribute_values(":epoch", number(claim.epoch)),
        )
    }

    fn list_members(&self, claim: &Claim, user: &str, now: Timestamp) -> Result<Vec<TransactWriteItem>, Error> {
        let conversation: &ConversationId = &claim.key.conversation;
        threads::rows(&claim.tenant, user, claim.project.as_ref(), conversation, now)
            .into_iter()
            .map(|row| transact::put(Put::builder().table_name(&*self.table).set_item(Some(row))))
            .collect()
    }

    /// A put of a row that cannot be there yet; if it is, something broke the
    /// protocol and nothing must be written over it.
    fn put_new(&self, row: crate::item::Item) -> Result<TransactWriteItem, Error> {
        let put = Put::builder().table_name(&*self.table).set_item(Some(row));
        transact::put(put.condition_expression("attribute_not_exists(pk)"))
    }
}

/// A conversation is listed with its first turn.
fn is_listed_now(claim: &Claim) -> bool {
    claim.number == 1 && !claim.key.conversation.is_hidden()
}

/// Adds a committed turn to its conversation: its number, what it came to and, of the
/// first, where the conversation is listed, so that its erasure finds the lists.
fn count(update: UpdateBuilder, commit: &CommitTurn<'_>, released: &str) -> UpdateBuilder {
    let claim = commit.claim;
    let (usage, cost) = match &commit.turn.state {
        State::Completed(commit) => (Some(commit.usage), commit.cost),
        State::Queued { .. } | State::Processing | State::Failed(_) => (None, None),
    };
    let listed = if is_listed_now(claim) { ", #user = :user, listed_at = :now" } else { "" };
    let set = format!("SET head = :head, version = version + :one, updated_at = :now{listed}");
    let add = "ADD messages :messages, input_tokens :input, output_tokens :output, cost_pico_usd :cost";
    let update = update
        .update_expression(format!("{set} {released} {add}"))
        .expression_attribute_values(":head", number(claim.number))
        .expression_attribute_values(":one", number(1))
        .expression_attribute_values(":messages", number(commit.messages.parts))
        .expression_attribute_values(":input", number(usage.map_or(0, |usage| usage.total_input())))
        .expression_attribute_values(":output", number(usage.map_or(0, |usage| usage.total_output())))
        .expression_attribute_values(":cost", number(cost.unwrap_or_default().0));
    if listed.is_empty() {
        return update;
    }
    update.expression_attribute_names("#user", "user").expression_attribute_values(":user", text(commit.user))
}
