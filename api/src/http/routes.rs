//! The routes.

use super::state::State;
use super::{feed, graphiql, graphql, observe, origin, probes, response, security, websocket};
use crate::config::ApiConfig;
use crate::deps::Deps;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Builds the router of the API. When `shutdown` is cancelled, subscriptions end and WebSockets are closed.
pub fn router(config: ApiConfig, deps: Deps, shutdown: CancellationToken) -> Router {
    routes(State::new(config, deps, shutdown))
}

pub(super) fn routes(state: Arc<State>) -> Router {
    let mut router = Router::new()
        .route("/graphql", any(graphql::handle))
        .route("/graphql/ws", get(websocket::handle))
        .route("/events", get(feed::handle))
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(probes::metrics));
    if state.config.graphiql {
        router = router
            .route("/", get(async || Redirect::to("/graphiql")))
            .route("/graphiql", get(graphiql::page))
            .route("/graphiql/{asset}", get(graphiql::asset));
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // The layers wrap every route, so that none can omit them.
        .layer(middleware::from_fn_with_state(state.clone(), origin::check))
        .layer(middleware::from_fn(security::headers))
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
