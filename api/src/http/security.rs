//! Security headers for browsers.

use super::state::State as Shared;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

/// The policy of responses that are not pages: a browser that displays one loads nothing, runs nothing, and shows it in no
/// frame.
const NOT_A_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// The policy of GraphiQL: scripts and data from this server only, and no inline scripts. GraphiQL sets styles on elements, and
/// has images and fonts inside its own files.
pub(super) const PAGE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The policy of the web page: everything from this server, nothing inline, and no other origin. Its charts set styles by the
/// object model, which a policy without `unsafe-inline` allows.
pub(super) const WEB: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// For a year, a browser uses no other scheme than `https` for this host (HSTS, RFC 6797). It is sent where this server speaks
/// TLS itself; a proxy that does so sends its own.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds the headers that a response does not set itself.
pub(crate) async fn headers(State(state): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if state.config.tls.is_some() {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(HTTPS_ONLY);
    }
    let defaults = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
        (header::CONTENT_SECURITY_POLICY, NOT_A_PAGE),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(value);
    }
    response
}
