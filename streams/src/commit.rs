//! One call of the SQL function `apex.append` for one batch.

use crate::append::{Appended, Expected, RequestHash};
use crate::connections::AppenderConnections;
use crate::error::AppendError;
use crate::event::{Position, StreamKey, Version};
use crate::queued_append::QueuedAppend;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// What the database decided about one append of a batch.
pub(crate) enum AppendOutcome {
    /// The append's result.
    Decided(Result<Appended, AppendError>),
    /// Nothing was decided, because an earlier append of the batch failed: the append goes into another batch.
    Undecided,
}

/// The arguments of `apex.append`, column by column; migrations/0002_append.sql says what each means.
#[derive(Default)]
struct Columns<'a> {
    /// The streams of the `k_` columns, in the same order.
    keys: Vec<&'a StreamKey>,
    /// How many events each stream gets from the appends added so far.
    events: Vec<i64>,
    a_tenant: Vec<&'a str>,
    a_command: Vec<Uuid>,
    a_creates: Vec<bool>,
    a_events: Vec<i32>,
    a_request: Vec<Option<&'a [u8]>>,
    a_metadata: Vec<&'a str>,
    k_tenant: Vec<&'a str>,
    k_category: Vec<&'a str>,
    k_stream: Vec<Uuid>,
    k_creator: Vec<Option<i32>>,
    s_append: Vec<i32>,
    s_key: Vec<i32>,
    s_expected: Vec<i64>,
    s_before: Vec<i64>,
    e_entry: Vec<i32>,
    e_id: Vec<Uuid>,
    e_type: Vec<&'a str>,
    e_schema_version: Vec<i16>,
    e_payload: Vec<&'a str>,
    e_hash: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a [QueuedAppend]) -> Self {
        let mut columns = Self::default();
        let indexes = columns.add_streams(batch);
        for (index, queued) in batch.iter().enumerate() {
            columns.add_append(to_i32(index + 1), queued, &indexes);
        }
        columns
    }

    /// Adds the streams of the batch in one global order, in which every caller locks them. Returns their indexes.
    fn add_streams(&mut self, batch: &'a [QueuedAppend]) -> HashMap<&'a StreamKey, usize> {
        let mut keys: Vec<&StreamKey> = batch.iter().flat_map(|queued| &queued.keys).collect();
        keys.sort_unstable_by(|one, other| {
            (one.id, &*one.category, one.tenant.as_str()).cmp(&(other.id, &*other.category, other.tenant.as_str()))
        });
        keys.dedup();
        for key in &keys {
            self.k_tenant.push(key.tenant.as_str());
            self.k_category.push(&key.category);
            self.k_stream.push(key.id);
            self.events.push(0);
            self.k_creator.push(None);
        }
        self.keys = keys;
        self.keys.iter().enumerate().map(|(index, key)| (*key, index)).collect()
    }

    /// Adds an append; `number` counts the appends of the batch from 1.
    fn add_append(&mut self, number: i32, queued: &'a QueuedAppend, indexes: &HashMap<&StreamKey, usize>) {
        let append = &queued.append;
        let creates = append.only_creates_its_target();
        self.a_tenant.push(append.tenant.as_str());
        self.a_command.push(append.metadata.command_id);
        self.a_creates.push(creates);
        self.a_events.push(to_i32(append.event_count()));
        self.a_request.push(append.request.as_ref().map(RequestHash::as_bytes));
        self.a_metadata.push(&queued.metadata);
        let mut hashes = queued.hashes.iter();
        for (key, stream) in queued.keys.iter().zip(&append.streams) {
            let Some(&index) = indexes.get(key) else { continue };
            let before = self.events[index];
            self.s_append.push(number);
            self.s_key.push(to_i32(index + 1));
            self.s_expected.push(match stream.expected {
                Expected::Any => -1,
                Expected::Exact(version) => version.as_i64(),
            });
            self.s_before.push(before);
            self.events[index] = before + i64::from(to_i32(stream.events.len()));
            if creates && !stream.events.is_empty() {
                self.k_creator[index] = Some(number);
            }
            let entry = to_i32(self.s_key.len());
            for (event, hash) in stream.events.iter().zip(&mut hashes) {
                self.e_entry.push(entry);
                self.e_id.push(event.event_id);
                self.e_type.push(event.name);
                self.e_schema_version.push(i16::try_from(event.schema_version).unwrap_or(i16::MAX));
                self.e_payload.push(&event.payload);
                self.e_hash.push(hash);
            }
        }
    }
}

/// Converts a count; the limits of an append and of a batch keep counts far below 2^31.
fn to_i32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

const APPEND: &str = "select append, status, first_position, event_count, conflict_key, current_version
    from apex.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";

/// Writes a batch in one round trip, and returns the outcome of each append, in order.
pub(crate) async fn write_batch(
    connections: &AppenderConnections,
    timeout: Duration,
    batch: &[QueuedAppend],
) -> Result<Vec<AppendOutcome>, AppendError> {
    let mut connection = connections.acquire().await.map_err(|error| AppendError::Unavailable(error.into()))?;
    let columns = Columns::of(batch);
    fail::fail_point!("log_append_before_send");
    let query = sqlx::query(AssertSqlSafe(APPEND))
        .bind(&columns.a_tenant)
        .bind(&columns.a_command)
        .bind(&columns.a_creates)
        .bind(&columns.a_events)
        .bind(&columns.a_request)
        .bind(&columns.a_metadata)
        .bind(&columns.k_tenant)
        .bind(&columns.k_category)
        .bind(&columns.k_stream)
        .bind(&columns.k_creator)
        .bind(&columns.s_append)
        .bind(&columns.s_key)
        .bind(&columns.s_expected)
        .bind(&columns.s_before)
        .bind(&columns.e_entry)
        .bind(&columns.e_id)
        .bind(&columns.e_type)
        .bind(&columns.e_schema_version)
        .bind(&columns.e_payload)
        .bind(&columns.e_hash)
        .fetch_all(&mut connection);
    let rows = tokio::time::timeout(timeout, query).await.unwrap_or_else(|late| Err(sqlx::Error::Io(late.into())));
    let rows = rows.map_err(AppendError::after_send)?;
    connections.release(connection);
    read_outcomes(&rows, batch, &columns.keys).map_err(AppendError::after_send)
}

/// The function returns the first position, and a row for each append that was not written. All others were written, one
/// after the other from the first position.
fn read_outcomes(
    rows: &[PgRow],
    batch: &[QueuedAppend],
    keys: &[&StreamKey],
) -> Result<Vec<AppendOutcome>, sqlx::Error> {
    let mut not_written: Vec<Option<AppendOutcome>> = batch.iter().map(|_| None).collect();
    let mut next = None;
    for row in rows {
        let append: i32 = row.try_get("append")?;
        if append == 0 {
            next = Some(row.try_get::<i64, _>("first_position")?);
            continue;
        }
        let index = usize::try_from(append - 1).ok().filter(|index| *index < batch.len());
        let index = index.ok_or(sqlx::Error::RowNotFound)?;
        not_written[index] = Some(read_not_written(row, keys)?);
    }
    batch
        .iter()
        .zip(not_written)
        .map(|(queued, outcome)| match (outcome, &mut next) {
            (Some(outcome), _) => Ok(outcome),
            (None, Some(next)) => {
                let count = i64::from(to_i32(queued.append.event_count()));
                let (first, last) = (Position::from_i64(*next), Position::from_i64(*next + count - 1));
                *next += count;
                Ok(AppendOutcome::Decided(Ok(Appended::New { first, last })))
            }
            (None, None) => Err(sqlx::Error::RowNotFound),
        })
        .collect()
}

fn read_not_written(row: &PgRow, keys: &[&StreamKey]) -> Result<AppendOutcome, sqlx::Error> {
    Ok(match row.try_get("status")? {
        "again" => AppendOutcome::Undecided,
        "conflict" => {
            let number: i32 = row.try_get("conflict_key")?;
            let current = Version::from_i64(row.try_get("current_version")?);
            let stream = usize::try_from(number - 1).ok().and_then(|index| keys.get(index));
            let stream = (*stream.ok_or(sqlx::Error::RowNotFound)?).clone();
            AppendOutcome::Decided(Err(AppendError::Conflict { stream, current }))
        }
        "reused" => AppendOutcome::Decided(Err(AppendError::CommandReused)),
        _ => {
            let first: i64 = row.try_get("first_position")?;
            let last = first + i64::from(row.try_get::<i32, _>("event_count")?) - 1;
            let (first, last) = (Position::from_i64(first), Position::from_i64(last));
            AppendOutcome::Decided(Ok(Appended::Duplicate { first, last }))
        }
    })
}
