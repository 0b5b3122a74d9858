//! What a use case can answer instead of what it was asked for.

use std::sync::Arc;
use std::time::Duration;

use turnwise_core::fault::Faults;
use turnwise_core::turn::Failure;

/// Why a use case ended without its result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not valid.
    #[error("{0}")]
    Invalid(Faults),
    /// What came in is more than a turn can keep.
    #[error("the input is longer than {limit} bytes")]
    InputTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// What would be sent to the model, or the answer asked of it, is too long for it.
    #[error("{0}")]
    TooLong(#[from] turnwise_core::window::TooLong),
    /// No such model, or its provider is not configured.
    #[error("{0}")]
    Model(turnwise_providers::Unknown),
    /// The API key may not ask this model.
    #[error("the key may not ask {model:?}")]
    ModelNotAllowed {
        /// `provider/model`.
        model: String,
    },
    /// Only a key of the deployment itself may do this.
    #[error("the key is not the operator's")]
    OperatorOnly,
    /// No API key can be made: the deployment has no pepper.
    #[error("no pepper is set for the digests of API keys")]
    NoPepper,
    /// The key belongs to a different request.
    #[error("the idempotency key was used with a different request")]
    KeyReused,
    /// The turn has, or would get, another number than the one asserted.
    #[error("the turn's number is {actual}, not {asserted}")]
    WrongNumber {
        /// What `If-Match` said.
        asserted: u64,
        /// What it is, or would be.
        actual: u64,
    },
    /// Another turn of the conversation is running.
    #[error("another turn of this conversation is running")]
    ConversationBusy {
        /// When to ask again.
        retry_after: Duration,
    },
    /// This very turn is still running.
    #[error("the turn is still running")]
    StillRunning {
        /// The turn's key, where its result will be found.
        key: String,
        /// When to ask again.
        retry_after: Duration,
    },
    /// The turn waits in its conversation's queue, and the client will come back for it.
    #[error("the turn waits in the queue")]
    Queued {
        /// The turn's key, where its result will be found.
        key: String,
    },
    /// The conversation's queue is as long as it may be.
    #[error("the conversation's queue is full")]
    QueueFull {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The turn cannot be cancelled: it has ended.
    #[error("the turn has ended")]
    TurnEnded {
        /// The turn's key.
        key: String,
        /// How it ended: `COMPLETED` or `FAILED`.
        state: &'static str,
    },
    /// Work that is to be done once is being done by somebody else.
    #[error("the work {key:?} is being done")]
    WorkInProgress {
        /// Which.
        key: String,
        /// When to ask again.
        retry_after: Duration,
    },
    /// Work that is to be done once failed, now or before.
    #[error("{0}")]
    WorkFailed(turnwise_core::execution::WorkFailure),
    /// Nobody has the lock that is to be taken away.
    #[error("nobody has the lock of {conversation:?}")]
    NotHeld {
        /// Whose lock.
        conversation: String,
    },
    /// The queue did not do its part.
    #[error(transparent)]
    Queue(turnwise_store::queue::Error),
    /// The conversation was erased: nothing begins in it any more.
    #[error("the conversation was erased")]
    ConversationErased,
    /// The turn's messages have been removed by retention.
    #[error("the turn's answer is no longer kept")]
    Gone,
    /// There is no such thing, or it is not the caller's.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// The name asked for.
        name: String,
    },
    /// The turn failed; its failure is stored, or could not be.
    #[error("{}", failure.message)]
    Failed {
        /// The failure.
        failure: Arc<Failure>,
        /// The failed turn, if the request was one.
        facts: Option<Box<crate::turn::Facts>>,
        /// Whether this request found the failure, rather than caused it.
        replayed: bool,
    },
    /// The table did not do its part.
    #[error(transparent)]
    Store(#[from] turnwise_store::Error),
    /// A task of our own died: a defect.
    #[error("a task ended unexpectedly: {0}")]
    Task(#[from] tokio::task::JoinError),
}
