//! A function behind API Gateway.

use std::process::ExitCode;

use lambda_http::request::RequestContext;
use lambda_http::{Adapter, Request, RequestExt as _};
use lambda_runtime::Runtime;
use lambda_runtime::layers::TracingLayer;
use tower::layer::layer_fn;
use tower::util::MapRequest;
use turnwise_engine::clock::Clock;
use turnwise_http::routes::Function;
use turnwise_http::{App, Deadline, Source, edge};
use turnwise_providers::count::{Counter, without_tokenizers};

use crate::bootstrap;
use crate::deadline::deadline;
use crate::finish::Finish;

/// Serves the routes of `function` until the process ends.
pub fn serve(function: Function) -> ExitCode {
    serve_counting(function, without_tokenizers)
}

/// As [`serve`], with a counter of tokens: only the function that serves the counting routes
/// pays for the vocabularies of one.
pub fn serve_counting(function: Function, counter: Counter) -> ExitCode {
    bootstrap::run(async |engine, front| {
        let engine = engine.with_counter(counter);
        let app = App { engine: engine.clone(), access: front.access };
        // API Gateway is reached by HTTPS alone.
        let router = edge::only_https(edge::open_to(turnwise_http::router(app, &[function]), &front.origins));
        let clock = engine.clock.clone();
        let service = MapRequest::new(router, move |request| with_context(request, &clock));
        match function {
            // Its clients choose by "stream" in the body, so that both kinds of answers
            // leave it in the same way; API Gateway takes them apart.
            Function::Stream => {
                let runtime = lambda_http::streaming_runtime(service);
                let runtime = runtime.layer(layer_fn(move |inner| Finish::new(inner, engine.clone())));
                runtime.layer(TracingLayer::new()).run().await
            }
            Function::Conversations | Function::Models | Function::Admin => {
                // What `lambda_http::run` does; it takes no layers.
                let runtime = Runtime::new(Adapter::from(service));
                let runtime = runtime.layer(layer_fn(move |inner| Finish::new(inner, engine.clone())));
                runtime.layer(TracingLayer::new()).run().await
            }
        }
    })
}

/// What the invocation says of a request: when it has to end, and where it came from.
fn with_context(mut request: Request, clock: &Clock) -> Request {
    let context = request.lambda_context_ref();
    if let Some(deadline) = context.and_then(|context| deadline(context, clock.now())) {
        request.extensions_mut().insert(Deadline(deadline));
    }
    let source = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.as_deref(),
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        Some(_) | None => None,
    };
    if let Some(source) = source.and_then(|source| source.parse().ok()) {
        request.extensions_mut().insert(Source(source));
    }
    request
}
