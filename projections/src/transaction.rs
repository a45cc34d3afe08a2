//! Transactions that survive the cancellation of the caller, and their session settings.
//!
//! When a worker is told to stop or a client disconnects, the future that is running is dropped. Dropped between
//! `begin` and its answer, it would return a connection to the pool that is in a transaction; dropped between `commit`
//! and its answer, it would roll back a transaction that has ended ("there is no transaction in progress"). So both run
//! to completion in tasks of their own.

use crate::target::{Slot, Target};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Error, Postgres, Transaction};
use std::time::Duration;

/// The default idle timeout of a transaction that holds a checkpoint.
pub(crate) const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Begins a transaction. If the caller is dropped meanwhile, the transaction is rolled back.
///
/// # Errors
/// The driver's error if there is no connection.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, Error> {
    let pool = pool.clone();
    tokio::spawn(async move { pool.begin().await }).await.unwrap_or(Err(Error::WorkerCrashed))
}

/// Commits a transaction, even if the caller is dropped meanwhile.
///
/// # Errors
/// The driver's error. Whether the transaction was committed is unknown if the connection broke.
pub async fn commit(transaction: Transaction<'static, Postgres>) -> Result<(), Error> {
    tokio::spawn(transaction.commit()).await.unwrap_or(Err(Error::WorkerCrashed))
}

/// Begins a transaction that applies events to a version, with asynchronous commit.
pub(crate) async fn begin_apply(
    pool: &PgPool,
    target: &Target,
    idle_timeout: Option<Duration>,
) -> Result<Transaction<'static, Postgres>, Error> {
    let mut transaction = begin(pool).await?;
    set_search_path(&mut transaction, target.slot, idle_timeout).await?;
    use_async_commit(&mut transaction).await?;
    Ok(transaction)
}

/// Makes unqualified table names in the transaction refer to the tables in a slot, and sets the time after which the
/// server ends the session if the transaction is idle; never if none is given.
pub(crate) async fn set_search_path(
    connection: &mut PgConnection,
    slot: Slot,
    idle_timeout: Option<Duration>,
) -> Result<(), Error> {
    sqlx::query(
        "select set_config('search_path', $1, true), set_config('idle_in_transaction_session_timeout', $2, true)",
    )
    .bind(slot.schema())
    .bind(idle_timeout.unwrap_or(Duration::ZERO).as_millis().to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Commits the transaction without waiting for its WAL to be flushed: a crash of the server may lose it, tables and
/// checkpoint together, and it is then applied again from the log. Use it only for what can be
/// rebuilt from the log, not for a decision about a parked event or a switch of versions.
pub(crate) async fn use_async_commit(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("set local synchronous_commit = off").execute(connection).await?;
    Ok(())
}
