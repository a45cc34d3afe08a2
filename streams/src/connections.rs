//! The connections of the appender, one for each batch on its way.
//!
//! They are no part of a pool: a pool asks a connection whether it lives each time that it comes back, and so doubles the
//! round trips of a busy log.

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Error};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A connection that rested for so long is asked whether it still lives, before it gets an append whose outcome would
/// else be unknown.
const PING_AFTER: Duration = Duration::from_millis(10);
/// How long that, and making a new one, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Connections {
    resting: Mutex<Vec<(PgConnection, Instant)>>,
    /// Makes new ones, and tries again while the server is starting.
    maker: PgPool,
}

impl Connections {
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        let maker = PgPoolOptions::new().acquire_timeout(CONNECT_TIMEOUT);
        // What is answered is durable, whatever the server or the role has for a default.
        let maker = maker.after_connect(|connection, _| {
            Box::pin(async move {
                let flush = "select set_config('synchronous_commit', 'on', false)
                             where current_setting('synchronous_commit') = 'off'";
                sqlx::query(flush).execute(connection).await.map(|_| ())
            })
        });
        let maker = maker.connect_lazy_with(options);
        Self { resting: Mutex::default(), maker }
    }

    /// A connection that lived a moment ago.
    pub(crate) async fn take(&self) -> Result<PgConnection, Error> {
        loop {
            let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((mut connection, since)) = resting else { break };
            if since.elapsed() < PING_AFTER {
                return Ok(connection);
            }
            if let Ok(Ok(())) = tokio::time::timeout(CONNECT_TIMEOUT, connection.ping()).await {
                return Ok(connection);
            }
        }
        Ok(self.maker.acquire().await?.detach())
    }

    /// Takes back one that has answered all it was asked. Any other is dropped, which closes it.
    pub(crate) fn give_back(&self, connection: PgConnection) {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
    }
}
