//! Creating, disabling and enabling service accounts.

use crate::directory::Loss;
use crate::error::{GrantRejection, IdentityError};
use crate::grants::{Created, check_admin, derived, rejected};
use crate::identities::Identities;
use chrono::{DateTime, Utc};
use commands::{Context, Error, Outcome, OutcomeKind, Position};
use domain::permissions::{Role, SendCommand};
use domain::role_assignment::{AssignedRole, Assignment, Holder, RoleAssignment, RoleAssignmentCommand};
use domain::service_account::{ServiceAccount, ServiceAccountCommand};
use domain::{Aggregate as _, Name, ServiceAccountId};

impl Identities {
    /// Creates a service account with roles, in one append. Its id is derived from that of the command.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the tenant is not active, or the command is not executed.
    pub async fn create_account(
        &self,
        context: &Context,
        name: Name,
        roles: &[Role],
        at: DateTime<Utc>,
    ) -> Result<Created<ServiceAccountId>, IdentityError> {
        let id = ServiceAccountId(derived("service_account", context));
        context.principal.authorise_on::<SendCommand>(ServiceAccount::CATEGORY, id.0)?;
        self.check_tenant(context.principal.tenant()).await?;
        let created: Result<Outcome<ServiceAccount>, Error<GrantRejection>> = self
            .commands
            .decide(context, id.0, |states| {
                let account = states.get::<ServiceAccount>(id.0)?;
                let create = ServiceAccountCommand::Create { name: name.clone(), at };
                states.append::<ServiceAccount, _>(id.0, account.decide(create).map_err(rejected)?)?;
                for role in roles {
                    let holder = Holder::ServiceAccount(id);
                    let assignment = Assignment::on_tenant(holder, AssignedRole::BuiltIn(*role));
                    let granted = states.get::<RoleAssignment>(assignment.stream_id())?;
                    let grant = RoleAssignmentCommand::Grant { assignment, at };
                    let events = granted.decide(grant).map_err(rejected)?;
                    states.append::<RoleAssignment, _>(assignment.stream_id(), events)?;
                }
                Ok(())
            })
            .await;
        let created = created?;
        self.follow_to(created.position).await;
        Ok(Created { id, kind: created.kind, position: created.position })
    }

    /// Disables or enables a service account. Returns whether that was done now, and the position of the event.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the account is the last admin and the command is not given at the
    /// command line, or the command is not executed.
    pub async fn command_account(
        &self,
        context: &Context,
        id: ServiceAccountId,
        command: ServiceAccountCommand,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        context.principal.authorise_on::<SendCommand>(ServiceAccount::CATEGORY, id.0)?;
        let admin = match &command {
            ServiceAccountCommand::Disable { .. } => self.admin_after(context, Loss::Account(id)).await?,
            ServiceAccountCommand::Create { .. } | ServiceAccountCommand::Enable { .. } => Ok(None),
        };
        let changed: Result<Outcome<ServiceAccount>, Error<GrantRejection>> = self
            .commands
            .decide_on(context, id.0, |account: &ServiceAccount, mut others| {
                let events = account.decide(command.clone()).map_err(rejected)?;
                check_admin(&mut others, admin, &events)?;
                Ok(events)
            })
            .await;
        let changed = changed?;
        self.follow_to(changed.position).await;
        Ok((changed.kind, changed.position))
    }
}
