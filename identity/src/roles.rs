//! Defining, changing and withdrawing custom roles.

use crate::directory::{Loss, makes_admin};
use crate::error::{GrantRejection, IdentityError};
use crate::grants::{Created, check_admin, derived, rejected};
use crate::identities::Identities;
use chrono::{DateTime, Utc};
use commands::{Context, Error, Outcome, OutcomeKind, Position};
use domain::custom_role::{CustomRole, CustomRoleCommand, RoleDefinition};
use domain::permissions::SendCommand;
use domain::{Aggregate as _, RoleId};

impl Identities {
    /// Defines a custom role. Its id is derived from that of the command.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the tenant is not active, or the command is not executed.
    pub async fn define_role(
        &self,
        context: &Context,
        definition: RoleDefinition,
        at: DateTime<Utc>,
    ) -> Result<Created<RoleId>, IdentityError> {
        let id = RoleId(derived(CustomRole::CATEGORY, context));
        let (kind, position) = self.command_role(context, id, CustomRoleCommand::Define { definition, at }).await?;
        Ok(Created { id, kind, position })
    }

    /// Executes a command to a custom role. Returns whether that was done now, and the position of the event.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the tenant is not active, the tenant would lose its last admin and the
    /// command is not given at the command line, or the command is not executed.
    pub async fn command_role(
        &self,
        context: &Context,
        id: RoleId,
        command: CustomRoleCommand,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        context.principal.authorise_on::<SendCommand>(CustomRole::CATEGORY, id.0)?;
        let admin = match &command {
            CustomRoleCommand::Withdraw { .. } => self.admin_after(context, Loss::Role(id)).await?,
            CustomRoleCommand::Change { definition, .. } if !makes_admin(definition.permissions) => {
                self.admin_after(context, Loss::Role(id)).await?
            }
            CustomRoleCommand::Define { .. } | CustomRoleCommand::Change { .. } => {
                self.check_tenant(context.principal.tenant()).await?;
                Ok(None)
            }
        };
        let changed: Result<Outcome<CustomRole>, Error<GrantRejection>> = self
            .commands
            .decide_on(context, id.0, |role: &CustomRole, mut others| {
                let events = role.decide(command.clone()).map_err(rejected)?;
                check_admin(&mut others, admin, &events)?;
                Ok(events)
            })
            .await;
        let changed = changed?;
        self.follow_to(changed.position).await;
        Ok((changed.kind, changed.position))
    }
}
