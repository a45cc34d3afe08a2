//! What the subcommands about identities, calls and tags do, wherever it is done: by this process on the database, or by a server.

use super::correction::Correction;
use crate::config::Secret;
use chrono::{DateTime, TimeDelta, Utc};
use commands::OutcomeKind;
use domain::api_key::KeyTerms;
use domain::custom_role::RoleDefinition;
use domain::permissions::Role;
use domain::role_assignment::{Assignment, Holder};
use domain::team::Member;
use domain::{AgentId, ApiKeyId, Body, CallId, InvitationId, Name, RoleId, ServiceAccountId, TagKey, TeamId, UserId};
use identity::{
    AccountSummary, AssignmentSummary, Email, InvitationSummary, KeySummary, MemberSummary, ReviewRow, RoleSummary,
    TeamAgentSummary, TeamSummary, UserSummary,
};
use std::path::PathBuf;

/// The first objects of a list, and whether there are more than are listed.
pub(in crate::cli) struct Listed<T> {
    pub(in crate::cli) items: Vec<T>,
    pub(in crate::cli) is_cut: bool,
}

/// A new API key with its text.
pub(in crate::cli) struct IssuedKey {
    pub(in crate::cli) id: ApiKeyId,
    pub(in crate::cli) text: Secret,
    /// The file of key-encryption keys, if this process has created it with the key.
    pub(in crate::cli) created_key_file: Option<PathBuf>,
}

/// A token in a link, with the id of what it is of.
pub(in crate::cli) struct IssuedToken<I> {
    pub(in crate::cli) id: I,
    pub(in crate::cli) token: Secret,
    pub(in crate::cli) expires_at: DateTime<Utc>,
}

/// Service accounts.
pub(in crate::cli) trait AccountOperations {
    async fn accounts(&self) -> anyhow::Result<Listed<AccountSummary>>;
    async fn create_account(&self, name: Name, roles: &[Role]) -> anyhow::Result<ServiceAccountId>;
    async fn disable_account(&self, id: ServiceAccountId, reason: Option<Body>) -> anyhow::Result<()>;
    async fn enable_account(&self, id: ServiceAccountId) -> anyhow::Result<()>;
}

/// API keys.
pub(in crate::cli) trait KeyOperations {
    async fn keys(&self) -> anyhow::Result<Listed<KeySummary>>;
    async fn create_key(&self, terms: KeyTerms) -> anyhow::Result<IssuedKey>;
    async fn rotate_key(
        &self,
        id: ApiKeyId,
        overlap: TimeDelta,
        expires_at: Option<DateTime<Utc>>,
    ) -> anyhow::Result<IssuedKey>;
    async fn revoke_key(&self, id: ApiKeyId, reason: Option<Body>) -> anyhow::Result<()>;
}

/// Roles and who has them.
pub(in crate::cli) trait RoleOperations {
    /// The custom roles.
    async fn roles(&self) -> anyhow::Result<Listed<RoleSummary>>;
    /// Who has which role, or which roles a holder has itself.
    async fn assignments(&self, holder: Option<Holder>) -> anyhow::Result<Listed<AssignmentSummary>>;
    async fn define_role(&self, definition: RoleDefinition) -> anyhow::Result<RoleId>;
    async fn change_role(&self, id: RoleId, definition: RoleDefinition) -> anyhow::Result<()>;
    async fn withdraw_role(&self, id: RoleId, reason: Option<Body>) -> anyhow::Result<()>;
    async fn grant_role(&self, assignment: Assignment) -> anyhow::Result<()>;
    async fn revoke_role(&self, assignment: Assignment, reason: Option<Body>) -> anyhow::Result<()>;
}

/// Teams.
pub(in crate::cli) trait TeamOperations {
    async fn teams(&self) -> anyhow::Result<Listed<TeamSummary>>;
    /// The members of a team; none if there is no such team.
    async fn members(&self, id: TeamId) -> anyhow::Result<Option<Vec<MemberSummary>>>;
    async fn create_team(&self, name: Name) -> anyhow::Result<TeamId>;
    async fn rename_team(&self, id: TeamId, name: Name) -> anyhow::Result<()>;
    async fn add_member(&self, id: TeamId, member: Member) -> anyhow::Result<()>;
    async fn remove_member(&self, id: TeamId, member: Member) -> anyhow::Result<()>;
    /// The agents of a team; none if there is no such team.
    async fn agents_of_team(&self, id: TeamId) -> anyhow::Result<Option<Vec<TeamAgentSummary>>>;
    async fn add_agent(&self, id: TeamId, agent: AgentId) -> anyhow::Result<()>;
    async fn remove_agent(&self, id: TeamId, agent: AgentId) -> anyhow::Result<()>;
    async fn close_team(&self, id: TeamId, reason: Option<Body>) -> anyhow::Result<()>;
}

/// Users and invitations.
pub(in crate::cli) trait UserOperations {
    async fn users(&self) -> anyhow::Result<Listed<UserSummary>>;
    async fn invitations(&self) -> anyhow::Result<Listed<InvitationSummary>>;
    async fn create_user(&self, email: &Email, name: Option<Name>, roles: &[Role]) -> anyhow::Result<UserId>;
    async fn invite_user(
        &self,
        email: &Email,
        roles: &[Role],
        lifetime: TimeDelta,
    ) -> anyhow::Result<IssuedToken<InvitationId>>;
    async fn revoke_invitation(&self, id: InvitationId, reason: Option<Body>) -> anyhow::Result<OutcomeKind>;
    async fn issue_reset_link(&self, id: UserId, lifetime: TimeDelta) -> anyhow::Result<IssuedToken<UserId>>;
    async fn disable_codes(&self, id: UserId) -> anyhow::Result<OutcomeKind>;
    async fn disable_user(&self, id: UserId, reason: Option<Body>) -> anyhow::Result<OutcomeKind>;
    async fn enable_user(&self, id: UserId) -> anyhow::Result<OutcomeKind>;
    async fn erase_user(&self, id: UserId) -> anyhow::Result<OutcomeKind>;
}

/// The access review, read page by page.
pub(in crate::cli) trait ReviewOperations {
    /// Where a page begins.
    type Cursor;
    /// The rows after a cursor, with the cursor of the next page; none if there is none.
    async fn review(&self, after: Option<Self::Cursor>) -> anyhow::Result<(Vec<ReviewRow>, Option<Self::Cursor>)>;
    /// The tenant, if its credentials are refused.
    fn inactive_tenant(&self) -> Option<String>;
}

/// Calls.
pub(in crate::cli) trait CallOperations {
    async fn correct_call(&self, id: CallId, correction: Correction, reason: Body) -> anyhow::Result<OutcomeKind>;
    async fn void_call(&self, id: CallId, reason: Body) -> anyhow::Result<OutcomeKind>;
    /// The text of the receipt of a call; none if there is no such call, or if it was voided.
    async fn receipt(&self, id: CallId) -> anyhow::Result<Option<String>>;
}

/// Tag keys.
pub(in crate::cli) trait TagOperations {
    async fn tag_keys(&self) -> anyhow::Result<Vec<(TagKey, DateTime<Utc>)>>;
    async fn declare_tag_key(&self, key: TagKey) -> anyhow::Result<OutcomeKind>;
    async fn withdraw_tag_key(&self, key: TagKey) -> anyhow::Result<()>;
}

/// All of it.
pub(in crate::cli) trait Backend:
    AccountOperations
    + KeyOperations
    + RoleOperations
    + TeamOperations
    + UserOperations
    + ReviewOperations
    + CallOperations
    + TagOperations
{
}

impl<B> Backend for B where
    B: AccountOperations
        + KeyOperations
        + RoleOperations
        + TeamOperations
        + UserOperations
        + ReviewOperations
        + CallOperations
        + TagOperations
{
}
