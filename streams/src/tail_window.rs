//! The latest events of the log in memory, bounded in number and in bytes.

use crate::event::{Position, RecordedEvent};
use crate::filter::ReadFilter;
use crate::page::PageLimit;
use std::collections::VecDeque;
use std::sync::Arc;

/// The matching events of a range of the log.
#[derive(Debug)]
pub struct FilteredPage {
    /// The matching events, in order.
    pub events: VecDeque<Arc<RecordedEvent>>,
    /// The end of the range: every matching event up to this position is on the page.
    pub scanned_to: Position,
}

/// All events after `base`, in order.
pub(crate) struct TailWindow {
    base: Position,
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
}

impl TailWindow {
    /// An empty window that starts after a position.
    pub(crate) fn new(base: Position, max_events: usize, max_bytes: usize) -> Self {
        Self { base, events: VecDeque::new(), bytes: 0, max_events, max_bytes }
    }

    /// Adds the next events of the log, and removes the oldest ones that do not fit any more.
    pub(crate) fn push(&mut self, events: Vec<RecordedEvent>) {
        for event in events {
            self.bytes += event.size();
            self.events.push_back(Arc::new(event));
        }
        while self.events.len() > self.max_events || self.bytes > self.max_bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.size();
            self.base = oldest.position;
        }
    }

    /// Up to `limit` events after a position; none when some of them are no longer in the window.
    pub(crate) fn after(&self, after: Position, limit: usize) -> Option<Vec<Arc<RecordedEvent>>> {
        let skip = self.index_after(after)?;
        Some(self.events.iter().skip(skip).take(limit).cloned().collect())
    }

    /// The matching events after a position; none when some events after it are no longer in the window.
    pub(crate) fn find_after(&self, after: Position, filter: &ReadFilter, limit: PageLimit) -> Option<FilteredPage> {
        let skip = self.index_after(after)?;
        let mut page = FilteredPage { events: VecDeque::new(), scanned_to: after };
        let mut bytes = 0;
        for event in self.events.iter().skip(skip) {
            page.scanned_to = event.position;
            if filter.matches(event) {
                page.events.push_back(event.clone());
                bytes += event.size();
                if page.events.len() >= limit.events || bytes >= limit.bytes {
                    break;
                }
            }
        }
        Some(page)
    }

    /// The index of the first event after a position. Positions have no gaps, so no search is needed.
    fn index_after(&self, after: Position) -> Option<usize> {
        let skip = after.get().checked_sub(self.base.get())?;
        Some(usize::try_from(skip).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_events::event;

    const MANY: usize = 1_000_000;

    /// A window that starts after position 10 and has the events 11 to 15.
    fn window(max_events: usize, max_bytes: usize) -> TailWindow {
        let mut window = TailWindow::new(10.into(), max_events, max_bytes);
        window.push((11..=15).map(event).collect());
        window
    }

    fn positions(events: impl IntoIterator<Item = Arc<RecordedEvent>>) -> Vec<u64> {
        events.into_iter().map(|event| event.position.get()).collect()
    }

    #[test]
    fn events_after_a_position_start_with_the_next_one() {
        let window = window(MANY, MANY);
        assert_eq!(positions(window.after(10.into(), 2).unwrap()), [11, 12]);
        assert_eq!(positions(window.after(13.into(), MANY).unwrap()), [14, 15]);
        assert!(window.after(15.into(), MANY).unwrap().is_empty());
        assert!(window.after(20.into(), MANY).unwrap().is_empty(), "a reader may be ahead of this process");
    }

    #[test]
    fn a_reader_before_the_window_is_sent_to_the_table() {
        let window = window(MANY, MANY);
        assert!(window.after(9.into(), MANY).is_none());
        assert!(window.find_after(9.into(), &ReadFilter::default(), PageLimit::of_events(1)).is_none());
    }

    #[test]
    fn the_oldest_events_leave_a_window_with_too_many_events() {
        let window = window(2, MANY);
        assert!(window.after(12.into(), MANY).is_none());
        assert_eq!(positions(window.after(13.into(), MANY).unwrap()), [14, 15]);
    }

    #[test]
    fn the_oldest_events_leave_a_window_with_too_many_bytes() {
        let mut window = window(MANY, event(15).size() * 3);
        assert_eq!(positions(window.after(12.into(), MANY).unwrap()), [13, 14, 15]);
        window.push(vec![event(16)]);
        assert!(window.after(12.into(), MANY).is_none());
        assert_eq!(positions(window.after(13.into(), MANY).unwrap()), [14, 15, 16]);
    }

    #[test]
    fn a_window_smaller_than_an_event_keeps_none_and_still_accepts_readers_at_the_head() {
        let window = window(MANY, 1);
        assert!(window.after(14.into(), MANY).is_none());
        assert!(window.after(15.into(), MANY).unwrap().is_empty());
    }

    #[test]
    fn a_search_reports_how_far_it_went() {
        let window = window(MANY, MANY);
        let limit = PageLimit::of_events(1);
        let none = ReadFilter { category: Some("memory".to_owned()), ..ReadFilter::default() };
        let page = window.find_after(11.into(), &none, limit).unwrap();
        assert!(page.events.is_empty());
        assert_eq!(page.scanned_to.get(), 15);
        let one = ReadFilter { stream_id: Some(event(13).stream.id), ..ReadFilter::default() };
        let page = window.find_after(11.into(), &one, limit).unwrap();
        assert_eq!((positions(page.events), page.scanned_to.get()), (vec![13], 13), "the search ends at the limit");
    }

    #[test]
    fn a_search_ends_with_the_event_that_reaches_the_limit_of_bytes() {
        let window = window(MANY, MANY);
        let limit = PageLimit { events: MANY, bytes: event(11).size() + 1 };
        let page = window.find_after(10.into(), &ReadFilter::default(), limit).unwrap();
        assert_eq!((positions(page.events), page.scanned_to.get()), (vec![11, 12], 12));
    }
}
