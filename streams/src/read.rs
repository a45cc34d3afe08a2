//! Reading the log in pages.

use crate::archive::{self, ArchiveError, ArchiveFolder, ArchiveRecord};
use crate::{Position, ReadError, RecordedEvent, RequestHash, StreamKey, Version};
use chrono::{DateTime, Utc};
use domain::TenantId;
use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use sqlx::postgres::{PgPool, PgRow, Postgres};
use sqlx::{QueryBuilder, Row};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use uuid::Uuid;

/// The most events a page may have.
const MAX_PAGE_EVENTS: usize = 10_000;

/// The columns of an event, further columns, and which events.
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
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == event.stream.tenant)
            && self.category.as_deref().is_none_or(|category| category == &*event.stream.category)
            && self.stream_id.is_none_or(|id| id == event.stream.id)
            && (self.types.is_empty() || self.types.contains(&event.name))
    }
}

/// How much a page may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// This many events.
    pub(crate) events: usize,
    /// And no event more once its payloads and metadata have this many bytes.
    pub(crate) bytes: usize,
}

impl Limit {
    /// So many events, whatever their size.
    pub(crate) fn events(events: usize) -> Self {
        Self { events: events.clamp(1, MAX_PAGE_EVENTS), bytes: usize::MAX }
    }

    fn as_i64(self) -> i64 {
        i64::try_from(self.events).unwrap_or(i64::MAX)
    }
}

/// Some events, and whether there is room for more: a page with room has everything that there was.
pub(crate) struct Page {
    pub(crate) events: Vec<RecordedEvent>,
    left: Limit,
}

impl Page {
    pub(crate) fn new(limit: Limit) -> Self {
        Self { events: Vec::new(), left: limit }
    }

    /// Takes an event; says whether there is room for another one.
    pub(crate) fn push(&mut self, event: RecordedEvent) -> bool {
        self.left.events = self.left.events.saturating_sub(1);
        self.left.bytes = self.left.bytes.saturating_sub(event.payload.len() + event.metadata.len());
        self.events.push(event);
        self.has_room()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.left.events > 0 && self.left.bytes > 0
    }

    /// Appends what another page has that was limited to what this one had left.
    fn extend(&mut self, other: Self) {
        self.left = other.left;
        self.events.extend(other.events);
    }

    /// Reads rows until there are no more, or no room.
    async fn fill(&mut self, mut rows: BoxStream<'_, Result<PgRow, sqlx::Error>>) -> Result<(), ReadError> {
        while self.has_room() {
            let Some(row) = rows.try_next().await? else { break };
            self.push(RecordedEvent::from_row(&row)?);
        }
        Ok(())
    }
}

pub(crate) async fn head(pool: &PgPool) -> Result<Position, ReadError> {
    let position: i64 = sqlx::query_scalar("select position from apex.head").fetch_one(pool).await?;
    Ok(Position::from_i64(position))
}

/// Reads the table, and the archives for what is no longer in it.
///
/// What is archived is a beginning of the log, and positions and versions have no gaps. So each answer of the table
/// shows by itself whether something that was asked for is archived, at that very moment.
#[derive(Clone)]
pub(crate) struct Reader {
    pool: PgPool,
    folder: Option<Arc<ArchiveFolder>>,
    /// The archives seen so far. They only become more.
    known: Arc<RwLock<Arc<[ArchiveRecord]>>>,
}

impl Reader {
    pub(crate) fn new(pool: PgPool, folder: Option<PathBuf>) -> Self {
        let folder = folder.map(|path| Arc::new(ArchiveFolder::new(path)));
        Self { pool, folder, known: Arc::new(RwLock::new(Arc::new([]))) }
    }

    /// The same on other connections.
    pub(crate) fn on(&self, pool: PgPool) -> Self {
        Self { pool, ..self.clone() }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// What a filter leaves after a position, in order.
    pub(crate) async fn after(&self, after: Position, filter: &ReadFilter, limit: Limit) -> Result<Page, ReadError> {
        let known = self.known();
        let (mut page, mut place) = (Page::new(limit), after);
        if after < floor(&known) {
            page = self.archived_after(known.clone(), after, filter, limit).await?;
            place = floor(&known);
        }
        while page.has_room() {
            let (rest, is_archived) = after_in_table(&self.pool, place, None, filter, page.left).await?;
            if is_archived {
                let known = self.refresh().await?;
                if place < floor(&known) {
                    page.extend(self.archived_after(known.clone(), place, filter, page.left).await?);
                    place = floor(&known);
                    continue;
                }
            }
            page.extend(rest);
            break;
        }
        Ok(page)
    }

    /// As [`Reader::after`], up to a position; none where something of that is archived.
    pub(crate) async fn after_until(
        &self,
        after: Position,
        until: Position,
        filter: &ReadFilter,
        limit: Limit,
    ) -> Result<Option<Page>, ReadError> {
        let (page, is_archived) = after_in_table(&self.pool, after, Some(until), filter, limit).await?;
        Ok((!is_archived).then_some(page))
    }

    /// What a filter leaves before a position, the latest first.
    pub(crate) async fn before(&self, before: Position, filter: &ReadFilter, limit: Limit) -> Result<Page, ReadError> {
        let (mut page, table_floor) = before_in_table(&self.pool, before, filter, limit).await?;
        if page.has_room() && table_floor > Position::ZERO && before.get() > 1 {
            let known = self.refresh().await?;
            // What was archived since the table was read is on the page already.
            let end = before.min(Position::from(table_floor.get() + 1));
            let (filter, left) = (filter.clone(), page.left);
            let archived = self.archived(&known, 1, end.get() - 1)?;
            page.extend(blocking(move || archived.before(&known, end, &filter, left)).await?);
        }
        Ok(page)
    }

    /// The events of a stream after a version.
    pub(crate) async fn stream(&self, key: &StreamKey, after: Version, limit: Limit) -> Result<Page, ReadError> {
        let (page, is_archived) = stream_in_table(&self.pool, key, after, limit).await?;
        if !is_archived {
            return Ok(page);
        }
        let known = self.refresh().await?;
        if known.is_empty() {
            return Ok(page);
        }
        let first = page.events.first().map(|event| (event.position, event.version));
        let last = first.map_or(floor(&known).get(), |(position, _)| position.get().saturating_sub(1));
        let archived = self.archived(&known, 1, last.min(floor(&known).get()))?;
        let wanted = key.clone();
        let archived = blocking(move || archived.stream(&known, &wanted, after, limit)).await?;
        // What was archived since the table was read is in both.
        let first_version = first.map_or(u64::MAX, |(_, version)| version.get());
        let earlier = archived.events.into_iter().filter(|event| event.version.get() < first_version);
        let mut whole = Page::new(limit);
        for event in earlier.chain(page.events) {
            if !whole.has_room() || !whole.push(event) {
                break;
            }
        }
        let is_dense =
            whole.events.iter().zip(after.get() + 1..).all(|(event, version)| event.version.get() == version);
        if is_dense { Ok(whole) } else { Err(ReadError::Gap { stream: key.clone() }) }
    }

    /// The first position at or after a time; one past the head if there is none.
    pub(crate) async fn position_at(&self, moment: DateTime<Utc>) -> Result<Position, ReadError> {
        let row = sqlx::query(
            "select apex.position_at($1) as position,
                    (select max(last_position) from apex.archives where last_recorded_at < $1) as earlier,
                    (select max(last_position) from apex.archives) as archived",
        )
        .bind(moment)
        .fetch_one(&self.pool)
        .await?;
        let earlier = Position::from_i64(row.try_get::<Option<i64>, _>("earlier")?.unwrap_or(0));
        if earlier == Position::from_i64(row.try_get::<Option<i64>, _>("archived")?.unwrap_or(0)) {
            return Ok(Position::from_i64(row.try_get("position")?));
        }
        // It lies in the archive that follows.
        let known = self.refresh().await?;
        let last = known.iter().find(|archived| archived.first > earlier.get()).map_or(0, |archived| archived.last);
        let archived = self.archived(&known, earlier.get() + 1, last)?;
        blocking(move || archived.position_at(&known, earlier, moment)).await
    }

    async fn archived_after(
        &self,
        known: Arc<[ArchiveRecord]>,
        after: Position,
        filter: &ReadFilter,
        limit: Limit,
    ) -> Result<Page, ReadError> {
        let archived = self.archived(&known, after.get() + 1, floor(&known).get())?;
        let filter = filter.clone();
        blocking(move || archived.after(&known, after, &filter, limit)).await
    }

    /// The folder to read positions from that are archived; an error that names them if there is none.
    fn archived(&self, known: &[ArchiveRecord], from: u64, to: u64) -> Result<Arc<ArchiveFolder>, ReadError> {
        self.folder.clone().ok_or_else(|| {
            let location = known.iter().find(|archived| archived.last >= from).map(ArchiveRecord::location);
            ReadError::Archived { from: from.into(), to: to.into(), location: location.unwrap_or_default() }
        })
    }

    fn known(&self) -> Arc<[ArchiveRecord]> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn refresh(&self) -> Result<Arc<[ArchiveRecord]>, ReadError> {
        let found: Arc<[ArchiveRecord]> = archive::list_archives(&self.pool).await?.into();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if found.len() > known.len() {
            *known = found;
        }
        Ok(known.clone())
    }
}

/// The last archived position.
fn floor(known: &[ArchiveRecord]) -> Position {
    known.last().map_or(Position::ZERO, |archived| archived.last.into())
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ReadError> {
    Ok(tokio::task::spawn_blocking(read).await.map_err(ArchiveError::from)??)
}

/// A page of the table, up to a position if one is given, and whether it leaves out what is archived.
async fn after_in_table(
    pool: &PgPool,
    after: Position,
    until: Option<Position>,
    filter: &ReadFilter,
    limit: Limit,
) -> Result<(Page, bool), ReadError> {
    let mut page = Page::new(limit);
    if until.is_none() && *filter == ReadFilter::default() {
        let query = sqlx::query(select!("", "where position > $1 order by position limit $2"));
        page.fill(query.bind(after.as_i64()).bind(limit.as_i64()).fetch(pool)).await?;
        // There always is an event after what is archived, so that an empty page is the end of the log.
        let is_archived = page.events.first().is_some_and(|first| first.position.get() > after.get() + 1);
        return Ok((page, is_archived));
    }
    let mut query = filtered("where position > ", after, filter);
    if let Some(until) = until {
        query.push(" and position <= ").push_bind(until.as_i64());
    }
    query.push(" order by position limit ").push_bind(limit.as_i64());
    let table_floor = fill_filtered(pool, &mut page, query).await?;
    Ok((page, after < table_floor))
}

/// A page of the table backwards, and the last position that is not in it any more.
async fn before_in_table(
    pool: &PgPool,
    before: Position,
    filter: &ReadFilter,
    limit: Limit,
) -> Result<(Page, Position), ReadError> {
    let mut page = Page::new(limit);
    let mut query = filtered("where position < ", before, filter);
    query.push(" order by position desc limit ").push_bind(limit.as_i64());
    let table_floor = fill_filtered(pool, &mut page, query).await?;
    Ok((page, table_floor))
}

/// A statement with exactly the conditions that there are, planned for their values. A prepared one that has all of
/// them, each with "or $n is null", can use no index; and one that is planned for any category does not know a rare
/// one from a frequent one.
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

/// Fills a page; returns the last archived position as of that moment, or later if the page stays empty.
async fn fill_filtered(
    pool: &PgPool,
    page: &mut Page,
    mut query: QueryBuilder<Postgres>,
) -> Result<Position, ReadError> {
    let mut archived: Option<i64> = None;
    {
        let mut rows = query.build().persistent(false).fetch(pool);
        while page.has_room() {
            let Some(row) = rows.try_next().await? else { break };
            archived = row.try_get("archived")?;
            page.push(RecordedEvent::from_row(&row)?);
        }
    }
    if page.events.is_empty() {
        let max = "select max(last_position) from apex.archives";
        archived = sqlx::query_scalar(max).fetch_one(pool).await?;
    }
    Ok(Position::from_i64(archived.unwrap_or(0)))
}

/// A page of a stream in the table, and whether it leaves out what is archived: it does not begin with the version
/// asked for, or is empty although the stream has more.
async fn stream_in_table(
    pool: &PgPool,
    key: &StreamKey,
    after: Version,
    limit: Limit,
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
    page.fill(query.bind(limit.as_i64()).fetch(pool)).await?;
    if page.events.first().is_some_and(|first| first.position == Position::ZERO) {
        return Ok((Page::new(limit), true));
    }
    let is_archived = page.events.first().is_some_and(|first| first.version.get() > after.get() + 1);
    Ok((page, is_archived))
}

/// What a command appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its first event.
    pub first: Position,
    /// Its last event.
    pub last: Position,
    /// The hash of what was sent with it, where that is known.
    request: Option<Vec<u8>>,
}

impl Receipt {
    /// Whether the command was given with another request than this one. What is not known counts as the same.
    #[must_use]
    pub fn is_for_different_request(&self, request: Option<&RequestHash>) -> bool {
        request.zip(self.request.as_deref()).is_some_and(|(given, kept)| given.differs_from(kept))
    }
}

pub(crate) async fn receipt(pool: &PgPool, stream: &StreamKey, command_id: Uuid) -> Result<Option<Receipt>, ReadError> {
    let row = sqlx::query(
        // The stream's own first: the same id may have changed another stream and created this one, as two commands.
        "select first_position, event_count, request from (
             select coalesce(s.first_position, e.position) as first_position, s.first_count as event_count,
                    s.first_request as request, 1 as place
             from apex.streams s
             left join apex.events e on e.stream_id = s.stream_id and e.version = 1
                 and e.tenant_id = s.tenant_id and e.category = s.category
             where s.tenant_id = $1 and s.category = $3 and s.stream_id = $4 and s.first_command = $2
             union all
             select first_position, event_count, request, 2 from apex.receipts
             where tenant_id = $1 and command_id = $2
         ) as receipt
         order by place
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
        Ok(Receipt {
            first: Position::from_i64(first),
            last: Position::from_i64(first + i64::from(count) - 1),
            request: row.try_get("request")?,
        })
    })
    .transpose()
}
