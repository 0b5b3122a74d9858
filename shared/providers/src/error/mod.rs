//! What can go wrong upstream, and whether the call may have run.
//!
//! `answer` judges what an upstream says; this file holds the type, and the
//! trouble on the way to and from it.

mod answer;
mod aws;
mod details;

use std::error::Error as StdError;
use std::time::Duration;

use turnwise_core::category::{Category, Retry};
use turnwise_core::fault::Faults;

pub(crate) use self::answer::{exception, in_body, is_error, refused};
use crate::call::Target;
use crate::settings::Secret;

/// Whether the provider may have run the call. Decides whether a turn that must
/// run at most once may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatched {
    /// It did not: it was never reached, or says that it refused.
    No,
    /// It may have, and may charge for it.
    Maybe,
}

/// A call that failed upstream.
///
/// Its message says what failed and for which `provider/model`, and can be logged:
/// it never holds a key, a prompt or an answer.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Name of the provider that was asked.
    pub provider: Box<str>,
    /// One of the twelve.
    pub category: Category,
    /// Machine-readable code within the category.
    pub code: Box<str>,
    /// A sentence for the log.
    pub message: Box<str>,
    /// The upstream's own words about a request it refused as invalid: for the
    /// client who wrote that request and never for the log, since they may quote it.
    pub detail: Option<Secret>,
    /// The field at fault, where the upstream named one.
    pub param: Option<Box<str>>,
    /// What the provider asked us to wait: more than 0, at most 60 s.
    pub retry_after: Option<Duration>,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// Whether the provider may have run the call.
    pub dispatched: Dispatched,
    /// What caused it, where there is more to know.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that is as retryable as its code. One of our own is not: the same call would
    /// meet it again.
    pub(crate) fn new(
        target: &Target,
        category: Category,
        code: &str,
        message: impl Into<Box<str>>,
        dispatched: Dispatched,
    ) -> Self {
        Self {
            provider: target.provider.as_str().into(),
            category,
            code: code.into(),
            message: message.into(),
            detail: None,
            param: None,
            retry_after: None,
            retryable: category.profile_of(code).retry == Retry::Yes,
            dispatched,
            source: None,
        }
    }

    /// The same, with its cause.
    pub(crate) fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..self }
    }

    /// The same, for trouble that the same call would meet again.
    pub(crate) fn final_one(self) -> Self {
        Self { retryable: false, ..self }
    }
}

/// The error for a request that got no answer.
pub(crate) fn unanswered(target: &Target, error: reqwest::Error) -> Error {
    // The URL is taken off: it is the operator's, and not for every log.
    let error = error.without_url();
    let provider = &target.provider;
    let (category, code, message, dispatched) = if error.is_builder() {
        let message = format!("The request to {target} could not be built.");
        (Category::InternalError, "internal_error", message, Dispatched::No)
    } else if error.is_connect() {
        let message = format!("{provider} could not be reached: no connection for {target}.");
        (Category::NetworkError, "network_error", message, Dispatched::No)
    } else if error.is_timeout() {
        let message = format!("{provider} did not answer in time for {target}.");
        (Category::TimeoutError, "timeout", message, Dispatched::Maybe)
    } else {
        let message = format!("The connection to {provider} broke before it answered for {target}.");
        (Category::NetworkError, "network_error", message, Dispatched::Maybe)
    };
    Error::new(target, category, code, message, dispatched).with_source(error)
}

/// The error for a body that broke off while it was read.
pub(crate) fn broken_body(target: &Target, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let (category, code, what) = if error.is_timeout() {
        (Category::TimeoutError, "timeout", "took too long")
    } else {
        (Category::NetworkError, "network_error", "broke off")
    };
    let message = format!("The answer of {target} {what} before its end.");
    Error::new(target, category, code, message, Dispatched::Maybe).with_source(error)
}

/// The error for a stream that ended without its finish signal.
pub(crate) fn truncated(target: &Target) -> Error {
    let message = format!("The stream of {target} ended without its finish signal.");
    Error::new(target, Category::NetworkError, "stream_truncated", message, Dispatched::Maybe)
}

/// The error for an answer that is not what was asked for; `what` completes
/// "The answer of provider/model ...".
pub(crate) fn malformed(target: &Target, what: &str) -> Error {
    let message = format!("The answer of {target} {what}.");
    Error::new(target, Category::ApiError, "malformed_answer", message, Dispatched::Maybe)
}

/// The error for a request that cannot be said in the upstream's format: it was not called.
pub(crate) fn unsayable(target: &Target, faults: &Faults) -> Error {
    let message = format!("{target} was not called: it cannot be asked what the request asks.");
    let error = Error::new(target, Category::ValidationError, "unsupported_request", message, Dispatched::No);
    let param = faults.first_field().map(Box::from);
    // Faults quote the request: they are for its client, and not for the log.
    Error { detail: Some(Secret::new(faults.to_string())), param, ..error }
}

/// The error for an answer longer than we take.
pub(crate) fn too_long(target: &Target, limit_bytes: usize) -> Error {
    let message = format!("The answer of {target} is longer than {limit_bytes} bytes.");
    Error::new(target, Category::ApiError, "answer_too_long", message, Dispatched::Maybe).final_one()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target { provider: "openai".to_owned(), model: "m".to_owned() }
    }

    #[tokio::test]
    async fn a_refused_connection_was_never_dispatched() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", socket.local_addr().unwrap());
        drop(socket);
        let transport = crate::transport::Transport::default();
        let error = transport.client(&target(), None).unwrap().get(url).send().await.unwrap_err();
        let error = unanswered(&target(), error);
        assert_eq!((error.category, error.dispatched, error.retryable), (Category::NetworkError, Dispatched::No, true));
    }

    #[tokio::test]
    async fn a_connection_closed_after_the_request_may_have_been_dispatched() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", socket.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut peer, _) = socket.accept().unwrap();
            std::io::Read::read(&mut peer, &mut [0; 1024]).unwrap();
        });
        let transport = crate::transport::Transport::default();
        let error = transport.client(&target(), None).unwrap().get(url).send().await.unwrap_err();
        let error = unanswered(&target(), error);
        assert_eq!((error.category, error.dispatched), (Category::NetworkError, Dispatched::Maybe));
        assert!(!format!("{:?}", error.source).contains("127.0.0.1"));
    }

    #[tokio::test]
    async fn a_failed_tls_handshake_was_never_dispatched() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/v1", socket.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut peer, _) = socket.accept().unwrap();
            std::io::Write::write_all(&mut peer, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            std::io::Read::read(&mut peer, &mut [0; 1024]).unwrap();
        });
        let transport = crate::transport::Transport::default();
        let error = transport.client(&target(), None).unwrap().get(url).send().await.unwrap_err();
        let error = unanswered(&target(), error);
        assert_eq!((error.category, error.dispatched), (Category::NetworkError, Dispatched::No));
    }

    #[test]
    fn an_error_stays_small() {
        // Larger ones make every Result that carries them slow to pass around.
        assert!(size_of::<Error>() < 128, "{}", size_of::<Error>());
    }
}
