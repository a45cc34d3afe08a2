//! The default database: a private PostgreSQL cluster that Apex makes, starts and stops by itself.
//!
//! Without `APEX_DATABASE_URL` every subcommand joins the cluster of its home folder. The first
//! to join starts the server, the last to leave stops it, and the data stays for the next one.
//!
//! ```text
//! .apex/               home: owned by the caller, writable by nobody else
//!   control.lock       held exclusively while somebody starts or stops the server
//!   users.lock         held shared by every user of the server, for as long as it uses it
//!   data/              the PostgreSQL data folder (or `data-location`, a file naming it)
//!   password           of the role `apex`, mode 0600
//!   postgres.log       what initdb, pg_ctl and the server say, mode 0600; the server has it as
//!                      its stdout with a lock on it, held as long as one of its processes lives
//! ```
//!
//! # Why the races are harmless
//! - Both locks are `flock`s, so the kernel releases them however a process ends.
//! - A user takes the shared lock only while it holds the control lock. A leaver, too, takes the
//!   control lock, lets go of its share and tries for all of `users.lock`: if it gets it, nobody
//!   uses the server and nobody can begin to, so it stops the server before it releases control.
//!   Starting while another stops is therefore starting before or after, never between.
//! - `initdb` and `pg_ctl` get the control lock as their stdin. When the process that ran them is
//!   killed, the lock lives until they end, so nobody acts on a half-made or half-stopped server.
//! - `initdb` writes to `data.new`, which becomes `data` by a rename. A half-made cluster is never
//!   mistaken for a whole one.
//! - A user killed with `kill -9` leaves the server running: the next user adopts it, and stops
//!   it when it is the last. The same holds for `std::process::exit` before [`Embedded::stop`].
//! - A server that was killed leaves `postmaster.pid`. The file counts only if its process works
//!   in this data folder; a process that merely got the same id does not hinder a start.
//! - A start first needs the lock on `postgres.log`. So it waits for the orphans of a killed
//!   server, and never puts a second server beside one that it cannot see, as in another container.
//! - A killed server is restarted on its old port if that is free: living users can reconnect. Whoever has a
//!   [`Supervisor`] restarts it by itself.
//! - `pg_ctl` starts the server in a session of its own: Ctrl-C in the terminal does not reach it.
//!   Ctrl-C during a start does reach `initdb` and `pg_ctl`, which then undo what they began.
//!
//! # Root
//! PostgreSQL refuses to run as root, so it runs as `postgres`, else `nobody`. If that user cannot
//! enter home (say, below `/root`), the data folder is made in `/var/lib/apex`, which only root
//! can write, and `data-location` in home names it. Deleting home then leaves that folder behind.
//!
//! # Deliberately absent
//! - Downloads: PostgreSQL has to be installed. So are upgrades of a data folder to a new major
//!   version.
//! - A unix socket: one way to connect, TCP on 127.0.0.1 with SCRAM, works for every path length
//!   and every user.
//! - Sharing a home between containers, machines or users: each needs its own, or a real server.
//!   Containers of one machine that try are refused; over a network file system `flock` may not
//!   notice.

mod binaries;
mod cluster;
mod error;
mod home;
mod server;
mod supervisor;
mod user;

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use cluster::Cluster;
pub use error::EmbeddedError;
use home::Home;
pub use supervisor::Supervisor;

/// Names the folder with `initdb`, `pg_ctl` and `postgres`, instead of looking for one.
pub const PG_BIN_ENV: &str = "APEX_PG_BIN";

/// The role and the database that Apex uses. The role is the private cluster's superuser.
const ROLE_AND_DATABASE: &str = "apex";

/// How long a server that reports itself ready may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// One user of the embedded server, which runs at least as long as this lives.
///
/// Dropping it does what [`stop`](Self::stop) does, blocks for as long (about 0.2 s, if this is
/// the last user), and logs what fails.
pub struct Embedded {
    url: String,
    port: u16,
    member: Member,
}

impl Embedded {
    /// Joins the cluster of `home`; makes it and starts its server where that is not done yet.
    ///
    /// The binaries come from `APEX_PG_BIN` if it is set, else from the usual places.
    /// Cancelling this future is safe: what it began is finished, then undone.
    ///
    /// # Errors
    /// Each [`EmbeddedError`] says what to do about it. No error leaves a server running for it.
    pub async fn start(home: &Path) -> Result<Self, EmbeddedError> {
        let pg_bin = std::env::var_os(PG_BIN_ENV).filter(|dir| !dir.is_empty());
        Self::start_with(home, pg_bin.map(PathBuf::from).as_deref()).await
    }

    /// As [`start`](Self::start), with the binaries in `pg_bin` (`None`: look for them) whatever
    /// the environment says.
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
        // Not under the control lock: the shared lock already keeps the server up, and two
        // processes that create the database at once agree on the outcome.
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

    /// The connection URL of the database. It holds the password: do not log it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the server keeps its data, for telling the user.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.member.cluster.data
    }

    /// Leaves the cluster. The last user stops the server, which ends all open connections.
    ///
    /// # Errors
    /// [`EmbeddedError::StopFailed`] if the server would not stop, [`EmbeddedError::Busy`] if
    /// another process kept the control lock too long. The next user adopts the server then.
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

/// A share of `users.lock` and the cluster that it keeps running.
struct Member {
    /// `None` once it has left.
    users: Option<File>,
    cluster: Arc<Cluster>,
}

/// What a new member needs to know to connect.
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
        // Before `?`, which drops the member, which leaves, which takes this lock.
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
        // Unlocked first, as std leaves open what locking a locked file does. Nobody can come
        // between, because that takes the control lock.
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

/// Connects once, which proves the password, and creates the database if it is missing.
async fn ensure_database(url: &str, home: &Home) -> Result<(), EmbeddedError> {
    let options: PgConnectOptions = url.parse().map_err(EmbeddedError::Connect)?;
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    loop {
        let error = match try_database(&options).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let passing = match error.as_database_error().map(|e| e.code()) {
            // The password is wrong, or the role is gone.
            Some(Some(code)) if code == "28P01" || code == "28000" => {
                return Err(EmbeddedError::PasswordRejected { file: home.password_file() });
            }
            // The server is not there yet, or another process is creating the database.
            Some(Some(code)) => matches!(&*code, "57P03" | "42P04" | "23505" | "55006"),
            Some(None) => false,
            None => matches!(error, sqlx::Error::Io(_)),
        };
        if !passing || Instant::now() >= deadline {
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
