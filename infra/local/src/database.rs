//! The embedded DynamoDB engine, on a loopback port of its own. The same SDK calls
//! go to it as go to DynamoDB in the cloud.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use dynoxide::Database;
use tokio::net::{TcpListener, TcpSocket};
use turnwise_store::{Store, client};

/// The table's name, as in the template.
const TABLE: &str = "turnwise";

/// Connections that may wait to be accepted: more than one server of ours opens.
const BACKLOG: u32 = 1024;

/// Starts the engine on the file `path`, or in memory, and makes the table if it is
/// not there. The engine serves as long as the process lives.
///
/// # Errors
/// When the file cannot be opened or no port is free.
pub(crate) async fn start(path: Option<&Path>) -> anyhow::Result<Store> {
    let database = match path {
        Some(path) => Database::new(&path.to_string_lossy())
            .map_err(|error| anyhow!("the database {} cannot be opened: {error:?}", path.display()))?,
        None => Database::memory().map_err(|error| anyhow!("no database in memory: {error:?}"))?,
    };
    let listener = listen()?;
    let address = listener.local_addr()?;
    #[expect(clippy::disallowed_methods, reason = "lives as long as the process; nothing waits for it")]
    tokio::spawn(dynoxide::server::serve_on(listener, database));

    let store = Store::new(&client::local(&format!("http://{address}"), None), TABLE);
    store.create_table().await.context("the table cannot be made")?;
    Ok(store)
}

/// Connects to an engine that somebody else runs, and makes the table if it is not
/// there.
///
/// # Errors
/// When the engine does not answer.
pub(crate) async fn connect(endpoint: &str) -> anyhow::Result<Store> {
    let store = Store::new(&client::local(endpoint, None), TABLE);
    store.create_table().await.with_context(|| format!("the DynamoDB engine at {endpoint} does not answer"))?;
    Ok(store)
}

/// A loopback port. Accepted connections inherit TCP_NODELAY from the listener:
/// without it each round trip may wait 40 ms for an acknowledgement.
fn listen() -> anyhow::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(socket.listen(BACKLOG)?)
}
