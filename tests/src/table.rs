//! The table of a test: an embedded engine in memory, on a loopback port.

use std::net::Ipv4Addr;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use dynoxide::Database;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use turnwise_store::{Store, client};

/// The table's name.
pub const TABLE: &str = "turnwise";

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A table of its own for each test; it goes when it is dropped.
#[derive(Debug)]
pub struct Table {
    endpoint: String,
    server: JoinHandle<()>,
}

/// A row of the table.
pub type Row = std::collections::HashMap<String, AttributeValue>;

impl Table {
    /// Starts an engine and makes the table.
    pub async fn start() -> Self {
        let table = Self::without_table();
        table.store().create_table().await.expect("the table is made");
        table
    }

    /// Starts an engine, for a program that makes its table itself.
    #[must_use]
    pub fn without_table() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_nodelay(true).expect("no delay");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        let listener = socket.listen(BACKLOG).expect("listening");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let database = Database::memory().expect("an engine in memory");
        let server = tokio::spawn(dynoxide::server::serve_on(listener, database));
        Self { endpoint, server }
    }

    /// Where the engine listens.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The store over it.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store_through(None)
    }

    /// The store over it, whose SDK sends by `client`.
    #[must_use]
    pub fn store_through(&self, client: Option<SharedHttpClient>) -> Store {
        Store::new(&client::local(&self.endpoint, client), TABLE)
    }

    /// The SDK's own client, for what no use case does.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&client::local(&self.endpoint, None))
    }

    /// Every row but those that tell how the providers are, which come beside whatever goes
    /// on; for invariants. Only tests scan.
    pub async fn rows(&self) -> Vec<Row> {
        let mut pages = self.client().scan().table_name(TABLE).consistent_read(true).into_paginator().items().send();
        let mut rows = Vec::new();
        while let Some(row) = pages.next().await {
            rows.push(row.expect("a row"));
        }
        rows.retain(|row| {
            let pk = row.get("pk").and_then(|pk| pk.as_s().ok()).map_or("", String::as_str);
            pk != "BREAKERS" && !pk.starts_with("CALLS#")
        });
        rows
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A text attribute of a row; empty where it is missing.
#[must_use]
pub fn text<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

/// A number attribute of a row; 0 where it is missing.
#[must_use]
pub fn number(row: &Row, name: &str) -> u64 {
    row.get(name).and_then(|value| value.as_n().ok()).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
