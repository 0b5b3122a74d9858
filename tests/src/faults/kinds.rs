//! What can go wrong, and with which operation.

use serde_json::Value;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// It never arrives.
    LostRequest,
    /// It is applied, but the reply never arrives.
    LostReply,
    /// It is applied long after its sender has given up.
    Late,
    /// It arrives after a while, and so does its reply.
    Delay,
    /// It arrives twice.
    Duplicate,
    /// The table refuses it for its load.
    Throttled,
    /// Another transaction is at the same rows.
    Conflict,
    /// It is applied, and then taken for another request with the same token.
    TokenMismatch,
    /// The process stops before it is sent, for a while or for good.
    StopBefore,
    /// The process stops when it is applied, before the reply.
    StopAfter,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::LostRequest,
        Self::LostReply,
        Self::Late,
        Self::Delay,
        Self::Duplicate,
        Self::Throttled,
        Self::Conflict,
        Self::TokenMismatch,
        Self::StopBefore,
        Self::StopAfter,
    ];

    /// Whether the table can do this to an operation at all.
    #[must_use]
    pub const fn fits(self, operation: Operation) -> bool {
        match self {
            Self::TokenMismatch => operation.is_transaction(),
            Self::Conflict => !matches!(operation, Operation::Read | Operation::Sweep),
            Self::LostRequest
            | Self::LostReply
            | Self::Late
            | Self::Delay
            | Self::Duplicate
            | Self::Throttled
            | Self::StopBefore
            | Self::StopAfter => true,
        }
    }
}

/// What a request to the table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// A query or a get.
    Read,
    /// T1.
    Begin,
    /// T2.
    Commit,
    /// T2f.
    Fail,
    /// A ledger line by itself.
    Ledger,
    /// A heartbeat, or what the fleet is told of a breaker.
    Heartbeat,
    /// A batch of the stream log.
    Log,
    /// A sweep's read of the index.
    Sweep,
    /// T0.
    Enqueue,
    /// T2f of a turn that goes back to its queue.
    Requeue,
    /// A turn taken out of its queue.
    Withdraw,
    /// A turn ended under its attempt, which may be dead.
    Revoke,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Read,
        Self::Begin,
        Self::Commit,
        Self::Fail,
        Self::Ledger,
        Self::Heartbeat,
        Self::Log,
        Self::Sweep,
        Self::Enqueue,
        Self::Requeue,
        Self::Withdraw,
        Self::Revoke,
    ];

    /// Those of turns whose clients wait for them.
    pub const OF_DIRECT_TURNS: [Self; 7] =
        [Self::Read, Self::Begin, Self::Commit, Self::Fail, Self::Ledger, Self::Heartbeat, Self::Log];

    /// Whether it is a transaction. All of these but a ledger line write a turn's row.
    #[must_use]
    pub const fn is_transaction(self) -> bool {
        match self {
            Self::Begin
            | Self::Commit
            | Self::Fail
            | Self::Ledger
            | Self::Enqueue
            | Self::Requeue
            | Self::Withdraw
            | Self::Revoke => true,
            Self::Read | Self::Heartbeat | Self::Log | Self::Sweep => false,
        }
    }

    /// What a request is for, from its target header and body.
    #[must_use]
    pub fn of(target: &str, body: &Value) -> Self {
        match target.rsplit('.').next().unwrap_or_default() {
            "Query" if body["IndexName"].is_string() => Self::Sweep,
            "Query" | "GetItem" => Self::Read,
            "UpdateItem" | "DeleteItem" => Self::Heartbeat,
            "PutItem" => Self::Log,
            "TransactWriteItems" => Self::of_transaction(body),
            other => panic!("the engine sends no {other}"),
        }
    }

    /// By the first member: what becomes of the conversation. Only the end of a turn
    /// whose attempt has lost the lock, and a ledger line, leave the conversation alone.
    fn of_transaction(body: &Value) -> Self {
        let first = &body["TransactItems"][0];
        let update = first["Update"]["UpdateExpression"].as_str().unwrap_or_default();
        let put = first["Put"]["Item"]["sk"]["S"].as_str().unwrap_or_default();
        let is = |part: &str| update.contains(part);
        if is("owner_turn = :turn") {
            Self::Begin
        } else if is("head = :head") {
            Self::Commit
        } else if is("queue_tail = :place") {
            Self::Enqueue
        } else if is("queued = queued + :one") {
            Self::Requeue
        } else if is("queued = queued - :one") {
            Self::Withdraw
        } else if is("fence = fence + :one") || put.starts_with(TURN) {
            Self::Revoke
        } else if is("REMOVE") {
            Self::Fail
        } else {
            Self::Ledger
        }
    }
}

/// Sort key prefix of a turn's row.
const TURN: &str = "T#";

/// A turn's row as a transaction writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Which transaction.
    pub operation: Operation,
    /// The conversation's partition key.
    pub conversation: String,
    /// The turn's name.
    pub turn: String,
    /// The turn's attempt.
    pub attempt: String,
    /// The attempt's epoch.
    pub epoch: u64,
    /// The turn's place, if it has stood in its queue.
    pub place: Option<u64>,
}

impl Written {
    /// What the transaction `body` writes; `None` if no turn is among it.
    #[must_use]
    pub fn by(operation: Operation, body: &Value) -> Option<Self> {
        let mut items = body["TransactItems"].as_array()?.iter().map(|member| &member["Put"]["Item"]);
        let row = items.find(|item| item["sk"]["S"].as_str().is_some_and(|sk| sk.starts_with(TURN)))?;
        let text = |name: &str| row[name]["S"].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| row[name]["N"].as_str().and_then(|digits| digits.parse().ok());
        Some(Self {
            operation,
            conversation: text("pk"),
            turn: text("sk").split_off(TURN.len()),
            attempt: text("attempt"),
            epoch: number("epoch").unwrap_or(0),
            place: number("place"),
        })
    }
}
