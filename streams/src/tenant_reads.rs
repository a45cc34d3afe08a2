//! Connections for reads on behalf of a tenant, as row-level security wants them.
//!
//! They work as the role `apex_reader`, which sees the rows of one tenant: the one that a setting of the session names. The
//! setting is made before every use of a connection, so that no use sees the tenant of the one before, however that ended:
//! there is nothing to reset. Where all connections are in use, tenants wait in turns, so that none of them is kept waiting by
//! the many reads of another. Deliberately absent: access to the pool, by which a statement could run on a connection
//! whose tenant was not set for it.

use crate::turns::{Turn, Turns};
use domain::TenantId;
use domain::permissions::Access;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, Postgres};
use sqlx::{Error, Transaction};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// The role of the connections. What it may read is in `migrations/0010_row_level_security.sql`.
const ROLE: &str = "apex_reader";

/// Sets the tenant of the session, or of the transaction.
const SET_TENANT: &str = "select set_config('apex.tenant', $1, $2)";

/// A pool of connections that read the rows of one tenant each; cheap to clone.
#[derive(Clone)]
pub struct TenantReads {
    /// Its connections have no tenant, or that of an earlier use, until one is set.
    pool: PgPool,
    /// As many places as there are connections.
    turns: Turns<TenantId>,
}

impl TenantReads {
    /// Up to `max_connections` connections to the database of another pool, with its settings. They are opened when they are
    /// needed.
    #[must_use]
    pub fn beside(pool: &PgPool, max_connections: u32) -> Self {
        let connect_options = (*pool.connect_options()).clone().options([("role", ROLE)]);
        // Setting the tenant tests a connection too.
        let options = pool.options().clone().test_before_acquire(false);
        let max_connections = max_connections.max(1);
        let options = options.min_connections(0).max_connections(max_connections);
        let turns = Turns::new(usize::try_from(max_connections).unwrap_or(usize::MAX));
        Self { pool: options.connect_lazy_with(connect_options), turns }
    }

    /// A connection that sees the rows of the tenant of the access, and no others.
    ///
    /// Costs one round trip, the one that another pool takes to test a connection.
    ///
    /// # Errors
    /// The driver's error if there is no connection in time.
    pub async fn acquire<A>(&self, access: &Access<A>) -> Result<TenantConnection, Error> {
        self.acquire_for(access.tenant()).await
    }

    /// As [`TenantReads::acquire`], for a tenant that was taken from an access.
    pub(crate) async fn acquire_for(&self, tenant: &TenantId) -> Result<TenantConnection, Error> {
        self.within_timeout(async {
            let turn = self.turns.take(|| tenant.clone()).await;
            let mut attempts = self.pool.options().get_max_connections();
            loop {
                let mut connection = self.pool.acquire().await?;
                match set_tenant(&mut connection, tenant, false).await {
                    Ok(()) => return Ok(TenantConnection { connection, _turn: turn }),
                    // After a restart of the server every idle connection is broken.
                    Err(error) if attempts > 0 && is_broken(&error) => attempts -= 1,
                    Err(error) => return Err(error),
                }
                connection.close_on_drop();
            }
        })
        .await
    }

    /// Begins a read-only transaction that sees the rows of the tenant of the access, and no others, all in one snapshot.
    ///
    /// It begins in a task of its own: if the caller is dropped meanwhile, the transaction is rolled back before the connection
    /// is used again.
    ///
    /// # Errors
    /// The driver's error if there is no connection in time.
    pub async fn begin_snapshot<A>(&self, access: &Access<A>) -> Result<TenantTransaction, Error> {
        let (reads, tenant) = (self.clone(), access.tenant().clone());
        let begun = tokio::spawn(async move { reads.within_timeout(reads.begin_for(&tenant)).await });
        begun.await.unwrap_or(Err(Error::WorkerCrashed))
    }

    async fn begin_for(&self, tenant: &TenantId) -> Result<TenantTransaction, Error> {
        const BEGIN: &str = "begin isolation level repeatable read read only";
        let turn = self.turns.take(|| tenant.clone()).await;
        let mut attempts = self.pool.options().get_max_connections();
        loop {
            let begun = async {
                let mut transaction = self.pool.begin_with(BEGIN).await?;
                set_tenant(&mut transaction, tenant, true).await?;
                Ok(transaction)
            };
            match begun.await {
                Err(error) if attempts > 0 && is_broken(&error) => attempts -= 1,
                begun => return begun.map(|transaction| TenantTransaction { transaction, turn }),
            }
        }
    }

    /// The timeout of the pool, which has none of its own for setting the tenant.
    async fn within_timeout<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let timeout = self.pool.options().get_acquire_timeout();
        tokio::time::timeout(timeout, work).await.unwrap_or(Err(Error::PoolTimedOut))
    }

    /// Closes the connections, and waits for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A connection that sees the rows of one tenant.
pub struct TenantConnection {
    /// Dropped first, so that a connection is there for the next in turn.
    connection: PoolConnection<Postgres>,
    _turn: Turn<TenantId>,
}

/// A read-only transaction that sees the rows of one tenant. It is rolled back when it is dropped.
pub struct TenantTransaction {
    /// Dropped first, as that of a connection.
    transaction: Transaction<'static, Postgres>,
    turn: Turn<TenantId>,
}

impl TenantTransaction {
    /// Ends the transaction, even if the caller is dropped meanwhile.
    ///
    /// # Errors
    /// The driver's error.
    pub async fn commit(self) -> Result<(), Error> {
        let Self { transaction, turn } = self;
        let committing = async move {
            let committed = transaction.commit().await;
            drop(turn);
            committed
        };
        tokio::spawn(committing).await.unwrap_or(Err(Error::WorkerCrashed))
    }
}

impl fmt::Debug for TenantTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantTransaction").finish_non_exhaustive()
    }
}

impl Deref for TenantTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.transaction
    }
}

impl DerefMut for TenantTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

impl Deref for TenantConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for TenantConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

async fn set_tenant(connection: &mut PgConnection, tenant: &TenantId, in_transaction: bool) -> Result<(), Error> {
    sqlx::query(SET_TENANT).bind(tenant.as_str()).bind(in_transaction).execute(connection).await?;
    Ok(())
}

/// Whether the connection was lost, so that another one may work: SQLSTATE classes 08 and 57, and errors of the socket.
fn is_broken(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(error, Error::Io(_)) || code.is_some_and(|code| code.starts_with("08") || code.starts_with("57"))
}
