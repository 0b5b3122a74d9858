//! A proxy between the program and all it talks to: the table and the provider.
//!
//! Whatever crosses it is a boundary with a name: a request to the table, a call of
//! the provider, a piece of the provider's answer. At a boundary of the test's choice
//! it holds the program's world still, and the program can be killed there.

mod forward;
mod label;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// On which side of a boundary the program is to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The request has left the program and reached nobody.
    Before,
    /// The request has had its effect, and the program does not learn of it. A piece
    /// of the provider's answer, though, has been sent to the program.
    After,
}

/// Where the program is to die.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// The boundary's name.
    pub boundary: &'static str,
    /// Which side of it.
    pub side: Side,
}

/// A boundary that is held up until another has been crossed, so that two which
/// would race come in one order.
#[derive(Debug, Clone, Copy)]
pub struct Hold {
    /// The one held up.
    pub boundary: &'static str,
    /// The one to come first.
    pub until: &'static str,
}

/// The proxy; it stops when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    table_url: String,
    provider_url: String,
    watched: Watched,
    servers: [JoinHandle<()>; 2],
}

impl Proxy {
    /// Stands in front of the DynamoDB engine at `table` and of the provider whose
    /// base URL is `provider`.
    ///
    /// # Panics
    /// If no loopback port is free.
    pub async fn start(table: &str, provider: &str) -> Self {
        let watched = Watched::default();
        let (table_url, table_server) = serve(forward::table(table, &watched)).await;
        let (provider_url, provider_server) = serve(forward::provider(provider, &watched)).await;
        Self { table_url, provider_url, watched, servers: [table_server, provider_server] }
    }

    /// The table as the program is to reach it.
    #[must_use]
    pub fn table_url(&self) -> &str {
        &self.table_url
    }

    /// The provider as the program is to reach it.
    #[must_use]
    pub fn provider_url(&self) -> &str {
        &self.provider_url
    }

    /// Watches the boundaries from now on, and holds one up. Once `crash` is reached,
    /// nothing passes any more: a program that is started afterwards needs another
    /// way, so that no late request of the dead one can come between.
    pub fn watch(&self, hold: Hold, crash: Option<Crash>) {
        let watch = Watch { hold, crash, crashed: false, events: 0, reached: Vec::new(), crossed: Vec::new() };
        self.watched.0.send_replace(Some(watch));
    }

    /// Returns when the crash's boundary is reached.
    pub async fn crashed(&self) {
        self.watched.wait_for(|watch| watch.crashed).await;
    }

    /// Returns when `boundary` is reached.
    pub async fn has_reached(&self, boundary: &str) {
        self.watched.wait_for(|watch| watch.reached.iter().any(|reached| reached == boundary)).await;
    }

    /// The boundaries reached since [`Self::watch`], in order.
    #[must_use]
    pub fn reached(&self) -> Vec<String> {
        self.watched.0.borrow().as_ref().map(|watch| watch.reached.clone()).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

/// What is watched; nothing until the test begins to.
#[derive(Debug, Clone, Default)]
struct Watched(Arc<watch::Sender<Option<Watch>>>);

#[derive(Debug)]
struct Watch {
    hold: Hold,
    crash: Option<Crash>,
    crashed: bool,
    /// Events of the provider's stream, which the turn's log is to hold in the end.
    events: usize,
    reached: Vec<String>,
    crossed: Vec<String>,
}

impl Watched {
    /// Comes to a boundary. Never returns if the program dies before it is crossed.
    async fn reach(&self, boundary: &str) {
        let held = |watch: &Watch| {
            let until = (watch.hold.boundary == boundary).then_some(watch.hold.until);
            until.is_some_and(|until| !watch.crossed.iter().any(|crossed| crossed == until))
        };
        self.wait_for(|watch| watch.crashed || !held(watch)).await;
        self.step(boundary, Side::Before).await;
    }

    /// Leaves a boundary behind. Never returns if the program dies before it can know.
    async fn cross(&self, boundary: &str) {
        self.step(boundary, Side::After).await;
    }

    async fn step(&self, boundary: &str, side: Side) {
        let mut passes = true;
        self.0.send_if_modified(|watch| {
            let Some(watch) = watch else { return false };
            if !watch.crashed {
                match side {
                    Side::Before => watch.reached.push(boundary.to_owned()),
                    Side::After => watch.crossed.push(boundary.to_owned()),
                }
                let here = |crash: &Crash| crash.boundary == boundary && crash.side == side;
                watch.crashed = watch.crash.as_ref().is_some_and(here);
            }
            passes = !watch.crashed;
            true
        });
        if !passes {
            std::future::pending::<()>().await;
        }
    }

    /// Notes how many events the provider streams.
    fn expect_events(&self, events: usize) {
        self.0.send_if_modified(|watch| {
            watch.as_mut().is_some_and(|watch| {
                watch.events = events;
                true
            })
        });
    }

    fn expected_events(&self) -> usize {
        self.0.borrow().as_ref().map_or(0, |watch| watch.events)
    }

    /// Waits while the boundaries are watched and `condition` does not hold.
    async fn wait_for(&self, condition: impl Fn(&Watch) -> bool) {
        let mut watched = self.0.subscribe();
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = watched.wait_for(|watch| watch.as_ref().is_none_or(&condition)).await;
    }
}

async fn serve(router: Router) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
    let listener = listener.tap_io(|socket| socket.set_nodelay(true).expect("a TCP socket takes the option"));
    let router = router.layer(DefaultBodyLimit::disable());
    (url, tokio::spawn(async move { axum::serve(listener, router).await.expect("serving never fails") }))
}
