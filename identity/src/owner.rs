//! The principal of who defined something that runs later.

use crate::directory::NoPrincipal;
use crate::error::IdentityError;
use crate::identities::Identities;
use chrono::Utc;
use commands::Principal;
use domain::TenantId;
use domain::schedule::ScheduleOwner;

/// Who defined something that runs later, as of now.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnerPrincipal {
    /// The principal, with the permissions that it has now.
    Active(Principal),
    /// The tenant is suspended; it may be resumed.
    TenantSuspended,
    /// The user, the account or the key is not active any more.
    Refused,
}

impl Identities {
    /// The principal of who defined a schedule. A user has the present roles of the user, and a service account those of the
    /// account, as far as the scopes of the key allow, while the key is valid.
    ///
    /// # Errors
    /// [`IdentityError`] if the grants cannot be read.
    pub async fn owner(&self, tenant: &TenantId, owner: ScheduleOwner) -> Result<OwnerPrincipal, IdentityError> {
        let directory = self.directory();
        directory.refresh().await?;
        if directory.is_suspended(tenant).map_err(|_| IdentityError::Unreadable)? {
            return Ok(OwnerPrincipal::TenantSuspended);
        }
        let found = match owner {
            ScheduleOwner::User { user_id, session_id } => directory.user_principal(tenant, user_id, session_id),
            ScheduleOwner::ServiceAccount { api_key_id, .. } => directory.principal(api_key_id, Utc::now()),
            ScheduleOwner::CommandLine => Ok(Principal::command_line(tenant.clone())),
        };
        match found {
            // A key of another tenant would be a forged event.
            Ok(principal) if principal.tenant() == tenant => Ok(OwnerPrincipal::Active(principal)),
            Ok(_) | Err(NoPrincipal::Refused) => Ok(OwnerPrincipal::Refused),
            Err(NoPrincipal::Unreadable) => Err(IdentityError::Unreadable),
        }
    }
}
