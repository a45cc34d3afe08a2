//! Read models of one row an entity: load the rows that a batch touches, fold the batch, write them back.
//!
//! Rows travel as JSON: one statement reads and one writes a batch, whatever the columns. Where there are many of both,
//! [`bind_columns`] sends arrays.

use crate::projection::{Applied, ApplyError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The rows of a batch by tenant and id.
pub(crate) type Rows<R> = BTreeMap<(String, Uuid), R>;

/// Loads the rows of the streams that a batch touches. `select` takes two arrays, tenants and ids, and gives the
/// tenant, the id and the row as jsonb.
pub(crate) async fn load<R: DeserializeOwned>(
    connection: &mut PgConnection,
    select: &'static str,
    events: &[Applied],
) -> Result<Rows<R>, ApplyError> {
    let tenants: Vec<_> = events.iter().map(Applied::tenant).collect();
    let ids: Vec<_> = events.iter().map(|applied| applied.recorded.stream.id).collect();
    let found: Vec<(String, Uuid, serde_json::Value)> =
        sqlx::query_as(select).bind(tenants).bind(ids).fetch_all(connection).await?;
    found
        .into_iter()
        .map(|(tenant, id, row)| {
            let row = serde_json::from_value(row).map_err(|error| ApplyError::Row(error.to_string()))?;
            Ok(((tenant, id), row))
        })
        .collect()
}

/// Writes rows. `upsert` takes them as one jsonb array.
pub(crate) async fn save<R: Serialize>(
    connection: &mut PgConnection,
    upsert: &'static str,
    rows: &Rows<R>,
) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = rows.values().collect();
    let rows = serde_json::to_value(rows).map_err(|error| ApplyError::Row(error.to_string()))?;
    sqlx::query(upsert).bind(rows).execute(connection).await?;
    Ok(())
}

/// Binds columns of rows, each as an array.
macro_rules! bind_columns {
    ($query:expr, $rows:expr, |$row:ident| { $($column:expr),+ $(,)? }) => {
        $query$(.bind($rows.map(|$row| $column).collect::<Vec<_>>()))+
    };
}
pub(crate) use bind_columns;
