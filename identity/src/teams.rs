//! Creating and changing teams.

use crate::directory::Loss;
use crate::error::{GrantRejection, IdentityError};
use crate::grants::{Created, check_admin, derived, exists, rejected};
use crate::identities::Identities;
use chrono::{DateTime, Utc};
use commands::{Context, Error, OtherStates, Outcome, OutcomeKind, Position, Undecided};
use domain::agent::Agent;
use domain::permissions::SendCommand;
use domain::service_account::ServiceAccount;
use domain::team::{Member, Team, TeamCommand};
use domain::user::User;
use domain::{Aggregate as _, Name, TeamId};

/// The maximum number of teams that an account or a user is a member of. It is checked on what is known when the command is
/// given: commands at the same moment may exceed it by their number.
pub const MAX_TEAMS_OF_MEMBER: usize = 64;

impl Identities {
    /// Creates a team without members. Its id is derived from that of the command.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the tenant is not active, or the command is not executed.
    pub async fn create_team(
        &self,
        context: &Context,
        name: Name,
        at: DateTime<Utc>,
    ) -> Result<Created<TeamId>, IdentityError> {
        let id = TeamId(derived(Team::CATEGORY, context));
        let (kind, position) = self.command_team(context, id, TeamCommand::Create { name, at }).await?;
        Ok(Created { id, kind, position })
    }

    /// Executes a command to a team. An account, a user or an agent that is added has to exist. Returns whether that was done
    /// now, and the position of the event.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the tenant is not active, the tenant would lose its last admin and the
    /// command is not given at the command line, or the command is not executed.
    pub async fn command_team(
        &self,
        context: &Context,
        id: TeamId,
        command: TeamCommand,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        context.principal.authorise_on::<SendCommand>(Team::CATEGORY, id.0)?;
        let tenant = context.principal.tenant();
        let (mut admin, mut added) = (Ok(None), None);
        match &command {
            TeamCommand::RemoveMember { member, .. } => {
                admin = self.admin_after(context, Loss::Member(id, *member)).await?;
            }
            TeamCommand::Close { .. } => admin = self.admin_after(context, Loss::Team(id)).await?,
            TeamCommand::AddMember { member, .. } => {
                self.check_tenant(tenant).await?;
                added = Some((*member, self.directory().count_teams(tenant, *member) >= MAX_TEAMS_OF_MEMBER));
            }
            // It takes away no role on the tenant.
            TeamCommand::RemoveAgent { .. } => {}
            TeamCommand::Create { .. } | TeamCommand::Rename { .. } | TeamCommand::AddAgent { .. } => {
                self.check_tenant(tenant).await?;
            }
        }
        let changed: Result<Outcome<Team>, Error<GrantRejection>> = self
            .commands
            .decide_on(context, id.0, |team: &Team, mut others| {
                check_added(&mut others, &command)?;
                let events = team.decide(command.clone()).map_err(rejected)?;
                check_admin(&mut others, admin, &events)?;
                match added {
                    Some((member, true)) if !events.is_empty() => {
                        let limit = MAX_TEAMS_OF_MEMBER;
                        Err(Undecided::Rejected(GrantRejection::TooManyTeams { member, limit }))
                    }
                    Some(_) | None => Ok(events),
                }
            })
            .await;
        let changed = changed?;
        self.follow_to(changed.position).await;
        Ok((changed.kind, changed.position))
    }
}

/// Checks that what a command adds to a team exists.
fn check_added(others: &mut OtherStates<'_, '_>, command: &TeamCommand) -> Result<(), Undecided<GrantRejection>> {
    let missing = match command {
        TeamCommand::AddMember { member: Member::ServiceAccount(id), .. } => {
            others.get::<ServiceAccount>(id.0)?.name.is_none().then_some(GrantRejection::NoAccount(*id))
        }
        TeamCommand::AddMember { member: Member::User(id), .. } => {
            (!exists(&*others.get::<User>(id.0)?)).then_some(GrantRejection::NoUser(*id))
        }
        TeamCommand::AddAgent { agent_id, .. } => {
            others.get::<Agent>(agent_id.0)?.status.is_none().then_some(GrantRejection::NoAgent(*agent_id))
        }
        TeamCommand::Create { .. }
        | TeamCommand::Rename { .. }
        | TeamCommand::RemoveMember { .. }
        | TeamCommand::RemoveAgent { .. }
        | TeamCommand::Close { .. } => None,
    };
    missing.map_or(Ok(()), |missing| Err(Undecided::Rejected(missing)))
}
