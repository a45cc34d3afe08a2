//! Probes and metrics. Probes need no token, because they reveal no data; metrics need one, because they contain models and
//! costs.

use super::access;
use super::auth::{self, Rejection};
use super::state::State as Shared;
use crate::authenticator::Endpoint;
use axum::Json;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::permissions::{Access, ReadMetrics};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The timeout of all readiness checks together.
const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// The liveness probe: the process runs.
pub(crate) async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// The readiness probe: the result of each check, with status 503 if one fails.
pub(crate) async fn readyz(State(state): State<Arc<Shared>>) -> Response {
    let checks = tokio::time::timeout(READY_TIMEOUT, state.deps.ready.check()).await;
    let (ready, checks) = match checks {
        Ok(checks) => (checks.iter().all(|check| check.ok), json!(checks)),
        Err(_) => {
            let detail = format!("the checks took longer than {} s", READY_TIMEOUT.as_secs());
            (false, json!([{ "name": "checks", "ok": false, "detail": detail }]))
        }
    };
    let ready = ready && !state.shutdown.is_cancelled();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "checks": checks }))).into_response()
}

async fn may_read_metrics(state: &Shared, parts: &Parts) -> Result<Access<ReadMetrics>, Rejection> {
    let requester = auth::of_headers(state, &parts.headers, &parts.extensions, Endpoint::Metrics).await?;
    requester.principal.authorise().map_err(|error| {
        access::forbidden(state, &requester, &error);
        Rejection::Forbidden(error)
    })
}

/// The metrics in the text format of Prometheus.
pub(crate) async fn metrics(State(state): State<Arc<Shared>>, parts: Parts) -> Response {
    if let Err(rejection) = may_read_metrics(&state, &parts).await {
        return rejection.into_response();
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (state.deps.metrics)()).into_response()
}
