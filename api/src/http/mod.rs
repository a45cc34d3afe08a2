//! The HTTP side: routes, what they share, and serving them.

mod answer;
mod auth;
mod computing;
mod execute;
mod feed;
mod graphiql;
mod graphql;
mod negotiate;
mod observe;
mod origin;
mod probes;
mod security;
mod server;
mod sse;
mod websocket;

use crate::document::order::Interfaces;
use crate::graphql::{ApexSchema, schema};
use crate::{ApiConfig, Deps, Limits};
use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use computing::Computing;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use observe::register_metrics;
pub use server::serve;

/// What handlers share.
pub(crate) struct State {
    pub(crate) schema: ApexSchema,
    pub(crate) config: ApiConfig,
    pub(crate) deps: Deps,
    /// Cancelled when the server is to stop.
    pub(crate) shutdown: CancellationToken,
    /// Connections that outlive their request.
    pub(crate) connections: TaskTracker,
    /// Places for WebSockets and streams of events.
    pub(crate) places: Arc<Semaphore>,
    /// Work that takes long without waiting.
    pub(crate) computing: Computing,
    /// Which fragments apply to which objects.
    pub(crate) interfaces: Arc<Interfaces>,
}

impl State {
    fn new(config: ApiConfig, deps: Deps, shutdown: CancellationToken) -> Arc<Self> {
        let schema = schema(&deps, &config.limits, shutdown.clone());
        let places = Arc::new(Semaphore::new(config.limits.max_connections));
        let (connections, computing) = (TaskTracker::new(), Computing::new());
        let interfaces = Arc::new(Interfaces::of_sdl(&schema.sdl()));
        Arc::new(Self { schema, config, deps, shutdown, connections, places, computing, interfaces })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }
}

/// All routes. When `shutdown` is cancelled, subscriptions end and WebSockets are closed.
pub fn router(config: ApiConfig, deps: Deps, shutdown: CancellationToken) -> Router {
    routes(State::new(config, deps, shutdown))
}

fn routes(state: Arc<State>) -> Router {
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
        // Around every route, so that none is forgotten.
        .layer(middleware::from_fn_with_state(state.clone(), origin::check))
        .layer(middleware::from_fn(security::headers))
        .layer(middleware::from_fn(observe::observe))
        .with_state(state)
}

async fn not_found() -> Response {
    answer::error(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing here; GraphQL is at /graphql").into_response()
}

async fn method_not_allowed() -> Response {
    answer::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "this is only to be read, with GET")
        .into_response()
}
