//! Batched loading of rows by key: one statement for all rows that a page refers to, instead of one for each.

use super::services::authorise;
use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Result};
use commands::Principal;
use domain::permissions::{Access, ActionType};
use std::sync::Arc;
use streams::TenantReads;

/// The most keys of one statement; at most [`projections::MAX_PAGE_ROWS`].
const MAX_BATCH_ROWS: usize = 500;

/// Loads rows of one tenant by key, for the principal of the request. Each aggregate implements it for its own keys.
pub(crate) struct Rows {
    pub(crate) reads: TenantReads,
    principal: Arc<Principal>,
}

impl Rows {
    /// The access to a kind of rows. None if the principal may not read them: no row is found then, and [`of`] has refused.
    pub(crate) fn access<A: ActionType>(&self) -> Option<Access<A>> {
        self.principal.authorise().ok()
    }
}

pub(crate) type Loader = DataLoader<Rows>;

/// Creates the loader of one request. It caches nothing beyond the request.
pub(crate) fn loader(reads: TenantReads, principal: Arc<Principal>) -> Loader {
    DataLoader::new(Rows { reads, principal }, tokio::spawn).max_batch_size(MAX_BATCH_ROWS)
}

/// Returns the loader of the request, for rows that are read by an action.
///
/// # Errors
/// `FORBIDDEN` if the principal of the request may not read them.
pub(crate) fn of<'a, A: ActionType>(ctx: &Context<'a>) -> Result<&'a Loader> {
    authorise::<A>(ctx)?;
    ctx.data::<Loader>()
}
