//! The default database: a private PostgreSQL cluster that Apex creates, starts and stops by itself.
//!
//! Without `APEX_DATABASE_URL`, every subcommand joins the cluster of its home directory. The first
//! to join starts the server, the last to leave stops it, and the data remains for the next one.
//!
//! ```text
//! .apex/               home: owned by the caller, writable by nobody else
//!   control.lock       held exclusively while the server is started or stopped
//!   users.lock         held shared by every member: a process that uses the server
//!   data/              the PostgreSQL data directory (or `data-location`, a file naming it)
//!   password           of the role `apex`, mode 0600
//!   postgres.log       the output of initdb, pg_ctl and the server, mode 0600; the server has it as
//!                      its stdout with a lock on it, held as long as one of its processes lives
//! ```
//!
//! # Races
//! - Both locks are `flock`s, so that the kernel releases them however a process ends.
//! - A member acquires the shared lock only while it holds the control lock. To leave, it acquires
//!   the control lock, releases its shared lock and tries to acquire `users.lock` exclusively. If
//!   that succeeds, there is no other member and none can join, so that it stops the server before
//!   it releases the control lock. A start is therefore before or after a stop, never during one.
//! - `initdb` and `pg_ctl` get the control lock as their stdin. If the process that ran them is
//!   killed, the lock is held until they end: no process finds a half-created or half-stopped server.
//! - `initdb` writes to `data.new`, which is renamed to `data`. A half-created cluster is never
//!   mistaken for a complete one.
//! - A member killed with `kill -9` leaves the server running: the next member adopts it, and stops
//!   it if it is the last. The same holds for `std::process::exit` before [`Embedded::stop`].
//! - A killed server leaves `postmaster.pid`. The file is used only if its process works in this
//!   data directory; a process that was given the same id does not prevent a start.
//! - A start requires the lock on `postgres.log`. So it waits for the remaining processes of a killed
//!   server, and never starts a second server beside one that is invisible, as in another container.
//! - A killed server is restarted on its previous port if that is free, so that members can reconnect.
//!   Every member with a [`Supervisor`] restarts it by itself.
//! - `pg_ctl` starts the server in a session of its own: Ctrl-C in the terminal does not reach it.
//!   Ctrl-C during a start does reach `initdb` and `pg_ctl`, which then clean up.
//!
//! # Root
//! PostgreSQL refuses to run as root, so that it runs as `postgres`, or else `nobody`. If that user cannot
//! enter home (such as below `/root`), the data directory is created in `/var/lib/apex`, which only root
//! can write to, and `data-location` in home names it. Deleting home does not delete that directory.
//!
//! # Deliberately absent
//! - Downloads: PostgreSQL must be installed.
//! - Upgrades of a data directory to another major version.
//! - A unix socket: one way to connect, TCP on 127.0.0.1 with SCRAM, works for every path length
//!   and every user.
//! - Sharing a home between containers, machines or users: each needs its own, or a regular server.
//!   Containers of one machine that try are refused; over a network file system `flock` may not
//!   detect it.

mod binaries;
mod cluster;
mod error;
mod home;
mod server;
mod supervisor;
mod user;

use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use cluster::{Cluster, ROLE_AND_DATABASE};
pub use error::EmbeddedError;
use home::Home;
pub use supervisor::Supervisor;

/// The variable that names the directory of `initdb`, `pg_ctl` and `postgres`, instead of an installed one.
pub const PG_BIN_ENV: &str = "APEX_PG_BIN";

/// The timeout for a server that reports to be ready to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A member of the cluster, whose server runs at least until this is dropped.
///
/// Dropping it does the same as [`stop`](Self::stop), blocks for as long (about 0.2 s for the
/// last member), and logs errors.
pub struct Embedded {
    url: String,
    port: u16,
    member: Member,
}

impl Embedded {
    /// Joins the cluster of `home`. Creates it and starts its server if necessary.
    ///
    /// The programs are those in `APEX_PG_BIN` if it is set, else those of an installed package.
    /// Cancelling this future is safe: the operation is completed, then undone.
    ///
    /// # Errors
    /// An [`EmbeddedError`], which says what to do. After an error, no server is left running for this process.
    pub async fn start(home: &Path) -> Result<Self, EmbeddedError> {
        let pg_bin = std::env::var_os(PG_BIN_ENV).filter(|dir| !dir.is_empty());
        Self::start_with(home, pg_bin.map(PathBuf::from).as_deref()).await
    }

    /// As [`start`](Self::start), with the programs in `pg_bin` (`None`: of an installed package) instead of
    /// `APEX_PG_BIN`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(home: &Path, pg_bin: Option<&Path>) -> Result<Self, EmbeddedError> {
        let (home, pg_bin) = (home.to_owned(), pg_bin.map(Path::to_owned));
        let joined = blocking(move || Member::join(&home, pg_bin.as_deref())).await?;
        let url = format!(
            "postgres://{ROLE_AND_DATABASE}:{}@127.0.0.1:{}/{ROLE_AND_DATABASE}?sslmode=disable",
            joined.password, joined.port
        );
        let embedded = Self { url, port: joined.port, member: joined.member };
        // Without the control lock: the shared lock keeps the server running, and concurrent
        // attempts to create the database have the same result.
        match ensure_database(&embedded.url, &embedded.member.cluster.home).await {
            Ok(()) => Ok(embedded),
            Err(failure) => {
                if let Err(error) = embedded.stop().await {
                    tracing::warn!(%error, "leaving the embedded PostgreSQL failed");
                }
                Err(failure)
            }
        }
    }

    /// Starts a thread that restarts the server when it ends unexpectedly.
    ///
    /// # Errors
    /// If its thread cannot be created.
    pub fn supervise(&self) -> io::Result<Supervisor> {
        Supervisor::start(Arc::clone(&self.member.cluster), self.port)
    }

    /// The connection URL of the database. It holds the password: do not log it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The home directory, as an absolute path, for messages.
    #[must_use]
    pub fn home_dir(&self) -> &Path {
        self.member.cluster.home.path()
    }

    /// The data directory, for messages.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.member.cluster.data
    }

    /// Leaves the cluster. The last member stops the server, which closes all connections.
    ///
    /// # Errors
    /// [`EmbeddedError::StopFailed`] if the server would not stop, [`EmbeddedError::Busy`] if
    /// another process held the control lock for too long. The next member then adopts the server.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        blocking(move || self.member.leave()).await
    }
}

impl fmt::Debug for Embedded {
    /// Without the URL, because of the password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("data_dir", &self.data_dir()).finish_non_exhaustive()
    }
}

/// A shared lock on `users.lock`, and the cluster that it keeps running.
struct Member {
    /// `None` after leaving.
    users: Option<File>,
    cluster: Arc<Cluster>,
}

/// A new member, with what it needs to connect.
struct Joined {
    member: Member,
    port: u16,
    password: String,
}

impl Member {
    fn join(home: &Path, pg_bin: Option<&Path>) -> Result<Joined, EmbeddedError> {
        let home = Home::prepare(home)?;
        let control = home.lock_control()?;
        let users = home.share_users()?;
        let (cluster, password) = Cluster::open_or_create(home, pg_bin, &control)?;
        let member = Self { users: Some(users), cluster: Arc::new(cluster) };
        let started = member.cluster.ensure_running(&control);
        // Before `?`, which drops the member: leaving acquires this lock.
        drop(control);
        let port = started?;
        Ok(Joined { member, port, password })
    }

    fn leave(mut self) -> Result<(), EmbeddedError> {
        self.leave_once()
    }

    fn leave_once(&mut self) -> Result<(), EmbeddedError> {
        let Some(users) = self.users.take() else {
            return Ok(());
        };
        let home = &self.cluster.home;
        let control = home.lock_control()?;
        // Unlocked first, because std does not specify what locking a locked file does. No process can
        // join in between, because that requires the control lock.
        users.unlock().map_err(|e| EmbeddedError::io("unlock", home.users_lock(), e))?;
        match users.try_lock() {
            Ok(()) => self.cluster.stop(&control),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(e)) => Err(EmbeddedError::io("lock", home.users_lock(), e)),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Err(error) = self.leave_once() {
            tracing::warn!(%error, "leaving the embedded PostgreSQL failed");
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EmbeddedError> + Send + 'static,
) -> Result<T, EmbeddedError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| EmbeddedError::Interrupted)?
}

/// Connects once, which checks the password, and creates the database if it does not exist.
async fn ensure_database(url: &str, home: &Home) -> Result<(), EmbeddedError> {
    let options: PgConnectOptions = url.parse().map_err(EmbeddedError::Connect)?;
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    loop {
        let error = match try_database(&options).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let is_transient = match error.as_database_error().map(|e| e.code()) {
            // The password is wrong, or the role does not exist.
            Some(Some(code)) if code == "28P01" || code == "28000" => {
                return Err(EmbeddedError::PasswordRejected { file: home.password_file() });
            }
            // The server is starting, or another process is creating the database.
            Some(Some(code)) => matches!(&*code, "57P03" | "42P04" | "23505" | "55006"),
            Some(None) => false,
            None => matches!(error, sqlx::Error::Io(_)),
        };
        if !is_transient || Instant::now() >= deadline {
            return Err(EmbeddedError::Connect(error));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn try_database(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    match options.connect().await {
        Ok(connection) => connection.close().await,
        // 3D000: the database does not exist.
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("3D000") => {
            let maintenance = options.clone().database("postgres");
            let mut connection = PgConnection::connect_with(&maintenance).await?;
            sqlx::query("CREATE DATABASE apex").execute(&mut connection).await?;
            connection.close().await
        }
        Err(error) => Err(error),
    }
}
