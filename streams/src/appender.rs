//! Ordered group commit: appends that wait while a batch commits go together in the next one.
//!
//! There is no timer. An idle log answers an append in one round trip and one flush; a busy one commits as many as
//! came in the meantime. A batch holds a stream or a command at most once; a second append to the same stream waits
//! for the next batch, so that the function in the database can check all of them at once.

use crate::error::{AppendError, SharedError};
use crate::{Append, Appended, Expected, Position, StreamKey, Tail, Version, content_hash};
use domain::TenantId;
use metrics::{counter, histogram};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Row};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::Instrument;
use uuid::Uuid;

/// Limits of the appender of one process.
#[derive(Debug, Clone, Copy)]
pub struct AppenderLimits {
    /// Appends that may wait; one more is refused as busy.
    pub max_waiting: usize,
    /// Batches committed at the same time, each on a connection of its own. With more than one, appends of one process
    /// to one stream may overtake each other; those that expect a version find out.
    pub connections: usize,
    /// Events in one batch.
    pub max_batch_events: usize,
    /// Bytes of payload and metadata in one batch.
    pub max_batch_bytes: usize,
}

impl Default for AppenderLimits {
    fn default() -> Self {
        Self { max_waiting: 4096, connections: 1, max_batch_events: 2000, max_batch_bytes: 8 * 1024 * 1024 }
    }
}

/// What a refused writer is told to wait: about as long as a few batches take.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(50);

pub(crate) struct Waiting {
    pub(crate) append: Append,
    pub(crate) metadata: String,
    pub(crate) bytes: usize,
    pub(crate) answer: oneshot::Sender<Result<Appended, AppendError>>,
    pub(crate) span: tracing::Span,
}

pub(crate) struct Appender {
    pub(crate) limits: AppenderLimits,
    pub(crate) queue: mpsc::Receiver<Waiting>,
    pub(crate) committer: Committer,
}

pub(crate) struct Committer {
    pub(crate) pool: PgPool,
    pub(crate) tail: Tail,
}

impl Appender {
    /// Commits batches until every [`crate::Log`] handle is gone and the queue is empty.
    pub(crate) async fn run(mut self) {
        let shared = Arc::new(self.committer);
        let connections = Arc::new(Semaphore::new(self.limits.connections));
        let mut waiting = VecDeque::new();
        loop {
            // A batch is cut when a connection is free to commit it, and not before.
            let Ok(connection) = connections.clone().acquire_owned().await else { return };
            if waiting.is_empty() {
                match self.queue.recv().await {
                    Some(next) => waiting.push_back(next),
                    None => return,
                }
            }
            while waiting.len() < self.limits.max_waiting {
                match self.queue.try_recv() {
                    Ok(next) => waiting.push_back(next),
                    Err(_) => break,
                }
            }
            let batch = take_batch(&mut waiting, &self.limits);
            fail::fail_point!("log_append_batch_cut");
            let committer = shared.clone();
            tokio::spawn(async move {
                committer.commit(batch).await;
                drop(connection);
            });
        }
    }
}

impl Committer {
    async fn commit(&self, batch: Vec<Waiting>) {
        let started = Instant::now();
        let events: usize = batch.iter().map(|waiting| waiting.append.event_count()).sum();
        // A part of the trace of the first, linked to those of the others.
        let first = batch.first().map(|waiting| waiting.span.clone()).unwrap_or_else(tracing::Span::none);
        let span = tracing::info_span!(parent: &first, "log_append", appends = batch.len(), events);
        for waiting in batch.iter().skip(1) {
            span.follows_from(&waiting.span);
        }
        let outcome = write(&self.pool, &batch).instrument(span).await;
        histogram!("apex_log_append_seconds").record(started.elapsed().as_secs_f64());
        match outcome {
            Ok(answers) => {
                fail::fail_point!("log_append_answered");
                counter!("apex_log_batches_total").increment(1);
                if answers.iter().any(|answer| matches!(answer, Ok(Appended::New { .. }))) {
                    self.tail.wake();
                }
                for (waiting, answer) in batch.into_iter().zip(answers) {
                    if let Ok(Appended::New { .. }) = answer {
                        counter!("apex_log_events_total").increment(waiting.append.event_count() as u64);
                    }
                    respond(waiting, answer);
                    fail::fail_point!("log_append_handed_out");
                }
            }
            // The database refused one of them; the others must not suffer for it.
            Err(AppendError::Refused(_)) if batch.len() > 1 => {
                for waiting in batch {
                    Box::pin(self.commit(vec![waiting])).await;
                }
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, appends = batch.len(), "a batch failed");
                counter!("apex_log_failed_batches_total").increment(1);
                for waiting in batch {
                    respond(waiting, Err(error.clone()));
                }
            }
        }
    }
}

fn respond(waiting: Waiting, answer: Result<Appended, AppendError>) {
    // A caller that stopped waiting finds out by its command id.
    drop(waiting.answer.send(answer));
}

fn take_batch(deferred: &mut VecDeque<Waiting>, limits: &AppenderLimits) -> Vec<Waiting> {
    let mut batch = Vec::new();
    let mut later = VecDeque::new();
    let (mut streams, mut commands): (HashSet<StreamKey>, HashSet<(TenantId, Uuid)>) = Default::default();
    let (mut events, mut bytes) = (0, 0);
    while let Some(waiting) = deferred.pop_front() {
        let fits = batch.is_empty()
            || (events + waiting.append.event_count() <= limits.max_batch_events
                && bytes + waiting.bytes <= limits.max_batch_bytes);
        if !fits {
            later.push_back(waiting);
            break;
        }
        let keys: Vec<_> = waiting.append.streams.iter().map(|stream| waiting.append.key(stream)).collect();
        let command = (waiting.append.tenant.clone(), waiting.append.metadata.command_id);
        let apart = !commands.contains(&command) && keys.iter().all(|key| !streams.contains(key));
        // What waits for the next batch keeps its place before later appends to the same streams.
        streams.extend(keys);
        commands.insert(command);
        if apart {
            events += waiting.append.event_count();
            bytes += waiting.bytes;
            batch.push(waiting);
        } else {
            later.push_back(waiting);
        }
    }
    later.append(deferred);
    *deferred = later;
    batch
}

/// The arguments of `apex.append`, column by column.
#[derive(Default)]
struct Columns {
    a_tenant: Vec<String>,
    a_command: Vec<Uuid>,
    a_creates: Vec<bool>,
    s_append: Vec<i32>,
    s_tenant: Vec<String>,
    s_category: Vec<String>,
    s_stream: Vec<Uuid>,
    s_expected: Vec<i64>,
    s_count: Vec<i32>,
    e_entry: Vec<i32>,
    e_id: Vec<Uuid>,
    e_type: Vec<&'static str>,
    e_schema_version: Vec<i16>,
    e_payload: Vec<String>,
    e_metadata: Vec<String>,
    e_hash: Vec<Vec<u8>>,
}

impl Columns {
    fn of(batch: &[Waiting]) -> Self {
        let mut columns = Self::default();
        for (index, Waiting { append, metadata, .. }) in batch.iter().enumerate() {
            columns.a_tenant.push(append.tenant.as_str().to_owned());
            columns.a_command.push(append.metadata.command_id);
            columns.a_creates.push(append.creates_one_stream());
            for stream in &append.streams {
                columns.s_append.push(number(index + 1));
                columns.s_tenant.push(append.tenant.as_str().to_owned());
                columns.s_category.push(stream.category.as_ref().to_owned());
                columns.s_stream.push(stream.id);
                columns.s_expected.push(match stream.expected {
                    Expected::Any => -1,
                    Expected::Exact(version) => version.as_i64(),
                });
                columns.s_count.push(number(stream.events.len()));
                let key = append.key(stream);
                let entry = number(columns.s_append.len());
                for event in &stream.events {
                    let hash =
                        content_hash(&key, event.event_id, event.name, event.schema_version, &event.payload, metadata);
                    columns.e_entry.push(entry);
                    columns.e_id.push(event.event_id);
                    columns.e_type.push(event.name);
                    columns.e_schema_version.push(i16::try_from(event.schema_version).unwrap_or(i16::MAX));
                    columns.e_payload.push(event.payload.clone());
                    columns.e_metadata.push(metadata.clone());
                    columns.e_hash.push(hash.to_vec());
                }
            }
        }
        columns
    }
}

/// A count below the limits of an append and a batch, which are far below 2^31.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

const APPEND: &str = "select append, status, first_position, event_count, conflict_stream, current_version
    from apex.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

async fn write(pool: &PgPool, batch: &[Waiting]) -> Result<Vec<Result<Appended, AppendError>>, AppendError> {
    let mut connection = pool.acquire().await.map_err(|error| AppendError::Unavailable(SharedError::new(error)))?;
    let columns = Columns::of(batch);
    fail::fail_point!("log_append_before_send");
    let rows = sqlx::query(AssertSqlSafe(APPEND))
        .bind(&columns.a_tenant)
        .bind(&columns.a_command)
        .bind(&columns.a_creates)
        .bind(&columns.s_append)
        .bind(&columns.s_tenant)
        .bind(&columns.s_category)
        .bind(&columns.s_stream)
        .bind(&columns.s_expected)
        .bind(&columns.s_count)
        .bind(&columns.e_entry)
        .bind(&columns.e_id)
        .bind(&columns.e_type)
        .bind(&columns.e_schema_version)
        .bind(&columns.e_payload)
        .bind(&columns.e_metadata)
        .bind(&columns.e_hash)
        .fetch_all(&mut *connection)
        .await
        .map_err(classify)?;
    let mut answers = vec![Err(AppendError::Closed); batch.len()];
    for row in &rows {
        let (index, answer) = read_answer(row, batch).map_err(classify)?;
        if let Some(place) = answers.get_mut(index) {
            *place = answer;
        }
    }
    Ok(answers)
}

fn read_answer(
    row: &sqlx::postgres::PgRow,
    batch: &[Waiting],
) -> Result<(usize, Result<Appended, AppendError>), sqlx::Error> {
    let index = usize::try_from(row.try_get::<i32, _>("append")? - 1).unwrap_or(usize::MAX);
    let status: &str = row.try_get("status")?;
    if status == "conflict" {
        let id: Uuid = row.try_get("conflict_stream")?;
        let current = Version::from_i64(row.try_get("current_version")?);
        let stream = batch.get(index).and_then(|waiting| {
            let stream = waiting.append.streams.iter().find(|stream| stream.id == id)?;
            Some(waiting.append.key(stream))
        });
        let stream = stream.ok_or(sqlx::Error::RowNotFound)?;
        return Ok((index, Err(AppendError::Conflict { stream, current })));
    }
    let first: i64 = row.try_get("first_position")?;
    let last = Position::from_i64(first + i64::from(row.try_get::<i32, _>("event_count")?) - 1);
    let first = Position::from_i64(first);
    let answer =
        if status == "duplicate" { Appended::Duplicate { first, last } } else { Appended::New { first, last } };
    Ok((index, Ok(answer)))
}

/// An error that the database reported means that the transaction was rolled back, unless it reports its own end.
fn classify(error: sqlx::Error) -> AppendError {
    let class = match &error {
        sqlx::Error::Database(database) => database.code().map(|code| code.chars().take(2).collect::<String>()),
        _ => None,
    };
    let error = Arc::new(error);
    match class.as_deref() {
        // Connection exception, operator intervention: the server went away, perhaps after the commit.
        None | Some("08" | "57") => AppendError::Indeterminate(error),
        // Transaction rollback, insufficient resources: it may go better the next time.
        Some("40" | "53") => AppendError::Unavailable(error),
        Some(_) => AppendError::Refused(error),
    }
}
