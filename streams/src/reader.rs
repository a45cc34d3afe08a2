//! Reading the log: the table, and the archives for events that are no longer in it.
//!
//! The archives always hold a prefix of the log, and positions and versions have no gaps. Each result of the table
//! therefore shows by itself whether some of the requested events were archived at the time of the query.

use crate::archive::error::ArchiveError;
use crate::archive::folder::ArchiveFolder;
use crate::archive::record::{ArchiveRecord, list_archives};
use crate::error::ReadError;
use crate::event::{Position, RecordedEvent, StreamKey, Version};
use crate::filter::ReadFilter;
use crate::page::{Page, PageLimit};
use crate::table;
use crate::tenant_reads::{TenantConnection, TenantReads};
use chrono::{DateTime, Utc};
use domain::TenantId;
use sqlx::Row as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, Postgres};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

/// Where a reader takes its connections from, one for each statement.
#[derive(Clone)]
enum Connections {
    /// They see the events of all tenants.
    OfAll(PgPool),
    /// They see the events of one tenant.
    OfTenant(TenantReads, TenantId),
}

impl Connections {
    async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Self::OfAll(pool) => Ok(Connection::OfAll(pool.acquire().await?)),
            Self::OfTenant(reads, tenant) => Ok(Connection::OfTenant(reads.acquire_for(tenant).await?)),
        }
    }
}

/// A connection of a reader.
enum Connection {
    OfAll(PoolConnection<Postgres>),
    OfTenant(TenantConnection),
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::OfAll(connection) => connection,
            Self::OfTenant(connection) => connection,
        }
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::OfAll(connection) => connection,
            Self::OfTenant(connection) => connection,
        }
    }
}

/// Reads events from the table and from the archives; cheap to clone.
#[derive(Clone)]
pub(crate) struct Reader {
    connections: Connections,
    folder: Option<Arc<ArchiveFolder>>,
    /// The archives known so far. Archives are only ever added.
    known: Arc<RwLock<Arc<[ArchiveRecord]>>>,
}

impl Reader {
    pub(crate) fn new(pool: PgPool, folder: Option<PathBuf>) -> Self {
        let folder = folder.map(|path| Arc::new(ArchiveFolder::new(path)));
        Self { connections: Connections::OfAll(pool), folder, known: Arc::new(RwLock::new(Arc::new([]))) }
    }

    /// The same reader on another pool.
    pub(crate) fn with_pool(&self, pool: PgPool) -> Self {
        Self { connections: Connections::OfAll(pool), ..self.clone() }
    }

    /// The same reader by connections that see the events of one tenant. Its filters must name that tenant: positions of
    /// other tenants are gaps, and a reader without a filter takes gaps for archived events.
    pub(crate) fn of_tenant(&self, reads: TenantReads, tenant: TenantId) -> Self {
        Self { connections: Connections::OfTenant(reads, tenant), ..self.clone() }
    }

    /// The event at a position, if a filter selects it.
    pub(crate) async fn at(&self, position: Position, filter: &ReadFilter) -> Result<Option<RecordedEvent>, ReadError> {
        let Some(before) = position.get().checked_sub(1).map(Position::from) else { return Ok(None) };
        if let Some(mut page) = self.after_until(before, position, filter, PageLimit::of_events(1)).await? {
            return Ok(page.events.pop());
        }
        let known = self.refresh_known().await?;
        // Of all tenants: the next event of one tenant may be many files away.
        let mut page = self.archived_after(known, before, &ReadFilter::default(), PageLimit::of_events(1)).await?;
        Ok(page.events.pop().filter(|event| event.position == position && filter.matches(event)))
    }

    /// A page of matching events after a position.
    pub(crate) async fn after(
        &self,
        after: Position,
        filter: &ReadFilter,
        limit: PageLimit,
    ) -> Result<Page, ReadError> {
        let known = self.known();
        let (mut page, mut reached) = (Page::new(limit), after);
        if after < last_archived(&known) {
            page = self.archived_after(known.clone(), after, filter, limit).await?;
            reached = last_archived(&known);
        }
        while page.has_room() {
            let (rest, lacks_archived) =
                table::after(&mut *self.connections.acquire().await?, reached, None, filter, page.left()).await?;
            if lacks_archived {
                let known = self.refresh_known().await?;
                if reached < last_archived(&known) {
                    page.extend(self.archived_after(known.clone(), reached, filter, page.left()).await?);
                    reached = last_archived(&known);
                    continue;
                }
            }
            page.extend(rest);
            break;
        }
        Ok(page)
    }

    /// A page of matching events after a position and up to another one; none when some of that range is archived.
    pub(crate) async fn after_until(
        &self,
        after: Position,
        until: Position,
        filter: &ReadFilter,
        limit: PageLimit,
    ) -> Result<Option<Page>, ReadError> {
        let (page, lacks_archived) =
            table::after(&mut *self.connections.acquire().await?, after, Some(until), filter, limit).await?;
        Ok((!lacks_archived).then_some(page))
    }

    /// A page of matching events before a position, latest first.
    pub(crate) async fn before(
        &self,
        before: Position,
        filter: &ReadFilter,
        limit: PageLimit,
    ) -> Result<Page, ReadError> {
        let (mut page, table_floor) =
            table::before(&mut *self.connections.acquire().await?, before, filter, limit).await?;
        if page.has_room() && table_floor > Position::ZERO && before.get() > 1 {
            let known = self.refresh_known().await?;
            // Events that were archived after the query are already on the page.
            let end = before.min(Position::from(table_floor.get() + 1));
            let (filter, left) = (filter.clone(), page.left());
            let folder = self.folder_for(&known, 1, end.get() - 1)?;
            page.extend(blocking(move || folder.before(&known, end, &filter, left)).await?);
        }
        Ok(page)
    }

    /// Reads a page of the events of a stream whose versions are greater than `after`.
    pub(crate) async fn stream(&self, key: &StreamKey, after: Version, limit: PageLimit) -> Result<Page, ReadError> {
        let (page, lacks_archived) = table::stream(&mut *self.connections.acquire().await?, key, after, limit).await?;
        if !lacks_archived {
            return Ok(page);
        }
        let known = self.refresh_known().await?;
        if known.is_empty() {
            return Ok(page);
        }
        let first = page.events.first().map(|event| (event.position, event.version));
        let last = first.map_or(last_archived(&known).get(), |(position, _)| position.get().saturating_sub(1));
        let folder = self.folder_for(&known, 1, last.min(last_archived(&known).get()))?;
        let wanted = key.clone();
        let archived = blocking(move || folder.stream(&known, &wanted, after, limit)).await?;
        // Events that were archived after the query are in both.
        let first_version = first.map_or(u64::MAX, |(_, version)| version.get());
        let earlier = archived.events.into_iter().filter(|event| event.version.get() < first_version);
        let mut whole = Page::new(limit);
        for event in earlier.chain(page.events) {
            if !whole.has_room() || !whole.push(event) {
                break;
            }
        }
        let is_gapless =
            whole.events.iter().zip(after.get() + 1..).all(|(event, version)| event.version.get() == version);
        if is_gapless { Ok(whole) } else { Err(ReadError::Gap { stream: key.clone() }) }
    }

    /// The first position recorded at or after a time; one past the head if there is none.
    pub(crate) async fn position_at(&self, time: DateTime<Utc>) -> Result<Position, ReadError> {
        let row = sqlx::query(
            "select apex.position_at($1) as position,
                    (select max(last_position) from apex.archives where last_recorded_at < $1) as earlier,
                    (select max(last_position) from apex.archives) as archived",
        )
        .bind(time)
        .fetch_one(&mut *self.connections.acquire().await?)
        .await?;
        let earlier = Position::from_i64(row.try_get::<Option<i64>, _>("earlier")?.unwrap_or(0));
        if earlier == Position::from_i64(row.try_get::<Option<i64>, _>("archived")?.unwrap_or(0)) {
            return Ok(Position::from_i64(row.try_get("position")?));
        }
        // The position is in the archive that follows.
        let known = self.refresh_known().await?;
        let last = known.iter().find(|archive| archive.first > earlier.get()).map_or(0, |archive| archive.last);
        let folder = self.folder_for(&known, earlier.get() + 1, last)?;
        blocking(move || folder.position_at(&known, earlier, time)).await
    }

    async fn archived_after(
        &self,
        known: Arc<[ArchiveRecord]>,
        after: Position,
        filter: &ReadFilter,
        limit: PageLimit,
    ) -> Result<Page, ReadError> {
        let folder = self.folder_for(&known, after.get() + 1, last_archived(&known).get())?;
        let filter = filter.clone();
        blocking(move || folder.after(&known, after, &filter, limit)).await
    }

    /// The folder to read archived positions from; [`ReadError::Archived`] if this process has none.
    fn folder_for(&self, known: &[ArchiveRecord], from: u64, to: u64) -> Result<Arc<ArchiveFolder>, ReadError> {
        self.folder.clone().ok_or_else(|| {
            let location = known.iter().find(|archive| archive.last >= from).map(ArchiveRecord::location);
            ReadError::Archived { from: from.into(), to: to.into(), location: location.unwrap_or_default() }
        })
    }

    fn known(&self) -> Arc<[ArchiveRecord]> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn refresh_known(&self) -> Result<Arc<[ArchiveRecord]>, ReadError> {
        let found: Arc<[ArchiveRecord]> = list_archives(&mut *self.connections.acquire().await?).await?.into();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if found.len() > known.len() {
            *known = found;
        }
        Ok(known.clone())
    }
}

fn last_archived(known: &[ArchiveRecord]) -> Position {
    known.last().map_or(Position::ZERO, |archive| archive.last.into())
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ReadError> {
    Ok(tokio::task::spawn_blocking(read).await.map_err(ArchiveError::from)??)
}
