//! What all objects with a global id have in common: reading one as it is now, or as it was.

use super::as_of::{self, AsOf};
use super::errors;
use super::freshness::await_projections;
use super::ids::Kind;
use super::loaders::{self, Rows};
use super::scalars::Position;
use super::services::authorise;
use async_graphql::dataloader::Loader;
use async_graphql::{Context, Error, ID, Result};
use domain::permissions::ReadData;
use projections::{DatabaseError, StreamRow};
use std::hash::Hash;
use std::sync::Arc;
use uuid::Uuid;

/// An object type that is one row of a read model and has a global id.
pub(crate) trait Entity: TryFrom<Self::Row, Error = Error> + Send {
    /// The row that it is read from.
    type Row: StreamRow;
    /// The key by which [`Rows`] loads the row.
    type Key: From<Uuid> + Clone + Eq + Hash + Send + Sync + 'static;
    /// The kind in its global id.
    const KIND: Kind;
    /// The projections that feed it.
    const PROJECTIONS: &'static [&'static str];
}

/// Loads an object by its UUID, in one statement with the others that are requested at the same moment.
pub(crate) async fn by_id<E: Entity>(ctx: &Context<'_>, id: Uuid) -> Result<Option<E>>
where
    Rows: Loader<E::Key, Value = E::Row, Error = Arc<DatabaseError>>,
{
    let row = loaders::of(ctx)?.load_one(E::Key::from(id)).await.map_err(errors::loader)?;
    row.map(E::try_from).transpose()
}

/// Answers the query for one object: as it was at `as_of`, otherwise as it is once `min_position` is reached.
pub(crate) async fn find<E: Entity>(
    ctx: &Context<'_>,
    id: &ID,
    as_of: Option<AsOf>,
    min_position: Option<Position>,
) -> Result<Option<E>>
where
    Rows: Loader<E::Key, Value = E::Row, Error = Arc<DatabaseError>>,
{
    authorise::<ReadData>(ctx)?;
    let id = E::KIND.parse(id)?;
    if let Some(as_of) = as_of {
        return as_of::row::<E::Row>(ctx, id, as_of).await?.map(E::try_from).transpose();
    }
    await_projections(ctx, E::PROJECTIONS, min_position).await?;
    by_id(ctx, id).await
}

/// Reads an object as it was at a position; as it is now without one.
pub(crate) async fn at_position<E: Entity>(
    ctx: &Context<'_>,
    id: Uuid,
    position: Option<Position>,
) -> Result<Option<E>> {
    let position = position.unwrap_or(Position::from_row(i64::MAX));
    as_of::row::<E::Row>(ctx, id, AsOf::Position(position)).await?.map(E::try_from).transpose()
}
