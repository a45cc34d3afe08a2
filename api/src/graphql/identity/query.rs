//! Queries for service accounts and API keys. They are answered by the directory of this process, which is brought up to date
//! first: it is no read model, and there is no position to wait for.

use super::types::{ApiKey, ServiceAccount};
use crate::graphql::services::{authorise, services};
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, Context, Object, Result};
use domain::permissions::{Access, ReadIdentities};
use domain::{ApiKeyId, ServiceAccountId};
use std::ops::Bound;
use uuid::Uuid;

/// Authorises reading, and brings the directory up to date.
pub(super) async fn access(ctx: &Context<'_>) -> Result<Access<ReadIdentities>> {
    let access = authorise(ctx)?;
    let refreshed = services(ctx)?.identities.directory().refresh().await;
    refreshed.map_err(|error| errors::identities(&error))?;
    Ok(access)
}

/// Reads a service account.
pub(crate) async fn account(ctx: &Context<'_>, id: Uuid) -> Result<Option<ServiceAccount>> {
    let (access, id) = (access(ctx).await?, ServiceAccountId(id));
    let found = services(ctx)?.identities.directory().accounts(&access, id..=id, 1).pop();
    found.map(ServiceAccount::try_from).transpose()
}

/// Reads an API key.
pub(crate) async fn key(ctx: &Context<'_>, id: Uuid) -> Result<Option<ApiKey>> {
    let (access, id) = (access(ctx).await?, ApiKeyId(id));
    let found = services(ctx)?.identities.keys(&access, None, id..=id, 1).await;
    found.map_err(|error| errors::identities(&error))?.pop().map(ApiKey::try_from).transpose()
}

/// Lists API keys by UUID, of all accounts or of one.
pub(crate) async fn keys(
    ctx: &Context<'_>,
    account: Option<ServiceAccountId>,
    first: Option<i32>,
    after: Option<&str>,
) -> Result<Connection<String, ApiKey>> {
    let access = access(ctx).await?;
    let size = connection::size(ctx, first)?;
    let from = first_id(after)?.map_or(Bound::Unbounded, |id| Bound::Excluded(ApiKeyId(id)));
    let found = services(ctx)?.identities.keys(&access, account, (from, Bound::Unbounded), size + 1).await;
    let found = found.map_err(|error| errors::identities(&error))?;
    connection::connect_by(found, size, after.is_some(), |key| cursor(key.id.0))
}

pub(super) fn cursor(id: Uuid) -> String {
    connection::encode_text(&id.to_string())
}

/// The id in a cursor, after which a page begins.
pub(super) fn first_id(after: Option<&str>) -> Result<Option<Uuid>> {
    let decode = |cursor: &str| connection::decode_text(cursor).and_then(|text| Uuid::try_parse(&text).ok());
    after.map(|cursor| decode(cursor).ok_or_else(|| connection::bad_cursor(cursor))).transpose()
}

#[ComplexObject]
impl ServiceAccount {
    /// API keys of the account, sorted by UUID.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn api_keys(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of keys to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the keys after this cursor. Default: from the first key on.")] after: Option<String>,
    ) -> Result<Connection<String, ApiKey>> {
        keys(ctx, Some(ServiceAccountId(self.uuid.0)), first, after.as_deref()).await
    }
}

/// Queries for service accounts and API keys.
#[derive(Default)]
pub(crate) struct AccountQuery;

#[Object]
impl AccountQuery {
    /// Lists the service accounts of the tenant, sorted by UUID.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn service_accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            default_with = "Some(connection::DEFAULT_PAGE)",
            desc = "Number of accounts to return, from 1 to 500."
        )]
        first: Option<i32>,
        #[graphql(desc = "Returns the accounts after this cursor. Default: from the first account on.")] after: Option<
            String,
        >,
    ) -> Result<Connection<String, ServiceAccount>> {
        let access = access(ctx).await?;
        let size = connection::size(ctx, first)?;
        let from = first_id(after.as_deref())?.map_or(Bound::Unbounded, |id| Bound::Excluded(ServiceAccountId(id)));
        let range = (from, Bound::Unbounded);
        let found = services(ctx)?.identities.directory().accounts(&access, range, size + 1);
        connection::connect_by(found, size, after.is_some(), |account| cursor(account.id.0))
    }

    /// Lists the API keys of the tenant, sorted by UUID, those that expired or were revoked too. Secrets are not stored, and
    /// cannot be listed.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn api_keys(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of keys to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the keys after this cursor. Default: from the first key on.")] after: Option<String>,
    ) -> Result<Connection<String, ApiKey>> {
        keys(ctx, None, first, after.as_deref()).await
    }
}
