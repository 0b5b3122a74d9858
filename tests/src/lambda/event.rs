//! What API Gateway and SQS hand to a function.

use serde_json::{Map, Value, json};

use super::KEY;

/// A request as a REST API with proxy integration hands it on, in the stage `v0`.
#[derive(Debug, Clone)]
pub struct Event {
    method: &'static str,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

impl Event {
    /// `GET path`, with the key that [`Setup`](super::Setup) configures.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// `POST path`, with the key that [`Setup`](super::Setup) configures.
    #[must_use]
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// Any method, with the key that [`Setup`](super::Setup) configures.
    #[must_use]
    pub fn new(method: &'static str, path: &str) -> Self {
        let headers = vec![
            ("Accept".to_owned(), "*/*".to_owned()),
            ("Host".to_owned(), "abcde12345.execute-api.us-east-1.amazonaws.com".to_owned()),
            ("X-Forwarded-Proto".to_owned(), "https".to_owned()),
        ];
        let event = Self { method, path: path.to_owned(), query: Vec::new(), headers, body: None };
        event.header("Authorization", &format!("Bearer {KEY}"))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Takes the key away.
    #[must_use]
    pub fn without_key(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "Authorization");
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        let mut event = self.header("Content-Type", "application/json");
        event.body = Some(body.to_string());
        event
    }

    /// The event.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({
            "resource": self.path,
            "path": self.path,
            "httpMethod": self.method,
            "headers": single(&self.headers),
            "multiValueHeaders": multi(&self.headers),
            "queryStringParameters": single(&self.query),
            "multiValueQueryStringParameters": multi(&self.query),
            "pathParameters": null,
            "stageVariables": null,
            "requestContext": {
                "resourceId": "a1b2c3",
                "resourcePath": self.path,
                "httpMethod": self.method,
                "path": format!("/v0{}", self.path),
                "accountId": "123456789012",
                "protocol": "HTTP/1.1",
                "stage": "v0",
                "requestTimeEpoch": 1_795_165_200_000_u64,
                "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbe00",
                "identity": {"sourceIp": "203.0.113.7"},
                "domainName": "abcde12345.execute-api.us-east-1.amazonaws.com",
                "apiId": "abcde12345",
            },
            "body": self.body,
            "isBase64Encoded": false,
        })
    }

    /// A batch of SQS messages, `(id, body)`.
    #[must_use]
    pub fn sqs(messages: &[(&str, &str)]) -> Value {
        let records: Vec<Value> = messages
            .iter()
            .map(|(id, body)| {
                json!({
                    "messageId": id,
                    "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a==",
                    "body": body,
                    "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1795165200000"},
                    "messageAttributes": {},
                    "eventSource": "aws:sqs",
                    "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:turnwise-Queue",
                    "awsRegion": "us-east-1",
                })
            })
            .collect();
        json!({"Records": records})
    }
}

impl From<&Event> for Value {
    fn from(event: &Event) -> Self {
        event.to_value()
    }
}

/// API Gateway writes no value at all as null.
fn single(pairs: &[(String, String)]) -> Value {
    let map: Map<String, Value> = pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    if map.is_empty() { Value::Null } else { Value::Object(map) }
}

fn multi(pairs: &[(String, String)]) -> Value {
    let map: Map<String, Value> = pairs.iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    if map.is_empty() { Value::Null } else { Value::Object(map) }
}
