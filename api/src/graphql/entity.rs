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
use projections::{DatabaseError, StreamRow};
use std::future::Future;
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

    /// The id of the object that an id without a row names, as it is now or as it was: the same one, unless objects of this
    /// type may have several ids.
    fn resolve(ctx: &Context<'_>, id: Uuid, as_of: Option<AsOf>) -> impl Future<Output = Result<Uuid>> + Send {
        let _ = (ctx, as_of);
        async move { Ok(id) }
    }
}

/// The action of reading objects of a type.
type Read<E> = <<E as Entity>::Row as StreamRow>::Read;

/// Loads an object by its UUID, in one statement with the others that are requested at the same moment.
pub(crate) async fn by_id<E: Entity>(ctx: &Context<'_>, id: Uuid) -> Result<Option<E>>
where
    Rows: Loader<E::Key, Value = E::Row, Error = Arc<DatabaseError>>,
{
    let load = async |id| loaders::of::<Read<E>>(ctx)?.load_one(E::Key::from(id)).await.map_err(errors::loader);
    let row = match load(id).await? {
        Some(row) => Some(row),
        None => match E::resolve(ctx, id, None).await? {
            same if same == id => None,
            other => load(other).await?,
        },
    };
    row.map(E::try_from).transpose()
}

/// As [`by_id`], for a relation that an object may not have. It is authorised in any case.
pub(crate) async fn by_id_opt<E: Entity>(ctx: &Context<'_>, id: Option<Uuid>) -> Result<Option<E>>
where
    Rows: Loader<E::Key, Value = E::Row, Error = Arc<DatabaseError>>,
{
    authorise::<Read<E>>(ctx)?;
    match id {
        Some(id) => by_id(ctx, id).await,
        None => Ok(None),
    }
}

/// Reads an object as it was at a point in its history.
async fn as_it_was<E: Entity>(ctx: &Context<'_>, id: Uuid, as_of: AsOf) -> Result<Option<E>> {
    let row = match as_of::row::<E::Row>(ctx, id, as_of).await? {
        Some(row) => Some(row),
        None => match E::resolve(ctx, id, Some(as_of)).await? {
            same if same == id => None,
            other => as_of::row::<E::Row>(ctx, other, as_of).await?,
        },
    };
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
    authorise::<Read<E>>(ctx)?;
    let id = E::KIND.parse(id)?;
    if let Some(as_of) = as_of {
        return as_it_was(ctx, id, as_of).await;
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
    as_it_was(ctx, id, AsOf::Position(position)).await
}
