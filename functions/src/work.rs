//! The function behind the queue.

use std::process::ExitCode;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::future::join_all;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use tower::layer::layer_fn;
use turnwise_core::time::Timestamp;
use turnwise_engine::Engine;
use turnwise_store::queue::Message;

use crate::bootstrap;
use crate::deadline::deadline;
use crate::finish::Finish;

/// Does what the queue says is due, until the process ends.
pub fn work() -> ExitCode {
    bootstrap::run(async |engine, _| {
        let worker = engine.clone();
        let runtime = Runtime::new(service_fn(move |event| batch(worker.clone(), event)));
        let runtime = runtime.layer(layer_fn(move |inner| Finish::new(inner, engine.clone())));
        runtime.layer(TracingLayer::new()).run().await
    })
}

/// Handles all messages of a batch at once: one after the other, the last would find no
/// time left. Names those that must come back; SQS deletes the others.
///
/// Idempotent by each turn's key, as a message may come twice.
async fn batch(engine: Engine, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
    let now = engine.clock.now();
    let deadline = deadline(&event.context, now);
    let handled = join_all(event.payload.records.iter().map(|record| is_done(&engine, record, deadline))).await;
    let failures = event.payload.records.into_iter().zip(handled).filter(|(_, done)| !done);
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failures.map(|(record, _)| failure(record)).collect();
    Ok(response)
}

/// Whether nothing is left to do for `record`.
async fn is_done(engine: &Engine, record: &SqsMessage, deadline: Option<Timestamp>) -> bool {
    let id = record.message_id.as_deref();
    let message: Message = match serde_json::from_str(record.body.as_deref().unwrap_or_default()) {
        Ok(message) => message,
        // It comes back until the queue moves it to its dead-letter queue, where it is seen.
        Err(error) => {
            tracing::error!(message.id = id, %error, "a message is malformed");
            return false;
        }
    };
    match engine.handle(&message, deadline).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(message.id = id, %error, "due work failed; its message comes back");
            false
        }
    }
}

/// A message without an id, which SQS never sends, brings the whole batch back.
fn failure(record: SqsMessage) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = record.message_id.unwrap_or_default();
    failure
}
