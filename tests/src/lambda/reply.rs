//! What a function answers, taken apart as API Gateway takes it.

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::api::{Arrived, HangUp};
use super::in_time;

/// Between a streamed answer's prelude and its body.
const DELIMITER: [u8; 8] = [0; 8];

/// How an answer was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One JSON object with status, headers and body.
    Buffered,
    /// A prelude with status and headers, then the body as it is made.
    Streamed,
}

/// One invocation, while it is answered.
#[derive(Debug)]
pub struct Invocation {
    arrivals: mpsc::UnboundedReceiver<Arrived>,
    hang_up: Option<oneshot::Sender<HangUp>>,
    mode: Option<Mode>,
    bytes: Vec<u8>,
    error: Option<Value>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// How it was sent.
    pub mode: Mode,
    /// The HTTP status.
    pub status: u16,
    /// The headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Invocation {
    pub(super) const fn new(arrivals: mpsc::UnboundedReceiver<Arrived>, hang_up: oneshot::Sender<HangUp>) -> Self {
        Self { arrivals, hang_up: Some(hang_up), mode: None, bytes: Vec::new(), error: None }
    }

    /// Waits until `text` has arrived.
    ///
    /// # Panics
    /// If the answer ends without it.
    pub async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.bytes).contains(text) {
            assert!(self.more().await, "the answer ended without {text:?}: {}", self.seen());
        }
    }

    /// Lets the client go away.
    ///
    /// # Panics
    /// If it is gone already, or the answer is whole.
    pub fn hang_up(&mut self, how: HangUp) {
        let hang_up = self.hang_up.take().expect("a client goes away once");
        hang_up.send(how).expect("the answer is still on its way");
    }

    /// What has arrived so far, as text.
    #[must_use]
    pub fn seen(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The whole answer of a function behind API Gateway.
    ///
    /// # Panics
    /// If the function reports an error, or what it sends is no HTTP answer.
    pub async fn reply(mut self) -> Reply {
        let bytes = self.whole().await;
        match self.mode {
            Some(Mode::Streamed) => streamed(&bytes),
            Some(Mode::Buffered) => buffered(&bytes),
            None => panic!("the function answered nothing"),
        }
    }

    /// The whole answer as it was sent.
    ///
    /// # Panics
    /// If the function reports an error.
    pub async fn bytes(mut self) -> Vec<u8> {
        self.whole().await
    }

    /// The whole answer of a function that is not behind API Gateway.
    ///
    /// # Panics
    /// If the function reports an error, or what it sends is no JSON.
    pub async fn value(self) -> Value {
        let bytes = self.bytes().await;
        serde_json::from_slice(&bytes).expect("a buffered answer is JSON")
    }

    async fn whole(&mut self) -> Vec<u8> {
        while self.more().await {}
        if let Some(error) = &self.error {
            panic!("the function reported an error: {error}");
        }
        std::mem::take(&mut self.bytes)
    }

    /// Waits for more of the answer; false at its end.
    async fn more(&mut self) -> bool {
        match in_time("an answer", self.arrivals.recv()).await {
            Some(Arrived::Head(mode)) => self.mode = Some(mode),
            Some(Arrived::Bytes(bytes)) => self.bytes.extend_from_slice(&bytes),
            Some(Arrived::Error(error)) => self.error = Some(error),
            Some(Arrived::End) | None => return false,
        }
        true
    }
}

impl Reply {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }
}

fn streamed(bytes: &[u8]) -> Reply {
    let at = bytes.windows(DELIMITER.len()).position(|window| window == DELIMITER);
    let at = at.expect("a streamed answer has a prelude and eight NULs");
    let prelude: Value = serde_json::from_slice(&bytes[..at]).expect("a prelude is JSON");
    Reply {
        mode: Mode::Streamed,
        status: status(&prelude),
        headers: headers(&prelude["headers"]),
        body: String::from_utf8(bytes[at + DELIMITER.len()..].to_vec()).expect("our bodies are text"),
    }
}

fn buffered(bytes: &[u8]) -> Reply {
    let answer: Value = serde_json::from_slice(bytes).expect("a buffered answer is JSON");
    assert_eq!(answer["isBase64Encoded"], false, "our bodies are text: {answer}");
    Reply {
        mode: Mode::Buffered,
        status: status(&answer),
        headers: [headers(&answer["headers"]), headers(&answer["multiValueHeaders"])].concat(),
        body: answer["body"].as_str().unwrap_or_default().to_owned(),
    }
}

fn status(answer: &Value) -> u16 {
    let status = answer["statusCode"].as_u64().expect("an answer has a status");
    u16::try_from(status).expect("a status has three digits")
}

/// Of `{"name": "value"}` and `{"name": ["value"]}`.
fn headers(fields: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields = fields.as_object().into_iter().flatten();
    let each = fields.flat_map(|(name, value)| {
        let values = value.as_array().map_or_else(|| vec![text(value)], |all| all.iter().map(text).collect());
        values.into_iter().map(|value| (name.to_ascii_lowercase(), value))
    });
    each.collect()
}
