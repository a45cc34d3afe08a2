//! How much of one input may be in flight.

use std::time::Duration;

/// The least that may be in flight.
const MIN_SIZE: usize = 64;
/// How long a report may take, from when it is sent. Those that wait for a busy log or processor longer are too many: an attempt ends
/// after some seconds, and if all of them did, none would be recorded.
const TARGET: Duration = Duration::from_secs(1);

/// The number of reports in flight: about as many as are recorded in a second. It grows by one with each report that was quick, so that
/// it doubles while all are, and shrinks by one with each that was not.
pub(crate) struct Window {
    size: usize,
    max: usize,
}

impl Window {
    /// A window that grows up to a maximum.
    pub(crate) fn new(max: usize) -> Self {
        Self { size: MIN_SIZE.min(max), max }
    }

    /// Whether another report may be sent while some are in flight.
    pub(crate) fn is_open(&self, in_flight: usize) -> bool {
        in_flight < self.size
    }

    /// Notes how long a report took.
    pub(crate) fn took(&mut self, elapsed: Duration) {
        self.size = match elapsed < TARGET {
            true => (self.size + 1).min(self.max),
            false if self.size > MIN_SIZE => self.size - 1,
            false => self.size,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(window: &Window) -> usize {
        (0..).find(|in_flight| !window.is_open(*in_flight)).unwrap()
    }

    #[test]
    fn the_window_grows_while_reports_are_quick_and_shrinks_when_they_are_not() {
        let mut window = Window::new(200);
        assert_eq!(size(&window), MIN_SIZE);
        (0..64).for_each(|_| window.took(Duration::from_millis(5)));
        assert_eq!(size(&window), 128);
        (0..1_000).for_each(|_| window.took(Duration::from_millis(5)));
        assert_eq!(size(&window), 200);
        (0..100).for_each(|_| window.took(TARGET));
        assert_eq!(size(&window), 100);
        (0..1_000).for_each(|_| window.took(Duration::from_secs(20)));
        assert_eq!(size(&window), MIN_SIZE);
    }

    #[test]
    fn a_window_is_never_larger_than_its_maximum() {
        let mut window = Window::new(3);
        window.took(TARGET);
        window.took(Duration::ZERO);
        assert_eq!(size(&window), 3);
    }
}
