//! Reading as much of the log as there is, in pages that fit in memory.

use crate::read::{Limit, Page, Reader};
use crate::{Position, ReadError, ReadFilter, RecordedEvent, StreamKey, Version};

/// Bytes of payload and metadata after which a page ends, whatever number of events was asked for.
pub(crate) const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Pages of events, one after the other; see [`Log::pages`](crate::Log::pages) and
/// [`Log::stream_pages`](crate::Log::stream_pages). However long the log is, and however large its events, a page is in
/// memory and no more.
pub struct Pages {
    reader: Reader,
    source: Source,
    limit: Limit,
    is_done: bool,
}

enum Source {
    Log { after: Position, filter: ReadFilter },
    Stream { after: Version, key: StreamKey },
}

impl Pages {
    pub(crate) fn of_log(reader: Reader, after: Position, filter: ReadFilter, events: usize) -> Self {
        Self::new(reader, Source::Log { after, filter }, events)
    }

    pub(crate) fn of_stream(reader: Reader, key: StreamKey, after: Version, events: usize) -> Self {
        Self::new(reader, Source::Stream { after, key }, events)
    }

    fn new(reader: Reader, source: Source, events: usize) -> Self {
        Self { reader, source, limit: Limit { bytes: PAGE_BYTES, ..Limit::events(events) }, is_done: false }
    }

    /// The next page, in order; none at the end of the log or the stream as of that moment.
    ///
    /// # Errors
    /// [`ReadError`]; the same page can be asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<RecordedEvent>>, ReadError> {
        if self.is_done {
            return Ok(None);
        }
        let page: Page = match &self.source {
            Source::Log { after, filter } => self.reader.after(*after, filter, self.limit).await?,
            Source::Stream { after, key } => self.reader.stream(key, *after, self.limit).await?,
        };
        self.is_done = page.has_room();
        let Some(last) = page.events.last() else { return Ok(None) };
        match &mut self.source {
            Source::Log { after, .. } => *after = last.position,
            Source::Stream { after, .. } => *after = last.version,
        }
        Ok(Some(page.events))
    }
}
