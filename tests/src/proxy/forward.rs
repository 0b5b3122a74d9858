//! Handing requests on, boundary by boundary.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use futures_util::Stream;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;

use super::{Watched, label};

/// One side of the proxy.
#[derive(Debug, Clone)]
struct Upstream {
    base_url: Arc<str>,
    http: reqwest::Client,
    watched: Watched,
}

/// Stands in front of a DynamoDB engine.
pub(super) fn table(base_url: &str, watched: &Watched) -> Router {
    Router::new().fallback(table_request_through).with_state(Upstream::new(base_url, watched))
}

/// Stands in front of a provider.
pub(super) fn provider(base_url: &str, watched: &Watched) -> Router {
    Router::new().fallback(provider_call_through).with_state(Upstream::new(base_url, watched))
}

async fn table_request_through(State(upstream): State<Upstream>, request: axum::extract::Request) -> Response {
    let (head, body) = read(request).await;
    let boundary = label::table_request(&head.headers, &body, upstream.watched.expected_events());
    upstream.watched.reach(&boundary).await;
    let (status, headers, answer) = upstream.send(&head, body).await;
    upstream.watched.cross(&boundary).await;
    respond(status, headers, Body::from(answer))
}

async fn provider_call_through(State(upstream): State<Upstream>, request: axum::extract::Request) -> Response {
    let (head, body) = read(request).await;
    upstream.watched.reach(label::CALL).await;
    let (status, headers, answer) = upstream.send(&head, body).await;
    upstream.watched.cross(label::CALL).await;
    let streamed = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    let pieces = if streamed {
        let events = label::events(&answer);
        upstream.watched.expect_events(events.len());
        label::pieces(&events)
    } else {
        vec![(label::ANSWER, answer)]
    };
    respond(status, headers, Body::from_stream(send_pieces(upstream.watched, pieces)))
}

fn send_pieces(watched: Watched, pieces: Vec<(&'static str, Bytes)>) -> impl Stream<Item = Result<Bytes, Infallible>> {
    async_stream::stream! {
        for (boundary, piece) in pieces {
            watched.reach(boundary).await;
            yield Ok(piece);
            watched.cross(boundary).await;
        }
    }
}

async fn read(request: axum::extract::Request) -> (Parts, Bytes) {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("the program sends whole requests").to_bytes();
    (head, body)
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

impl Upstream {
    fn new(base_url: &str, watched: &Watched) -> Self {
        let http = turnwise_providers::http_client().expect("the client's own defaults are valid");
        Self { base_url: base_url.into(), http, watched: watched.clone() }
    }

    /// Sends a request on, and reads its answer whole.
    async fn send(&self, head: &Parts, body: Bytes) -> (StatusCode, HeaderMap, Bytes) {
        let url = format!("{}{}", self.base_url, head.uri);
        let request = self.http.request(head.method.clone(), url).headers(end_to_end(&head.headers)).body(body);
        let answer = request.send().await.expect("what the proxy stands in front of answers");
        let (status, headers) = (answer.status(), end_to_end(answer.headers()));
        (status, headers, answer.bytes().await.expect("what the proxy stands in front of answers whole"))
    }
}

/// The headers without those of a single connection.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}
