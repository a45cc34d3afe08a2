//! Why the embedded server is not there, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::binaries::OLDEST_MAJOR;

/// Why the embedded server could not be started or stopped. Each text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No usable PostgreSQL is installed.
    #[error(
        "no PostgreSQL {OLDEST_MAJOR} or newer found. Install it (Debian, Ubuntu: `apt-get install \
         postgresql`; Fedora, RHEL: `dnf install postgresql-server`; macOS: `brew install \
         postgresql`), name the folder of its initdb, pg_ctl and postgres in APEX_PG_BIN, or set \
         APEX_DATABASE_URL to use a server of your own"
    )]
    NotInstalled,

    /// `APEX_PG_BIN` names a folder that does not serve.
    #[error(
        "APEX_PG_BIN={} does not hold initdb, pg_ctl and postgres of PostgreSQL {OLDEST_MAJOR} or \
         newer that {runner} can run. Correct it, or unset it to have an installed PostgreSQL \
         looked for", dir.display()
    )]
    BinariesUnusable {
        /// The folder named.
        dir: PathBuf,
        /// The user that would run them.
        runner: String,
    },

    /// The data folder was made by a major version that is not installed.
    #[error(
        "{} was made by PostgreSQL {needs}, but here is {found}. Install PostgreSQL {needs} beside \
         it, or name its folder of binaries in APEX_PG_BIN. To move to another version, dump the \
         database with {needs}, move {} away, start again and restore", data.display(),
        data.display()
    )]
    VersionMismatch {
        /// The data folder.
        data: PathBuf,
        /// The major version in its `PG_VERSION`.
        needs: String,
        /// The major versions found.
        found: String,
    },

    /// The home folder is not safe, or not possible, to use.
    #[error("{} cannot be the home of the embedded database: {problem}", home.display())]
    HomeUnusable {
        /// The home folder.
        home: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },

    /// Run as root, and there is no user to run the server as.
    #[error(
        "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to \
         run it as. Create one (`useradd --system postgres`), run apex as another user, or set \
         APEX_DATABASE_URL"
    )]
    NoServerUser,

    /// The user id that runs this has no name.
    #[error(
        "initdb refuses user id {uid}, because it has no entry in /etc/passwd. Add one, run apex \
         as another user, or set APEX_DATABASE_URL"
    )]
    NoPasswdEntry {
        /// The effective user id.
        uid: u32,
    },

    /// Run as root, and the server's user cannot reach the data folder.
    #[error(
        "{} cannot be entered by user id {uid}, which runs PostgreSQL for root. Give it `x` \
         permission on that folder and all above it, or choose another home with APEX_HOME",
        data.display()
    )]
    DataUnreachable {
        /// The data folder.
        data: PathBuf,
        /// Who cannot enter it.
        uid: u32,
    },

    /// Home names a data folder that is not there.
    #[error(
        "{} names the data folder {}, which is not there. Restore it, or remove that file to begin \
         with an empty database", location.display(), data.display()
    )]
    DataMissing {
        /// The file that names it.
        location: PathBuf,
        /// The folder named.
        data: PathBuf,
    },

    /// There is a cluster, but its password is lost.
    #[error(
        "{} is missing, and the database in {} opens to nothing else. Restore the file, or move \
         that folder away to begin with an empty database", file.display(), data.display()
    )]
    PasswordMissing {
        /// The password file.
        file: PathBuf,
        /// The data folder.
        data: PathBuf,
    },

    /// The cluster does not accept the password in home.
    #[error(
        "the embedded database does not accept the password in {}. Restore that file, or set the \
         password of the role `apex` to what it holds", file.display()
    )]
    PasswordRejected {
        /// The password file.
        file: PathBuf,
    },

    /// Another process held a lock too long.
    #[error(
        "another process has held {} for over {} s. If no apex is starting or stopping, find the \
         holder with `fuser {}` and end it", lock.display(), waited.as_secs(), lock.display()
    )]
    Busy {
        /// The lock file.
        lock: PathBuf,
        /// How long this waited.
        waited: Duration,
    },

    /// A server process is alive that cannot be seen from here, or that does not end.
    #[error(
        "a server still writes to {}, but none can be reached. If an apex in another container uses \
         this home, give each its own APEX_HOME, or let them share a server by APEX_DATABASE_URL. \
         If a server crashed, end what is left of it: `fuser -k -INT {}`", log.display(),
        log.display()
    )]
    ServerOutOfReach {
        /// The server's log, which it has locked.
        log: PathBuf,
    },

    /// initdb failed.
    #[error(
        "making the database cluster {} failed. Correct what the log says and start again. The end \
         of {}:\n{tail}", data.display(), log.display()
    )]
    InitFailed {
        /// The data folder to be.
        data: PathBuf,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// The server did not start.
    #[error(
        "the embedded PostgreSQL did not start. Correct what the log says and start again. The end \
         of {}:\n{tail}", log.display()
    )]
    StartFailed {
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// The server did not stop.
    #[error(
        "the embedded PostgreSQL did not stop. The next apex will use it as it is; to stop it by \
         hand: `pg_ctl stop -m immediate -D {}`. The end of {}:\n{tail}", data.display(),
        log.display()
    )]
    StopFailed {
        /// The data folder.
        data: PathBuf,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// The server runs, but cannot be used.
    #[error("the embedded PostgreSQL started but cannot be used; postgres.log in home may say why")]
    Connect(#[source] sqlx::Error),

    /// A program could not be run at all.
    #[error("cannot run {program}; check that it is installed and may be run")]
    Command {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },

    /// A file or folder could not be used.
    #[error("cannot {action} {}; check its permissions and the free space", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },

    /// The runtime is shutting down.
    #[error("interrupted while starting or stopping the embedded PostgreSQL; run it again")]
    Interrupted,
}

impl EmbeddedError {
    pub(super) fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    pub(super) fn command(program: impl AsRef<Path>, source: io::Error) -> Self {
        Self::Command { program: program.as_ref().display().to_string(), source }
    }
}
