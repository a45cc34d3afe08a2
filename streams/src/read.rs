//! Reading the log in pages.

use crate::{Position, ReadError, RecordedEvent, StreamKey, Version};
use chrono::{DateTime, Utc};
use domain::TenantId;
use sqlx::AssertSqlSafe;
use sqlx::Row;
use sqlx::postgres::PgPool;
use uuid::Uuid;

macro_rules! select {
    ($($rest:expr),+) => {
        concat!(
            "select position, tenant_id, category, stream_id, version, event_id, type, schema_version, ",
            "payload::text as payload, metadata::text as metadata, recorded_at, content_hash from apex.events ",
            $($rest),+
        )
    };
}

/// Which events a reader wants; all of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadFilter {
    /// Of this tenant only.
    pub tenant: Option<TenantId>,
    /// Of this category only.
    pub category: Option<String>,
    /// Of these types only; empty for all.
    pub types: Vec<String>,
    /// Of this stream only.
    pub stream_id: Option<Uuid>,
}

impl ReadFilter {
    /// Whether an event is wanted.
    #[must_use]
    pub fn wants(&self, event: &RecordedEvent) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == event.stream.tenant)
            && self.category.as_deref().is_none_or(|category| category == &*event.stream.category)
            && self.stream_id.is_none_or(|id| id == event.stream.id)
            && (self.types.is_empty() || self.types.contains(&event.name))
    }
}

pub(crate) async fn head(pool: &PgPool) -> Result<Position, ReadError> {
    let position: i64 = sqlx::query_scalar("select position from apex.head").fetch_one(pool).await?;
    Ok(Position::from_i64(position))
}

pub(crate) async fn all(pool: &PgPool, after: Position, limit: i64) -> Result<Vec<RecordedEvent>, ReadError> {
    let rows = sqlx::query(select!("where position > $1 order by position limit $2"))
        .bind(after.as_i64())
        .bind(limit)
        .fetch_all(pool)
        .await?;
    decode(&rows)
}

/// What a filter leaves beyond a position, in one direction.
macro_rules! select_filtered {
    ($beyond:literal, $order:literal) => {
        select!(
            "where position ",
            $beyond,
            " $1 and ($2::text is null or tenant_id = $2) and ($3::text is null or category = $3)
               and ($4::uuid is null or stream_id = $4) and (cardinality($5::text[]) = 0 or type = any ($5))
             order by position ",
            $order,
            " limit $6"
        )
    };
}

/// Events before a position, newest first: for people who look at what just happened.
pub(crate) async fn before(
    pool: &PgPool,
    before: Position,
    filter: &ReadFilter,
    limit: i64,
) -> Result<Vec<RecordedEvent>, ReadError> {
    beyond(pool, select_filtered!("<", "desc"), before, filter, limit).await
}

pub(crate) async fn filtered(
    pool: &PgPool,
    after: Position,
    filter: &ReadFilter,
    limit: i64,
) -> Result<Vec<RecordedEvent>, ReadError> {
    beyond(pool, select_filtered!(">", "asc"), after, filter, limit).await
}

async fn beyond(
    pool: &PgPool,
    select: &'static str,
    position: Position,
    filter: &ReadFilter,
    limit: i64,
) -> Result<Vec<RecordedEvent>, ReadError> {
    let rows = sqlx::query(select)
        .bind(position.as_i64())
        .bind(filter.tenant.as_ref().map(TenantId::as_str))
        .bind(filter.category.as_deref())
        .bind(filter.stream_id)
        .bind(&filter.types)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    decode(&rows)
}

pub(crate) async fn stream(
    pool: &PgPool,
    key: &StreamKey,
    after: Version,
    limit: i64,
) -> Result<Vec<RecordedEvent>, ReadError> {
    let rows = sqlx::query(select!(
        "where stream_id = $1 and version > $2 and tenant_id = $3 and category = $4 order by version limit $5"
    ))
    .bind(key.id)
    .bind(after.as_i64())
    .bind(key.tenant.as_str())
    .bind(&*key.category)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    decode(&rows)
}

pub(crate) async fn position_at(pool: &PgPool, moment: DateTime<Utc>) -> Result<Position, ReadError> {
    let position: i64 = sqlx::query_scalar("select apex.position_at($1)").bind(moment).fetch_one(pool).await?;
    Ok(Position::from_i64(position))
}

pub(crate) async fn receipt(
    pool: &PgPool,
    stream: &StreamKey,
    command_id: Uuid,
) -> Result<Option<(Position, Position)>, ReadError> {
    let row = sqlx::query(
        "select first_position, event_count from apex.receipts where tenant_id = $1 and command_id = $2
         union all
         select coalesce(s.first_position, e.position), s.first_count from apex.streams s
         left join apex.events e on e.stream_id = s.stream_id and e.version = 1
             and e.tenant_id = s.tenant_id and e.category = s.category
         where s.tenant_id = $1 and s.category = $3 and s.stream_id = $4 and s.first_command = $2
         limit 1",
    )
    .bind(stream.tenant.as_str())
    .bind(command_id)
    .bind(&*stream.category)
    .bind(stream.id)
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        let first: i64 = row.try_get("first_position")?;
        let count: i32 = row.try_get("event_count")?;
        Ok((Position::from_i64(first), Position::from_i64(first + i64::from(count) - 1)))
    })
    .transpose()
}

pub(crate) async fn ensure_partitions(pool: &PgPool, ahead: i32) -> Result<i32, ReadError> {
    Ok(sqlx::query_scalar(AssertSqlSafe("select apex.ensure_partitions($1)")).bind(ahead).fetch_one(pool).await?)
}

fn decode(rows: &[sqlx::postgres::PgRow]) -> Result<Vec<RecordedEvent>, ReadError> {
    rows.iter().map(|row| RecordedEvent::from_row(row).map_err(ReadError::from)).collect()
}
