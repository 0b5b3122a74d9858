//! Lambda in small: a Runtime API on the loopback address, and a real binary of ours
//! as the function that polls it.
//!
//! ```no_run
//! # use turnwise_tests::lambda::{Event, Function, HangUp, Setup};
//! # use turnwise_tests::table::Table;
//! # async fn example() {
//! let table = Table::start().await;
//! let stream = Function::start("stream", &Setup::of(&table)).await;
//! let chat = Event::post("/v1/chat");
//! let reply = stream.call(&chat.clone().json(&serde_json::json!({"message": "Hi"}))).await;
//! assert_eq!(reply.status, 200);
//! let slow = serde_json::json!({"message": "one two", "stream": true, "echo_delay_ms": 300});
//! let mut invocation = stream.invoke(&chat.json(&slow));
//! invocation.until("event: delta").await;
//! invocation.hang_up(HangUp::EarlyReply);
//! stream.polled(3).await;
//! # }
//! ```

mod api;
mod binary;
mod event;
mod function;
mod reply;
mod setup;

use std::time::Duration;

pub use self::api::HangUp;
pub use self::binary::{binary, functions_in};
pub use self::event::Event;
pub use self::function::{Exit, Function};
pub use self::reply::{Invocation, Mode, Reply};
pub use self::setup::{KEY, Queue, Setup};

/// Longest wait for anything: far more than a loaded machine needs, so that what takes
/// longer will never come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What `future` gives.
///
/// # Panics
/// If it takes longer than [`PATIENCE`].
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing for {PATIENCE:?}"),
    }
}
