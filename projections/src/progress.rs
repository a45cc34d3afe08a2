//! How far a version of a read model has come: the position of each of its shards.

use crate::projection::{ApplyError, Sharding};
use sqlx::postgres::PgConnection;
use std::collections::HashMap;
use streams::{Position, RecordedEvent};
use uuid::Uuid;

/// Which events a version of a read model has applied or parked, whatever version of the code applied them.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The version of the code that the tables belong to; none before there is a checkpoint.
    pub(crate) version: Option<i32>,
    sharding: Sharding,
    shards: HashMap<u16, Position>,
}

/// A row of the checkpoints: name, position, version, sharding key.
type CheckpointRow = (String, i64, Option<i32>, Option<String>);

impl Progress {
    /// Loads the progress of a version within a transaction.
    ///
    /// # Errors
    /// [`ApplyError::Row`] if the checkpoints belong to different shardings, so that they cannot be interpreted.
    pub(crate) async fn load(connection: &mut PgConnection, follower: &str) -> Result<Self, ApplyError> {
        let rows: Vec<CheckpointRow> =
            sqlx::query_as("select name, position, version, partitioned_by from apex.checkpoints where follower = $1")
                .bind(follower)
                .fetch_all(&mut *connection)
                .await?;
        Self::from_rows(follower, &rows)
    }

    fn from_rows(follower: &str, rows: &[CheckpointRow]) -> Result<Self, ApplyError> {
        let key = rows.first().and_then(|row| row.3.as_deref());
        let count = u16::try_from(rows.len()).unwrap_or(u16::MAX);
        let sharding = Sharding::from_key(key, count);
        let mut shards = HashMap::new();
        for number in (0..count).filter(|_| rows.iter().all(|row| row.3.as_deref() == key)) {
            let name = sharding.checkpoint(follower, number);
            shards.extend(rows.iter().find(|row| row.0 == name).map(|row| (number, Position::from_i64(row.1))));
        }
        if shards.len() != rows.len() {
            let names: Vec<_> = rows.iter().map(|row| row.0.as_str()).collect();
            return Err(ApplyError::Row(format!("checkpoints of different shardings: {}", names.join(", "))));
        }
        let version = rows.iter().filter_map(|row| row.2).max();
        Ok(Self { version, sharding, shards })
    }

    /// Whether an event was applied or parked.
    pub(crate) fn has(&self, event: &RecordedEvent) -> bool {
        self.has_at(event.stream.tenant.as_str(), event.stream.id, event.position)
    }

    fn has_at(&self, tenant: &str, stream: Uuid, position: Position) -> bool {
        let shard = self.sharding.shard_of(tenant, stream);
        self.shards.get(&shard).is_some_and(|checkpoint| position <= *checkpoint)
    }

    /// The position up to which every event was applied or parked.
    pub(crate) fn low_watermark(&self) -> Position {
        self.shards.values().min().copied().unwrap_or(Position::ZERO)
    }

    /// The position after which no event was applied or parked.
    pub(crate) fn high_watermark(&self) -> Position {
        self.shards.values().max().copied().unwrap_or(Position::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(name: &str, position: i64, key: Option<&str>) -> CheckpointRow {
        (name.to_owned(), position, Some(3), key.map(str::to_owned))
    }

    fn two_shards() -> [CheckpointRow; 2] {
        [checkpoint("calls/0", 40, Some("stream")), checkpoint("calls/1", 60, Some("stream"))]
    }

    /// A stream of a shard of two, by its last 64 bits.
    const OF_SHARD: [Uuid; 2] = [Uuid::from_u128(2), Uuid::from_u128(3)];

    #[test]
    fn nothing_is_applied_before_there_is_a_checkpoint() {
        let progress = Progress::from_rows("calls", &[]).unwrap();
        assert_eq!((progress.low_watermark(), progress.high_watermark()), (Position::ZERO, Position::ZERO));
        assert_eq!(progress.version, None);
        assert!(!progress.has_at("default", OF_SHARD[0], Position::from(1)));
    }

    #[test]
    fn shards_at_different_positions_have_a_low_and_a_high_watermark() {
        let progress = Progress::from_rows("calls", &two_shards()).unwrap();
        assert_eq!((progress.low_watermark().get(), progress.high_watermark().get()), (40, 60));
        assert_eq!(progress.version, Some(3));
        let has = |stream, position: u64| progress.has_at("default", stream, Position::from(position));
        assert_eq!([has(OF_SHARD[0], 40), has(OF_SHARD[0], 41)], [true, false]);
        assert_eq!([has(OF_SHARD[1], 60), has(OF_SHARD[1], 61)], [true, false]);
    }

    #[test]
    fn checkpoints_of_different_shardings_are_refused() {
        for rows in [
            vec![checkpoint("calls", 40, None), checkpoint("calls/1", 60, Some("stream"))],
            vec![checkpoint("calls/0", 40, Some("stream")), checkpoint("calls/2", 60, Some("stream"))],
            vec![checkpoint("calls/0", 40, Some("stream")), checkpoint("calls/1", 60, Some("tenant"))],
        ] {
            let error = Progress::from_rows("calls", &rows).unwrap_err();
            assert!(error.to_string().contains("different shardings"), "{error}");
        }
    }
}
