//! A DynamoDB engine that outlives the program, and what the program left in it.

use aws_sdk_dynamodb::types::AttributeValue;
use turnwise_tests::table::{self, Row, TABLE, number, text};

/// The engine, in memory; it serves as long as the test runs.
pub(super) struct Table(table::Table);

/// What the table holds of a conversation, by the attributes' own names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Committed turns.
    pub(super) head: u64,
    /// Attempts that have had the lock.
    pub(super) fence: u64,
    /// Whether somebody still has it.
    pub(super) owned: bool,
}

impl Table {
    pub(super) fn start() -> Self {
        Self(table::Table::without_table())
    }

    pub(super) fn url(&self) -> &str {
        self.0.endpoint()
    }

    /// The lock of the conversation whose name ends in `name`.
    pub(super) async fn lock(&self, name: &str) -> Held {
        let rows = self.0.rows().await;
        let meta = rows.iter().find(|row| text(row, "pk").ends_with(name) && text(row, "sk") == "META").unwrap();
        Held { head: number(meta, "head"), fence: number(meta, "fence"), owned: meta.contains_key("owner") }
    }

    /// How many events the stream log of the turn `name` holds.
    pub(super) async fn logged_events(&self, name: &str) -> u64 {
        let rows = self.0.rows().await;
        let is_batch = |row: &&Row| !text(row, "sk").ends_with("END");
        let log = rows.iter().filter(|row| text(row, "pk").starts_with("S#") && text(row, "pk").ends_with(name));
        let batches = log.filter(is_batch);
        batches.map(|row| number(row, "count")).sum()
    }

    /// The phases of a turn's lines in the ledger.
    pub(super) async fn ledger(&self, turn: &str) -> Vec<String> {
        let rows = self.0.rows().await;
        let lines = rows.iter().filter(|row| text(row, "pk").starts_with("L#") && text(row, "turn") == turn);
        lines.map(|row| text(row, "sk").rsplit('#').next().unwrap_or_default().to_owned()).collect()
    }

    /// Commits as the usage counters have them.
    pub(super) async fn counted_commits(&self) -> u64 {
        let rows = self.0.rows().await;
        rows.iter().filter(|row| text(row, "pk").starts_with("U#")).map(|row| number(row, "requests")).sum()
    }

    /// Lets the lease of the conversation whose name ends in `name` lapse, as it does
    /// when nobody renews it for long enough.
    pub(super) async fn lapse_lease(&self, name: &str) {
        let rows = self.0.rows().await;
        let meta = rows.iter().find(|row| text(row, "pk").ends_with(name) && text(row, "sk") == "META").unwrap();
        let update = self.0.client().update_item().table_name(TABLE).set_key(Some(key(meta)));
        let update = update.update_expression("SET lease_until = :past");
        update.expression_attribute_values(":past", AttributeValue::N("0".to_owned())).send().await.unwrap();
    }
}

fn key(row: &Row) -> Row {
    ["pk", "sk"].map(|name| (name.to_owned(), row[name].clone())).into()
}
