//! What handlers share, and the router with its middleware.

use axum::Router;
use axum::middleware;
use turnwise_engine::Engine;

use crate::access::{self, Access};
use crate::context;
use crate::edge::guarded;
use crate::error::Error;
use crate::rates;
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
    let (mut open, mut keyed) = (Router::new(), Router::new());
    for route in mine {
        match route.entry {
            Entry::Open => open = open.route(route.mounted_path(), route.mount()),
            Entry::Keyed(scope) => {
                let asks = middleware::from_fn_with_state(scope, access::require_scope);
                keyed = keyed.route(route.mounted_path(), route.mount().route_layer(asks));
            }
        }
    }
    let keyed = keyed.route_layer(middleware::from_fn_with_state(app.clone(), rates::admit));
    let keyed = keyed.route_layer(middleware::from_fn_with_state(app.clone(), access::require_key));
    let router = open
        .merge(keyed)
        .fallback(|| async { Error::NoRoute })
        .method_not_allowed_fallback(|| async { Error::NoMethod })
        .layer(middleware::from_fn_with_state(app.clone(), context::attach));
    guarded(router).with_state(app)
}
