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
            Self::Conflict => !matches!(operation, Operation::Read),
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
    /// A heartbeat.
    Heartbeat,
    /// A batch of the stream log.
    Log,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Begin, Self::Commit, Self::Fail, Self::Ledger, Self::Heartbeat, Self::Log];

    const fn is_transaction(self) -> bool {
        matches!(self, Self::Begin | Self::Commit | Self::Fail | Self::Ledger)
    }

    /// What a request is for, from its target header and body.
    #[must_use]
    pub fn of(target: &str, body: &Value) -> Self {
        match target.rsplit('.').next().unwrap_or_default() {
            "Query" | "GetItem" => Self::Read,
            "UpdateItem" => Self::Heartbeat,
            "PutItem" => Self::Log,
            "TransactWriteItems" => Self::of_transaction(body),
            other => panic!("the engine sends no {other}"),
        }
    }

    fn of_transaction(body: &Value) -> Self {
        let first = &body["TransactItems"][0]["Update"]["UpdateExpression"];
        let first = first.as_str().unwrap_or_default();
        if first.contains("owner_turn = :turn") {
            Self::Begin
        } else if first.contains("head = :head") {
            Self::Commit
        } else if first.contains("REMOVE") {
            Self::Fail
        } else {
            Self::Ledger
        }
    }
}
