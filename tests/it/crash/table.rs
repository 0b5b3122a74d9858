//! A DynamoDB engine that outlives the program, and what the program left in it.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use dynoxide::Database;
use tokio::net::TcpListener;
use turnwise_store::client;

/// The program's table.
const TABLE: &str = "turnwise";

/// The engine, in memory; it serves as long as the test runs.
pub(super) struct Table {
    url: String,
    client: Client,
}

/// One row.
struct Row(HashMap<String, AttributeValue>);

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
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(dynoxide::server::serve_on(listener, Database::memory().unwrap()));
        let client = Client::new(&client::local(&url, None));
        Self { url, client }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The lock of the conversation whose name ends in `name`.
    pub(super) async fn lock(&self, name: &str) -> Held {
        let rows = self.rows().await;
        let meta = rows.iter().find(|row| row.text("pk").ends_with(name) && row.text("sk") == "META").unwrap();
        Held { head: meta.number("head"), fence: meta.number("fence"), owned: meta.0.contains_key("owner") }
    }

    /// How many events the stream log of the turn `name` holds.
    pub(super) async fn logged_events(&self, name: &str) -> u64 {
        let rows = self.rows().await;
        let batches = rows.iter().filter(|row| row.text("pk").starts_with("S#") && row.text("pk").ends_with(name));
        batches.map(|row| row.number("count")).sum()
    }

    /// The phases of a turn's lines in the ledger.
    pub(super) async fn ledger(&self, turn: &str) -> Vec<String> {
        let rows = self.rows().await;
        let lines = rows.iter().filter(|row| row.text("pk").starts_with("L#") && row.text("turn") == turn);
        lines.map(|row| row.text("sk").rsplit('#').next().unwrap_or_default().to_owned()).collect()
    }

    /// Commits as the usage counters have them.
    pub(super) async fn counted_commits(&self) -> u64 {
        let rows = self.rows().await;
        rows.iter().filter(|row| row.text("pk").starts_with("U#")).map(|row| row.number("requests")).sum()
    }

    /// Lets the lease of the conversation whose name ends in `name` lapse, as it does
    /// when nobody renews it for long enough.
    pub(super) async fn lapse_lease(&self, name: &str) {
        let rows = self.rows().await;
        let meta = rows.iter().find(|row| row.text("pk").ends_with(name) && row.text("sk") == "META").unwrap();
        let update = self.client.update_item().table_name(TABLE).set_key(Some(meta.key()));
        let update = update.update_expression("SET lease_until = :past");
        update.expression_attribute_values(":past", AttributeValue::N("0".to_owned())).send().await.unwrap();
    }

    async fn rows(&self) -> Vec<Row> {
        let pages = self.client.scan().table_name(TABLE).into_paginator().items().send();
        pages.collect::<Result<Vec<_>, _>>().await.unwrap().into_iter().map(Row).collect()
    }
}

impl Row {
    fn key(&self) -> HashMap<String, AttributeValue> {
        ["pk", "sk"].map(|name| (name.to_owned(), self.0[name].clone())).into()
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> u64 {
        self.0[name].as_n().unwrap().parse().unwrap()
    }
}
