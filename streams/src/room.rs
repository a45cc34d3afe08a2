//! Who may wait to be appended: so many, and so many bytes.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What bytes are counted in.
const UNIT: usize = 1024;

#[derive(Clone)]
pub(crate) struct Room {
    appends: Arc<Semaphore>,
    units: Arc<Semaphore>,
    all_units: u32,
}

/// The place of one that waits; free again when dropped.
pub(crate) struct Place {
    _append: OwnedSemaphorePermit,
    _units: OwnedSemaphorePermit,
}

impl Room {
    pub(crate) fn new(appends: usize, bytes: usize) -> Self {
        let all_units = u32::try_from(bytes.div_ceil(UNIT).clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { appends: semaphore(appends), units: semaphore(all_units as usize), all_units }
    }

    /// A place, if there is one now.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Place> {
        let append = self.appends.clone().try_acquire_owned().ok()?;
        let units = self.units.clone().try_acquire_many_owned(self.units(bytes)).ok()?;
        Some(Place { _append: append, _units: units })
    }

    /// A place, once there is one.
    pub(crate) async fn take(&self, bytes: usize) -> Option<Place> {
        let append = self.appends.clone().acquire_owned().await.ok()?;
        let units = self.units.clone().acquire_many_owned(self.units(bytes)).await.ok()?;
        Some(Place { _append: append, _units: units })
    }

    /// Whoever is larger than the whole room may wait alone.
    fn units(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.all_units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_room_for_so_many_and_so_many_bytes() {
        let room = Room::new(3, 10 * UNIT);
        let large = room.try_take(9 * UNIT).unwrap();
        let small = room.try_take(1).unwrap();
        assert!(room.try_take(1).is_none(), "the bytes are gone");
        drop(small);
        let others = [room.try_take(0).unwrap(), room.try_take(0).unwrap()];
        assert!(room.try_take(0).is_none(), "three wait");
        drop((large, others));
        let huge = room.take(usize::MAX).await.unwrap();
        assert!(room.try_take(1).is_none());
        drop(huge);
        assert!(room.try_take(10 * UNIT).is_some());
    }
}
