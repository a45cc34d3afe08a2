//! Reading the log in pages of decoded events.

use domain::{Event, error_with_causes};
use std::sync::Arc;
use streams::{Log, Pages, Position, ReadError, ReadFilter, RecordedEvent};

/// An event that was read, with the result of decoding it. Decoded once for all read models that apply it.
#[derive(Clone)]
pub(crate) struct DecodedEvent {
    pub(crate) recorded: Arc<RecordedEvent>,
    /// The decoded event, or why it cannot be decoded.
    pub(crate) event: Result<Arc<Event>, Arc<str>>,
}

impl DecodedEvent {
    pub(crate) fn decode(recorded: Arc<RecordedEvent>) -> Self {
        let event = recorded.decode().map(Arc::new).map_err(|error| error_with_causes(&error).into());
        Self { recorded, event }
    }
}

/// Decodes the events for which `is_wanted` is true.
pub(crate) fn decode(events: &[Arc<RecordedEvent>], is_wanted: impl Fn(&RecordedEvent) -> bool) -> Vec<DecodedEvent> {
    events.iter().filter(|event| is_wanted(event)).map(|event| DecodedEvent::decode(event.clone())).collect()
}

/// A page of the log.
pub(crate) struct DecodedPage {
    /// The wanted events of the page.
    pub(crate) events: Vec<DecodedEvent>,
    /// The position up to which `events` holds every wanted event.
    pub(crate) through: Position,
}

/// Reads the wanted events of the log between two positions, page by page.
pub(crate) struct DecodedPages<F> {
    pages: Pages,
    through: Position,
    /// The last position to read; none for the end of the log.
    last: Option<Position>,
    is_wanted: F,
}

impl<F: Fn(&RecordedEvent) -> bool> DecodedPages<F> {
    /// Reads after a position, up to and including another or to the end of the log.
    pub(crate) fn new(log: &Log, after: Position, last: Option<Position>, page_events: usize, is_wanted: F) -> Self {
        Self { pages: log.pages(after, ReadFilter::default(), page_events), through: after, last, is_wanted }
    }

    /// The position up to which the log was read.
    pub(crate) fn through(&self) -> Position {
        self.through
    }

    /// The next page; none at the last position or the end of the log.
    pub(crate) async fn next_page(&mut self) -> Result<Option<DecodedPage>, ReadError> {
        if self.last.is_some_and(|last| self.through >= last) {
            return Ok(None);
        }
        let Some(page) = self.pages.next_page().await? else { return Ok(None) };
        let is_wanted =
            |event: &RecordedEvent| self.last.is_none_or(|last| event.position <= last) && (self.is_wanted)(event);
        let end = page.last().map_or(self.through, |event| event.position);
        let events = page.into_iter().filter(is_wanted).map(|event| DecodedEvent::decode(Arc::new(event))).collect();
        self.through = self.last.map_or(end, |last| last.min(end));
        Ok(Some(DecodedPage { events, through: self.through }))
    }
}
