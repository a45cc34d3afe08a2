//! What every resolver can use: the services of the process and who sends the request.

use super::errors;
use crate::config::Limits;
use crate::rate_limits::RateLimiter;
use crate::requester::Requester;
use async_graphql::{Context, Result};
use commands::Commands;
use domain::permissions::{Access, ActionType, ReadContents};
use domain::{AgentId, Aggregate};
use identity::Identities;
use projections::invoices::Reconciliations;
use projections::{KnownReports, Pool};
use std::sync::Arc;
use streams::{TenantLog, TenantReads};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The services of the process, stored in the schema.
pub(crate) struct Services {
    pub(crate) commands: Commands,
    pub(crate) identities: Identities,
    pub(crate) pool: Pool,
    pub(crate) reads: TenantReads,
    pub(crate) events: TenantLog,
    pub(crate) known_reports: KnownReports,
    pub(crate) reconciliations: Reconciliations,
    pub(crate) limits: Limits,
    pub(crate) rate_limiter: Arc<RateLimiter>,
    /// Cancelled when the server shuts down.
    pub(crate) shutdown: CancellationToken,
}

/// Returns the services of the process.
pub(crate) fn services<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Services>> {
    ctx.data::<Arc<Services>>()
}

/// Returns who sends the request.
pub(crate) fn requester<'a>(ctx: &Context<'a>) -> Result<&'a Requester> {
    ctx.data::<Requester>()
}

/// The present state of an aggregate, for a request that was authorised for what it takes of it. It is read on behalf of the server.
pub(crate) async fn state<A: Aggregate>(ctx: &Context<'_>, id: Uuid) -> Result<Arc<A>>
where
    A::Error: 'static,
{
    let loaded = services(ctx)?.commands.load::<A>(&requester(ctx)?.principal.charging(), id).await;
    Ok(loaded.map_err(|error| errors::failed(&error))?.state.clone())
}

/// Authorises an action of the request.
///
/// # Errors
/// `FORBIDDEN` if the principal of the request may not do it.
pub(crate) fn authorise<A: ActionType>(ctx: &Context<'_>) -> Result<Access<A>> {
    requester(ctx)?.principal.authorise().map_err(|forbidden| errors::forbidden(&forbidden))
}

/// Authorises reading some texts that agents work with, and notes it for the access log. The access may be limited to some
/// agents: see [`authorise_content`].
///
/// # Errors
/// `FORBIDDEN` if the principal of the request may not do it.
pub(crate) fn authorise_contents(ctx: &Context<'_>) -> Result<Access<ReadContents>> {
    let access = authorise(ctx)?;
    requester(ctx)?.note_contents(&services(ctx)?.identities, ctx.query_env.operation_name.as_deref());
    Ok(access)
}

/// As [`authorise_contents`], for a text that some agents may read, as `is_reader` says. One that is not known to belong to an
/// agent has no reader.
///
/// # Errors
/// `FORBIDDEN` if the principal of the request may not do it.
pub(crate) fn authorise_content(ctx: &Context<'_>, is_reader: impl Fn(AgentId) -> bool) -> Result<()> {
    if authorise::<ReadContents>(ctx)?.is_to(is_reader) {
        return authorise_contents(ctx).map(drop);
    }
    Err(errors::forbidden_content())
}
