//! The files of schedules: in a directory that the operator of the server names, one directory for each tenant.
//!
//! A file is written under a temporary name. When it is complete and on the disk, it gets the name by which the run is recorded,
//! and its own name after that: so a file with its own name is always one that the log knows. No file is replaced, and no
//! symbolic link is followed below the directory of the settings.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawMode};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

/// The ends of temporary names: of a file that is being written, and of one that is complete.
const WRITING: &str = ".tmp";
const COMPLETE: &str = ".part";

/// Why a file cannot be made.
#[derive(Debug, Error)]
pub(super) enum FileError {
    /// The server has no directory.
    #[error("the server has no directory for the files of schedules: set APEX_SCHEDULE_DIRECTORY")]
    NoDirectory,
    /// The directory cannot be used.
    #[error("the directory {} for the files of schedules cannot be used", directory.display())]
    Directory {
        directory: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// A file cannot be written or read.
    #[error("the file {name} cannot be written")]
    File {
        name: String,
        #[source]
        cause: io::Error,
    },
    /// Another file has the name.
    #[error(
        "there is a file {name} with other contents already, and no file is replaced: move it, or use a pattern with {{position}}"
    )]
    Exists { name: String },
}

/// The directory of a tenant.
#[derive(Clone)]
pub(super) struct Files {
    directory: Arc<OwnedFd>,
    path: PathBuf,
}

/// A file that is being written. It is deleted if it is dropped.
pub(super) struct Unfinished {
    files: Files,
    file: File,
    temporary: Temporary,
    /// What temporary names are about: the schedule, the period and the run.
    key: String,
    hash: Sha256,
    bytes: u64,
}

/// A complete file without its own name. It is deleted if it is dropped.
pub(super) struct Complete {
    temporary: Temporary,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// A temporary name, which is removed when it is dropped.
struct Temporary {
    directory: Arc<OwnedFd>,
    name: Option<String>,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(name) = &self.name
            && let Err(error) = rustix::fs::unlinkat(&*self.directory, name, AtFlags::empty())
        {
            // The next run of the period deletes what is left.
            tracing::debug!(error = &error as &dyn std::error::Error, name, "a temporary file cannot be deleted");
        }
    }
}

fn is_regular(mode: RawMode) -> bool {
    FileType::from_raw_mode(mode) == FileType::RegularFile
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Files {
    /// Opens the directory of a tenant, and makes it if it is the first time.
    pub(super) fn open(directory: Option<&Path>, tenant: &str) -> Result<Self, FileError> {
        let root = directory.ok_or(FileError::NoDirectory)?;
        let path = root.join(tenant);
        let unusable = |directory: &Path| {
            let directory = directory.to_owned();
            move |error: Errno| FileError::Directory { directory, cause: error.into() }
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(root, flags, Mode::empty()).map_err(unusable(root))?;
        match rustix::fs::mkdirat(&opened, tenant, Mode::from_raw_mode(0o750)) {
            Ok(()) => rustix::fs::fsync(&opened).map_err(unusable(root))?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(unusable(&path)(error)),
        }
        // A symbolic link would lead out of the directory.
        let own = rustix::fs::openat(&opened, tenant, flags | OFlags::NOFOLLOW, Mode::empty());
        Ok(Self { directory: Arc::new(own.map_err(unusable(&path))?), path })
    }

    fn failed(name: &str) -> impl Fn(Errno) -> FileError {
        move |error| FileError::File { name: name.to_owned(), cause: error.into() }
    }

    /// The SHA-256 of a file; none if there is no such file.
    fn hash_of(&self, name: &str) -> Result<Option<String>, FileError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&*self.directory, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            // A symbolic link.
            Err(Errno::LOOP) => return Err(FileError::Exists { name: name.to_owned() }),
            Err(error) => return Err(Self::failed(name)(error)),
        };
        let found = rustix::fs::fstat(&file).map_err(Self::failed(name))?;
        if !is_regular(found.st_mode) {
            return Err(FileError::Exists { name: name.to_owned() });
        }
        let (mut file, mut hash, mut buffer) = (File::from(file), Sha256::new(), vec![0; 65_536]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(Some(hex(hash))),
                Ok(read) => hash.update(buffer.get(..read).unwrap_or_default()),
                Err(cause) => return Err(FileError::File { name: name.to_owned(), cause }),
            }
        }
    }

    /// Begins a file, after deleting what earlier attempts have left of it half written. A complete one stays until the run has its
    /// file: it may be the one that is recorded, by an attempt that died or by one that is still at work.
    pub(super) fn begin(&self, key: &str) -> Result<Unfinished, FileError> {
        self.delete_left(key, &[WRITING])?;
        let temporary = format!(".{key}.{}{WRITING}", Uuid::new_v4().simple());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&*self.directory, &*temporary, flags, Mode::from_raw_mode(0o640));
        let file = File::from(file.map_err(Self::failed(key))?);
        let temporary = Temporary { directory: self.directory.clone(), name: Some(temporary) };
        Ok(Unfinished { files: self.clone(), file, temporary, key: key.to_owned(), hash: Sha256::new(), bytes: 0 })
    }

    /// Deletes the temporary files of a key whose names have one of some ends.
    fn delete_left(&self, key: &str, ends: &[&str]) -> Result<(), FileError> {
        let entries = rustix::fs::Dir::read_from(&*self.directory).map_err(Self::failed(key))?;
        let prefix = format!(".{key}.");
        for entry in entries {
            let entry = entry.map_err(Self::failed(key))?;
            let Ok(found) = entry.file_name().to_str() else { continue };
            let rest = found.strip_prefix(&prefix).unwrap_or_default();
            if ends.iter().any(|end| rest.strip_suffix(*end).is_some_and(is_hex)) {
                match rustix::fs::unlinkat(&*self.directory, found, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(error) => return Err(Self::failed(key)(error)),
                }
            }
        }
        Ok(())
    }

    /// Deletes the temporary files of a run that has no file of its own.
    pub(super) fn discard(&self, key: &str) -> Result<(), FileError> {
        self.delete_left(key, &[WRITING, COMPLETE])
    }

    /// Checks that no other file has a name. One with these contents is the file of an earlier run.
    pub(super) fn check_free(&self, name: &str, sha256: &str) -> Result<(), FileError> {
        match self.hash_of(name)? {
            Some(found) if found != sha256 => Err(FileError::Exists { name: name.to_owned() }),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether there is a complete file that does not have its own name.
    pub(super) fn is_unnamed(&self, key: &str, sha256: &str) -> Result<bool, FileError> {
        let complete = complete_name(key, sha256);
        match rustix::fs::statat(&*self.directory, &*complete, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(Self::failed(&complete)(error)),
        }
    }

    /// Gives the complete file of a recorded run its own name. Returns false if there is none with the recorded contents.
    pub(super) fn publish(&self, key: &str, name: &str, sha256: &str) -> Result<bool, FileError> {
        let complete = complete_name(key, sha256);
        let is_complete = self.hash_of(&complete)?.is_some_and(|found| found == sha256);
        if is_complete {
            // Unlike a change of the name, a link replaces no file.
            match rustix::fs::linkat(&*self.directory, &*complete, &*self.directory, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(Self::failed(name)(error)),
            }
        }
        let is_published = match self.hash_of(name)? {
            Some(found) if found == sha256 => true,
            Some(_) => return Err(FileError::Exists { name: name.to_owned() }),
            None => false,
        };
        if is_published {
            self.delete_left(key, &[WRITING, COMPLETE])?;
            self.sync(name)?;
        }
        Ok(is_published)
    }

    /// Writes the names in the directory to the disk.
    fn sync(&self, name: &str) -> Result<(), FileError> {
        rustix::fs::fsync(&*self.directory).map_err(Self::failed(name))
    }

    /// The directory of the tenant.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn complete_name(key: &str, sha256: &str) -> String {
    format!(".{key}.{sha256}{COMPLETE}")
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.bytes += u64::try_from(written).unwrap_or_default();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Unfinished {
    /// Ends the file: its content is on the disk, under the name by which its run is recorded.
    pub(super) fn complete(mut self) -> Result<Complete, FileError> {
        let failed = |cause| FileError::File { name: self.key.clone(), cause };
        self.file.sync_all().map_err(failed)?;
        let sha256 = hex(self.hash);
        let complete = complete_name(&self.key, &sha256);
        if let Some(writing) = &self.temporary.name {
            let directory = &*self.files.directory;
            rustix::fs::renameat(directory, &**writing, directory, &*complete).map_err(Files::failed(&self.key))?;
        }
        self.temporary.name = Some(complete);
        self.files.sync(&self.key)?;
        Ok(Complete { temporary: self.temporary, bytes: self.bytes, sha256 })
    }
}

impl Complete {
    /// Keeps the file, which is that of a run that may be recorded.
    pub(super) fn keep(mut self) {
        self.temporary.name = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    const KEY: &str = "s-2026-10";

    fn complete(files: &Files, key: &str, content: &str) -> Complete {
        let mut unfinished = files.begin(key).unwrap();
        unfinished.write_all(content.as_bytes()).unwrap();
        unfinished.complete().unwrap()
    }

    #[test]
    fn a_file_has_its_name_when_its_run_is_recorded_and_is_never_replaced() {
        let root = tempfile::tempdir().unwrap();
        let files = Files::open(Some(root.path()), "acme").unwrap();
        let (name, own) = ("a.csv", root.path().join("acme"));
        let is_one = || names(&own) == [name] && fs::read_to_string(own.join(name)).unwrap() == "one";
        let made = complete(&files, KEY, "one");
        assert_eq!((made.bytes, made.sha256.len(), names(&own).len()), (3, 64, 1));
        assert!(!own.join(name).exists());
        let sha256 = made.sha256.clone();
        files.check_free(name, &sha256).unwrap();
        made.keep();
        assert!(files.publish(KEY, name, &sha256).unwrap() && is_one());
        assert!(files.publish(KEY, name, &sha256).unwrap() && is_one(), "again");
        let other = complete(&files, KEY, "two");
        assert!(matches!(files.check_free(name, &other.sha256), Err(FileError::Exists { .. })));
        assert!(matches!(files.publish(KEY, name, &other.sha256), Err(FileError::Exists { .. })));
        drop(other);
        assert!(is_one());
        assert!(!files.publish(KEY, "b.csv", &sha256).unwrap(), "there is none");
    }

    #[test]
    fn what_attempts_leave_is_deleted_and_the_file_of_a_recorded_run_is_not() {
        let root = tempfile::tempdir().unwrap();
        let files = Files::open(Some(root.path()), "acme").unwrap();
        let own = root.path().join("acme");
        drop(files.begin(KEY).unwrap());
        assert!(names(&own).is_empty());
        // As after the death of the process.
        std::mem::forget(files.begin(KEY).unwrap());
        let recorded = complete(&files, KEY, "recorded");
        let sha256 = recorded.sha256.clone();
        std::mem::forget(recorded);
        std::mem::forget(complete(&files, "s-2026-10.1", "of another run"));
        assert_eq!(names(&own).len(), 2, "the second attempt has deleted the first one: {:?}", names(&own));
        let made = complete(&files, KEY, "another attempt");
        assert_eq!(names(&own).len(), 3, "what is complete stays: {:?}", names(&own));
        std::mem::forget(made);
        assert!(files.is_unnamed(KEY, &sha256).unwrap());
        assert!(files.publish(KEY, "a.csv", &sha256).unwrap());
        assert!(!files.is_unnamed(KEY, &sha256).unwrap());
        assert_eq!(fs::read_to_string(own.join("a.csv")).unwrap(), "recorded");
        assert_eq!(names(&own).len(), 2, "the file, and that of the other run: {:?}", names(&own));
        complete(&files, KEY, "of a run that was not recorded").keep();
        assert_eq!(names(&own).len(), 3);
        files.discard(KEY).unwrap();
        assert_eq!(names(&own).len(), 2, "{:?}", names(&own));
    }

    #[test]
    fn no_symbolic_link_is_followed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), root.path().join("acme")).unwrap();
        assert!(matches!(Files::open(Some(root.path()), "acme"), Err(FileError::Directory { .. })));
        let files = Files::open(Some(root.path()), "umbrella").unwrap();
        std::os::unix::fs::symlink(outside.path().join("a.csv"), files.path().join("a.csv")).unwrap();
        let made = complete(&files, KEY, "x");
        assert!(matches!(files.check_free("a.csv", &made.sha256), Err(FileError::Exists { .. })));
        assert!(matches!(files.publish(KEY, "a.csv", &made.sha256), Err(FileError::Exists { .. })));
        assert!(names(outside.path()).is_empty());
    }

    #[test]
    fn a_directory_that_is_missing_is_named() {
        let error = Files::open(Some(Path::new("/nowhere/at/all")), "acme").err().unwrap();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
        assert!(matches!(Files::open(None, "acme"), Err(FileError::NoDirectory)));
    }
}
