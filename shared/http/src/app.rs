//! What handlers share, and the router with its middleware.

use axum::Router;
use axum::middleware;
use turnwise_engine::Engine;

use crate::access::{self, Access};
use crate::context;
use crate::error::Error;
use crate::routes::{Entry, Function, ROUTES};

/// What handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// The use cases.
    pub engine: Engine,
    /// Who may come in.
    pub access: Access,
}

/// The rows of the route table that belong to `functions`, behind the middleware.
/// The same value is served by Lambda and by the local runner.
pub fn router(app: App, functions: &[Function]) -> Router {
    let mine = ROUTES.iter().filter(|route| functions.contains(&route.function));
    let (mut open, mut keyed, mut admin) = (Router::new(), Router::new(), Router::new());
    for route in mine {
        match route.entry {
            Entry::Open => open = open.route(&route.mounted_path(), route.mount()),
            Entry::Keyed => keyed = keyed.route(&route.mounted_path(), route.mount()),
            Entry::Admin => admin = admin.route(&route.mounted_path(), route.mount()),
        }
    }
    // A layer over no routes at all is taken for a mistake.
    let keyed = match admin.has_routes() {
        true => keyed.merge(admin.route_layer(middleware::from_fn(access::require_admin))),
        false => keyed,
    };
    let keyed = keyed.route_layer(middleware::from_fn_with_state(app.clone(), access::require_key));
    open.merge(keyed)
        .fallback(|| async { Error::NoRoute })
        .method_not_allowed_fallback(|| async { Error::NoMethod })
        .layer(middleware::from_fn_with_state(app.clone(), context::attach))
        .with_state(app)
}
