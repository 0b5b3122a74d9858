//! The queue: SQS in the cloud, a channel in one process.
//!
//! A message is only a hint that something is due; the table decides what. So a
//! lost message costs time and a doubled one a look at the table, never more.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use turnwise_core::id::{Tenant, TurnKey};

/// Longest delay SQS takes; a longer one is cut, as the row knows when it is due.
const MAX_DELAY: Duration = Duration::from_secs(900);

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// A turn that has an input and no end.
    Turn {
        /// Whose.
        tenant: Tenant,
        /// Which.
        key: TurnKey,
    },
}

/// The sending end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue(Port);

#[derive(Debug, Clone)]
enum Port {
    Sqs { client: aws_sdk_sqs::Client, url: Arc<str> },
    InProcess(mpsc::UnboundedSender<Message>),
}

/// The receiving end of a queue in one process.
#[derive(Debug)]
pub struct Receiver(Mutex<mpsc::UnboundedReceiver<Message>>);

/// A message could not be sent.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not take a message: {0}")]
pub struct Error(String);

impl Queue {
    /// The SQS queue at `url`.
    #[must_use]
    pub fn sqs(sdk: &SdkConfig, url: &str) -> Self {
        Self(Port::Sqs { client: aws_sdk_sqs::Client::new(sdk), url: url.into() })
    }

    /// A queue within this process. It need not be durable: due rows without a
    /// message are found by looking.
    #[must_use]
    pub fn in_process() -> (Self, Receiver) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(Port::InProcess(sender)), Receiver(Mutex::new(receiver)))
    }

    /// Whether the queue answers.
    ///
    /// # Errors
    /// What kept it from answering.
    pub async fn ping(&self) -> Result<(), Error> {
        match &self.0 {
            Port::Sqs { client, url } => {
                let asked = client.get_queue_attributes().queue_url(&**url).send().await;
                asked.map(|_| ()).map_err(|error| Error(format!("{error:?}")))
            }
            Port::InProcess(sender) if sender.is_closed() => Err(Error("its receiver is gone".to_owned())),
            Port::InProcess(_) => Ok(()),
        }
    }

    /// Sends a hint, to arrive after about `delay`; in one process at once, where a
    /// look too early costs nothing.
    ///
    /// # Errors
    /// When SQS does not take it. The caller may go on: the row stays due.
    pub async fn send(&self, message: &Message, delay: Duration) -> Result<(), Error> {
        match &self.0 {
            Port::Sqs { client, url } => {
                let body = serde_json::to_string(message).map_err(|error| Error(error.to_string()))?;
                let delay = i32::try_from(delay.min(MAX_DELAY).as_secs()).unwrap_or(i32::MAX);
                client
                    .send_message()
                    .queue_url(&**url)
                    .delay_seconds(delay)
                    .message_body(body)
                    .send()
                    .await
                    .map(|_| ())
                    .map_err(|error| Error(format!("{error:?}")))
            }
            // Nobody listening means that the process is going down.
            Port::InProcess(sender) => sender.send(message.clone()).map_err(|error| Error(error.to_string())),
        }
    }
}

impl Receiver {
    /// The next message; `None` when every sender is gone.
    pub async fn receive(&self) -> Option<Message> {
        self.0.lock().await.recv().await
    }
}
