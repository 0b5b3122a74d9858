//! Keys that are refused, counted: by the id that a key says it has, and by the address that it
//! came from.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
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
    let key_id = presented_key(request.headers()).and_then(id_of).map(str::to_owned);
    let extensions = request.extensions();
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let source = extensions.get::<Source>().map(|source| source.0).or(peer);
    let request_id = extensions.get::<RequestContext>().map(|context| context.id().to_owned()).unwrap_or_default();
    async move { engine.note_auth_failure(key_id.as_deref(), source, &request_id).await }
}

/// The id in a key of the form `tw_live_<id>_<secret>`; none of another form, which may be
/// another service's key and is then not to be written down.
fn id_of(key: &str) -> Option<&str> {
    let (id, secret) = key.strip_prefix("tw_live_")?.split_once('_')?;
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Some(id).filter(|_| is_plain && !secret.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_id_of_a_key_of_ours_is_taken() {
        assert_eq!(id_of("tw_live_a1B2_secret"), Some("a1B2"));
        for other in ["", "tw_live_", "tw_live__secret", "tw_live_id", "tw_live_id_", "sk-proj-x_y", "tw_live_a-b_s"] {
            assert_eq!(id_of(other), None, "{other}");
        }
    }
}
