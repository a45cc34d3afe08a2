//! The home folder: its locks, its small files, and where the data folder is.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::distr::{Alphanumeric, SampleString};
use uuid::Uuid;

use super::EmbeddedError;
use super::user::{ServerUser, effective_uid};

/// Longer than any start or stop may take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(360);
const LOCK_POLL: Duration = Duration::from_millis(25);
/// About 190 bits.
const PASSWORD_CHARS: usize = 32;
/// A log that is larger at a start is put aside, replacing the one put aside before.
const MAX_LOG_BYTES: u64 = 16 << 20;
/// Where root's data folders go that cannot be in home.
const SYSTEM_DATA: &str = "/var/lib/apex";

/// A home folder that was checked to be the caller's alone.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
}

/// Where the data folder is, or will be.
#[derive(Debug)]
pub(super) enum DataPlace {
    /// It is there already.
    Existing(PathBuf),
    /// To be made in home.
    InHome(PathBuf),
    /// To be made in [`SYSTEM_DATA`].
    System(PathBuf),
}

impl Home {
    /// Creates the folder if need be, and refuses one in which others could plant files.
    pub(super) fn prepare(path: &Path) -> Result<Self, EmbeddedError> {
        let uid = effective_uid()?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| EmbeddedError::io("create", parent, e))?;
        }
        // Root's server runs as another user, which has to pass through.
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
            "it is not a folder. Choose another with APEX_HOME".to_owned()
        } else if metadata.uid() != uid {
            let owner = metadata.uid();
            format!(
                "it belongs to user id {owner}, not {uid}. Run apex as its owner, or choose \
                 another with APEX_HOME"
            )
        } else if metadata.mode() & 0o022 != 0 {
            "others can write to it. Choose a folder of its own with APEX_HOME, or `chmod go-w` it".to_owned()
        } else if path.as_os_str().as_bytes().iter().any(|b| b"\n\r\"$`\\".contains(b)) {
            // pg_ctl hands the path to a shell in double quotes, and reads it back as a line.
            "its path has a line break or one of \" $ ` \\ in it. Choose another with APEX_HOME".to_owned()
        } else {
            return Ok(Self { path });
        };
        Err(EmbeddedError::HomeUnusable { home: path, problem })
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

    /// Names the folder of an unfinished initdb, so that the next attempt takes the same one.
    fn planned_location_file(&self) -> PathBuf {
        self.path.join("data-location.new")
    }

    /// Waits for the lock under which the server is started and stopped. Dropping it releases it.
    pub(super) fn lock_control(&self) -> Result<File, EmbeddedError> {
        let path = self.path.join("control.lock");
        let file = open_lock(&path)?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(e)) => return Err(EmbeddedError::io("lock", path, e)),
                Err(TryLockError::WouldBlock) if begun.elapsed() > LOCK_TIMEOUT => {
                    return Err(EmbeddedError::Busy { lock: path, waited: LOCK_TIMEOUT });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
            }
        }
    }

    /// Takes a share of the users' lock. Only under the control lock.
    pub(super) fn share_users(&self) -> Result<File, EmbeddedError> {
        let path = self.users_lock();
        let file = open_lock(&path)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(file),
            Err(TryLockError::Error(e)) => Err(EmbeddedError::io("lock", path, e)),
            // Nobody takes all of it without the control lock; so it is no apex.
            Err(TryLockError::WouldBlock) => Err(EmbeddedError::Busy { lock: path, waited: Duration::ZERO }),
        }
    }

    /// The data folder, if it was made already.
    pub(super) fn existing_data(&self) -> Result<Option<PathBuf>, EmbeddedError> {
        let location = self.location_file();
        if let Some(data) = read_optional(&location)? {
            let data = PathBuf::from(data);
            return match data.join("PG_VERSION").exists() {
                true => Ok(Some(data)),
                false => Err(EmbeddedError::DataMissing { location, data }),
            };
        }
        // Interrupted after the cluster was made and before its place was recorded.
        if let Some(data) = read_optional(&self.planned_location_file())?.map(PathBuf::from)
            && data.join("PG_VERSION").exists()
        {
            return self.record_location().map(|()| Some(data));
        }
        let data = self.path.join("data");
        Ok(data.join("PG_VERSION").exists().then_some(data))
    }

    /// Where the data folder is, or should be made such that `user` can reach it.
    pub(super) fn place_data(&self, existing: Option<PathBuf>, user: &ServerUser) -> Result<DataPlace, EmbeddedError> {
        if let Some(data) = existing {
            return match user.can_enter(&data)? {
                true => Ok(DataPlace::Existing(data)),
                false => Err(EmbeddedError::DataUnreachable { data, uid: user.uid() }),
            };
        }
        if user.can_enter(&self.path)? {
            return Ok(DataPlace::InHome(self.path.join("data")));
        }
        let planned = self.planned_location_file();
        if let Some(data) = read_optional(&planned)? {
            return Ok(DataPlace::System(PathBuf::from(data)));
        }
        // Not a hash of home: who deletes home wants an empty database, not the old one back.
        let data = Path::new(SYSTEM_DATA).join(Uuid::new_v4().to_string());
        prepare_system_data(user)?;
        write_private(&planned, &data.to_string_lossy())?;
        Ok(DataPlace::System(data))
    }

    /// Makes the planned location final, now that the cluster is there.
    pub(super) fn record_location(&self) -> Result<(), EmbeddedError> {
        let planned = self.planned_location_file();
        fs::rename(&planned, self.location_file()).map_err(|e| EmbeddedError::io("rename", &planned, e))?;
        sync_dir(&self.path)
    }

    /// The password, if there is one.
    pub(super) fn read_password(&self) -> Result<Option<String>, EmbeddedError> {
        read_optional(&self.password_file())
    }

    /// Makes up a password for a new cluster, or takes the one of an attempt that failed.
    pub(super) fn read_or_create_password(&self) -> Result<String, EmbeddedError> {
        if let Some(password) = self.read_password()? {
            return Ok(password);
        }
        let password = Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_CHARS);
        write_private(&self.password_file(), &password)?;
        Ok(password)
    }

    /// Opens the log for appending and says how long it is.
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

    /// Opens the log and locks it, for a server to hold as its stdout. `None` if a server does.
    ///
    /// Only under the control lock: it may put a large log aside first.
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

/// Writes a file that only its owner can read: whole or not at all, and for good.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), EmbeddedError> {
    let failed = |e| EmbeddedError::io("write", path, e);
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    remove_if_there(Path::new(&draft))?;
    let mut file = create_private(Path::new(&draft))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&draft, path).map_err(failed)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Creates a file with mode 0600 that was not there before.
pub(super) fn create_private(path: &Path) -> Result<File, EmbeddedError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| EmbeddedError::io("create", path, e))
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(EmbeddedError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Makes a rename in `dir` survive a power failure.
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

/// The text of a small file without its last line break; `None` if there is no file.
fn read_optional(path: &Path) -> Result<Option<String>, EmbeddedError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(EmbeddedError::io("read", path, e)),
    }
}

/// Only root gets here; and nobody else may be able to put something into this folder.
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
        let problem = "it has to be a folder of root's that nobody else can write to. Remove it";
        return Err(EmbeddedError::HomeUnusable { home: dir.into(), problem: problem.into() });
    }
    match user.can_enter(dir)? {
        true => Ok(()),
        false => Err(EmbeddedError::DataUnreachable { data: dir.into(), uid: user.uid() }),
    }
}
