//! What transports note for the access logs: credentials that are new to an origin, and requests that are refused.

use super::state::State;
use crate::authenticator::Unauthenticated;
use crate::edge::ClientAddress;
use crate::rate_limits::LIMITED;
use crate::requester::Requester;
use async_graphql::{Response, Value};
use axum::http::{Extensions, HeaderMap, header};
use chrono::Utc;
use commands::{Principal, current_trace_id};
use domain::access_log::RefusalReason;
use domain::permissions::{Forbidden, Permission};
use identity::{Client, Refusal};

/// Where a request comes from: the address of its client, and its `User-Agent`.
pub(super) fn client_of(headers: &HeaderMap, extensions: &Extensions) -> Client {
    let address = extensions.get::<ClientAddress>().map(|client| client.0);
    let user_agent = headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    Client::new(address, user_agent.as_deref())
}

/// Notes the use of a credential.
pub(super) fn used(state: &State, principal: &Principal, client: &Client) {
    state.deps.identities.access().used(principal, client, Utc::now());
}

/// Notes a request without a valid credential. One whose credential could not be checked was not refused.
pub(super) fn unauthenticated(state: &State, refused: Unauthenticated, authorization: Option<&str>, client: &Client) {
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
    let (client, trace_id) = (client.clone(), current_trace_id());
    let refusal = Refusal { tenant, reason, subject, client, permission: None, trace_id };
    state.deps.identities.access().refused(refusal, Utc::now());
}

/// Notes a request that is refused before it is looked at whose it is.
pub(super) fn refused_client(state: &State, reason: RefusalReason, client: Client) {
    let (tenant, trace_id) = (state.deps.authenticator.home_tenant(), current_trace_id());
    let refusal = Refusal { tenant, reason, subject: None, client, permission: None, trace_id };
    state.deps.identities.access().refused(refusal, Utc::now());
}

/// Notes that the principal of a request may not do what it asked for.
pub(super) fn forbidden(state: &State, requester: &Requester, forbidden: &Forbidden) {
    refuse(state, requester, RefusalReason::Forbidden, forbidden.permission);
}

/// Notes that the principal of a request has exceeded a limit.
pub(super) fn limited(state: &State, requester: &Requester) {
    refuse(state, requester, RefusalReason::RateLimited, None);
}

/// Notes the fields of a response that the principal of the request may not have, and that a limit refused it.
pub(super) fn refused_fields(state: &State, requester: &Requester, response: &Response) {
    for extensions in response.errors.iter().filter_map(|error| error.extensions.as_ref()) {
        let code = extensions.get("code");
        if code == Some(&Value::from("FORBIDDEN")) {
            let permission = match extensions.get("permission") {
                Some(Value::String(permission)) => permission.parse().ok(),
                _ => None,
            };
            refuse(state, requester, RefusalReason::Forbidden, permission);
        } else if code == Some(&Value::from(LIMITED)) {
            limited(state, requester);
        }
    }
}

fn refuse(state: &State, requester: &Requester, reason: RefusalReason, permission: Option<Permission>) {
    let principal = &requester.principal;
    let refusal = Refusal {
        tenant: principal.tenant().clone(),
        reason,
        subject: Some(principal.actor()),
        client: requester.client.clone(),
        permission,
        trace_id: current_trace_id(),
    };
    state.deps.identities.access().refused(refusal, Utc::now());
}
