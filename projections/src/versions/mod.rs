//! Versions of a read model: built beside the live one, compared with it, and switched to in one transaction.

mod build;
mod error;
mod switch;

pub use build::{build, resume_build};
pub use error::{REBUILD_BATCH_EVENTS, RebuildError, RebuildProgress};
pub use switch::{compare, switch};

use crate::projection::Projection;
use domain::permissions::{Access, OperateProjections};
use sqlx::postgres::PgPool;

/// A version that is not live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InactiveVersion {
    /// The version under construction.
    Next,
    /// The version that was live before the last switch.
    Previous,
}

/// Drops a version that is not live. Does nothing if there is no such version.
///
/// # Errors
/// [`RebuildError::Database`] if the database fails, or the tables are locked.
pub async fn drop_version(
    _: &Access<OperateProjections>,
    pool: &PgPool,
    projection: &dyn Projection,
    version: InactiveVersion,
) -> Result<(), RebuildError> {
    let schema = match version {
        InactiveVersion::Next => "apex_next",
        InactiveVersion::Previous => "apex_old",
    };
    sqlx::query("select apex.drop_projection($1, $2)").bind(projection.name()).bind(schema).execute(pool).await?;
    Ok(())
}
