//! The access review: who can do what, and by which grant.

use super::holder::{AssignedRole, Holder, RoleExtent, extent_of};
use super::query::access;
use super::role::names;
use super::types::ApiKey;
use crate::graphql::ids::Kind;
use crate::graphql::scalars::Timestamp;
use crate::graphql::services::{requester, services};
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, Error, ID, Object, Result, SimpleObject};
use chrono::Utc;
use identity::{ACCESS_REVIEW, Basis, GrantBasis, ReviewRow, TeamBasis, key_prefix};

/// A row of an access review: what a role allows to an account or a user, or what an API key allows.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AccessReviewRow {
    /// The service account or the user.
    holder: Holder,
    /// Permissions that the role gives, or that the key has of those of its account, such as `read:agents`.
    permissions: Vec<String>,
    /// What of the tenant the permissions hold for.
    extent: RoleExtent,
    /// Global id of the agent that the permissions hold for. Null if `extent` is not `AGENT`.
    agent_id: Option<ID>,
    /// Global id of the team for whose agents the permissions hold. Null if `extent` is not `TEAM`.
    team_id: Option<ID>,
    /// Role that gives the permissions. Null for a key.
    grant: Option<AccessGrant>,
    /// API key that has the permissions. Null for a role.
    key: Option<AccessKey>,
}

/// Role that gives permissions to an account or a user.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AccessGrant {
    /// The role.
    role: AssignedRole,
    /// Time at which the role was granted.
    granted_at: Timestamp,
    /// Actor who granted the role.
    granted_by: String,
    /// Team that the role was granted to. Null if it was granted to the account or the user itself.
    team: Option<AccessTeam>,
}

/// Team by which an account or a user has a role.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AccessTeam {
    /// Global id of the team.
    id: ID,
    /// What the team is called.
    name: String,
    /// Time at which the account or the user was added to the team.
    member_since: Timestamp,
    /// Actor who added the account or the user to the team.
    added_by: String,
}

/// API key that has permissions.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct AccessKey {
    /// How the text of the key begins. This part is public.
    prefix: String,
    /// The key.
    api_key: ApiKey,
}

impl From<GrantBasis> for AccessGrant {
    fn from(grant: GrantBasis) -> Self {
        let team = grant.team.map(|TeamBasis { id, name, member }| AccessTeam {
            id: Kind::Team.id(id),
            name,
            member_since: member.at.into(),
            added_by: member.by,
        });
        Self {
            role: AssignedRole::new(grant.role, Some(grant.role_name)),
            granted_at: grant.granted.at.into(),
            granted_by: grant.granted.by,
            team,
        }
    }
}

impl TryFrom<ReviewRow> for AccessReviewRow {
    type Error = Error;

    fn try_from(row: ReviewRow) -> Result<Self> {
        let (grant, key) = match row.basis {
            Basis::Grant(grant) => (Some(grant.into()), None),
            Basis::Key(key) => (None, Some(AccessKey { prefix: key_prefix(key.id), api_key: key.try_into()? })),
        };
        let (holder, permissions) = (Holder::new(row.holder.into(), row.name), names(row.permissions));
        let (extent, agent_id, team_id) = extent_of(row.extent);
        Ok(Self { holder, permissions, extent, agent_id, team_id, grant, key })
    }
}

/// The query for the access review.
#[derive(Default)]
pub(crate) struct ReviewQuery;

#[Object]
impl ReviewQuery {
    /// Lists who can do what in the tenant, and by which grant, sorted by kind and UUID of the holder. The rows of a service
    /// account or a user with a `grant` have its permissions together, directly or by a team; a row with a `key` has what that
    /// key allows, on the whole tenant or on an agent or a team that the account has roles on. Accounts that are disabled, keys that are
    /// not accepted, teams that were closed and roles that were withdrawn allow nothing, and have no rows.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn access_review(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of rows to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the rows after this cursor. Default: from the first row on.")] after: Option<String>,
    ) -> Result<Connection<String, AccessReviewRow>> {
        let access = access(ctx).await?;
        requester(ctx)?.note_export(&services(ctx)?.identities, ACCESS_REVIEW);
        let size = connection::size(ctx, first)?;
        let decode = |cursor: &str| connection::decode_text(cursor).and_then(|text| text.parse().ok());
        let after = after.as_deref().map(|cursor| decode(cursor).ok_or_else(|| connection::bad_cursor(cursor)));
        let after = after.transpose()?;
        let found = services(ctx)?.identities.review(&access, after, size + 1, Utc::now()).await;
        let found = found.map_err(|error| errors::identities(&error))?;
        connection::connect_by(found, size, after.is_some(), |row| connection::encode_text(&row.key().to_string()))
    }
}
