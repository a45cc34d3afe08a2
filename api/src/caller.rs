//! Who asks: taken from the request, and passed to every resolver.

use domain::TenantId;
use uuid::Uuid;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Ask and give commands.
    User,
    /// See to the read models, too.
    Operator,
}

/// On whose behalf a request runs.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Whose data it sees.
    pub(crate) tenant: TenantId,
    /// What it may do.
    pub(crate) role: Role,
    /// The person, agent or policy that asks; noted in the metadata of what it causes.
    pub(crate) actor: String,
    /// What all of it belongs to, if the client says so.
    pub(crate) correlation_id: Option<Uuid>,
}
