//! Partitions: made ahead of need, and indexed once nothing is written to them any more.

use crate::ReadError;
use metrics::counter;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use std::future::Future;
use std::time::Duration;

/// Empty partitions kept before the head.
const PARTITIONS_AHEAD: i32 = 2;
/// How often to look.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// How much room there is before the log, until more partitions are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom {
    /// Positions that can still be appended.
    pub positions: i64,
    /// Positions of a partition.
    pub partition_size: i64,
}

impl Headroom {
    /// Whether partitions are made too late: [`Log::maintain_partitions`](crate::Log::maintain_partitions) keeps two empty ones,
    /// and there is not one.
    #[must_use]
    pub fn is_low(self) -> bool {
        self.positions < self.partition_size
    }

    /// Whether appends are about to fail: less than a quarter of a partition is left.
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

/// Keeps partitions until told to stop.
pub(crate) async fn keep(pool: &PgPool, shutdown: impl Future<Output = ()> + Send) {
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let kept = tokio::select! {
            () = &mut shutdown => return,
            kept = keep_once(pool) => kept,
        };
        if let Err(error) = kept {
            counter!("apex_log_partition_errors_total").increment(1);
            tracing::error!(error = &error as &dyn std::error::Error, "partitions cannot be made or indexed");
        }
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
}

/// First room, then indexes: each in a transaction of its own.
async fn keep_once(pool: &PgPool) -> Result<(), sqlx::Error> {
    let ensure = AssertSqlSafe("select apex.ensure_partitions($1)");
    let made: i32 = sqlx::query_scalar(ensure).bind(PARTITIONS_AHEAD).fetch_one(pool).await?;
    if made > 0 {
        tracing::info!(made, "partitions made ahead of need");
    }
    let index = "select apex.index_sealed_partition()";
    while let Some(name) = sqlx::query_scalar::<_, Option<String>>(index).fetch_one(pool).await? {
        tracing::info!(name, "a complete partition is indexed");
    }
    Ok(())
}
