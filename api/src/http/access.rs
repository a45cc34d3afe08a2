//! What transports note for the access logs: credentials that are new to an origin, and requests that are refused.

use super::state::State;
use crate::authenticator::Unauthenticated;
use crate::edge::ClientAddress;
use crate::requester::Requester;
use async_graphql::{Response, Value};
use axum::http::{Extensions, HeaderMap, header};
use chrono::Utc;
use commands::{Principal, current_trace_id};
use domain::access_log::RefusalReason;
use domain::permissions::{Forbidden, Permission};
use identity::{ProviderSummary, Refusal, RequestOrigin};

/// The origin of a request: the address of its client, and its `User-Agent`.
pub(super) fn origin_of(headers: &HeaderMap, extensions: &Extensions) -> RequestOrigin {
    let address = extensions.get::<ClientAddress>().map(|client| client.0);
    let device = headers.get(header::USER_AGENT).map(|device| String::from_utf8_lossy(device.as_bytes()));
    RequestOrigin::new(address, device.as_deref())
}

/// Notes the use of a credential.
pub(super) fn used(state: &State, principal: &Principal, origin: &RequestOrigin) {
    state.deps.identities.access().used(principal, origin, Utc::now());
}

/// Notes a request without a valid credential. One whose credential could not be checked was not refused.
pub(super) fn unauthenticated(
    state: &State,
    refused: Unauthenticated,
    authorization: Option<&str>,
    origin: &RequestOrigin,
) {
    let reason = match refused {
        Unauthenticated::Missing => RefusalReason::NoCredential,
        Unauthenticated::Invalid => RefusalReason::InvalidCredential,
        Unauthenticated::Unavailable => return,
    };
    // The refusal of a request with the public id of a key is in the log of the tenant that the key is of.
    let key = authorization.and_then(|value| state.deps.identities.presented_key(value));
    let (tenant, subject) = match key {
        Some((tenant, id)) => (tenant, Some(format!("key:{id}"))),
        None => (state.deps.authenticator.home_tenant(), None),
    };
    let (origin, trace_id) = (origin.clone(), current_trace_id());
    let refusal = Refusal { tenant, reason, subject, origin, permission: None, trace_id };
    state.deps.identities.access().refused(refusal, Utc::now());
}

/// Notes that a sign-in by a provider was refused: in the log of the tenant that the provider is of, if it is known.
pub(super) fn sign_in_refused(
    state: &State,
    provider: Option<&ProviderSummary>,
    headers: &HeaderMap,
    extensions: &Extensions,
) {
    let (tenant, subject) = match provider {
        Some(provider) => (provider.tenant.clone(), Some(format!("oidc:{}", provider.id))),
        None => (state.deps.authenticator.home_tenant(), None),
    };
    let (origin, trace_id) = (origin_of(headers, extensions), current_trace_id());
    let reason = RefusalReason::InvalidCredential;
    let refusal = Refusal { tenant, reason, subject, origin, permission: None, trace_id };
    state.deps.identities.access().refused(refusal, Utc::now());
}

/// Notes that the principal of a request may not do what it asked for.
pub(super) fn forbidden(state: &State, requester: &Requester, forbidden: &Forbidden) {
    refuse(state, requester, forbidden.permission);
}

/// Notes the fields of a response that the principal of the request may not have.
pub(super) fn forbidden_fields(state: &State, requester: &Requester, response: &Response) {
    for extensions in response.errors.iter().filter_map(|error| error.extensions.as_ref()) {
        if extensions.get("code") == Some(&Value::from("FORBIDDEN")) {
            let permission = match extensions.get("permission") {
                Some(Value::String(permission)) => permission.parse().ok(),
                _ => None,
            };
            refuse(state, requester, permission);
        }
    }
}

fn refuse(state: &State, requester: &Requester, permission: Option<Permission>) {
    let principal = &requester.principal;
    let refusal = Refusal {
        tenant: principal.tenant().clone(),
        reason: RefusalReason::Forbidden,
        subject: Some(principal.actor()),
        origin: requester.origin.clone(),
        permission,
        trace_id: current_trace_id(),
    };
    state.deps.identities.access().refused(refusal, Utc::now());
}
