//! One call of `apex.append` for one batch.

use crate::append::{Expected, RequestHash};
use crate::appender::{Waiting, classify};
use crate::connections::Connections;
use crate::{AppendError, Appended, Position, StreamKey, Version};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// What became of an append of a batch.
pub(crate) enum Settled {
    /// This is its answer.
    Answer(Result<Appended, AppendError>),
    /// Its turn did not come.
    Again,
}

/// The arguments of `apex.append`, column by column; migrations/0010_log_checks.sql says what they mean.
#[derive(Default)]
struct Columns<'a> {
    /// The streams of k_*, in that order.
    keys: Vec<&'a StreamKey>,
    /// How many events each of them gets from the appends so far.
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
    fn of(batch: &'a [Waiting]) -> Self {
        let mut columns = Self::default();
        let places = columns.streams(batch);
        for (index, waiting) in batch.iter().enumerate() {
            columns.append(number(index + 1), waiting, &places);
        }
        columns
    }

    /// The streams of the batch in the order in which all callers lock them.
    fn streams(&mut self, batch: &'a [Waiting]) -> HashMap<&'a StreamKey, usize> {
        let mut keys: Vec<&StreamKey> = batch.iter().flat_map(|waiting| &waiting.keys).collect();
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
        self.keys.iter().enumerate().map(|(place, key)| (*key, place)).collect()
    }

    fn append(&mut self, index: i32, waiting: &'a Waiting, places: &HashMap<&StreamKey, usize>) {
        let append = &waiting.append;
        let creates = append.creates_one_stream();
        self.a_tenant.push(append.tenant.as_str());
        self.a_command.push(append.metadata.command_id);
        self.a_creates.push(creates);
        self.a_events.push(number(append.event_count()));
        self.a_request.push(append.request.as_ref().map(RequestHash::as_bytes));
        self.a_metadata.push(&waiting.metadata);
        let mut hashes = waiting.hashes.iter();
        for (key, stream) in waiting.keys.iter().zip(&append.streams) {
            let Some(&place) = places.get(key) else { continue };
            let before = self.events[place];
            self.s_append.push(index);
            self.s_key.push(number(place + 1));
            self.s_expected.push(match stream.expected {
                Expected::Any => -1,
                Expected::Exact(version) => version.as_i64(),
            });
            self.s_before.push(before);
            self.events[place] = before + i64::from(number(stream.events.len()));
            if creates && !stream.events.is_empty() {
                self.k_creator[place] = Some(index);
            }
            let entry = number(self.s_key.len());
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

/// A count below the limits of an append and a batch, which are far below 2^31.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

const APPEND: &str = "select append, status, first_position, event_count, conflict_key, current_version
    from apex.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";

/// Writes a batch in one round trip; one entry in the answer for each append.
pub(crate) async fn write(
    connections: &Connections,
    batch_timeout: Duration,
    batch: &[Waiting],
) -> Result<Vec<Settled>, AppendError> {
    let mut connection = connections.take().await.map_err(|error| AppendError::Unavailable(error.into()))?;
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
    let rows =
        tokio::time::timeout(batch_timeout, query).await.unwrap_or_else(|late| Err(sqlx::Error::Io(late.into())));
    let rows = rows.map_err(classify)?;
    connections.give_back(connection);
    read_answers(&rows, batch, &columns.keys).map_err(classify)
}

/// The function names those that were not written; all others follow each other from the first position.
fn read_answers(rows: &[PgRow], batch: &[Waiting], keys: &[&StreamKey]) -> Result<Vec<Settled>, sqlx::Error> {
    let mut answers: Vec<Option<Settled>> = batch.iter().map(|_| None).collect();
    let mut next = None;
    for row in rows {
        let append: i32 = row.try_get("append")?;
        if append == 0 {
            next = Some(row.try_get::<i64, _>("first_position")?);
            continue;
        }
        let index = usize::try_from(append - 1).ok().filter(|index| *index < batch.len());
        let index = index.ok_or(sqlx::Error::RowNotFound)?;
        answers[index] = Some(read_settled(row, keys)?);
    }
    batch
        .iter()
        .zip(answers)
        .map(|(waiting, answer)| match (answer, &mut next) {
            (Some(answer), _) => Ok(answer),
            (None, Some(next)) => {
                let count = i64::from(number(waiting.append.event_count()));
                let (first, last) = (Position::from_i64(*next), Position::from_i64(*next + count - 1));
                *next += count;
                Ok(Settled::Answer(Ok(Appended::New { first, last })))
            }
            (None, None) => Err(sqlx::Error::RowNotFound),
        })
        .collect()
}

fn read_settled(row: &PgRow, keys: &[&StreamKey]) -> Result<Settled, sqlx::Error> {
    Ok(match row.try_get("status")? {
        "again" => Settled::Again,
        "conflict" => {
            let place: i32 = row.try_get("conflict_key")?;
            let current = Version::from_i64(row.try_get("current_version")?);
            let stream = usize::try_from(place - 1).ok().and_then(|place| keys.get(place));
            let stream = (*stream.ok_or(sqlx::Error::RowNotFound)?).clone();
            Settled::Answer(Err(AppendError::Conflict { stream, current }))
        }
        "reused" => Settled::Answer(Err(AppendError::CommandReused)),
        _ => {
            let first: i64 = row.try_get("first_position")?;
            let last = first + i64::from(row.try_get::<i32, _>("event_count")?) - 1;
            let (first, last) = (Position::from_i64(first), Position::from_i64(last));
            Settled::Answer(Ok(Appended::Duplicate { first, last }))
        }
    })
}
