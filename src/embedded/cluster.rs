//! The PostgreSQL cluster: finds or creates it, and runs its programs.
//!
//! Every function that changes something takes the control lock, to pass it to the programs that it runs.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::binaries::Binaries;
use super::error::EmbeddedError;
use super::home::{DataLocation, Home, create_private, remove_if_exists, sync_dir};
use super::user::ServerUser;

/// The name of the role and of the database that Apex uses. The role is the superuser of the private cluster.
pub(super) const ROLE_AND_DATABASE: &str = "apex";

const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 16 << 10;

/// Appended to postgresql.conf when the cluster is created, so that an administrator can change it. The port is chosen
/// at each start. One process uses about 25 connections (`APEX_DATABASE_CONNECTIONS`, and those of the log and the
/// relay), so that there are enough for ten.
const SETTINGS: &str = "
# Written by Apex when it created this cluster. You may change these settings.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = 128MB
max_wal_size = 1GB
fsync = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
";

/// An initialized cluster and the programs that can run it.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) home: Home,
    pub(super) data: PathBuf,
    pub(super) user: ServerUser,
    pub(super) binaries: Binaries,
}

impl Cluster {
    /// Opens the cluster of `home`, or creates it, and returns it with its password.
    pub(super) fn open_or_create(
        home: Home,
        pg_bin: Option<&Path>,
        control: &File,
    ) -> Result<(Self, String), EmbeddedError> {
        let existing = home.existing_data()?;
        let user = ServerUser::choose(existing.as_deref())?;
        let binaries = Binaries::find(&user, pg_bin, existing.as_deref())?;
        let location = home.locate_data(existing, &user)?;
        let (DataLocation::Existing(data) | DataLocation::InHome(data) | DataLocation::System(data)) = &location;
        let mut cluster = Self { data: data.clone(), home, user, binaries };
        let password = if matches!(location, DataLocation::Existing(_)) {
            cluster.home.read_password()?.ok_or_else(|| EmbeddedError::PasswordMissing {
                file: cluster.home.password_file(),
                data: cluster.data.clone(),
            })?
        } else {
            let password = cluster.home.read_or_create_password()?;
            cluster.create(&password, control)?;
            password
        };
        if matches!(location, DataLocation::System(_)) {
            cluster.home.record_location()?;
        }
        // Parent directories may be links; the server reports the real path.
        cluster.data = canonical(&cluster.data)?;
        Ok((cluster, password))
    }

    fn create(&self, password: &str, control: &File) -> Result<(), EmbeddedError> {
        self.user.check_has_name()?;
        let draft = self.data.with_extension("new");
        let (_, log_start) = self.home.open_log()?;
        // Not every system has C.UTF-8. Both sort by bytes; C classifies only ASCII letters.
        let created =
            self.initdb(&draft, "C.UTF-8", password, control)? || self.initdb(&draft, "C", password, control)?;
        if !created {
            return Err(EmbeddedError::InitFailed {
                data: self.data.clone(),
                log: self.home.log_file(),
                tail: self.log_tail(log_start),
            });
        }
        self.append_settings(&draft.join("postgresql.conf"))?;
        fs::rename(&draft, &self.data).map_err(|e| EmbeddedError::io("create", &self.data, e))?;
        self.data.parent().map_or(Ok(()), sync_dir)?;
        tracing::info!(data = %self.data.display(), "embedded PostgreSQL cluster created");
        Ok(())
    }

    /// Returns whether initdb succeeded. The log has its errors.
    fn initdb(&self, draft: &Path, locale: &str, password: &str, control: &File) -> Result<bool, EmbeddedError> {
        self.create_empty_dir(draft)?;
        let password_file = self.data.with_extension("pw");
        self.write_password_copy(&password_file, password)?;
        let mut command = self.user.command(self.binaries.program("initdb"));
        command.arg("-D").arg(draft).arg("--pwfile").arg(&password_file).args([
            "--username",
            ROLE_AND_DATABASE,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale",
            locale,
            "--data-checksums",
            "--no-instructions",
        ]);
        let succeeded = run(command, control, self.home.open_log()?.0);
        remove_if_exists(&password_file)?;
        succeeded
    }

    /// Writes a copy of the password that initdb can read, possibly as another user.
    fn write_password_copy(&self, path: &Path, password: &str) -> Result<(), EmbeddedError> {
        remove_if_exists(path)?;
        let mut file = create_private(path)?;
        file.write_all(password.as_bytes())
            .and_then(|()| self.give_to_server(&file))
            .map_err(|e| EmbeddedError::io("write", path, e))
    }

    /// Creates an empty directory owned by the server's user, in place of one left by an interrupted initdb.
    fn create_empty_dir(&self, path: &Path) -> Result<(), EmbeddedError> {
        let failed = |e| EmbeddedError::io("create", path, e);
        match fs::remove_dir_all(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(path).map_err(failed)?;
        // By file handle, and only after a check: the owner of a parent directory could have replaced it by a link to
        // another directory, whose owner root must not change.
        let created = File::open(path).map_err(failed)?;
        let metadata = created.metadata().map_err(failed)?;
        let above = path.parent().unwrap_or(path);
        let owner = fs::metadata(above).map_err(failed)?.uid();
        if metadata.uid() != owner || metadata.mode() & 0o077 != 0 {
            return Err(failed(io::Error::other("another user replaced it")));
        }
        self.give_to_server(&created).map_err(failed)
    }

    fn give_to_server(&self, file: &File) -> io::Result<()> {
        match self.user.new_owner() {
            Some((uid, gid)) => fchown(file, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    /// Writes as the server's user: root must not follow a path in a directory that another user owns.
    fn append_settings(&self, conf: &Path) -> Result<(), EmbeddedError> {
        let failed = |e| EmbeddedError::io("write", conf, e);
        let mut command = self.user.command("sh");
        command.args(["-c", r#"cat >> "$0""#]).arg(conf).stdin(Stdio::piped());
        let mut child = command.spawn().map_err(|e| EmbeddedError::command("sh", e))?;
        let written = match child.stdin.take() {
            Some(mut stdin) => stdin.write_all(SETTINGS.as_bytes()),
            None => Err(io::Error::other("no pipe")),
        };
        let status = child.wait().map_err(failed)?;
        written.map_err(failed)?;
        match status.success() {
            true => Ok(()),
            false => Err(failed(io::Error::other("cat failed"))),
        }
    }

    /// The last lines of the log after `start`; empty if they cannot be read.
    pub(super) fn log_tail(&self, start: u64) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(self.home.log_file())?;
            let from = start.max(file.metadata()?.len().saturating_sub(TAIL_BYTES));
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

/// Runs a program to its end and returns whether it succeeded.
///
/// All its output goes to the log: a pipe would stay open as long as the server that pg_ctl starts. Its stdin is the
/// control lock, which is therefore held until the program ends, even if this process is killed. pg_ctl does not pass
/// its stdin on to the server.
pub(super) fn run(mut command: Command, control: &File, log: File) -> Result<bool, EmbeddedError> {
    let program = PathBuf::from(command.get_program());
    let failed = |e| EmbeddedError::command(&program, e);
    command.stdin(control.try_clone().map_err(failed)?).stdout(log.try_clone().map_err(failed)?).stderr(log);
    Ok(command.status().map_err(failed)?.success())
}

fn canonical(path: &Path) -> Result<PathBuf, EmbeddedError> {
    path.canonicalize().map_err(|e| EmbeddedError::io("find", path, e))
}
