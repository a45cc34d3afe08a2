//! A page of events, bounded in number and in bytes.

use crate::event::RecordedEvent;

/// The most events that a page may have.
const MAX_PAGE_EVENTS: usize = 10_000;
/// Bytes of payload and metadata after which a page of the tail, or of [`Pages`](crate::Pages), ends.
pub(crate) const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The size of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// The most events.
    pub events: usize,
    /// The page ends with the event whose payload and metadata bring the page to this many bytes.
    pub bytes: usize,
}

impl PageLimit {
    /// A number of events of any size, between 1 and 10 000.
    pub(crate) fn of_events(events: usize) -> Self {
        Self { events: events.clamp(1, MAX_PAGE_EVENTS), bytes: usize::MAX }
    }

    /// At most [`PAGE_BYTES`].
    pub(crate) fn bounded(self) -> Self {
        Self { bytes: self.bytes.min(PAGE_BYTES), ..self }
    }

    pub(crate) fn events_as_i64(self) -> i64 {
        i64::try_from(self.events).unwrap_or(i64::MAX)
    }
}

/// A page while it is filled. A page that has room when the reader is done has all events that there are.
pub(crate) struct Page {
    pub(crate) events: Vec<RecordedEvent>,
    left: PageLimit,
}

impl Page {
    pub(crate) fn new(limit: PageLimit) -> Self {
        Self { events: Vec::new(), left: limit }
    }

    /// Adds an event, and returns whether there is room for another one.
    pub(crate) fn push(&mut self, event: RecordedEvent) -> bool {
        self.left.events = self.left.events.saturating_sub(1);
        self.left.bytes = self.left.bytes.saturating_sub(event.size());
        self.events.push(event);
        self.has_room()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.left.events > 0 && self.left.bytes > 0
    }

    /// What another page may hold to be added to this one with [`Page::extend`].
    pub(crate) fn left(&self) -> PageLimit {
        self.left
    }

    /// Adds the events of a page that was limited to [`Page::left`].
    pub(crate) fn extend(&mut self, other: Self) {
        self.left = other.left;
        self.events.extend(other.events);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_events::event;

    #[test]
    fn a_page_ends_at_its_number_of_events() {
        let mut page = Page::new(PageLimit::of_events(2));
        assert!(page.push(event(1)));
        assert!(!page.push(event(2)));
    }

    #[test]
    fn a_page_ends_with_the_event_that_reaches_its_bytes() {
        let bytes = event(1).size() + 1;
        let mut page = Page::new(PageLimit { bytes, ..PageLimit::of_events(10) });
        assert!(page.push(event(1)), "one byte is left");
        assert!(!page.push(event(2)));
        assert_eq!(page.events.len(), 2);
    }

    #[test]
    fn an_extended_page_has_the_room_that_both_left() {
        let mut page = Page::new(PageLimit::of_events(3));
        page.push(event(1));
        let mut rest = Page::new(page.left());
        rest.push(event(2));
        page.extend(rest);
        assert!(page.has_room());
        assert!(!page.push(event(3)));
    }

    #[test]
    fn a_limit_is_at_least_one_event() {
        assert_eq!(PageLimit::of_events(0).events, 1);
        assert_eq!(PageLimit::of_events(usize::MAX).events, MAX_PAGE_EVENTS);
    }
}
