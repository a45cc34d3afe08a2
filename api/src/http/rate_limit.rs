//! Rate limits over HTTP: the limit of an address before everything else, and what a response says about limits.

use super::access;
use super::gateway_form;
use super::response;
use super::state::State as Shared;
use crate::edge::ClientAddress;
use crate::rate_limits::{LIMITED, Limited, OpenSubscription, seconds};
use crate::requester::Requester;
use async_graphql::{Response as Executed, ServerError, Value};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::access_log::RefusalReason;
use domain::rate_limits::LimitedResource;
use std::sync::Arc;
use std::time::Duration;

/// The routes that are not limited: an orchestrator that is refused would restart the process.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Refuses requests of an address beyond its limit, before their credential is looked at.
pub(crate) async fn check_address(State(state): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let client = request.extensions().get::<ClientAddress>().copied();
    let Some(ClientAddress(address)) = client.filter(|_| !PROBES.contains(&request.uri().path())) else {
        return next.run(request).await;
    };
    let mut response = match state.rate_limiter.request_of_address(address) {
        Ok(()) => next.run(request).await,
        Err(limited) => {
            let client = access::client_of(request.headers(), request.extensions());
            access::refused_client(&state, RefusalReason::RateLimited, client);
            gateway_form::limited(request.uri().path(), &limited).unwrap_or_else(|| refused(&limited))
        }
    };
    state.rate_limiter.add_address_headers(address, response.headers_mut());
    response
}

/// Takes units of a resource from what a requester may use. A refusal is noted for the access log.
pub(crate) fn take(
    state: &Shared,
    requester: &Requester,
    resource: LimitedResource,
    units: usize,
) -> Result<(), Limited> {
    let units = u64::try_from(units).unwrap_or(u64::MAX);
    let taken = state.rate_limiter.take_from(&requester.principal, resource, units);
    taken.inspect_err(|_| access::limited(state, requester))
}

/// Counts a subscription of a requester as open. A refusal is noted for the access log.
pub(crate) fn open_subscription(state: &Shared, requester: &Requester) -> Result<OpenSubscription, Limited> {
    let opened = state.rate_limiter.open_subscription(&requester.principal);
    opened.inspect_err(|_| access::limited(state, requester))
}

/// Responds to a request that a limit refuses.
pub(crate) fn refused(limited: &Limited) -> Response {
    let executed = Executed::from_errors(vec![limited.error()]);
    let body = response::text(&response::body(&executed));
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    let mut response = (StatusCode::TOO_MANY_REQUESTS, headers, body).into_response();
    add_retry_after(&mut response, &executed);
    response
}

/// Whether an error is that of a limit.
pub(crate) fn is_limited(error: &ServerError) -> bool {
    error.extensions.as_ref().and_then(|extensions| extensions.get("code")) == Some(&LIMITED.into())
}

/// Adds the time after which a request that a limit refused may succeed.
pub(crate) fn add_retry_after(response: &mut Response, executed: &Executed) {
    let after_ms = |error: &ServerError| match error.extensions.as_ref()?.get("retryAfterMs")? {
        Value::Number(number) => number.as_u64(),
        _ => None,
    };
    let longest = executed.errors.iter().filter(|error| is_limited(error)).filter_map(after_ms).max();
    response::set_retry_after(response, longest.map(|after_ms| seconds(Duration::from_millis(after_ms))));
}
