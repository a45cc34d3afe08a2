//! Partitions of the events table: created ahead of the head, and indexed once they are complete.

use crate::error::ReadError;
use metrics::counter;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use std::future::Future;
use std::time::Duration;

/// How many empty partitions are kept ahead of the head.
const PARTITIONS_AHEAD: i32 = 2;
/// How often partitions are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// How much can still be appended before more partitions must be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom {
    /// The number of positions that existing partitions can still hold.
    pub positions: i64,
    /// The number of positions that a partition holds.
    pub partition_size: i64,
}

impl Headroom {
    /// Whether partitions are created too late: there is less than one empty partition, while
    /// [`Log::maintain_partitions`](crate::Log::maintain_partitions) keeps two.
    #[must_use]
    pub fn is_low(self) -> bool {
        self.positions < self.partition_size
    }

    /// Whether appends will soon fail: less than a quarter of a partition is left.
    #[must_use]
    pub fn is_critical(self) -> bool {
        self.positions < (self.partition_size / 4).max(1)
    }
}

pub(crate) async fn headroom(pool: &PgPool) -> Result<Headroom, ReadError> {
    let (positions, partition_size) = sqlx::query_as(
        "select (select coalesce(max(to_position), 1) from apex.partitions) - 1 - (select position from apex.head),
                (select partition_size from apex.settings)",
    )
    .fetch_one(pool)
    .await?;
    Ok(Headroom { positions, partition_size })
}

/// Creates and indexes partitions until `shutdown` completes.
pub(crate) async fn maintain(pool: &PgPool, shutdown: impl Future<Output = ()> + Send) {
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let maintained = tokio::select! {
            () = &mut shutdown => return,
            maintained = maintain_once(pool) => maintained,
        };
        if let Err(error) = maintained {
            counter!("apex_log_partition_errors_total").increment(1);
            tracing::error!(error = &error as &dyn std::error::Error, "partitions cannot be created or indexed");
        }
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
        }
    }
}

/// Creates partitions first, then indexes complete ones, each in its own transaction.
async fn maintain_once(pool: &PgPool) -> Result<(), sqlx::Error> {
    let ensure = AssertSqlSafe("select apex.ensure_partitions($1)");
    let created: i32 = sqlx::query_scalar(ensure).bind(PARTITIONS_AHEAD).fetch_one(pool).await?;
    if created > 0 {
        tracing::info!(created, "partitions were created ahead of the head");
    }
    let index = "select apex.index_sealed_partition()";
    while let Some(name) = sqlx::query_scalar::<_, Option<String>>(index).fetch_one(pool).await? {
        tracing::info!(name, "a complete partition was indexed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headroom(positions: i64) -> Headroom {
        Headroom { positions, partition_size: 1000 }
    }

    #[test]
    fn headroom_is_low_below_one_partition_and_critical_below_a_quarter() {
        assert!(!headroom(1000).is_low());
        assert!(headroom(999).is_low());
        assert!(!headroom(250).is_critical());
        assert!(headroom(249).is_critical());
    }

    #[test]
    fn headroom_is_critical_when_the_smallest_partition_is_full() {
        assert!(Headroom { positions: 0, partition_size: 1 }.is_critical());
    }
}
