//! Creating service accounts, and granting them roles.

use crate::error::{AccountRejection, IdentityError};
use crate::identities::Identities;
use chrono::{DateTime, Utc};
use commands::{Context, Outcome, OutcomeKind, Position, Undecided};
use domain::permissions::{Role, SendCommand};
use domain::role_assignment::{Assignment, Holder, RoleAssignment, RoleAssignmentCommand};
use domain::service_account::{ServiceAccount, ServiceAccountCommand};
use domain::user::User;
use domain::{Aggregate as _, Name, ServiceAccountId, derived_id};

/// A service account that was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAccount {
    /// The id of the account.
    pub id: ServiceAccountId,
    /// Whether the command was executed now.
    pub kind: OutcomeKind,
    /// The position of the last event. A retry of the command gives the same.
    pub position: Position,
}

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
    ) -> Result<NewAccount, IdentityError> {
        let tenant = context.principal.tenant();
        let id = ServiceAccountId(derived_id(&["service_account", tenant.as_str(), &context.command_id.to_string()]));
        context.principal.authorise_on::<SendCommand>(ServiceAccount::CATEGORY, id.0)?;
        self.check_tenant(tenant).await?;
        let created: Result<Outcome<ServiceAccount>, commands::Error<AccountRejection>> = self
            .commands
            .decide(context, id.0, |states| {
                let account = states.get::<ServiceAccount>(id.0)?;
                let create = ServiceAccountCommand::Create { name: name.clone(), at };
                let events = account.decide(create).map_err(|error| Undecided::Rejected(error.into()))?;
                states.append::<ServiceAccount, _>(id.0, events)?;
                for role in roles {
                    let assignment = Assignment { holder: Holder::ServiceAccount(id), role: *role };
                    let granted = states.get::<RoleAssignment>(assignment.stream_id())?;
                    let grant = RoleAssignmentCommand::Grant { assignment, at };
                    let events = granted.decide(grant).map_err(|error| Undecided::Rejected(error.into()))?;
                    states.append::<RoleAssignment, _>(assignment.stream_id(), events)?;
                }
                Ok(())
            })
            .await;
        let created = created?;
        self.follow_to(created.position).await;
        Ok(NewAccount { id, kind: created.kind, position: created.position })
    }

    /// Grants a role to a service account or a user that exists. Returns the position of the event.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the tenant is not active, or the command is not executed.
    pub async fn grant_role(
        &self,
        context: &Context,
        assignment: Assignment,
        at: DateTime<Utc>,
    ) -> Result<Position, IdentityError> {
        context.principal.authorise_on::<SendCommand>(RoleAssignment::CATEGORY, assignment.stream_id())?;
        self.check_tenant(context.principal.tenant()).await?;
        let granted: Result<Outcome<RoleAssignment>, commands::Error<AccountRejection>> = self
            .commands
            .decide_on(context, assignment.stream_id(), |granted: &RoleAssignment, mut others| {
                let missing = match assignment.holder {
                    Holder::ServiceAccount(id) => {
                        let exists = others.get::<ServiceAccount>(id.0)?.name.is_some();
                        (!exists).then_some(AccountRejection::NoAccount(id))
                    }
                    Holder::User(id) => {
                        let user = others.get::<User>(id.0)?;
                        let exists = user.origin.is_some() && !user.is_deleted;
                        (!exists).then_some(AccountRejection::NoUser(id))
                    }
                };
                if let Some(missing) = missing {
                    return Err(Undecided::Rejected(missing));
                }
                let grant = RoleAssignmentCommand::Grant { assignment, at };
                granted.decide(grant).map_err(|error| Undecided::Rejected(error.into()))
            })
            .await;
        Ok(granted?.position)
    }
}
