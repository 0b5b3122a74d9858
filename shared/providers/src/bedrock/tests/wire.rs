//! Requests as they arrive.

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use turnwise_core::category::Category;
use turnwise_core::generation::Event;

use super::{call, hello};
use crate::bedrock::frames::tests::encoded;
use crate::call::Call;
use crate::error::Dispatched;
use crate::registry::Providers;
use crate::settings::Settings;

/// Keys as they stand in Amazon's documentation, and as they would come from a role.
const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    ("AWS_SESSION_TOKEN", "a-session"),
];

/// A request that arrived.
struct Arrived {
    /// Its first line and its headers, in lower case but for values.
    head: Vec<String>,
    body: Value,
}

impl Arrived {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A server for one request, which it answers with `answer`: its address, and what arrives.
async fn server(answer: Vec<u8>) -> (String, tokio::sync::oneshot::Receiver<Arrived>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::oneshot::channel();
    #[expect(clippy::disallowed_methods, reason = "a test's server")]
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        let arrived = loop {
            let mut piece = [0; 4096];
            let read = socket.read(&mut piece).await.unwrap();
            bytes.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head: Vec<String> = head.lines().map(str::to_owned).collect();
            let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                break Arrived { head, body: serde_json::from_str(body).unwrap_or_default() };
            }
        };
        let _ = sender.send(arrived);
        socket.write_all(&answer).await.unwrap();
    });
    (address, receiver)
}

fn response(status: &str, content_type: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n{extra}connection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn json_response(body: &Value) -> Vec<u8> {
    response("200 OK", "application/json", "", body.to_string().as_bytes())
}

fn providers(address: &str, rows: &[(&str, &str)]) -> Providers {
    let fixed = [("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", address)];
    let settings = Settings::read(|name| {
        fixed.iter().chain(rows).find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    });
    Providers::new(&settings).unwrap()
}

fn bedrock(address: &str, rows: &[(&str, &str)]) -> std::sync::Arc<crate::Provider> {
    providers(address, rows).resolve(Some("bedrock/amazon.nova-micro-v1:0")).unwrap().provider
}

#[tokio::test]
async fn a_signed_request_arrives_with_its_headers_and_its_body() {
    let (address, arrived) = server(json_response(&json!({"output": {"message": {"content": [{"text": "hello"}]}},
        "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}})))
    .await;
    let completion = bedrock(&address, &KEYS).complete(&hello()).await.unwrap();
    assert_eq!((completion.text.as_str(), completion.usage.output), ("hello", 2));

    let arrived = arrived.await.unwrap();
    assert_eq!(arrived.head[0], "POST /model/amazon.nova-micro-v1%3A0/converse HTTP/1.1");
    assert_eq!(arrived.body, json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}));
    let date = arrived.header("x-amz-date").unwrap();
    assert!(date.len() == 16 && date.ends_with('Z'), "{date}");
    let authorization = arrived.header("authorization").unwrap();
    let expected = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{}/us-east-1/bedrock/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=",
        &date[..8]
    );
    assert!(authorization.starts_with(&expected), "{authorization}");
    assert_eq!(arrived.header("x-amz-security-token"), Some("a-session"));
    assert_eq!(arrived.header("content-type"), Some("application/json"));
    assert_eq!(arrived.header("host"), address.strip_prefix("http://"));
}

#[tokio::test]
async fn a_bearer_token_goes_before_keys_and_nothing_is_signed() {
    let (address, arrived) = server(json_response(&json!({"inputTokens": 42}))).await;
    let rows = [&KEYS[..], &[("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key")]].concat();
    let counted = bedrock(&address, &rows).count(&hello()).await.unwrap();
    assert_eq!(counted.unwrap(), 42);
    let arrived = arrived.await.unwrap();
    assert_eq!(arrived.head[0], "POST /model/amazon.nova-micro-v1%3A0/count-tokens HTTP/1.1");
    assert_eq!(arrived.header("authorization"), Some("Bearer bedrock-api-key"));
    assert_eq!((arrived.header("x-amz-date"), arrived.header("x-amz-security-token")), (None, None));
    assert_eq!(
        arrived.body,
        json!({"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}}})
    );
}

#[tokio::test]
async fn a_stream_is_read_to_its_end() {
    let event = |name: &str, payload: &str| encoded(&[(":message-type", "event"), (":event-type", name)], payload);
    let body = [
        event("messageStart", r#"{"role":"assistant"}"#),
        event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"hello"}}"#),
        event("messageStop", r#"{"stopReason":"end_turn"}"#),
        event("metadata", r#"{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}"#),
    ];
    let answer = response("200 OK", "application/vnd.amazon.eventstream", "", &body.concat());
    let (address, arrived) = server(answer).await;
    let mut stream = bedrock(&address, &KEYS).stream(&hello()).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.unwrap());
    }
    assert!(matches!(events.as_slice(), [Event::Chunk(_), Event::Chunk(_), Event::Chunk(_), Event::Finished]));
    assert_eq!(arrived.await.unwrap().head[0], "POST /model/amazon.nova-micro-v1%3A0/converse-stream HTTP/1.1");
}

#[tokio::test]
async fn models_are_listed_by_a_signed_request() {
    let (address, arrived) =
        server(json_response(&json!({"modelSummaries": [{"modelId": "a"}, {"modelId": "b"}]}))).await;
    assert_eq!(bedrock(&address, &KEYS).models().await.unwrap(), ["a", "b"]);
    let arrived = arrived.await.unwrap();
    assert_eq!(arrived.head[0], "GET /foundation-models HTTP/1.1");
    assert!(arrived.header("authorization").unwrap().contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
}

#[tokio::test]
async fn a_refusal_goes_by_its_exception() {
    let body = br#"{"message":"You don't have access to the model with the specified model ID."}"#;
    let extra = "x-amzn-errortype: AccessDeniedException\r\n";
    let (address, _) = server(response("403 Forbidden", "application/json", extra, body)).await;
    let error = bedrock(&address, &KEYS).complete(&hello()).await.unwrap_err();
    assert_eq!((error.category, &*error.code), (Category::AuthorizationError, "provider_access_denied"));
}

#[tokio::test]
async fn what_cannot_be_asked_is_never_sent() {
    let provider = bedrock("http://127.0.0.1:1", &KEYS);
    let dots = Call {
        generation: super::generation("..", &json!({"messages": [{"role": "user", "content": "hi"}]})),
        ..hello()
    };
    let error = provider.complete(&dots).await.unwrap_err();
    assert_eq!((&*error.code, error.dispatched), ("model_not_found", Dispatched::No));

    let faulty = json!({"messages": [{"role": "user", "content": "hi"}], "logprobs": true});
    assert!(provider.check(&call("m", &faulty).generation).is_err());
    let error = provider.complete(&call("m", &faulty)).await.unwrap_err();
    assert_eq!(
        (&*error.code, error.param.as_deref(), error.dispatched),
        ("invalid_request", Some("logprobs"), Dispatched::No)
    );

    let tuned = json!({"messages": [{"role": "user", "content": "hi"}], "seed": 1});
    assert_eq!(provider.check(&call("m", &tuned).generation).unwrap(), ["seed"]);
}

/// The fields at fault, or whether Bedrock is configured.
fn configured(rows: &[(&str, &str)]) -> Result<bool, Vec<String>> {
    let settings = Settings::read(|name| rows.iter().find(|row| row.0 == name).map(|row| row.1.to_owned()));
    let fields = |faults: turnwise_core::fault::Faults| faults.0.into_iter().map(|fault| fault.field).collect();
    Providers::new(&settings)
        .map(|providers| providers.configured().any(|provider| provider.name() == "bedrock"))
        .map_err(fields)
}

#[test]
fn bedrock_needs_a_region_and_a_token_or_two_keys() {
    let region = ("AWS_DEFAULT_REGION", "eu-central-1");
    let fault = |name: &str| Err(vec![name.to_owned()]);
    assert_eq!(configured(&[region]), Ok(false));
    assert_eq!(configured(&[region, KEYS[0], KEYS[1]]), Ok(true));
    assert_eq!(configured(&[region, ("AWS_BEARER_TOKEN_BEDROCK", "k")]), Ok(true));
    assert_eq!(configured(&[KEYS[0], KEYS[1]]), Ok(false));
    assert_eq!(configured(&[region, KEYS[0]]), fault("AWS_SECRET_ACCESS_KEY"));
    assert_eq!(configured(&[region, KEYS[1]]), fault("AWS_ACCESS_KEY_ID"));
    assert_eq!(configured(&[("AWS_REGION", "evil.com/"), KEYS[0], KEYS[1]]), fault("AWS_REGION"));
    assert_eq!(
        configured(&[region, ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "localhost"), KEYS[0], KEYS[1]]),
        fault("AWS_ENDPOINT_URL_BEDROCK_RUNTIME")
    );
    assert_eq!(configured(&[region, KEYS[0], KEYS[1], ("AWS_SESSION_TOKEN", "a\nb")]), fault("AWS_SESSION_TOKEN"));
}

#[test]
fn a_request_for_bedrock_is_told_what_is_missing() {
    let unknown = Providers::new(&Settings::default()).unwrap().resolve(Some("bedrock/x")).unwrap_err();
    assert!(unknown.to_string().contains("AWS_REGION"), "{unknown}");
}

#[test]
fn a_regions_address_is_amazons() {
    let address = |rows: &[(&str, &str)]| {
        let settings = Settings::read(|name| rows.iter().find(|row| row.0 == name).map(|row| row.1.to_owned()));
        let provider = Providers::new(&settings).unwrap().resolve(Some("bedrock/m")).unwrap().provider;
        let crate::Provider::Bedrock(bedrock) = &*provider else { panic!("no Bedrock") };
        (bedrock.runtime.url("/x"), bedrock.control.url("/x"))
    };
    let own = |url: &str| (format!("{url}/x"), format!("{url}/x"));
    let rows = [("AWS_REGION", "eu-west-1"), KEYS[0], KEYS[1]];
    let amazons = |host: &str| format!("https://{host}.eu-west-1.amazonaws.com/x");
    assert_eq!(address(&rows), (amazons("bedrock-runtime"), amazons("bedrock")));
    let rows = [&rows[..], &[("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://localhost:1/")]].concat();
    assert_eq!(address(&rows), own("http://localhost:1"));
}
