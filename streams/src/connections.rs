//! The appender's connections, one for each batch in flight.
//!
//! They are not pooled: a pool tests each connection that is returned to it, which doubles the round trips of a busy log.

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Error};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Idle time after which a connection is tested before it is used: an append sent on a broken connection would have an
/// unknown outcome.
const PING_AFTER: Duration = Duration::from_millis(10);
/// Timeout of that test, and of opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct AppenderConnections {
    /// Idle connections, and since when each is idle.
    idle: Mutex<Vec<(PgConnection, Instant)>>,
    /// Opens connections, and retries while the server is starting.
    factory: PgPool,
}

impl AppenderConnections {
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        let factory = PgPoolOptions::new().acquire_timeout(CONNECT_TIMEOUT);
        // An acknowledged append is durable, whatever default the server or the role has.
        let factory = factory.after_connect(|connection, _| {
            Box::pin(async move {
                let sync_commit = "select set_config('synchronous_commit', 'on', false)
                                   where current_setting('synchronous_commit') = 'off'";
                sqlx::query(sync_commit).execute(connection).await.map(|_| ())
            })
        });
        let factory = factory.connect_lazy_with(options);
        Self { idle: Mutex::default(), factory }
    }

    /// An idle connection that still works, or a new one.
    pub(crate) async fn acquire(&self) -> Result<PgConnection, Error> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((mut connection, since)) = idle else { break };
            if since.elapsed() < PING_AFTER {
                return Ok(connection);
            }
            if let Ok(Ok(())) = tokio::time::timeout(CONNECT_TIMEOUT, connection.ping()).await {
                return Ok(connection);
            }
        }
        Ok(self.factory.acquire().await?.detach())
    }

    /// Keeps a connection whose statements have all completed. Any other must be dropped, which closes it.
    pub(crate) fn release(&self, connection: PgConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
    }
}
