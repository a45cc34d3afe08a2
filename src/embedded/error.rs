//! Errors of the embedded server.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The oldest supported major version of PostgreSQL: it is still maintained, and has all options used here.
pub(super) const OLDEST_MAJOR: u32 = 15;

/// Why the embedded server could not be started or stopped. Each message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No usable PostgreSQL is installed.
    #[error(
        "no PostgreSQL {OLDEST_MAJOR} or newer found. Install it (Debian, Ubuntu: `apt-get install \
         postgresql`; Fedora, RHEL: `dnf install postgresql-server`; macOS: `brew install \
         postgresql`), set APEX_PG_BIN to the directory of its initdb, pg_ctl and postgres, or set \
         APEX_DATABASE_URL to use your own server"
    )]
    NotInstalled,

    /// `APEX_PG_BIN` names a directory without usable programs.
    #[error(
        "APEX_PG_BIN={} does not contain initdb, pg_ctl and postgres of PostgreSQL {OLDEST_MAJOR} or \
         newer that {runner} can run. Correct it, or unset it to use an installed PostgreSQL", dir.display()
    )]
    BinariesUnusable {
        /// The directory.
        dir: PathBuf,
        /// The user that must be able to run them.
        runner: String,
    },

    /// The data directory was created by a major version that is not installed.
    #[error(
        "{} was created by PostgreSQL {required}, but the installed versions are {found}. Install PostgreSQL \
         {required} as well, or set APEX_PG_BIN to the directory of its programs. To use another version, dump the \
         database with {required}, move {} away, start again and restore the dump", data.display(),
        data.display()
    )]
    VersionMismatch {
        /// The data directory.
        data: PathBuf,
        /// The major version in its `PG_VERSION`.
        required: String,
        /// The major versions found.
        found: String,
    },

    /// The home directory cannot be used, or not safely.
    #[error("{} cannot be the home of the embedded database: {problem}", home.display())]
    HomeUnusable {
        /// The home directory.
        home: PathBuf,
        /// The problem, and how to solve it.
        problem: String,
    },

    /// The caller is root, and there is no other user to run the server as.
    #[error(
        "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to \
         run it as. Create one (`useradd --system postgres`), run apex as another user, or set \
         APEX_DATABASE_URL"
    )]
    NoServerUser,

    /// The caller's user id has no name.
    #[error(
        "initdb refuses user id {uid}, because it has no entry in /etc/passwd. Add one, run apex \
         as another user, or set APEX_DATABASE_URL"
    )]
    NoPasswdEntry {
        /// The effective user id.
        uid: u32,
    },

    /// The caller is root, and the server's user cannot enter the data directory.
    #[error(
        "{} cannot be entered by user id {uid}, which runs PostgreSQL for root. Give it `x` \
         permission on that directory and all its parents, or choose another home with APEX_HOME",
        data.display()
    )]
    DataUnreachable {
        /// The data directory.
        data: PathBuf,
        /// The user id of the server.
        uid: u32,
    },

    /// A file in home names a data directory that does not exist.
    #[error(
        "{} names the data directory {}, which does not exist. Restore it, or remove that file to start \
         with an empty database", location.display(), data.display()
    )]
    DataMissing {
        /// The file that names the directory.
        location: PathBuf,
        /// The missing directory.
        data: PathBuf,
    },

    /// The cluster exists, but its password file does not.
    #[error(
        "{}, which has the password of the database in {}, does not exist. Restore the file, or move \
         that directory away to start with an empty database", file.display(), data.display()
    )]
    PasswordMissing {
        /// The password file.
        file: PathBuf,
        /// The data directory.
        data: PathBuf,
    },

    /// The server rejects the password in home.
    #[error(
        "the embedded database rejects the password in {}. Restore that file, or set the \
         password of the role `apex` to its content", file.display()
    )]
    PasswordRejected {
        /// The password file.
        file: PathBuf,
    },

    /// Another process held a lock for too long.
    #[error(
        "another process has held {} for over {} s. If no apex is starting or stopping, find the \
         holder with `fuser {}` and end it", lock.display(), waited.as_secs(), lock.display()
    )]
    Busy {
        /// The lock file.
        lock: PathBuf,
        /// The timeout.
        waited: Duration,
    },

    /// A server process that is not visible to this one, or does not end, is still running.
    #[error(
        "a server has {} open, but no server can be reached. If an apex in another container uses \
         this home, give each its own APEX_HOME, or share a server by APEX_DATABASE_URL. \
         If a server crashed, end its remaining processes: `fuser -k -INT {}`", log.display(),
        log.display()
    )]
    ServerOutOfReach {
        /// The log of the server, which it has locked.
        log: PathBuf,
    },

    /// initdb failed.
    #[error(
        "creating the database cluster {} failed. Correct the error in the log and start again. The end \
         of {}:\n{tail}", data.display(), log.display()
    )]
    InitFailed {
        /// The data directory that was to be created.
        data: PathBuf,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// The server did not start.
    #[error(
        "the embedded PostgreSQL did not start. Correct the error in the log and start again. The end \
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
        "the embedded PostgreSQL did not stop. The next apex will use it; to stop it \
         manually: `pg_ctl stop -m immediate -D {}`. The end of {}:\n{tail}", data.display(),
        log.display()
    )]
    StopFailed {
        /// The data directory.
        data: PathBuf,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// The server runs, but the database cannot be opened.
    #[error("the embedded PostgreSQL started, but the database cannot be opened; see postgres.log in home")]
    Connect(#[source] sqlx::Error),

    /// A program could not be started.
    #[error("cannot run {program}; check that it is installed and executable")]
    Command {
        /// The program.
        program: String,
        /// The error that the operating system returned.
        source: io::Error,
    },

    /// An operation on a file or directory failed.
    #[error("cannot {action} {}; check its permissions and the free space", path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error that the operating system returned.
        source: io::Error,
    },

    /// The async runtime is shutting down.
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
