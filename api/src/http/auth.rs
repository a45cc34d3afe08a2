//! Authentication of requests: the one place where a transport obtains a principal, and learns that it is no longer valid.

use super::access::{self, client_of};
use super::response;
use super::state::State;
use crate::authenticator::{EndReason, Endpoint, Presented, Unauthenticated};
use crate::requester::Requester;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use commands::{Principal, is_reserved_actor};
use domain::Name;
use domain::permissions::Forbidden;
use futures::future::BoxFuture;
use identity::Client;
use std::sync::Arc;
use uuid::Uuid;

/// The header in which the holder of a shared token declares the actor.
const ACTOR: &str = "x-apex-actor";
/// The header with the correlation id.
pub(super) const CORRELATION: &str = "x-correlation-id";
/// The actor of requests without the header.
const DEFAULT_ACTOR: &str = "api";

/// What a request says of its sender beside the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    actor: Name,
    correlation_id: Option<Uuid>,
    client: Client,
}

/// The message about a header that is not valid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadHeader(pub(crate) String);

/// Why a request is rejected before it does anything.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// It has no valid credential.
    Unauthenticated(Unauthenticated, Endpoint),
    /// A header is not valid.
    BadHeader(BadHeader),
    /// The principal may not use the route.
    Forbidden(Forbidden),
}

impl Rejection {
    /// The status, the code and the message of the response.
    pub(crate) fn parts(&self) -> (StatusCode, &'static str, String) {
        let unauthenticated = |message: &str| (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message.to_owned());
        match self {
            Self::Unauthenticated(Unauthenticated::Unavailable, _) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "UNAVAILABLE",
                "credentials cannot be checked at the moment; retry".to_owned(),
            ),
            Self::Unauthenticated(_, Endpoint::Metrics) => unauthenticated(
                "metrics require a token in the header `Authorization: Bearer …`: APEX_METRICS_TOKEN or \
                 APEX_OPERATOR_TOKEN, or APEX_TOKEN where operators have no token of their own",
            ),
            Self::Unauthenticated(Unauthenticated::Missing, Endpoint::Api) => unauthenticated(
                "a token or an API key is required in the header `Authorization: Bearer …`; people sign in at /auth/login",
            ),
            Self::Unauthenticated(Unauthenticated::Invalid, Endpoint::Api) => unauthenticated(
                "the header `Authorization` has no valid token or API key: send `Bearer`, a space and the token or key",
            ),
            Self::BadHeader(bad) => (StatusCode::BAD_REQUEST, "BAD_HEADER", bad.0.clone()),
            Self::Forbidden(forbidden) => (StatusCode::FORBIDDEN, "FORBIDDEN", forbidden.to_string()),
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let (status, code, message) = self.parts();
        let mut rejected = response::error(status, code, &message).into_response();
        if status == StatusCode::UNAUTHORIZED {
            rejected.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"apex\""));
        }
        rejected
    }
}

/// Finds the principal of a credential, and notes for the access log what is new or refused.
async fn authenticate(
    state: &State,
    authorization: Option<&str>,
    declared_actor: Name,
    endpoint: Endpoint,
    client: &Client,
) -> Result<Principal, Rejection> {
    let presented = Presented { authorization, declared_actor, endpoint };
    match state.deps.authenticator.authenticate(presented).await {
        Ok(principal) => {
            access::used(state, &principal, client);
            Ok(principal)
        }
        Err(refused) => {
            // That there is none is noted by the transport: a WebSocket may present one later.
            if refused != Unauthenticated::Missing {
                access::unauthenticated(state, refused, authorization, client);
            }
            Err(Rejection::Unauthenticated(refused, endpoint))
        }
    }
}

/// Finds who sends a request, from its headers. One without a credential is noted for the access log.
///
/// # Errors
/// [`Rejection`] of the credential, or of another header if the credential is valid.
pub(crate) async fn of_headers(
    state: &State,
    headers: &HeaderMap,
    extensions: &Extensions,
    endpoint: Endpoint,
) -> Result<Requester, Rejection> {
    let found = of_upgrade(state, headers, extensions, endpoint).await;
    if let Err(Rejection::Unauthenticated(missing @ Unauthenticated::Missing, _)) = &found {
        access::unauthenticated(state, *missing, None, &client_of(headers, extensions));
    }
    found
}

/// As [`of_headers`], of a request that opens a WebSocket, which may present a credential later.
///
/// # Errors
/// As [`of_headers`].
pub(crate) async fn of_upgrade(
    state: &State,
    headers: &HeaderMap,
    extensions: &Extensions,
    endpoint: Endpoint,
) -> Result<Requester, Rejection> {
    let client = client_of(headers, extensions);
    // A client without a valid credential does not learn about its other headers.
    let (declared, bad) = match declared_by_headers(headers) {
        Ok(declared) => (declared, None),
        Err(bad) => ((default_actor().map_err(Rejection::BadHeader)?, None), Some(bad)),
    };
    let (actor, correlation_id) = declared;
    // A value that is not text matches no credential.
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let principal = authenticate(state, authorization, actor, endpoint, &client).await?;
    // What a proxy adds to a request for metrics changes nothing.
    if let Some(bad) = bad.filter(|_| endpoint == Endpoint::Api) {
        return Err(Rejection::BadHeader(bad));
    }
    Ok(Requester { principal: Arc::new(principal), correlation_id, client })
}

/// Finds who opened a WebSocket, from the payload of `connection_init`.
///
/// # Errors
/// [`Rejection::Unauthenticated`] if the payload has no valid credential.
pub(crate) async fn of_payload(
    state: &State,
    authorization: Option<&str>,
    declared: &Declared,
) -> Result<Requester, Rejection> {
    let Declared { actor, correlation_id, client } = declared.clone();
    let principal = authenticate(state, authorization, actor, Endpoint::Api, &client).await;
    if let Err(Rejection::Unauthenticated(missing @ Unauthenticated::Missing, _)) = &principal {
        access::unauthenticated(state, *missing, None, &client);
    }
    let principal = principal?;
    Ok(Requester { principal: Arc::new(principal), correlation_id, client })
}

/// Completes when the requester of an open connection has to present its credential again.
pub(crate) fn ended(state: &State, requester: &Requester) -> BoxFuture<'static, EndReason> {
    state.deps.authenticator.ended(requester.principal.clone())
}

/// Reads what the headers of a request declare.
///
/// # Errors
/// [`BadHeader`] if a header is not text, not a name or not a UUID, or if it declares an actor that is reserved.
pub(crate) fn declared(headers: &HeaderMap, extensions: &Extensions) -> Result<Declared, BadHeader> {
    let (actor, correlation_id) = declared_by_headers(headers)?;
    Ok(Declared { actor, correlation_id, client: client_of(headers, extensions) })
}

/// The actor and the correlation id.
fn declared_by_headers(headers: &HeaderMap) -> Result<(Name, Option<Uuid>), BadHeader> {
    Ok((actor(headers)?, correlation(headers)?))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, BadHeader> {
    let bad = |_| BadHeader(format!("the header {name} is not text"));
    headers.get(name).map(|value| value.to_str().map_err(bad)).transpose()
}

fn default_actor() -> Result<Name, BadHeader> {
    Name::new(DEFAULT_ACTOR).map_err(|error| BadHeader(error.to_string()))
}

fn actor(headers: &HeaderMap) -> Result<Name, BadHeader> {
    let Some(given) = text(headers, ACTOR)? else { return default_actor() };
    let name =
        Name::new(given).map_err(|error| BadHeader(format!("the header {ACTOR} is not a valid name: {error}")))?;
    if is_reserved_actor(name.as_str()) {
        let reserved = commands::ReservedActor;
        return Err(BadHeader(format!("the actor {:?} in the header {ACTOR} {reserved}", name.as_str())));
    }
    Ok(name)
}

fn correlation(headers: &HeaderMap) -> Result<Option<Uuid>, BadHeader> {
    let bad = |_| BadHeader(format!("the header {CORRELATION} is not a UUID"));
    text(headers, CORRELATION)?.map(|given| Uuid::try_parse(given).map_err(bad)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_str(value).unwrap())])
    }

    fn name(headers: &HeaderMap) -> Result<String, BadHeader> {
        actor(headers).map(|name| name.to_string())
    }

    #[test]
    fn reserved_actors_are_rejected() {
        for claimed in ["policy:budget-alerts", "Policy:x", "import:otlp", "apex", "APEX", "system:x", "apex:x", "demo"]
        {
            let refused = actor(&headers(ACTOR, claimed)).unwrap_err();
            assert!(refused.0.contains(claimed) && refused.0.contains("policy:"), "{refused:?}");
        }
        for fine in ["policy", "ada", "team:ada", "my-policy:x", "apexer"] {
            assert_eq!(name(&headers(ACTOR, fine)), Ok(fine.to_owned()));
        }
    }

    #[test]
    fn invalid_headers_are_rejected() {
        assert_eq!(name(&HeaderMap::new()), Ok("api".to_owned()));
        assert_eq!(name(&headers(ACTOR, "ada")), Ok("ada".to_owned()));
        assert!(actor(&headers(ACTOR, " ")).is_err());
        assert!(actor(&headers(ACTOR, &"x".repeat(300))).is_err());
        assert_eq!(correlation(&HeaderMap::new()), Ok(None));
        assert!(correlation(&headers(CORRELATION, "x")).is_err());
    }
}
