//! The routes of the gateway to providers of models: credentials, limits and bodies. What happens to a call is in the crate
//! `gateway`. Errors have the form of the provider's API.

mod permits;

pub(crate) use permits::GatewayPermits;

use super::body::{self, BodyError};
use super::gateway_form::{of_limited, response};
use super::ingest::Drained;
use super::state::State as Shared;
use super::{access, auth, rate_limit};
use crate::authenticator::Endpoint as Part;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use domain::rate_limits::LimitedResource;
use gateway::{CallInput, Endpoint, Gateway, Problem};
use std::sync::Arc;

/// The header in which SDKs of Anthropic present their key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The handler of a route of the gateway.
pub(super) fn handler(path: &str) -> Option<MethodRouter<Arc<Shared>>> {
    let endpoint = Endpoint::ALL.into_iter().find(|endpoint| endpoint.route() == path)?;
    let handle = move |State(state): State<Arc<Shared>>, Path(upstream): Path<String>, request: Request| async move {
        let request = Drained::request(request);
        match call(&state, endpoint, upstream, request).await {
            Ok(answer) => answer,
            Err(problem) => response(problem.answer(endpoint.api())),
        }
    };
    Some(post(handle))
}

async fn call(
    state: &Arc<Shared>,
    endpoint: Endpoint,
    upstream: String,
    mut request: Request,
) -> Result<Response, Problem> {
    present_api_key(request.headers_mut());
    let authenticated = auth::of_headers(state, request.headers(), request.extensions(), Part::Api).await;
    let requester = authenticated.map_err(|rejection| {
        let (status, code, message) = rejection.parts();
        Problem::of_api(status, code, message)
    })?;
    rate_limit::take(state, &requester, LimitedResource::Requests, 1).map_err(|limited| of_limited(&limited))?;
    Gateway::authorise(&requester.principal).map_err(|forbidden| {
        access::forbidden(state, &requester, &forbidden);
        Problem::of_api(StatusCode::FORBIDDEN, "FORBIDDEN", forbidden.to_string())
    })?;
    let Some((gateway, permits)) = state.deps.gateway.as_ref().zip(state.gateway_permits.as_ref()) else {
        let message = "this server has no upstreams: set APEX_GATEWAY_CONFIG, or one of the options of the gateway";
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_upstream", message));
    };
    let max_bytes = gateway.limits().max_request_bytes;
    let length = stated_length(request.headers()).unwrap_or(max_bytes as u64);
    if length > max_bytes as u64 {
        return Err(too_long(max_bytes));
    }
    let permit = permits.try_take(requester.principal.tenant(), length).ok_or_else(Problem::busy)?;
    let (parts, body) = request.into_parts();
    let timeout = gateway.limits().request_timeout;
    let body = body::read(body, max_bytes, timeout).await.map_err(|error| of_body(error, max_bytes))?;
    let input = CallInput {
        principal: requester.principal.clone(),
        correlation_id: requester.correlation_id,
        endpoint,
        upstream,
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
        permit: Box::new(permit),
    };
    let mut answered = response(gateway.call(input).await);
    state.rate_limiter.add_headers(&requester.principal, answered.headers_mut());
    Ok(answered)
}

/// Presents the key that SDKs of Anthropic send in a header of their own, as the API key that it is.
fn present_api_key(headers: &mut HeaderMap) {
    if headers.contains_key(header::AUTHORIZATION) {
        return;
    }
    let key = headers.get(API_KEY).and_then(|value| value.to_str().ok());
    if let Some(mut bearer) = key.and_then(|key| HeaderValue::from_str(&format!("Bearer {key}")).ok()) {
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
    }
}

fn stated_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_long(max_bytes: usize) -> Problem {
    let message = format!("the body has more than {max_bytes} bytes, which is max_request_bytes of the gateway");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
}

fn of_body(error: BodyError, max_bytes: usize) -> Problem {
    match error {
        BodyError::TooLong => too_long(max_bytes),
        BodyError::TimedOut => {
            let message = "the body did not arrive within request_timeout_ms of the gateway";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "invalid_request", message)
        }
        BodyError::Incomplete => Problem::new(StatusCode::BAD_REQUEST, "invalid_request", "the body is cut off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_anthropic_is_presented_unless_there_is_another_credential() {
        let presented = |pairs: &[(&'static str, &'static str)]| {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            let mut headers: HeaderMap = pairs.iter().map(pair).collect();
            present_api_key(&mut headers);
            headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(presented(&[("x-api-key", "apex_1")]).as_deref(), Some("Bearer apex_1"));
        let both = [("x-api-key", "apex_1"), ("authorization", "Bearer apex_2")];
        assert_eq!(presented(&both).as_deref(), Some("Bearer apex_2"));
        assert_eq!(presented(&[]), None);
    }
}
