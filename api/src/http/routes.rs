//! The routes.

use super::state::State;
use super::{feed, graphiql, graphql, observe, origin, probes, rate_limit, response, security, websocket};
use crate::config::ApiConfig;
use crate::deps::Deps;
use crate::edge::cors_layer;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, any, get};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Builds the router of the API. When `shutdown` is cancelled, subscriptions end and WebSockets are closed.
pub fn router(config: ApiConfig, deps: Deps, shutdown: CancellationToken) -> Router {
    routes(State::new(config, deps, shutdown))
}

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteAccess {
    /// No credential is needed: the route shows no data.
    Public,
    /// A principal that is authorised.
    Authorised,
}

/// Every route, and who may use it.
pub const ROUTES: [(&str, RouteAccess); 9] = [
    ("/graphql", RouteAccess::Authorised),
    ("/graphql/ws", RouteAccess::Authorised),
    ("/events", RouteAccess::Authorised),
    ("/metrics", RouteAccess::Authorised),
    ("/healthz", RouteAccess::Public),
    ("/readyz", RouteAccess::Public),
    ("/", RouteAccess::Public),
    ("/graphiql", RouteAccess::Public),
    ("/graphiql/{asset}", RouteAccess::Public),
];

/// The handler of a route; none if the route is not served.
fn handler(path: &str, has_graphiql: bool) -> Option<MethodRouter<Arc<State>>> {
    match path {
        "/graphql" => Some(any(graphql::handle)),
        "/graphql/ws" => Some(get(websocket::handle)),
        "/events" => Some(get(feed::handle)),
        "/healthz" => Some(get(probes::healthz)),
        "/readyz" => Some(get(probes::readyz)),
        "/metrics" => Some(get(probes::metrics)),
        "/" if has_graphiql => Some(get(async || Redirect::to("/graphiql"))),
        "/graphiql" if has_graphiql => Some(get(graphiql::page)),
        "/graphiql/{asset}" if has_graphiql => Some(get(graphiql::asset)),
        _ => None,
    }
}

pub(super) fn routes(state: Arc<State>) -> Router {
    // Only what is in the table is served, so that no route is missing in the test of authorisation.
    let mut router = Router::new();
    for (path, _) in ROUTES {
        if let Some(handler) = handler(path, state.config.graphiql) {
            router = router.route(path, handler);
        }
    }
    // The layers wrap every route, so that none can omit them.
    router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), origin::check))
        .layer(middleware::from_fn_with_state(state.clone(), rate_limit::check_address));
    if !state.config.origins.is_empty() {
        // Around the limits, so that a page can read why it was refused.
        router = router.layer(cors_layer(&state.config.origins));
    }
    router
        .layer(middleware::from_fn_with_state(state.clone(), security::headers))
        .layer(middleware::from_fn(observe::observe))
        .with_state(state)
}

async fn not_found() -> Response {
    response::error(StatusCode::NOT_FOUND, "NOT_FOUND", "no such resource; GraphQL is at /graphql").into_response()
}

async fn method_not_allowed() -> Response {
    response::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "this resource supports GET only")
        .into_response()
}
