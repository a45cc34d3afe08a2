//! Probes and metrics. Probes need no token, because they reveal no data; metrics need one, because they contain models and
//! costs.

use super::state::State as Shared;
use super::{auth, response};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
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

/// The metrics in the text format of Prometheus.
pub(crate) async fn metrics(State(state): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !auth::may_read_metrics(&state.config, &headers) {
        let message = "metrics require a token in the header `Authorization: Bearer …`: APEX_METRICS_TOKEN, APEX_TOKEN or \
                       APEX_OPERATOR_TOKEN";
        let mut rejected = response::error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message).into_response();
        rejected.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"apex\""));
        return rejected;
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (state.deps.metrics)()).into_response()
}
