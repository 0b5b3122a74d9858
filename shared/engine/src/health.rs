//! What the service stands on, asked one by one.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use turnwise_core::turn::Holder;

use crate::engine::Engine;

/// How long one part may take to answer before it is taken to be out of order.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the service stands on.
#[derive(Debug)]
pub struct Health {
    /// The table.
    pub table: Part,
    /// The queue.
    pub queue: Part,
    /// Locks that are held; `None` when the table does not tell.
    pub locks: Option<Locks>,
}

/// How one part is.
#[derive(Debug)]
pub struct Part {
    /// How long it took to answer.
    pub took: Duration,
    /// What kept it from answering.
    pub error: Option<String>,
}

/// Locks that are held.
#[derive(Debug, Clone, Copy)]
pub struct Locks {
    /// By the living and by the dead.
    pub held: usize,
    /// By the dead.
    pub lapsed: usize,
}

impl Health {
    /// Whether every part has answered.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.table.error.is_none() && self.queue.error.is_none() && self.locks.is_some()
    }
}

impl Engine {
    /// Asks every part how it is; each has [`PATIENCE`].
    pub async fn health(&self) -> Health {
        let (table, queue, locks) =
            tokio::join!(self.part(self.store.round_trip()), self.part(self.queue.ping()), self.count_locks());
        Health { table, queue, locks }
    }

    async fn part<E: Display>(&self, asking: impl Future<Output = Result<(), E>>) -> Part {
        let began = self.clock.now();
        let error = match self.clock.timeout(PATIENCE, asking).await {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(error.to_string()),
            None => Some(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        Part { took: self.clock.now().since(began), error }
    }

    async fn count_locks(&self) -> Option<Locks> {
        let counting = async {
            let mut locks = Locks { held: 0, lapsed: 0 };
            for turn in self.store.held_turns().await? {
                let conversation = self.store.conversation(&turn.tenant, &turn.key.conversation).await?;
                let holder: Option<Holder> = conversation.and_then(|conversation| conversation.holder);
                let mine = holder.filter(|holder| holder.turn == turn.key.turn);
                locks.held += usize::from(mine.is_some());
                locks.lapsed += usize::from(mine.is_some_and(|holder| holder.has_lapsed(self.clock.now())));
            }
            Ok::<_, turnwise_store::Error>(locks)
        };
        match self.clock.timeout(PATIENCE, counting).await {
            Some(Ok(locks)) => Some(locks),
            Some(Err(error)) => {
                tracing::warn!(%error, "locks were not counted");
                None
            }
            None => None,
        }
    }
}
