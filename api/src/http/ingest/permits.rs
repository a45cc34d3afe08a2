//! How much is received at the same time. What is beyond it is refused before its body is read, and comes back later.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most requests with lines at the same time. Each has a thread and some MiB of memory.
pub(super) const MAX_LINE_REQUESTS: usize = 64;
/// The most bytes of files that are imported at the same time, in KiB: 1 GiB.
const MAX_FILE_KIB: u32 = 1024 * 1024;
/// The fewest bytes that a file counts for, in KiB.
const MIN_FILE_KIB: u32 = 64;

/// What may be received at the same time.
pub(crate) struct IngestPermits {
    lines: Arc<Semaphore>,
    files: Arc<Semaphore>,
}

impl IngestPermits {
    pub(crate) fn new() -> Self {
        let lines = Arc::new(Semaphore::new(MAX_LINE_REQUESTS));
        Self { lines, files: Arc::new(Semaphore::new(MAX_FILE_KIB as usize)) }
    }

    /// A permit for a request with lines; none if there are too many.
    pub(super) fn lines(&self) -> Option<OwnedSemaphorePermit> {
        self.lines.clone().try_acquire_owned().ok()
    }

    /// A permit for a file of at most this number of bytes; none if the others are too many.
    pub(super) fn file(&self, max_bytes: u64) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(max_bytes.div_ceil(1024)).unwrap_or(u32::MAX).clamp(MIN_FILE_KIB, MAX_FILE_KIB);
        self.files.clone().try_acquire_many_owned(kib).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_received_at_the_same_time_is_bounded() {
        let permits = IngestPermits::new();
        let held: Vec<_> = (0..MAX_LINE_REQUESTS).map(|_| permits.lines().unwrap()).collect();
        assert!(permits.lines().is_none());
        drop(held);
        assert!(permits.lines().is_some());
        let large = permits.file(u64::MAX).unwrap();
        assert!(permits.file(1).is_none());
        drop(large);
        assert!(permits.file(0).is_some());
    }
}
