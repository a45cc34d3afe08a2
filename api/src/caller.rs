//! The caller of a request, which every resolver receives.

use domain::TenantId;
use uuid::Uuid;

/// The role of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sends queries, commands and subscriptions.
    User,
    /// Maintains the read models in addition.
    Operator,
}

/// Who makes a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The tenant whose data the caller may access.
    pub(crate) tenant: TenantId,
    /// The role of the caller.
    pub(crate) role: Role,
    /// The person, agent or policy that makes the request. Recorded in the metadata of the events that it causes.
    pub(crate) actor: String,
    /// The id of the larger operation that the request is part of, if the client sent one.
    pub(crate) correlation_id: Option<Uuid>,
}
