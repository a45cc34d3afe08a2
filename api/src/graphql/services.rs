//! What every resolver can use: the services of the process and the caller of the request.

use crate::caller::Caller;
use crate::config::Limits;
use async_graphql::{Context, Result};
use commands::Commands;
use projections::Pool;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The services of the process, stored in the schema.
pub(crate) struct Services {
    pub(crate) commands: Commands,
    pub(crate) pool: Pool,
    pub(crate) limits: Limits,
    /// Cancelled when the server shuts down.
    pub(crate) shutdown: CancellationToken,
}

/// Returns the services of the process.
pub(crate) fn services<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Services>> {
    ctx.data::<Arc<Services>>()
}

/// Returns the caller of the request.
pub(crate) fn caller<'a>(ctx: &Context<'a>) -> Result<&'a Caller> {
    ctx.data::<Caller>()
}
