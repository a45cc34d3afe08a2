//! Queries on the table `apex.events`, which holds the events that are not archived.

use crate::error::ReadError;
use crate::event::{Position, RecordedEvent, StreamKey, Version};
use crate::filter::ReadFilter;
use crate::page::{Page, PageLimit};
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use sqlx::postgres::{PgConnection, PgPool, PgRow, Postgres};
use sqlx::{QueryBuilder, Row};

/// Selects the columns of an event, further columns, and the given events.
macro_rules! select {
    ($columns:literal, $which:literal) => {
        concat!(
            "select position, tenant_id, category, stream_id, version, event_id, type, schema_version, ",
            "payload::text as payload, metadata::text as metadata, recorded_at, content_hash",
            $columns,
            " from apex.events ",
            $which
        )
    };
}

/// The last position of the log.
pub(crate) async fn head(pool: &PgPool) -> Result<Position, ReadError> {
    let position: i64 = sqlx::query_scalar("select position from apex.head").fetch_one(pool).await?;
    Ok(Position::from_i64(position))
}

/// The time of the database.
pub(crate) async fn now(pool: &PgPool) -> Result<DateTime<Utc>, ReadError> {
    Ok(sqlx::query_scalar("select clock_timestamp()").fetch_one(pool).await?)
}

/// A page of events after a position and up to another one, if given; and whether the page lacks events that are archived.
pub(crate) async fn after(
    connection: &mut PgConnection,
    after: Position,
    until: Option<Position>,
    filter: &ReadFilter,
    limit: PageLimit,
) -> Result<(Page, bool), ReadError> {
    let mut page = Page::new(limit);
    if until.is_none() && *filter == ReadFilter::default() {
        let query = sqlx::query(select!("", "where position > $1 order by position limit $2"));
        fill(&mut page, query.bind(after.as_i64()).bind(limit.events_as_i64()).fetch(connection)).await?;
        // The last event of the log is never archived, so an empty page means the end of the log.
        let lacks_archived = page.events.first().is_some_and(|first| first.position.get() > after.get() + 1);
        return Ok((page, lacks_archived));
    }
    let mut query = filtered("where position > ", after, filter);
    if let Some(until) = until {
        query.push(" and position <= ").push_bind(until.as_i64());
    }
    query.push(" order by position limit ").push_bind(limit.events_as_i64());
    let last_archived = fill_filtered(connection, &mut page, query).await?;
    Ok((page, after < last_archived))
}

/// A page of events before a position, latest first; and the last archived position.
pub(crate) async fn before(
    connection: &mut PgConnection,
    before: Position,
    filter: &ReadFilter,
    limit: PageLimit,
) -> Result<(Page, Position), ReadError> {
    let mut page = Page::new(limit);
    let mut query = filtered("where position < ", before, filter);
    query.push(" order by position desc limit ").push_bind(limit.events_as_i64());
    let last_archived = fill_filtered(connection, &mut page, query).await?;
    Ok((page, last_archived))
}

/// A page of events of a stream, and whether the page lacks events that are archived: it does not start with the next
/// version, or it is empty although the stream has later versions.
pub(crate) async fn stream(
    connection: &mut PgConnection,
    key: &StreamKey,
    after: Version,
    limit: PageLimit,
) -> Result<(Page, bool), ReadError> {
    let query = sqlx::query(concat!(
        "with page as materialized (",
        select!("", "where stream_id = $1 and version > $2 and tenant_id = $3 and category = $4 order by version limit $5"),
        ") select * from page
         union all
         select 0, s.tenant_id, s.category, s.stream_id, s.version, s.stream_id, '', 0::smallint, '', '', now(), ''::bytea
         from apex.streams s
         where not exists (select from page)
             and s.tenant_id = $3 and s.category = $4 and s.stream_id = $1 and s.version > $2"
    ));
    let query = query.bind(key.id).bind(after.as_i64()).bind(key.tenant.as_str()).bind(&*key.category);
    let mut page = Page::new(limit);
    fill(&mut page, query.bind(limit.events_as_i64()).fetch(connection)).await?;
    if page.events.first().is_some_and(|first| first.position == Position::ZERO) {
        return Ok((Page::new(limit), true));
    }
    let lacks_archived = page.events.first().is_some_and(|first| first.version.get() > after.get() + 1);
    Ok((page, lacks_archived))
}

/// The end of a stream: its version, and the events after a version that was asked for, as far as they are in the
/// table.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamTail {
    /// The version of the stream; zero if it does not exist.
    pub version: Version,
    /// The events, in the order of their versions.
    pub events: Vec<RecordedEvent>,
}

/// The tails of some streams after a version, in the order of the streams, all read in one snapshot. Each has up to
/// `limit` events.
pub(crate) async fn tails(
    pool: &PgPool,
    streams: &[(&StreamKey, Version)],
    limit: usize,
) -> Result<Vec<StreamTail>, ReadError> {
    let tenants: Vec<_> = streams.iter().map(|(key, _)| key.tenant.as_str()).collect();
    let categories: Vec<_> = streams.iter().map(|(key, _)| &*key.category).collect();
    let ids: Vec<_> = streams.iter().map(|(key, _)| key.id).collect();
    let versions: Vec<_> = streams.iter().map(|(_, version)| version.as_i64()).collect();
    let rows = sqlx::query(concat!(
        "select k.number, coalesce(s.version, 0) as stream_version, later.*
         from unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[]) with ordinality
             as k (of_tenant, of_category, of_stream, after_version, number)
         left join apex.streams s
             on s.tenant_id = k.of_tenant and s.category = k.of_category and s.stream_id = k.of_stream
         left join lateral (",
        select!(
            "",
            "where stream_id = k.of_stream and version > k.after_version and tenant_id = k.of_tenant
                 and category = k.of_category
             order by version limit $5"
        ),
        ") as later on true
         order by k.number, later.version"
    ))
    .bind(tenants)
    .bind(categories)
    .bind(ids)
    .bind(versions)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    rows.chunk_by(|row, next| number(row) == number(next))
        .map(|rows| {
            let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
            let version = Version::from_i64(first.try_get("stream_version")?);
            let has_events = first.try_get::<Option<i64>, _>("position")?.is_some();
            let events = rows.iter().filter(|_| has_events).map(RecordedEvent::from_row);
            Ok(StreamTail { version, events: events.collect::<Result<_, _>>()? })
        })
        .collect()
}

/// The number of the stream that a row of [`tails`] belongs to.
fn number(row: &PgRow) -> Option<i64> {
    row.try_get("number").ok()
}

/// The version of a stream; zero if it does not exist.
pub(crate) async fn version(pool: &PgPool, key: &StreamKey) -> Result<Version, ReadError> {
    let version: Option<i64> = sqlx::query_scalar(
        "select version from apex.streams where tenant_id = $1 and category = $2 and stream_id = $3",
    )
    .bind(key.tenant.as_str())
    .bind(&*key.category)
    .bind(key.id)
    .fetch_optional(pool)
    .await?;
    Ok(Version::from_i64(version.unwrap_or(0)))
}

/// A statement with only the conditions that the filter has, planned for their values. A prepared statement with all
/// conditions, each as "or $n is null", cannot use an index; and one planned for any category does not know a rare
/// category from a frequent one.
fn filtered(beyond: &str, position: Position, filter: &ReadFilter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(select!(", (select max(last_position) from apex.archives) as archived", ""));
    query.push(beyond).push_bind(position.as_i64());
    if let Some(tenant) = &filter.tenant {
        query.push(" and tenant_id = ").push_bind(tenant.as_str().to_owned());
    }
    if let Some(category) = &filter.category {
        query.push(" and category = ").push_bind(category.clone());
    }
    if let Some(id) = filter.stream_id {
        query.push(" and stream_id = ").push_bind(id);
    }
    if !filter.types.is_empty() {
        query.push(" and type = any (").push_bind(filter.types.clone()).push(")");
    }
    query
}

/// Reads rows until there are no more, or the page is full.
async fn fill(page: &mut Page, mut rows: BoxStream<'_, Result<PgRow, sqlx::Error>>) -> Result<(), ReadError> {
    while page.has_room() {
        let Some(row) = rows.try_next().await? else { break };
        page.push(RecordedEvent::from_row(&row)?);
    }
    Ok(())
}

/// Fills a page, and returns the last archived position in the same snapshot, or in a later one if the page stays empty.
async fn fill_filtered(
    connection: &mut PgConnection,
    page: &mut Page,
    mut query: QueryBuilder<Postgres>,
) -> Result<Position, ReadError> {
    let mut archived: Option<i64> = None;
    {
        let mut rows = query.build().persistent(false).fetch(&mut *connection);
        while page.has_room() {
            let Some(row) = rows.try_next().await? else { break };
            archived = row.try_get("archived")?;
            page.push(RecordedEvent::from_row(&row)?);
        }
    }
    if page.events.is_empty() {
        let max = "select max(last_position) from apex.archives";
        archived = sqlx::query_scalar(max).fetch_one(connection).await?;
    }
    Ok(Position::from_i64(archived.unwrap_or(0)))
}
