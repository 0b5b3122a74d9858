//! The function that a schedule calls.

use std::process::ExitCode;

use lambda_runtime::layers::TracingLayer;
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::{Value, json};
use turnwise_engine::Engine;

use crate::bootstrap;

/// Sweeps at each call, until the process ends.
pub fn tick() -> ExitCode {
    bootstrap::run(async |engine, _| {
        let runtime = Runtime::new(service_fn(move |event| sweep(engine.clone(), event)));
        runtime.layer(TracingLayer::new()).run().await
    })
}

/// One sweep. Whatever the event says: a schedule sends one a minute, a person may send
/// `{}`. Idempotent, as every sweep is; an error makes the schedule try again.
async fn sweep(engine: Engine, _event: LambdaEvent<Value>) -> Result<Value, Error> {
    let swept = engine.sweep().await?;
    Ok(json!({"stuck": swept.stuck, "due": swept.due, "half_erased": swept.half_erased}))
}
