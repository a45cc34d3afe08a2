//! Probes, which need no token, because they say how the process is and never what it holds; and metrics, which name
//! models and say what they cost, and need one.

use super::{State as Shared, answer, auth};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How long the checks may take together.
const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// The process runs.
pub(crate) async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// The process can do its work: each check with what was found; 503 if one fails.
pub(crate) async fn readyz(State(state): State<Arc<Shared>>) -> Response {
    let checks = tokio::time::timeout(READY_TIMEOUT, state.deps.ready.check()).await;
    let (ready, checks) = match checks {
        Ok(checks) => (checks.iter().all(|check| check.ok), json!(checks)),
        Err(_) => {
            let detail = format!("no answer within {} s", READY_TIMEOUT.as_secs());
            (false, json!([{ "name": "checks", "ok": false, "detail": detail }]))
        }
    };
    let ready = ready && !state.shutdown.is_cancelled();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready, "checks": checks }))).into_response()
}

/// The metrics in Prometheus' text format.
pub(crate) async fn metrics(State(state): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !auth::may_read_metrics(&state.config, &headers) {
        let message = "metrics need a token, `Authorization: Bearer …`: that of APEX_METRICS_TOKEN, or another one";
        let mut refused = answer::error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message).into_response();
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"apex\""));
        return refused;
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (state.deps.metrics)()).into_response()
}
