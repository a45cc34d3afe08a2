//! Reading any amount of the log in pages that fit in memory.

use crate::error::ReadError;
use crate::event::{Position, RecordedEvent, StreamKey, Version};
use crate::filter::ReadFilter;
use crate::page::{Page, PageLimit};
use crate::reader::Reader;

/// Consecutive pages of events; see [`Log::pages`](crate::Log::pages) and
/// [`Log::stream_pages`](crate::Log::stream_pages). At most one page is in memory, however long the log is and however
/// large its events are: a page ends at 8 MiB.
pub struct Pages {
    reader: Reader,
    source: Source,
    limit: PageLimit,
    is_done: bool,
}

enum Source {
    Log { after: Position, filter: ReadFilter },
    Stream { after: Version, key: StreamKey },
}

impl Pages {
    pub(crate) fn of_log(reader: Reader, after: Position, filter: ReadFilter, page_events: usize) -> Self {
        Self::new(reader, Source::Log { after, filter }, page_events)
    }

    pub(crate) fn of_stream(reader: Reader, key: StreamKey, after: Version, page_events: usize) -> Self {
        Self::new(reader, Source::Stream { after, key }, page_events)
    }

    fn new(reader: Reader, source: Source, page_events: usize) -> Self {
        Self { reader, source, limit: PageLimit::of_events(page_events).bounded(), is_done: false }
    }

    /// Whether the last page reached the end of the log or of the stream, so that there is no next one.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.is_done
    }

    /// The next page; none once the end of the log or of the stream was reached.
    ///
    /// # Errors
    /// [`ReadError`] when the database or the archive cannot be read; the same page can be requested again.
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
