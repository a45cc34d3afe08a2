//! Beginning and committing transactions on behalf of callers who may go away at any moment.
//!
//! A worker is told to stop, or a client hangs up, and the future that is at work is dropped. Between a `begin` and its
//! answer that would leave the connection in a transaction which the pool does not know of; between a `commit` and its
//! answer it would be followed by the rollback of a transaction that is over ("there is no transaction in progress").
//! So both run in tasks of their own, to their end.

use sqlx::postgres::PgPool;
use sqlx::{Error, Postgres, Transaction};

/// Begins a transaction. Where the caller is gone by then, it is rolled back.
pub(crate) async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, Error> {
    let pool = pool.clone();
    tokio::spawn(async move { pool.begin().await }).await.unwrap_or(Err(Error::WorkerCrashed))
}

/// Commits a transaction, whether or not the caller is still there when it is done.
pub(crate) async fn commit(transaction: Transaction<'static, Postgres>) -> Result<(), Error> {
    tokio::spawn(transaction.commit()).await.unwrap_or(Err(Error::WorkerCrashed))
}
