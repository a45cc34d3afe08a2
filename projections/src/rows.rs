//! Read models with one row for each stream: load the rows that a batch touches, fold the events, save the rows.

use crate::projection::{Applied, ApplyError};
use domain::AgentId;
use domain::permissions::ActionType;
use serde::Serialize;
use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgRow};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A row that is a function of the events of one stream.
pub trait StreamRow: Sized + Send {
    /// The action of reading such rows.
    type Read: ActionType;
    /// The category of the stream.
    const CATEGORY: &'static str;

    /// Whether a credential that is bound to an agent, or a role on it, reads the row: the agent owns it, or it is shared with it. The
    /// statements that list rows have the same condition.
    fn is_read_by(&self, agent: AgentId) -> bool;

    /// Returns the row after an event, given the row before it, which is none before the first event of the stream.
    ///
    /// # Errors
    /// [`ApplyError::Row`] if the event cannot follow the events before it.
    fn fold(row: Option<Self>, applied: &Applied) -> Result<Option<Self>, ApplyError>;
}

/// The ids of the agents that an access is limited to, as an argument of a statement.
pub(crate) fn agent_ids(agents: Option<&[AgentId]>) -> Option<Vec<Uuid>> {
    agents.map(|agents| agents.iter().map(|agent| agent.0).collect())
}

/// A row that is loaded before it is folded.
pub(crate) trait StoredRow: StreamRow + Serialize + Unpin + for<'r> FromRow<'r, PgRow> {
    /// Selects the rows with the tenants `$1` (text array) and ids `$2` (UUID array).
    const LOAD: &'static str;
    /// Inserts or updates the rows in `$1`, a JSON array of objects with a field for each column.
    const UPSERT: &'static str;

    /// The tenant and the id of the stream.
    fn key(&self) -> Key;
}

/// The tenant and the id of a stream.
pub(crate) type Key = (String, Uuid);

/// The rows of a batch.
pub(crate) type Rows<R> = BTreeMap<Key, R>;

/// Applies a batch of events.
pub(crate) async fn apply_rows<R: StoredRow>(
    connection: &mut PgConnection,
    events: &[Applied],
) -> Result<(), ApplyError> {
    let mut rows = load::<R>(connection, events).await?;
    for applied in events {
        fold_into(&mut rows, applied)?;
    }
    save(connection, &rows).await
}

/// Folds an event into the row of its stream.
pub(crate) fn fold_into<R: StreamRow>(rows: &mut Rows<R>, applied: &Applied) -> Result<(), ApplyError> {
    let key = (applied.tenant().to_owned(), applied.stream_id());
    let row = rows.remove(&key);
    if let Some(row) = R::fold(row, applied)? {
        rows.insert(key, row);
    }
    Ok(())
}

async fn load<R: StoredRow>(connection: &mut PgConnection, events: &[Applied]) -> Result<Rows<R>, ApplyError> {
    let tenants: Vec<_> = events.iter().map(Applied::tenant).collect();
    let ids: Vec<_> = events.iter().map(Applied::stream_id).collect();
    let rows = sqlx::query_as(R::LOAD).bind(tenants).bind(ids).fetch_all(connection).await;
    let rows: Vec<R> = rows.map_err(|error| match error {
        // The row is to blame, not the moment: a retry would find the same.
        sqlx::Error::ColumnDecode { .. } => ApplyError::row(error),
        error => ApplyError::Database(error),
    })?;
    Ok(rows.into_iter().map(|row| (row.key(), row)).collect())
}

async fn save<R: StoredRow>(connection: &mut PgConnection, rows: &Rows<R>) -> Result<(), ApplyError> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = rows.values().collect();
    let rows = serde_json::to_value(rows).map_err(|error| ApplyError::Row(error.to_string()))?;
    sqlx::query(R::UPSERT).bind(rows).execute(connection).await?;
    Ok(())
}

// Statements with many rows and many columns take an array for each column, which is faster than JSON.

/// The values of a column that is never null.
pub(crate) fn required<'r, R, T>(rows: &'r Rows<R>, column: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.values().map(column).collect()
}

/// The values of a column that may be null. A column of nulls is an empty array: `unnest` fills shorter arrays up with nulls,
/// and PostgreSQL decodes nothing.
pub(crate) fn nullable<'r, R, T>(rows: &'r Rows<R>, column: impl Fn(&'r R) -> Option<T>) -> Vec<Option<T>> {
    let values: Vec<_> = rows.values().map(column).collect();
    if values.iter().all(Option::is_none) { Vec::new() } else { values }
}
