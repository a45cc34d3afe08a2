//! The query for allocation rules.

use super::rules::AllocationRules;
use crate::graphql::as_of::AsOf;
use crate::graphql::scalars::Long;
use crate::graphql::services::{authorise, requester, services};
use crate::graphql::{connection, errors};
use async_graphql::{Context, Object, Result};
use commands::Loaded;
use domain::allocation as model;
use domain::permissions::ReadAllocation;
use projections as models;
use std::sync::Arc;

/// The allocation rules of the tenant of the request as they are now.
async fn load(ctx: &Context<'_>) -> Result<Arc<Loaded<model::AllocationRules>>> {
    let (commands, principal) = (&services(ctx)?.commands, &requester(ctx)?.principal);
    let loaded = commands.load::<model::AllocationRules>(principal, model::AllocationRules::id()).await;
    loaded.map_err(|error| errors::failed(&error))
}

/// The allocation rules of the tenant of the request as they were at a point of the log, or as they are now.
pub(super) async fn load_as_of(ctx: &Context<'_>, as_of: Option<AsOf>) -> Result<Arc<Loaded<model::AllocationRules>>> {
    let Some(as_of) = as_of else { return load(ctx).await };
    let (commands, principal) = (&services(ctx)?.commands, &requester(ctx)?.principal);
    let loaded = commands.load_as_of::<model::AllocationRules>(principal, model::AllocationRules::id(), as_of.into());
    loaded.await.map(Arc::new).map_err(|error| errors::failed(&error))
}

/// A version of the allocation rules, or the latest one; none if there is none.
pub(super) async fn version(ctx: &Context<'_>, version: Option<u64>) -> Result<Option<AllocationRules>> {
    let access = authorise::<ReadAllocation>(ctx)?;
    let loaded = load(ctx).await?;
    let version = version.unwrap_or_else(|| loaded.state.version());
    let found = models::allocation_rules(&services(ctx)?.events, &access, version).await;
    let found = found.map_err(|error| errors::history(&error))?;
    Ok(found.map(|found| AllocationRules::new(found, loaded.state.in_force())))
}

/// The query for allocation rules.
#[derive(Default)]
pub(crate) struct AllocationQuery;

#[Object]
impl AllocationQuery {
    /// Returns the rules by which costs are allocated to cost centres. Null if none were set.
    #[graphql(complexity = "2 * connection::STATEMENT_COST + child_complexity")]
    async fn allocation_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Version of the rules; null is returned if there is no such version. Default: the latest one, which may take effect later."
        )]
        version: Option<Long>,
    ) -> Result<Option<AllocationRules>> {
        self::version(ctx, version.map(Long::unsigned)).await
    }
}
