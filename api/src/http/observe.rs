//! Tracing and metrics of requests.

use crate::rate_limits;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, histogram};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::time::Instant;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The requests that may fail with a server error, and its statuses. Their counters are registered at zero, so that
/// `increase` and `rate` of Prometheus include the first failure.
const FALLIBLE: [(&str, &str); 4] =
    [("POST", "/graphql"), ("GET", "/graphql"), ("GET", "/graphql/ws"), ("GET", "/events")];
const SERVER_ERRORS: [&str; 3] = ["500", "503", "504"];

/// Describes the metrics of this crate, and registers the counters of server errors at zero.
pub fn register_metrics() {
    describe_counter!("apex_http_requests_total", "Requests, by method, route and status.");
    describe_histogram!("apex_http_request_seconds", "Time until the head of the response, by method and route.");
    describe_gauge!("apex_http_connections", "Open connections, including WebSockets.");
    describe_gauge!("apex_http_websockets", "Open WebSockets.");
    describe_gauge!("apex_http_event_streams", "Open event streams (Server-Sent Events).");
    describe_gauge!("apex_http_subscriptions", "Open subscriptions over WebSockets.");
    describe_counter!(
        "apex_http_slow_subscribers_total",
        "Subscriptions that ended because their client was too slow."
    );
    counter!("apex_http_slow_subscribers_total").increment(0);
    describe_counter!(
        "apex_http_connections_refused_total",
        "Connections that were closed because their address had too many."
    );
    counter!("apex_http_connections_refused_total").increment(0);
    describe_counter!(
        "apex_provider_sign_ins_total",
        "Sign-ins by identity providers, by provider and outcome: `ok`, or the code of the error."
    );
    describe_counter!("apex_tls_handshakes_failed_total", "TLS handshakes that failed, by reason.");
    describe_counter!("apex_tls_reloads_total", "Times that changed files of TLS were read, by outcome.");
    describe_gauge!("apex_tls_reload_failing", "1 while the files of TLS cannot be used and older ones are in use.");
    describe_counter!(
        "apex_otlp_records_total",
        "Spans and events of exporters of OpenTelemetry that are calls or were rejected, by signal and outcome."
    );
    describe_counter!(
        "apex_ingest_records_total",
        "Lines, records of files and events of batches that were sent to the routes of ingest, by form and outcome."
    );
    rate_limits::register_metrics();
    for (method, route) in FALLIBLE {
        for status in SERVER_ERRORS {
            counter!("apex_http_requests_total", "method" => method, "route" => route, "status" => status).increment(0);
        }
    }
}

/// Runs a request in a server span that continues the client's trace, and records its metrics.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = known_method(request.method());
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!(
        "http_request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    );
    let parent = TraceContextPropagator::new().extract(&Carrier(request.headers()));
    if parent.span().span_context().is_valid() {
        // Fails only if no OpenTelemetry layer is installed, and then there is no trace to continue.
        drop(span.set_parent(parent));
    }
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    counter!("apex_http_requests_total", "method" => method, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    histogram!("apex_http_request_seconds", "method" => method, "route" => route)
        .record(started.elapsed().as_secs_f64());
    response
}

/// The method as the value of a label. Clients may send any word as a method, so other values are mapped to `OTHER`.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "OTHER",
    }
}

struct Carrier<'a>(&'a HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}
