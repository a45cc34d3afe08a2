//! The OpenTelemetry protocol: `POST /v1/traces` and its kin with protobuf or JSON, and the same over gRPC.
//!
//! Both transports authenticate, limit and decode alike, and a request is answered once all of it is in the log. What an
//! exporter should know of spans that were rejected, or not understood, is in the partial success of the response.

mod body;
mod export;
mod failure;
mod grpc;
mod message;

pub(super) use grpc::export as grpc;

use super::auth;
use super::ingest::present_secret_key;
use super::response;
use super::route_table::LANGFUSE_OTLP_ROUTE;
use super::state::State as Shared;
use crate::authenticator::Endpoint;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use export::Sent;
use failure::{Code, Failure};
use ingest::otlp::{Encoding, Signal};
use std::sync::Arc;

/// The signal that a path is for, over HTTP or gRPC.
const PATHS: [(&str, Signal); 7] = [
    (LANGFUSE_OTLP_ROUTE, Signal::Traces),
    ("/v1/traces", Signal::Traces),
    ("/v1/logs", Signal::Logs),
    ("/v1/metrics", Signal::Metrics),
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Signal::Traces),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Signal::Metrics),
];

/// The signal of a path; none if exporters do not use it.
pub(super) fn signal_of(path: &str) -> Option<Signal> {
    PATHS.iter().find(|(known, _)| *known == path).map(|(_, signal)| *signal)
}

/// Responds to an export over HTTP.
pub(super) async fn http(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let Some(signal) = signal_of(request.uri().path()) else { return StatusCode::NOT_FOUND.into_response() };
    let encoding = encoding(request.headers());
    // Errors are in the encoding of the request, and in JSON if it has none.
    let respond = |failure: &Failure| failed(failure, encoding.unwrap_or(Encoding::Json));
    let authenticated = auth::of_headers(&state, request.headers(), request.extensions(), Endpoint::Api).await;
    let requester = match authenticated {
        Ok(requester) => requester,
        Err(rejection) => return respond(&rejection.into()),
    };
    let Some(encoding) = encoding else {
        let message = "send Content-Type: application/x-protobuf or application/json";
        return respond(&Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message));
    };
    let exported = async {
        export::check_request(&state, &requester)?;
        let body = body::read(&state, &requester, request).await?;
        export::export(&state, &requester, Sent { signal, encoding, body }).await
    };
    let mut response = match exported.await {
        Ok(received) => {
            let mut response = encoded(message::response(signal, &received, encoding), StatusCode::OK, encoding);
            if let Ok(id) = HeaderValue::try_from(received.import_id.to_string()) {
                response.headers_mut().insert(auth::CORRELATION, id);
            }
            response
        }
        Err(failure) => failed(&failure, encoding),
    };
    state.rate_limiter.add_headers(&requester.principal, response.headers_mut());
    response
}

/// Responds to an export of an SDK of Langfuse, which presents its secret key in a way of its own.
pub(super) async fn http_of_langfuse(state: State<Arc<Shared>>, mut request: Request) -> Response {
    present_secret_key(request.headers_mut());
    http(state, request).await
}

/// The encoding of a request; none if it is another one.
fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let media_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/x-protobuf") {
        Some(Encoding::Protobuf)
    } else {
        media_type.eq_ignore_ascii_case("application/json").then_some(Encoding::Json)
    }
}

fn failed(failure: &Failure, encoding: Encoding) -> Response {
    let status = message::Status::of(failure);
    let mut response = encoded(status.encode(encoding), failure.status, encoding);
    response::set_retry_after(&mut response, failure.retry_after_s);
    if failure.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"apex\""));
    }
    response
}

fn encoded(body: Vec<u8>, status: StatusCode, encoding: Encoding) -> Response {
    let media_type = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    (status, [(header::CONTENT_TYPE, media_type)], body).into_response()
}
