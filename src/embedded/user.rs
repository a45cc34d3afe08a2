//! The user that runs PostgreSQL: the caller, or for root an unprivileged user.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::EmbeddedError;

/// The users that root runs PostgreSQL as, in order of preference.
const USERS_FOR_ROOT: [&str; 2] = ["postgres", "nobody"];

/// The operating-system user that runs `initdb`, `pg_ctl` and the PostgreSQL server.
#[derive(Debug)]
pub(super) enum ServerUser {
    /// The caller, which is not root.
    Caller { uid: u32 },
    /// The user that root drops to.
    Dropped { uid: u32, gid: u32 },
}

impl ServerUser {
    /// Chooses the user. For root, it is the owner of an existing data directory.
    pub(super) fn choose(data: Option<&Path>) -> Result<Self, EmbeddedError> {
        let uid = effective_uid()?;
        if uid != 0 {
            return Ok(Self::Caller { uid });
        }
        if let Some(data) = data {
            let owner = fs::metadata(data).map_err(|e| EmbeddedError::io("read", data, e))?;
            return Ok(Self::Dropped { uid: owner.uid(), gid: owner.gid() });
        }
        for name in USERS_FOR_ROOT {
            if let (Some(uid), Some(gid)) = (id(&["-u", name])?, id(&["-g", name])?) {
                return Ok(Self::Dropped { uid, gid });
            }
        }
        Err(EmbeddedError::NoServerUser)
    }

    /// The user and group that must own the files of the server; `None` if that is the caller.
    pub(super) fn new_owner(&self) -> Option<(u32, u32)> {
        match *self {
            Self::Caller { .. } => None,
            Self::Dropped { uid, gid } => Some((uid, gid)),
        }
    }

    pub(super) fn uid(&self) -> u32 {
        match *self {
            Self::Caller { uid } | Self::Dropped { uid, .. } => uid,
        }
    }

    /// A command run as this user.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        // PostgreSQL's programs read the working directory, and the user may not be able to enter the caller's.
        command.current_dir("/").env("LC_ALL", "C");
        // PGDATA, PGPORT, PGOPTIONS and others refer to another server.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        if let Some((uid, gid)) = self.new_owner() {
            // As root, std clears the supplementary groups too.
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Whether this user can enter `dir`. Tried out rather than computed from the mode bits, because there may be
    /// access control lists.
    pub(super) fn can_enter(&self, dir: &Path) -> Result<bool, EmbeddedError> {
        let status = self
            .command("sh")
            .args(["-c", r#"cd -- "$0""#])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        Ok(status.map_err(|e| EmbeddedError::command("sh", e))?.success())
    }

    /// Checks that the user has a name, which initdb requires.
    pub(super) fn check_has_name(&self) -> Result<(), EmbeddedError> {
        let uid = self.uid();
        let named = self.command("id").arg("-un").stdin(Stdio::null()).output();
        match named.map_err(|e| EmbeddedError::command("id", e))?.status.success() {
            true => Ok(()),
            false => Err(EmbeddedError::NoPasswdEntry { uid }),
        }
    }
}

/// The effective user id of this process. The standard library has no function for it, and not every system has
/// `/proc`.
pub(super) fn effective_uid() -> Result<u32, EmbeddedError> {
    let unknown = || std::io::Error::other("`id -u` did not print a number");
    id(&["-u"])?.ok_or_else(|| EmbeddedError::command("id", unknown()))
}

/// The number that `id` prints; `None` for a name that does not exist.
fn id(args: &[&str]) -> Result<Option<u32>, EmbeddedError> {
    let output =
        Command::new("id").args(args).stdin(Stdio::null()).output().map_err(|e| EmbeddedError::command("id", e))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    Ok(printed.trim().parse().ok().filter(|_| output.status.success()))
}
