//! Reading the log on behalf of tenants: every read is of the events of one tenant, which an access names.
//!
//! The filters of the statements select the tenant, and the connections see nothing else. Events that are archived are in
//! files, where only the filters select.

use crate::error::ReadError;
use crate::event::{Position, RecordedEvent, StreamKey, Version};
use crate::filter::ReadFilter;
use crate::page::PageLimit;
use crate::pages::Pages;
use crate::reader::Reader;
use crate::tail::Tail;
use crate::tail_window::FilteredPage;
use crate::tenant_reads::TenantReads;
use domain::TenantId;
use domain::permissions::{Access, ReadEvents};
use uuid::Uuid;

/// Selects events of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantFilter {
    tenant: TenantId,
    /// Names the tenant too.
    filter: ReadFilter,
}

impl TenantFilter {
    /// Selects the events of the tenant of the access that have this category, one of these types, and this stream. Conditions
    /// that are none, or empty, are not applied.
    #[must_use]
    pub fn new<A>(access: &Access<A>, category: Option<String>, types: Vec<String>, stream_id: Option<Uuid>) -> Self {
        let tenant = access.tenant().clone();
        let filter = ReadFilter { tenant: Some(tenant.clone()), category, types, stream_id };
        Self { tenant, filter }
    }
}

/// A handle to the log for reads on behalf of tenants, see [`Log::of_tenants`](crate::Log::of_tenants); cheap to clone.
#[derive(Clone)]
pub struct TenantLog {
    reader: Reader,
    tail: Tail,
    reads: TenantReads,
}

impl TenantLog {
    pub(crate) fn new(reader: Reader, tail: Tail, reads: TenantReads) -> Self {
        Self { reader, tail, reads }
    }

    fn reader(&self, tenant: &TenantId) -> Reader {
        self.reader.of_tenant(self.reads.clone(), tenant.clone())
    }

    /// The event at a position, if it belongs to the tenant of the access.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read.
    pub async fn read_event(
        &self,
        access: &Access<ReadEvents>,
        position: Position,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        let filter = TenantFilter::new(access, None, Vec::new(), None);
        self.reader(&filter.tenant).at(position, &filter.filter).await
    }

    /// Up to `limit` events after a version of the stream of an aggregate of the tenant of the access; at most 10 000.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read, and [`ReadError::Gap`] when versions are in neither.
    pub async fn read_own_stream(
        &self,
        access: &Access<ReadEvents>,
        category: &str,
        id: Uuid,
        after: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let key = StreamKey { tenant: access.tenant().clone(), category: category.into(), id };
        Ok(self.reader(access.tenant()).stream(&key, after, PageLimit::of_events(limit)).await?.events)
    }

    /// The event with a version in the stream of an aggregate of the tenant of the access; none if it has no such version.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read, and [`ReadError::Gap`] when versions are in neither.
    pub async fn read_own_version<A>(
        &self,
        access: &Access<A>,
        category: &str,
        id: Uuid,
        version: Version,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        let Some(before) = version.get().checked_sub(1) else { return Ok(None) };
        let key = StreamKey { tenant: access.tenant().clone(), category: category.into(), id };
        let page = self.reader(access.tenant()).stream(&key, before.into(), PageLimit::of_events(1)).await?;
        Ok(page.events.into_iter().find(|event| event.version == version))
    }

    /// Up to `limit` matching events after a position; at most 10 000.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read.
    pub async fn find_after(
        &self,
        after: Position,
        filter: &TenantFilter,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let page = self.reader(&filter.tenant).after(after, &filter.filter, PageLimit::of_events(limit)).await?;
        Ok(page.events)
    }

    /// Up to `limit` matching events before a position, latest first; at most 10 000.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read.
    pub async fn find_before(
        &self,
        before: Position,
        filter: &TenantFilter,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let page = self.reader(&filter.tenant).before(before, &filter.filter, PageLimit::of_events(limit)).await?;
        Ok(page.events)
    }

    /// Waits until there are events after a position, and returns those that match a filter. Searches the events in the memory
    /// of the [`Tail`]; for a reader that is behind them, up to 50 000 positions of the table, or more of an archive.
    ///
    /// The page has every matching event after `after` up to [`FilteredPage::scanned_to`], which is always greater than
    /// `after`. The page may be empty.
    ///
    /// # Errors
    /// [`ReadError`] when the events are not in memory and cannot be read, or the process shuts down.
    pub async fn next_page(
        &self,
        after: Position,
        filter: &TenantFilter,
        limit: PageLimit,
    ) -> Result<FilteredPage, ReadError> {
        self.tail.wait_beyond(after).await?;
        if let Some(page) = self.tail.find_in_window(after, &filter.filter, limit) {
            return Ok(page);
        }
        // Boxed, so that the many futures that only wait do not reserve memory for a search.
        Box::pin(self.tail.find_in_table(self.reader(&filter.tenant), after, &filter.filter, limit)).await
    }

    /// All matching events after a position, in pages of up to `page_events` events.
    #[must_use]
    pub fn pages(&self, after: Position, filter: TenantFilter, page_events: usize) -> Pages {
        Pages::of_log(self.reader(&filter.tenant), after, filter.filter, page_events)
    }

    /// All events of the stream of an aggregate of the tenant of the access, in pages of up to `page_events` events.
    #[must_use]
    pub fn own_stream_pages<A>(&self, access: &Access<A>, category: &str, id: Uuid, page_events: usize) -> Pages {
        let key = StreamKey { tenant: access.tenant().clone(), category: category.into(), id };
        Pages::of_stream(self.reader(access.tenant()), key, Version::ZERO, page_events)
    }
}
