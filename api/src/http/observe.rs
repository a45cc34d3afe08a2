//! A span and two metrics for each request.

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

/// Requests that may fail on the server's side, and how: these counters are there before the first of them, so that
/// Prometheus' `increase` and `rate` see it.
const FAILING: [(&str, &str); 4] =
    [("POST", "/graphql"), ("GET", "/graphql"), ("GET", "/graphql/ws"), ("GET", "/events")];
const FAILURES: [&str; 3] = ["500", "503", "504"];

/// Describes the metrics of this crate, and registers at zero the counters of what may fail.
pub fn register_metrics() {
    describe_counter!("apex_http_requests_total", "Requests, by method, route and status.");
    describe_histogram!("apex_http_request_seconds", "How long the head of an answer took, by method and route.");
    describe_gauge!("apex_http_connections", "Open connections, those that became WebSockets among them.");
    describe_gauge!("apex_http_websockets", "Open WebSockets.");
    describe_gauge!("apex_http_event_streams", "Open streams of events.");
    describe_gauge!("apex_http_subscriptions", "Subscriptions in WebSockets.");
    describe_counter!("apex_http_slow_subscribers_total", "Subscriptions ended because the client was too slow.");
    counter!("apex_http_slow_subscribers_total").increment(0);
    for (method, route) in FAILING {
        for status in FAILURES {
            counter!("apex_http_requests_total", "method" => method, "route" => route, "status" => status).increment(0);
        }
    }
}

/// Runs a request inside a server span that continues the client's trace, and counts it.
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
        // Fails only where no OpenTelemetry layer is installed, and then there is no trace to be a part of.
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

/// Clients may send any word as a method; the label's values are bounded.
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
