//! Backpressure of the append queue: a bounded number of appends and of bytes.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes per permit: a semaphore cannot hold a permit for each byte.
const BYTES_PER_PERMIT: usize = 1024;

/// The capacity of the append queue.
#[derive(Clone)]
pub(crate) struct QueueCapacity {
    appends: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    all_byte_permits: u32,
}

/// Capacity held by one queued append; released when dropped.
pub(crate) struct QueuePermit {
    _append: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl QueueCapacity {
    pub(crate) fn new(appends: usize, bytes: usize) -> Self {
        let permits = bytes.div_ceil(BYTES_PER_PERMIT).clamp(1, Semaphore::MAX_PERMITS);
        let all_byte_permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { appends: semaphore(appends), bytes: semaphore(all_byte_permits as usize), all_byte_permits }
    }

    /// A permit for an append of a size, or none when the queue is full. An append that is larger than the whole capacity
    /// is admitted to an empty queue.
    pub(crate) fn try_acquire(&self, bytes: usize) -> Option<QueuePermit> {
        let append = self.appends.clone().try_acquire_owned().ok()?;
        let permits = u32::try_from(bytes.div_ceil(BYTES_PER_PERMIT)).unwrap_or(u32::MAX).min(self.all_byte_permits);
        let bytes = self.bytes.clone().try_acquire_many_owned(permits).ok()?;
        Some(QueuePermit { _append: append, _bytes: bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    #[test]
    fn a_full_queue_refuses_by_bytes() {
        let capacity = QueueCapacity::new(3, 10 * KIB);
        let _large = capacity.try_acquire(9 * KIB).unwrap();
        let small = capacity.try_acquire(1).unwrap();
        assert!(capacity.try_acquire(1).is_none());
        drop(small);
        assert!(capacity.try_acquire(1).is_some(), "a dropped permit is available again");
    }

    #[test]
    fn a_full_queue_refuses_by_number_of_appends() {
        let capacity = QueueCapacity::new(3, 10 * KIB);
        let permits = [(); 3].map(|()| capacity.try_acquire(0).unwrap());
        assert!(capacity.try_acquire(0).is_none());
        drop(permits);
        assert!(capacity.try_acquire(10 * KIB).is_some(), "a refused append holds no capacity");
    }

    #[test]
    fn an_append_larger_than_the_capacity_is_admitted_alone() {
        let capacity = QueueCapacity::new(3, 10 * KIB);
        let small = capacity.try_acquire(1).unwrap();
        assert!(capacity.try_acquire(usize::MAX).is_none());
        drop(small);
        let _huge = capacity.try_acquire(usize::MAX).unwrap();
        assert!(capacity.try_acquire(1).is_none());
    }
}
