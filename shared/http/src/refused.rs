//! Keys that are refused, counted: by the id that a key says it has, and by the address that it
//! came from.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use turnwise_core::access::KeyText;
use turnwise_engine::Engine;

use crate::access::presented_key;
use crate::context::RequestContext;

/// Where a request came from; put on it by whoever serves the router, where they know better
/// than the connection does.
#[derive(Debug, Clone, Copy)]
pub struct Source(pub IpAddr);

/// Counts `request` as one whose key was refused.
pub(crate) fn note(engine: &Engine, request: &Request) -> impl Future<Output = ()> + use<> {
    let engine = engine.clone();
    // What is no key of ours may be another service's, and no part of it is written down.
    let key_id = presented_key(request.headers()).and_then(KeyText::parse).map(|key| key.id().to_string());
    let extensions = request.extensions();
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let source = extensions.get::<Source>().map(|source| source.0).or(peer);
    let request_id = extensions.get::<RequestContext>().map(|context| context.id().to_owned()).unwrap_or_default();
    async move { engine.note_auth_failure(key_id.as_deref(), source, &request_id).await }
}
