//! Service accounts, API keys, roles, teams and the access review, on the database.

use super::{OnDatabase, listed, now};
use crate::cli::backend::operations::{
    AccountOperations, IssuedKey, KeyOperations, Listed, ReviewOperations, RoleOperations, TeamOperations,
};
use crate::config::Secret;
use chrono::{DateTime, TimeDelta, Utc};
use domain::api_key::KeyTerms;
use domain::custom_role::{CustomRoleCommand, RoleDefinition};
use domain::permissions::Role;
use domain::role_assignment::{Assignment, Holder};
use domain::service_account::ServiceAccountCommand;
use domain::team::{Member, Team, TeamCommand};
use domain::{AgentId, ApiKeyId, Body, Name, RoleId, ServiceAccountId, TeamId};
use identity::{
    ACCESS_REVIEW, AccountSummary, AssignmentSummary, KeySummary, MAX_LISTED, MemberSummary, NewKey, ReviewKey,
    ReviewRow, RoleSummary, TeamAgentSummary, TeamSummary, record_export,
};

impl AccountOperations for OnDatabase<'_> {
    async fn accounts(&self) -> anyhow::Result<Listed<AccountSummary>> {
        Ok(listed(self.identities.directory().accounts(&self.rooms.principal.authorise()?, .., MAX_LISTED)))
    }

    async fn create_account(&self, name: Name, roles: &[Role]) -> anyhow::Result<ServiceAccountId> {
        Ok(self.identities.create_account(&self.context(), name, roles, now()).await?.id)
    }

    async fn disable_account(&self, id: ServiceAccountId, reason: Option<Body>) -> anyhow::Result<()> {
        let disable = ServiceAccountCommand::Disable { reason, at: now() };
        self.identities.command_account(&self.context(), id, disable).await?;
        Ok(())
    }

    async fn enable_account(&self, id: ServiceAccountId) -> anyhow::Result<()> {
        let enable = ServiceAccountCommand::Enable { at: now() };
        self.identities.command_account(&self.context(), id, enable).await?;
        Ok(())
    }
}

fn issued(key: NewKey) -> IssuedKey {
    let text = Secret::from(key.text.reveal().to_owned());
    IssuedKey { id: key.id, text, created_key_file: key.created_key_file }
}

impl KeyOperations for OnDatabase<'_> {
    async fn keys(&self) -> anyhow::Result<Listed<KeySummary>> {
        Ok(listed(self.identities.keys(&self.rooms.principal.authorise()?, None, .., MAX_LISTED).await?))
    }

    async fn create_key(&self, terms: KeyTerms) -> anyhow::Result<IssuedKey> {
        Ok(issued(self.identities.create_key(&self.context(), terms, now()).await?))
    }

    async fn rotate_key(
        &self,
        id: ApiKeyId,
        overlap: TimeDelta,
        expires_at: Option<DateTime<Utc>>,
    ) -> anyhow::Result<IssuedKey> {
        Ok(issued(self.identities.rotate_key(&self.context(), id, overlap, expires_at, now()).await?))
    }

    async fn revoke_key(&self, id: ApiKeyId, reason: Option<Body>) -> anyhow::Result<()> {
        self.identities.revoke_key(&self.context(), id, reason, now()).await?;
        Ok(())
    }
}

impl RoleOperations for OnDatabase<'_> {
    async fn roles(&self) -> anyhow::Result<Listed<RoleSummary>> {
        Ok(listed(self.identities.directory().roles(&self.rooms.principal.authorise()?, .., MAX_LISTED)))
    }

    async fn assignments(&self, holder: Option<Holder>) -> anyhow::Result<Listed<AssignmentSummary>> {
        let access = self.rooms.principal.authorise()?;
        Ok(listed(self.identities.directory().assignments(&access, (holder, None), None, MAX_LISTED)))
    }

    async fn define_role(&self, definition: RoleDefinition) -> anyhow::Result<RoleId> {
        Ok(self.identities.define_role(&self.context(), definition, now()).await?.id)
    }

    async fn change_role(&self, id: RoleId, definition: RoleDefinition) -> anyhow::Result<()> {
        let change = CustomRoleCommand::Change { definition, at: now() };
        self.identities.command_role(&self.context(), id, change).await?;
        Ok(())
    }

    async fn withdraw_role(&self, id: RoleId, reason: Option<Body>) -> anyhow::Result<()> {
        let withdraw = CustomRoleCommand::Withdraw { reason, at: now() };
        self.identities.command_role(&self.context(), id, withdraw).await?;
        Ok(())
    }

    async fn grant_role(&self, assignment: Assignment) -> anyhow::Result<()> {
        self.identities.grant_role(&self.context(), assignment, now()).await?;
        Ok(())
    }

    async fn revoke_role(&self, assignment: Assignment, reason: Option<Body>) -> anyhow::Result<()> {
        self.identities.revoke_role(&self.context(), assignment, reason, now()).await?;
        Ok(())
    }
}

impl OnDatabase<'_> {
    async fn command_team(&self, id: TeamId, command: TeamCommand) -> anyhow::Result<()> {
        self.identities.command_team(&self.context(), id, command).await?;
        Ok(())
    }
}

impl TeamOperations for OnDatabase<'_> {
    async fn teams(&self) -> anyhow::Result<Listed<TeamSummary>> {
        Ok(listed(self.identities.directory().teams(&self.rooms.principal.authorise()?, .., MAX_LISTED)))
    }

    async fn members(&self, id: TeamId) -> anyhow::Result<Option<Vec<MemberSummary>>> {
        let (access, directory) = (self.rooms.principal.authorise()?, self.identities.directory());
        let exists = !directory.teams(&access, id..=id, 1).is_empty();
        Ok(exists.then(|| directory.members(&access, id, None, Team::MAX_MEMBERS)))
    }

    async fn create_team(&self, name: Name) -> anyhow::Result<TeamId> {
        Ok(self.identities.create_team(&self.context(), name, now()).await?.id)
    }

    async fn rename_team(&self, id: TeamId, name: Name) -> anyhow::Result<()> {
        self.command_team(id, TeamCommand::Rename { name, at: now() }).await
    }

    async fn add_member(&self, id: TeamId, member: Member) -> anyhow::Result<()> {
        self.command_team(id, TeamCommand::AddMember { member, at: now() }).await
    }

    async fn remove_member(&self, id: TeamId, member: Member) -> anyhow::Result<()> {
        self.command_team(id, TeamCommand::RemoveMember { member, at: now() }).await
    }

    async fn agents_of_team(&self, id: TeamId) -> anyhow::Result<Option<Vec<TeamAgentSummary>>> {
        let (access, directory) = (self.rooms.principal.authorise()?, self.identities.directory());
        let exists = !directory.teams(&access, id..=id, 1).is_empty();
        Ok(exists.then(|| directory.agents_of_team(&access, id, None, Team::MAX_AGENTS)))
    }

    async fn add_agent(&self, id: TeamId, agent_id: AgentId) -> anyhow::Result<()> {
        self.command_team(id, TeamCommand::AddAgent { agent_id, at: now() }).await
    }

    async fn remove_agent(&self, id: TeamId, agent_id: AgentId) -> anyhow::Result<()> {
        self.command_team(id, TeamCommand::RemoveAgent { agent_id, at: now() }).await
    }

    async fn close_team(&self, id: TeamId, reason: Option<Body>) -> anyhow::Result<()> {
        self.command_team(id, TeamCommand::Close { reason, at: now() }).await
    }
}

impl ReviewOperations for OnDatabase<'_> {
    type Cursor = ReviewKey;

    async fn review(&self, after: Option<ReviewKey>) -> anyhow::Result<(Vec<ReviewRow>, Option<ReviewKey>)> {
        let access = self.rooms.principal.authorise()?;
        if after.is_none() {
            record_export(&self.rooms.commands, &self.rooms.principal, ACCESS_REVIEW, now()).await;
        }
        let rows = self.identities.review(&access, after, MAX_LISTED, now()).await?;
        let next = rows.last().map(ReviewRow::key);
        Ok((rows, next))
    }

    fn inactive_tenant(&self) -> Option<String> {
        let tenant = self.rooms.principal.tenant();
        (!self.identities.directory().is_active(tenant)).then(|| tenant.to_string())
    }
}
