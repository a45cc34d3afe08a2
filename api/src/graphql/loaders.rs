//! Batched loading of rows by key: one statement for all rows that a page refers to, instead of one for each.

use super::services::authorise;
use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Result};
use domain::permissions::{Access, ReadData};
use projections::Pool;

/// The most keys of one statement; at most [`projections::MAX_PAGE_ROWS`].
const MAX_BATCH_ROWS: usize = 500;

/// Loads rows of one tenant by key. Each aggregate implements it for its own keys.
pub(crate) struct Rows {
    pub(crate) pool: Pool,
    pub(crate) access: Access<ReadData>,
}

pub(crate) type Loader = DataLoader<Rows>;

/// Creates the loader of one request. It caches nothing beyond the request.
pub(crate) fn loader(pool: Pool, access: Access<ReadData>) -> Loader {
    DataLoader::new(Rows { pool, access }, tokio::spawn).max_batch_size(MAX_BATCH_ROWS)
}

/// Returns the loader of the request.
///
/// # Errors
/// `FORBIDDEN` if the principal of the request may not read; there is no loader then.
pub(crate) fn of<'a>(ctx: &Context<'a>) -> Result<&'a Loader> {
    authorise::<ReadData>(ctx)?;
    ctx.data::<Loader>()
}
