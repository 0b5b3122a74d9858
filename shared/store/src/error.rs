//! What can go wrong with the table or the queue, by what the caller can do about it.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// A failed operation of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A concurrent transaction touched the same rows; nothing was written. Try again.
    #[error("{operation}: another transaction touched the same rows")]
    Conflict {
        /// The operation that failed.
        operation: &'static str,
    },
    /// Whether the operation was applied is not known: no answer came. Look before
    /// writing again.
    #[error("{operation}: no answer from the table: {reason}")]
    NoAnswer {
        /// The operation that failed.
        operation: &'static str,
        /// What the SDK says.
        reason: String,
    },
    /// The table is there but will not take the request now. Try again later.
    #[error("{operation}: the table is overloaded: {reason}")]
    Overloaded {
        /// The operation that failed.
        operation: &'static str,
        /// What the service says.
        reason: String,
    },
    /// The request was refused and would be refused again: permissions, a missing
    /// table, an item too large.
    #[error("{operation}: refused: {reason}")]
    Refused {
        /// The operation that failed.
        operation: &'static str,
        /// What the service says.
        reason: String,
    },
    /// A row that cannot be read: written by hand, or by a newer version.
    #[error("a stored row cannot be read: {what}")]
    Corrupt {
        /// Which attribute of what, and why.
        what: String,
    },
}

impl Error {
    /// Whether the same operation may succeed when it is tried again.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Conflict { .. } | Self::NoAnswer { .. } | Self::Overloaded { .. } => true,
            Self::Refused { .. } | Self::Corrupt { .. } => false,
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    /// Sorts an SDK error that is not a failed condition.
    pub(crate) fn from_sdk<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let SdkError::ServiceError(service) = error else {
            return Self::NoAnswer { operation, reason: describe(error) };
        };
        let code = service.err().code().unwrap_or("unknown");
        let reason = format!("{code}: {}", service.err().message().unwrap_or("no message"));
        match code {
            "TransactionConflictException" | "TransactionInProgressException" => Self::Conflict { operation },
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "ThrottlingError"
            | "RequestLimitExceeded" => Self::Overloaded { operation, reason },
            "InternalServerError" | "ServiceUnavailable" | "IdempotentParameterMismatchException" => {
                Self::NoAnswer { operation, reason }
            }
            _ => Self::Refused { operation, reason },
        }
    }
}

/// The error with its causes: the SDK's own text names only the outermost.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
