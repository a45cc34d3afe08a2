//! Queries for users, invitations and sessions. They are answered by the directory of this process, which is brought up to date
//! first, and by the tables beside the log: there is no position to wait for.

use super::types::{Invitation, Session, User, Viewer};
use crate::graphql::ids::Kind;
use crate::graphql::services::{authorise, requester, services};
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, Object, Result};
use domain::permissions::{Access, ReadAny, ReadIdentities};
use domain::{InvitationId, UserId};
use std::ops::Bound;
use uuid::Uuid;

/// Authorises reading, and brings the directory up to date.
async fn access(ctx: &Context<'_>) -> Result<Access<ReadIdentities>> {
    let access = authorise(ctx)?;
    let refreshed = services(ctx)?.identities.directory().refresh().await;
    refreshed.map_err(|error| errors::identities(&error))?;
    Ok(access)
}

/// Reads a user.
pub(crate) async fn user(ctx: &Context<'_>, id: Uuid) -> Result<Option<User>> {
    let (access, id) = (access(ctx).await?, UserId(id));
    let found = services(ctx)?.identities.users(&access, id..=id, 1).await;
    found.map_err(|error| errors::identities(&error))?.pop().map(User::try_from).transpose()
}

/// Reads an invitation.
pub(super) async fn invitation(ctx: &Context<'_>, id: Uuid) -> Result<Option<Invitation>> {
    let (access, id) = (access(ctx).await?, InvitationId(id));
    let found = services(ctx)?.identities.invitations(&access, id..=id, 1).await;
    found.map_err(|error| errors::identities(&error))?.pop().map(Invitation::try_from).transpose()
}

fn cursor(id: Uuid) -> String {
    connection::encode_text(&id.to_string())
}

/// The beginning of a page: after the id in a cursor.
fn from<I: From<Uuid>>(after: Option<&str>) -> Result<Bound<I>> {
    let Some(cursor) = after else { return Ok(Bound::Unbounded) };
    let id = connection::decode_text(cursor).and_then(|text| Uuid::try_parse(&text).ok());
    id.map(|id| Bound::Excluded(id.into())).ok_or_else(|| connection::bad_cursor(cursor))
}

#[ComplexObject]
impl User {
    /// Sessions of the user that have not ended, newest first: at most 50.
    #[graphql(complexity = "connection::cost(Some(50), child_complexity)")]
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<Session>> {
        let access = access(ctx).await?;
        let found = services(ctx)?.identities.sessions_of(&access, UserId(self.uuid.0)).await;
        Ok(found.map_err(|error| errors::identities(&error))?.into_iter().map(Into::into).collect())
    }
}

#[ComplexObject]
impl Viewer {
    /// Sessions of the user who sends the request that have not ended, newest first: at most 50. Empty if it is not sent by
    /// one.
    #[graphql(complexity = "connection::cost(Some(50), child_complexity)")]
    async fn sessions(&self, ctx: &Context<'_>) -> Result<Vec<Session>> {
        let found = services(ctx)?.identities.own_sessions(&requester(ctx)?.principal).await;
        Ok(found.map_err(|error| errors::identities(&error))?.into_iter().map(Into::into).collect())
    }
}

/// Queries for users, invitations and sessions.
#[derive(Default)]
pub(crate) struct UserQuery;

#[Object]
impl UserQuery {
    /// Returns who sends the request.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        authorise::<ReadAny>(ctx)?;
        let principal = &requester(ctx)?.principal;
        let account = services(ctx)?.identities.own_account(principal).await;
        let account = account.map_err(|error| errors::identities(&error))?;
        let (ids, names) = match account {
            Some(account) => {
                let ids = (Kind::User.id(account.id.0), Kind::Session.id(account.session.0));
                (Some(ids), (account.email, account.display_name))
            }
            None => (None, (None, None)),
        };
        let (user_id, session_id) = ids.unzip();
        let permissions = principal.permissions().iter().map(|permission| permission.to_string()).collect();
        let (actor, tenant) = (principal.actor(), principal.tenant().to_string());
        Ok(Viewer { actor, tenant, permissions, user_id, session_id, email: names.0, display_name: names.1 })
    }

    /// Lists the users of the tenant, sorted by UUID, without those that were erased.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of users to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the users after this cursor. Default: from the first user on.")] after: Option<
            String,
        >,
    ) -> Result<Connection<String, User>> {
        let access = access(ctx).await?;
        let size = connection::size(ctx, first)?;
        let range = (from::<UserId>(after.as_deref())?, Bound::Unbounded);
        let found = services(ctx)?.identities.users(&access, range, size + 1).await;
        let found = found.map_err(|error| errors::identities(&error))?;
        connection::connect_by(found, size, after.is_some(), |user| cursor(user.id.0))
    }

    /// Lists the invitations of the tenant, sorted by UUID, those that were accepted or revoked, or have expired, too. Tokens
    /// are not stored, and cannot be listed.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn invitations(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of invitations to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the invitations after this cursor. Default: from the first invitation on.")]
        after: Option<String>,
    ) -> Result<Connection<String, Invitation>> {
        let access = access(ctx).await?;
        let size = connection::size(ctx, first)?;
        let range = (from::<InvitationId>(after.as_deref())?, Bound::Unbounded);
        let found = services(ctx)?.identities.invitations(&access, range, size + 1).await;
        let found = found.map_err(|error| errors::identities(&error))?;
        connection::connect_by(found, size, after.is_some(), |invitation| cursor(invitation.id.0))
    }
}
