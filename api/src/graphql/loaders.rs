//! Rows that belong to other rows, loaded together: one statement for a page, not one for each of its rows.

use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Result};
use domain::TenantId;
use projections::Pool;

/// Rows asked for in one statement; no more than [`projections::MAX_PAGE_ROWS`].
const BATCH_ROWS: usize = 500;

/// Loads rows of one tenant by key. The files of the aggregates say how, key by key.
pub(crate) struct Rows {
    pub(crate) pool: Pool,
    pub(crate) tenant: TenantId,
}

pub(crate) type Loader = DataLoader<Rows>;

/// A loader for one request; it keeps nothing for the next.
pub(crate) fn loader(pool: Pool, tenant: TenantId) -> Loader {
    DataLoader::new(Rows { pool, tenant }, tokio::spawn).max_batch_size(BATCH_ROWS)
}

/// The loader of this request.
pub(crate) fn of<'a>(ctx: &Context<'a>) -> Result<&'a Loader> {
    ctx.data::<Loader>()
}
