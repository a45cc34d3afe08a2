//! The routes.

use super::route_table::{API_PAGE_ROUTE, LANGFUSE_OTLP_ROUTE, OPENAPI_ROUTE, ROUTES, WEB_FILE_ROUTE, WEB_ROUTES};
use super::state::State;
use super::{
    export, feed, gateway_calls, gateway_form, graphiql, graphql, ingest, observe, openapi, origin, otlp, pages,
    probes, rate_limit, response, security, sign_in, web, websocket,
};
use crate::config::{ApiConfig, Served};
use crate::deps::Deps;
use crate::edge::cors_layer;
use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The routes by which a process is watched.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Builds the router of the API. When `shutdown` is cancelled, subscriptions end and WebSockets are closed.
pub fn router(config: ApiConfig, deps: Deps, shutdown: CancellationToken) -> Router {
    routes(State::new(config, deps, shutdown))
}

/// The handler of a route; none if the route is not served.
fn handler(path: &str, has_graphiql: bool) -> Option<MethodRouter<Arc<State>>> {
    match path {
        "/graphql" => Some(any(graphql::handle)),
        "/graphql/ws" => Some(get(websocket::handle)),
        "/events" => Some(get(feed::handle)),
        "/v1/traces" | "/v1/logs" | "/v1/metrics" => Some(post(otlp::http)),
        "/v1/exports/calls" => Some(get(export::calls)),
        "/v1/exports/focus" => Some(get(export::focus)),
        "/v1/ingest" => Some(post(ingest::lines)),
        "/v1/ingest/{format}" => Some(post(ingest::file)),
        "/api/public/ingestion" => Some(post(ingest::langfuse)),
        LANGFUSE_OTLP_ROUTE => Some(post(otlp::http_of_langfuse)),
        path if otlp::signal_of(path).is_some() => Some(post(otlp::grpc)),
        "/auth/login" => Some(post(sign_in::login).get(sign_in::start)),
        "/auth/login/{provider}" => Some(get(sign_in::start_named)),
        origin::CALLBACK_ROUTE => Some(get(sign_in::callback)),
        "/auth/providers" => Some(get(sign_in::providers)),
        "/auth/refresh" => Some(post(sign_in::refresh)),
        "/auth/logout" => Some(post(sign_in::logout)),
        "/auth/register" => Some(post(sign_in::register)),
        "/auth/password-reset" => Some(post(sign_in::reset_password)),
        "/auth/password-reset/request" => Some(post(sign_in::request_reset)),
        "/auth/session" => Some(get(sign_in::session)),
        "/auth/password" => Some(post(sign_in::change_password)),
        "/auth/totp" => Some(post(sign_in::start_totp)),
        "/auth/totp/confirm" => Some(post(sign_in::confirm_totp)),
        "/auth/totp/disable" => Some(post(sign_in::disable_totp)),
        sign_in::JWKS_ROUTE => Some(get(sign_in::jwks)),
        OPENAPI_ROUTE => Some(get(openapi::serve)),
        API_PAGE_ROUTE => Some(get(openapi::page)),
        "/healthz" => Some(get(probes::healthz)),
        "/readyz" => Some(get(probes::readyz)),
        "/metrics" => Some(get(probes::metrics)),
        WEB_FILE_ROUTE => Some(get(web::file)),
        path if WEB_ROUTES.contains(&path) => Some(get(web::document)),
        "/graphiql" if has_graphiql => Some(get(graphiql::page)),
        "/graphiql/{asset}" if has_graphiql => Some(get(graphiql::asset)),
        path if path.starts_with(gateway_form::PREFIX) => gateway_calls::handler(path),
        path => pages::handler(path),
    }
}

pub(super) fn routes(state: Arc<State>) -> Router {
    let served = state.config.served;
    match served {
        Served::All => routes_of(state, |_| true),
        Served::Gateway => routes_of(state, |path| PROBES.contains(&path) || path.starts_with(gateway_form::PREFIX)),
    }
}

/// The routes of exporters of OpenTelemetry alone.
pub(super) fn otlp_routes(state: Arc<State>) -> Router {
    routes_of(state, |path| otlp::signal_of(path).is_some())
}

fn routes_of(state: Arc<State>, is_served: impl Fn(&str) -> bool) -> Router {
    // Only what is in the table is served, so that no route is missing in the test of authorisation.
    let mut router = Router::new();
    for (path, _) in ROUTES.into_iter().filter(|(path, _)| is_served(path)) {
        if let Some(handler) = handler(path, state.config.graphiql) {
            router = router.route(path, handler);
        }
    }
    // The layers wrap every route, so that none can omit them.
    router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), sign_in::cookies::present))
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

async fn not_found(uri: Uri) -> Response {
    let (status, message) = (StatusCode::NOT_FOUND, "the gateway does not pass this path on: see docs/gateway.md");
    gateway_form::error(uri.path(), status, "unknown_path", message).unwrap_or_else(|| {
        response::error(status, "NOT_FOUND", "no such resource; GraphQL is at /graphql").into_response()
    })
}

async fn method_not_allowed(uri: Uri) -> Response {
    let (status, message) =
        (StatusCode::METHOD_NOT_ALLOWED, "this resource does not support the method of the request");
    gateway_form::error(uri.path(), status, "method_not_allowed", message)
        .unwrap_or_else(|| response::error(status, "METHOD_NOT_ALLOWED", message).into_response())
}
