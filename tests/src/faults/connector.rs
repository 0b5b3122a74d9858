//! The HTTP client of one process, with its faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::kinds::{Fault, Operation};
use super::net::Net;

/// One process: it may stop for a while, or for good.
#[derive(Debug, Clone)]
pub struct Process(Arc<State>);

#[derive(Debug)]
struct State {
    net: Arc<Net>,
    inner: SharedHttpConnector,
    stopped: AtomicBool,
    woken: Notify,
}

type Reply = Result<HttpResponse, ConnectorError>;

impl Process {
    /// A process on `net` whose requests go on through `inner`.
    #[must_use]
    pub fn new(net: &Arc<Net>, inner: SharedHttpConnector) -> Self {
        let state = State { net: Arc::clone(net), inner, stopped: AtomicBool::new(false), woken: Notify::new() };
        Self(Arc::new(state))
    }

    /// The process's HTTP client.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    /// Wakes a process that had stopped.
    pub fn wake(&self) {
        self.0.stopped.store(false, Ordering::SeqCst);
        self.0.woken.notify_waiters();
    }

    /// Whether it stands still.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    async fn handle(self, request: HttpRequest) -> Reply {
        self.while_stopped().await;
        let body: Value = request.body().bytes().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let operation = Operation::of(&target, &body);
        match self.0.net.draw(operation, &body) {
            None => self.send(request, operation, &body).await,
            Some(fault) => self.suffer(fault, request, operation, &body).await,
        }
    }

    async fn suffer(&self, fault: Fault, request: HttpRequest, operation: Operation, body: &Value) -> Reply {
        match fault {
            Fault::LostRequest => Err(no_answer()),
            Fault::LostReply => {
                let _ = self.send(request, operation, body).await;
                Err(no_answer())
            }
            Fault::Late => {
                let (process, body) = (self.clone(), body.clone());
                tokio::spawn(async move {
                    process.pause(false).await;
                    let _ = process.send(request, operation, &body).await;
                });
                Err(no_answer())
            }
            Fault::Delay => {
                self.pause(false).await;
                self.send(request, operation, body).await
            }
            Fault::Duplicate => {
                let copy = request.try_clone().expect("a body in memory");
                let _ = self.send(copy, operation, body).await;
                self.send(request, operation, body).await
            }
            Fault::Throttled => Ok(refusal("ThrottlingException", &json!({"message": "Rate exceeded"}))),
            Fault::Conflict => Ok(conflict(operation, body)),
            Fault::TokenMismatch => {
                let _ = self.send(request, operation, body).await;
                Ok(refusal("IdempotentParameterMismatchException", &json!({"Message": "another request"})))
            }
            Fault::StopBefore => {
                self.stop().await;
                self.send(request, operation, body).await
            }
            Fault::StopAfter => {
                let reply = self.send(request, operation, body).await;
                self.stop().await;
                reply
            }
        }
    }

    async fn send(&self, request: HttpRequest, operation: Operation, body: &Value) -> Reply {
        self.0.net.in_flight.fetch_add(1, Ordering::SeqCst);
        let reply = self.0.inner.call(request).await;
        self.0.net.in_flight.fetch_sub(1, Ordering::SeqCst);
        let applied = reply.as_ref().is_ok_and(|reply| reply.status().is_success());
        if applied && operation.is_transaction() {
            self.0.net.note(operation, body);
        }
        reply
    }

    /// Everything of this process stands still, as it does when a Lambda's sandbox
    /// is frozen.
    async fn stop(&self) {
        if self.0.net.is_healed() {
            return;
        }
        self.0.stopped.store(true, Ordering::SeqCst);
        if let Some(pause) = self.0.net.draw_pause(true) {
            // In a task of its own: whoever sent the request may give it up meanwhile.
            let process = self.clone();
            tokio::spawn(async move {
                process.0.net.clock.sleep(pause).await;
                process.wake();
            });
        }
        self.while_stopped().await;
    }

    async fn while_stopped(&self) {
        loop {
            let woken = self.0.woken.notified();
            if !self.0.stopped.load(Ordering::SeqCst) {
                return;
            }
            woken.await;
        }
    }

    async fn pause(&self, may_be_for_good: bool) {
        let pause = self.0.net.draw_pause(may_be_for_good).unwrap_or(Duration::ZERO);
        self.0.net.clock.sleep(pause).await;
    }
}

impl HttpConnector for Process {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().handle(request))
    }
}

fn no_answer() -> ConnectorError {
    ConnectorError::timeout("the network lost it".into())
}

fn conflict(operation: Operation, body: &Value) -> HttpResponse {
    if operation == Operation::Heartbeat || operation == Operation::Log {
        return refusal("TransactionConflictException", &json!({"message": "ongoing transaction"}));
    }
    let members = body["TransactItems"].as_array().map_or(0, Vec::len);
    let mut reasons = vec![json!({"Code": "None"}); members];
    reasons[0] = json!({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"});
    let body = json!({"Message": "Transaction cancelled", "CancellationReasons": reasons});
    refusal("TransactionCanceledException", &body)
}

fn refusal(code: &str, fields: &Value) -> HttpResponse {
    let mut body = fields.clone();
    body["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{code}"));
    let status = StatusCode::try_from(400).expect("a status");
    let mut response = HttpResponse::new(status, SdkBody::from(body.to_string()));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
