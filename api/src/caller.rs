//! Who asks: taken from the request, and passed to every resolver.

use domain::TenantId;
use uuid::Uuid;

/// On whose behalf a request runs.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Whose data it sees.
    pub(crate) tenant: TenantId,
    /// The person, agent or policy that asks; noted in the metadata of what it causes.
    pub(crate) actor: String,
    /// What all of it belongs to, if the client says so.
    pub(crate) correlation_id: Option<Uuid>,
}
