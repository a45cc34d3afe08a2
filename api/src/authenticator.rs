//! What the API needs to know who sends a request.

use commands::Principal;
use domain::{Name, TenantId};
use futures::future::BoxFuture;
use std::sync::Arc;

/// The part of the API that a credential is presented to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// GraphQL and the event stream.
    Api,
    /// `/metrics`.
    Metrics,
}

/// What a request presents to say who sends it. It cannot be formatted, because it holds the credential.
#[derive(Clone)]
pub struct Presented<'a> {
    /// The value of the `Authorization` header, or of the same key in the payload of `connection_init`.
    pub authorization: Option<&'a str>,
    /// The actor that the client declares. It counts only where a credential is shared and names nobody.
    pub declared_actor: Name,
    /// The part of the API that the credential is presented to.
    pub endpoint: Endpoint,
}

/// Why a request has no principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unauthenticated {
    /// A credential is required, and the request has none.
    Missing,
    /// The credential is not valid for this part of the API.
    Invalid,
    /// It cannot be found out at the moment whether the credential is valid. The client retries.
    Unavailable,
}

/// Why a principal is no longer valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Its credential ended, or gives other permissions than before.
    Ended,
    /// It cannot be found out at the moment whether its credential is valid. The client connects again later.
    Unavailable,
}

/// Makes principals from credentials. The process that runs the API supplies it, and every transport uses it.
pub trait Authenticator: Send + Sync {
    /// Whether a request without a credential has a principal. Requests of foreign web pages are rejected then.
    fn admits_anonymous(&self) -> bool;

    /// The tenant in whose access log requests without a valid credential are recorded.
    fn home_tenant(&self) -> TenantId;

    /// Finds the principal of a credential.
    ///
    /// # Errors
    /// [`Unauthenticated`] if there is no valid credential.
    fn authenticate<'a>(&'a self, presented: Presented<'a>) -> BoxFuture<'a, Result<Principal, Unauthenticated>>;

    /// Completes when a principal that this authenticator made is no longer valid: its credential ended, or it may do more
    /// or less than before, or none of that can be found out. The connection that it opened is closed then, and its client
    /// presents the credential again.
    fn ended(&self, principal: Arc<Principal>) -> BoxFuture<'static, EndReason>;
}
