//! The queue: SQS in the cloud, a channel in one process.
//!
//! A message is only a hint that something is due; the table decides what. So a
//! lost message costs time and a doubled one a look at the table, never more.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use turnwise_core::id::{ConversationId, Tenant, TurnKey};

/// Longest delay SQS takes; a longer one is cut, as the row knows when it is due.
const MAX_DELAY: Duration = Duration::from_secs(900);

/// Messages that one redrive puts back: what fits well into a function's time.
const MAX_REDRIVEN: usize = 500;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// A turn that has an input and no end, or the queue in which it waits.
    Turn {
        /// Whose.
        tenant: Tenant,
        /// Which.
        key: TurnKey,
    },
    /// A conversation whose erasure has begun and perhaps not ended.
    Erase {
        /// Whose.
        tenant: Tenant,
        /// Which.
        conversation: ConversationId,
    },
}

/// The sending end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue(Port);

#[derive(Debug, Clone)]
enum Port {
    Sqs { client: aws_sdk_sqs::Client, url: Arc<str>, dead_letters: Option<Arc<str>> },
    InProcess(mpsc::UnboundedSender<Sent>),
}

/// A message in a queue of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What is due.
    pub message: Message,
    /// After how long, from the sending on.
    pub delay: Duration,
}

/// The receiving end of a queue in one process.
#[derive(Debug)]
pub struct Receiver(Mutex<mpsc::UnboundedReceiver<Sent>>);

/// A message could not be sent.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not take a message: {0}")]
pub struct Error(String);

impl Queue {
    /// The SQS queue at `url`, and the one where its messages go that failed too often.
    #[must_use]
    pub fn sqs(sdk: &SdkConfig, url: &str, dead_letters: Option<&str>) -> Self {
        let client = aws_sdk_sqs::Client::new(sdk);
        Self(Port::Sqs { client, url: url.into(), dead_letters: dead_letters.map(Into::into) })
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
            Port::Sqs { client, url, .. } => {
                let asked = client.get_queue_attributes().queue_url(&**url).send().await;
                asked.map(|_| ()).map_err(|error| Error(format!("{error:?}")))
            }
            Port::InProcess(sender) if sender.is_closed() => Err(Error("its receiver is gone".to_owned())),
            Port::InProcess(_) => Ok(()),
        }
    }

    /// Sends a hint, due after about `delay`. In one process it arrives at once and
    /// says so: the receiver has the clock.
    ///
    /// # Errors
    /// When SQS does not take it. The caller may go on: the row stays due.
    pub async fn send(&self, message: &Message, delay: Duration) -> Result<(), Error> {
        match &self.0 {
            Port::Sqs { client, url, .. } => {
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
            Port::InProcess(sender) => {
                let sent = Sent { message: message.clone(), delay };
                sender.send(sent).map_err(|error| Error(error.to_string()))
            }
        }
    }
}

impl Queue {
    /// Puts messages that failed too often back on the queue, at most
    /// [`MAX_REDRIVEN`] of them; how many. Each is sent before it is deleted, so one
    /// may come twice and none is lost. In one process there are none.
    ///
    /// # Errors
    /// When SQS does not answer; what was put back stays so.
    pub async fn redrive(&self) -> Result<usize, Error> {
        let (client, url, dead_letters) = match &self.0 {
            Port::Sqs { client, url, dead_letters: Some(dead_letters) } => (client, url, dead_letters),
            Port::Sqs { dead_letters: None, .. } | Port::InProcess(_) => return Ok(0),
        };
        let failed = |error: &dyn std::fmt::Debug| Error(format!("{error:?}"));
        let mut moved = 0;
        while moved < MAX_REDRIVEN {
            let received = client.receive_message().queue_url(&**dead_letters).max_number_of_messages(10);
            let received = received.wait_time_seconds(1).send().await.map_err(|error| failed(&error))?;
            if received.messages().is_empty() {
                break;
            }
            for message in received.messages() {
                let sent = client.send_message().queue_url(&**url).message_body(message.body().unwrap_or_default());
                sent.send().await.map_err(|error| failed(&error))?;
                let handle = message.receipt_handle().unwrap_or_default();
                let deleted = client.delete_message().queue_url(&**dead_letters).receipt_handle(handle);
                deleted.send().await.map_err(|error| failed(&error))?;
                moved += 1;
            }
        }
        Ok(moved)
    }
}

impl Receiver {
    /// The next message; `None` when every sender is gone.
    pub async fn receive(&self) -> Option<Sent> {
        self.0.lock().await.recv().await
    }
}
