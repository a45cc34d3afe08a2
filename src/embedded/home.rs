//! The home directory: its locks, its small files, and the location of the data directory.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::distr::{Alphanumeric, SampleString};
use uuid::Uuid;

use super::error::EmbeddedError;
use super::user::{ServerUser, effective_uid};

/// Longer than a start or stop can take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(360);
const LOCK_POLL: Duration = Duration::from_millis(25);
/// The length of the password; about 190 bits.
const PASSWORD_CHARS: usize = 32;
/// A log that is larger at a start is rotated; one rotated log is kept.
const MAX_LOG_BYTES: u64 = 16 << 20;
/// The parent of root's data directories that cannot be in home.
const SYSTEM_DATA: &str = "/var/lib/apex";

/// A home directory that only the caller can write to.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
}

/// The location of the data directory.
#[derive(Debug)]
pub(super) enum DataLocation {
    /// It exists.
    Existing(PathBuf),
    /// To be created in home.
    InHome(PathBuf),
    /// To be created in [`SYSTEM_DATA`].
    System(PathBuf),
}

impl Home {
    /// Creates the directory if necessary, and rejects one in which other users could create files.
    pub(super) fn prepare(path: &Path) -> Result<Self, EmbeddedError> {
        let uid = effective_uid()?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| EmbeddedError::io("create", parent, e))?;
        }
        // The server of root runs as another user, which must be able to traverse home.
        let mode = if uid == 0 { 0o711 } else { 0o700 };
        match DirBuilder::new().mode(mode).create(path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(EmbeddedError::io("create", path, e));
            }
            _ => {}
        }
        let path = path.canonicalize().map_err(|e| EmbeddedError::io("find", path, e))?;
        let metadata = fs::metadata(&path).map_err(|e| EmbeddedError::io("read", &path, e))?;
        let problem = if !metadata.is_dir() {
            "it is not a directory. Choose another with APEX_HOME".to_owned()
        } else if metadata.uid() != uid {
            let owner = metadata.uid();
            format!(
                "it belongs to user id {owner}, not {uid}. Run apex as its owner, or choose \
                 another with APEX_HOME"
            )
        } else if metadata.mode() & 0o022 != 0 {
            "other users can write to it. Choose another directory with APEX_HOME, or `chmod go-w` it".to_owned()
        } else if path.as_os_str().as_bytes().iter().any(|b| b"\n\r\"$`\\".contains(b)) {
            // pg_ctl passes the path to a shell in double quotes, and reads it back as a line.
            "its path contains a line break or one of \" $ ` \\. Choose another with APEX_HOME".to_owned()
        } else {
            return Ok(Self { path });
        };
        Err(EmbeddedError::HomeUnusable { home: path, problem })
    }

    /// The canonical path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn users_lock(&self) -> PathBuf {
        self.path.join("users.lock")
    }

    pub(super) fn password_file(&self) -> PathBuf {
        self.path.join("password")
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.path.join("postgres.log")
    }

    fn location_file(&self) -> PathBuf {
        self.path.join("data-location")
    }

    /// Names the directory of an interrupted initdb, so that the next attempt uses the same one.
    fn planned_location_file(&self) -> PathBuf {
        self.path.join("data-location.new")
    }

    /// Acquires the lock for starting and stopping the server. Dropping the file releases it.
    pub(super) fn lock_control(&self) -> Result<File, EmbeddedError> {
        let path = self.path.join("control.lock");
        let file = open_lock(&path)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(e)) => return Err(EmbeddedError::io("lock", path, e)),
                Err(TryLockError::WouldBlock) if start.elapsed() > LOCK_TIMEOUT => {
                    return Err(EmbeddedError::Busy { lock: path, waited: LOCK_TIMEOUT });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
            }
        }
    }

    /// Acquires a shared lock on `users.lock`. Requires the control lock.
    pub(super) fn share_users(&self) -> Result<File, EmbeddedError> {
        let path = self.users_lock();
        let file = open_lock(&path)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(file),
            Err(TryLockError::Error(e)) => Err(EmbeddedError::io("lock", path, e)),
            // Apex acquires it exclusively only with the control lock, so that another program holds it.
            Err(TryLockError::WouldBlock) => Err(EmbeddedError::Busy { lock: path, waited: Duration::ZERO }),
        }
    }

    /// The data directory, if it was created.
    pub(super) fn existing_data(&self) -> Result<Option<PathBuf>, EmbeddedError> {
        let location = self.location_file();
        if let Some(data) = read_optional(&location)? {
            let data = PathBuf::from(data);
            return match data.join("PG_VERSION").exists() {
                true => Ok(Some(data)),
                false => Err(EmbeddedError::DataMissing { location, data }),
            };
        }
        // An earlier start was interrupted after it created the cluster and before it recorded its location.
        if let Some(data) = read_optional(&self.planned_location_file())?.map(PathBuf::from)
            && data.join("PG_VERSION").exists()
        {
            return self.record_location().map(|()| Some(data));
        }
        let data = self.path.join("data");
        Ok(data.join("PG_VERSION").exists().then_some(data))
    }

    /// The location of the data directory, or one to create it in that `user` can enter.
    pub(super) fn locate_data(
        &self,
        existing: Option<PathBuf>,
        user: &ServerUser,
    ) -> Result<DataLocation, EmbeddedError> {
        if let Some(data) = existing {
            return match user.can_enter(&data)? {
                true => Ok(DataLocation::Existing(data)),
                false => Err(EmbeddedError::DataUnreachable { data, uid: user.uid() }),
            };
        }
        if user.can_enter(&self.path)? {
            return Ok(DataLocation::InHome(self.path.join("data")));
        }
        let planned = self.planned_location_file();
        if let Some(data) = read_optional(&planned)? {
            return Ok(DataLocation::System(PathBuf::from(data)));
        }
        // Not a hash of home: after home was deleted, an empty database is expected, not the old one.
        let data = Path::new(SYSTEM_DATA).join(Uuid::new_v4().to_string());
        prepare_system_data(user)?;
        write_private(&planned, &data.to_string_lossy())?;
        Ok(DataLocation::System(data))
    }

    /// Makes the planned location final, once the cluster is created.
    pub(super) fn record_location(&self) -> Result<(), EmbeddedError> {
        let planned = self.planned_location_file();
        fs::rename(&planned, self.location_file()).map_err(|e| EmbeddedError::io("rename", &planned, e))?;
        sync_dir(&self.path)
    }

    /// The password, if the file exists.
    pub(super) fn read_password(&self) -> Result<Option<String>, EmbeddedError> {
        read_optional(&self.password_file())
    }

    /// Generates a password for a new cluster, or uses the one of an interrupted attempt.
    pub(super) fn read_or_create_password(&self) -> Result<String, EmbeddedError> {
        if let Some(password) = self.read_password()? {
            return Ok(password);
        }
        let password = Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_CHARS);
        write_private(&self.password_file(), &password)?;
        Ok(password)
    }

    /// Opens the log for appending, and returns its length in bytes.
    pub(super) fn open_log(&self) -> Result<(File, u64), EmbeddedError> {
        let path = self.log_file();
        let failed = |e| EmbeddedError::io("open", &path, e);
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .and_then(|file| file.metadata().map(|m| (file, m.len())))
            .map_err(failed)
    }

    /// Opens and locks the log, for a server to use as its stdout. `None` if a server has it locked.
    ///
    /// Requires the control lock, because it may rotate a large log.
    pub(super) fn lock_log(&self) -> Result<Option<(File, u64)>, EmbeddedError> {
        let path = self.log_file();
        loop {
            let (log, bytes) = self.open_log()?;
            match log.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(EmbeddedError::io("lock", path, e)),
            }
            if bytes <= MAX_LOG_BYTES {
                return Ok(Some((log, bytes)));
            }
            fs::rename(&path, path.with_extension("log.1")).map_err(|e| EmbeddedError::io("rename", &path, e))?;
        }
    }
}

/// Writes a file that only its owner can read, atomically and durably.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), EmbeddedError> {
    let failed = |e| EmbeddedError::io("write", path, e);
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    remove_if_exists(Path::new(&draft))?;
    let mut file = create_private(Path::new(&draft))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&draft, path).map_err(failed)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Creates a new file with mode 0600.
pub(super) fn create_private(path: &Path) -> Result<File, EmbeddedError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| EmbeddedError::io("create", path, e))
}

pub(super) fn remove_if_exists(path: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(EmbeddedError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Makes a rename in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), EmbeddedError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| EmbeddedError::io("sync", dir, e))
}

fn open_lock(path: &Path) -> Result<File, EmbeddedError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| EmbeddedError::io("open", path, e))
}

/// The text of a small file without trailing white space; `None` if the file does not exist.
fn read_optional(path: &Path) -> Result<Option<String>, EmbeddedError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(EmbeddedError::io("read", path, e)),
    }
}

/// Creates [`SYSTEM_DATA`], and checks that only root can write to it. Called by root only.
fn prepare_system_data(user: &ServerUser) -> Result<(), EmbeddedError> {
    let dir = Path::new(SYSTEM_DATA);
    match DirBuilder::new().mode(0o711).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(EmbeddedError::io("create", dir, e));
        }
        _ => {}
    }
    let metadata = fs::symlink_metadata(dir).map_err(|e| EmbeddedError::io("read", dir, e))?;
    if !metadata.is_dir() || metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        let problem = "it must be a directory that is owned by root and not writable by other users. Remove it";
        return Err(EmbeddedError::HomeUnusable { home: dir.into(), problem: problem.into() });
    }
    match user.can_enter(dir)? {
        true => Ok(()),
        false => Err(EmbeddedError::DataUnreachable { data: dir.into(), uid: user.uid() }),
    }
}
