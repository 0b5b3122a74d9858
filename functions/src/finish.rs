//! An invocation ends only when the work it began has ended.
//!
//! What `lambda_runtime` 1.5 does with a streamed answer, and where a turn would be
//! left behind:
//!
//! ```text
//! handler returns head and body
//!   |-- a detached task polls the body and pushes its chunks into a channel of capacity 0
//!   |-- the invocation sends POST .../response, whose body is the other end of that channel
//!   |     and waits for the reply: usually 202, once the body has ended
//!   `-- the invocation returns; the runtime asks for the next event; LAMBDA FREEZES THE SANDBOX
//! ```
//!
//! The body of a turn ends after its commit, so in order nothing is left to do at the
//! freeze. When the client goes away it may be otherwise. Lambda promises to read on
//! ("streamed responses are not interrupted or stopped when the invoking client
//! connection is broken", <https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html>).
//! Where the reply comes early all the same, or the connection breaks, the request is
//! over at once, the channel is closed, and the detached task drops the body at its
//! next chunk. The turn goes on, since its producer is a task of the engine and not
//! part of the body; but with the next poll it would be frozen in mid-answer, its lease
//! would lapse, and the provider would be called and paid a second time.
//!
//! So this layer stands around the whole: handler, streaming and request. It waits for
//! the engine to be idle before the runtime can poll again.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lambda_runtime::{Error, LambdaInvocation, Service};
use turnwise_core::time::Timestamp;
use turnwise_engine::Engine;

use crate::deadline::deadline;

/// Time left at the deadline, for the poll that ends the invocation. Producers stop by
/// themselves 20 s before it (`DEADLINE_MARGIN`), so only a table that does not answer
/// can keep work going until here. That work is given up: frozen, it wakes in a later
/// invocation, where the fence refuses what it writes.
const POLL_MARGIN: Duration = Duration::from_millis(500);

/// Waits around the inner service.
#[derive(Clone)]
pub(crate) struct Finish<S> {
    inner: S,
    engine: Engine,
}

impl<S> Finish<S> {
    pub(crate) const fn new(inner: S, engine: Engine) -> Self {
        Self { inner, engine }
    }
}

impl<S> Service<LambdaInvocation> for Finish<S>
where
    S: Service<LambdaInvocation, Response = (), Error = Error>,
    S::Future: 'static,
{
    type Response = ();
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let engine = self.engine.clone();
        let deadline = deadline(&invocation.context, engine.clock.now());
        let answering = self.inner.call(invocation);
        Box::pin(async move {
            let answered = answering.await;
            idle(&engine, deadline).await;
            // A reply that cannot be sent ends this invocation and no more. Handed on,
            // the error would end the process and cost the next caller a cold start.
            if let Err(error) = answered {
                tracing::warn!(error, "the answer did not reach the Lambda runtime");
            }
            Ok(())
        })
    }
}

async fn idle(engine: &Engine, deadline: Option<Timestamp>) {
    let Some(deadline) = deadline else { return engine.tasks.idle().await };
    let left = (deadline - POLL_MARGIN).since(engine.clock.now());
    if engine.clock.timeout(left, engine.tasks.idle()).await.is_none() {
        tracing::error!(running = engine.tasks.running(), "work outlasted its invocation; its lease will lapse");
    }
}
