//! Where an export is written to: standard output, or a file that appears under its name when it is complete.

use crate::cli::output::ignore_closed;
use anyhow::Context as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Where an export is written to.
pub(super) enum Target {
    Standard,
    /// A device or a pipe, which is no file that could be replaced.
    Stream(File),
    /// A file under a temporary name.
    File(Unfinished),
}

/// A file under a temporary name in the directory of its final one. It is deleted if it is dropped.
pub(super) struct Unfinished {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    is_finished: bool,
}

/// Whether there is a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Reads,
    /// The reader of the pipe has closed it, as `head` does.
    Gone,
}

impl Target {
    /// Prepares to write to a path; `-` is standard output.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Standard);
        }
        let unusable = || format!("{} cannot be written", path.display());
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => anyhow::bail!("{} is a directory: name a file", path.display()),
            Ok(found) if !found.is_file() => {
                let stream = OpenOptions::new().write(true).open(path).with_context(unusable)?;
                return Ok(Self::Stream(stream));
            }
            _ => {}
        }
        // A symbolic link goes on to point to the file.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
        let temporary = format!(".{}.{}.part", name.to_string_lossy(), uuid::Uuid::new_v4().simple());
        let temporary = path.with_file_name(temporary);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary).with_context(unusable)?;
        Ok(Self::File(Unfinished { file, temporary, path, is_finished: false }))
    }

    /// Writes a part.
    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<Reader> {
        let written = match self {
            Self::Standard => io::stdout().lock().write_all(bytes),
            Self::Stream(stream) => stream.write_all(bytes),
            Self::File(unfinished) => {
                let path = unfinished.path.display();
                return unfinished
                    .file
                    .write_all(bytes)
                    .map(|()| Reader::Reads)
                    .with_context(|| format!("{path} cannot be written"));
            }
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
            written => Ok(written.map(|()| Reader::Reads).context("the export cannot be written")?),
        }
    }

    /// Gives a file its name, once its content is on the disk.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Standard => Ok(ignore_closed(io::stdout().lock().flush())?),
            Self::Stream(mut stream) => Ok(ignore_closed(stream.flush())?),
            Self::File(mut unfinished) => {
                let named =
                    unfinished.file.sync_all().and_then(|()| fs::rename(&unfinished.temporary, &unfinished.path));
                named.with_context(|| format!("{} cannot be written", unfinished.path.display()))?;
                unfinished.is_finished = true;
                Ok(())
            }
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            // There is nobody to report it to: why the export failed is said.
            drop(fs::remove_file(&self.temporary));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_has_its_name_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.csv");
        fs::write(&path, "old").unwrap();
        let mut target = Target::open(&path).unwrap();
        assert_eq!(target.write(b"new").unwrap(), Reader::Reads);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        target.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["calls.csv"]);
    }

    #[test]
    fn nothing_is_left_of_an_export_that_failed() {
        let folder = tempfile::tempdir().unwrap();
        let mut target = Target::open(&folder.path().join("calls.csv")).unwrap();
        target.write(b"half").unwrap();
        assert_eq!(names(folder.path()).len(), 1);
        drop(target);
        assert_eq!(names(folder.path()), Vec::<String>::new());
    }

    #[test]
    fn a_device_is_written_to_and_a_directory_is_refused() {
        let mut target = Target::open(Path::new("/dev/null")).unwrap();
        target.write(b"x").unwrap();
        target.finish().unwrap();
        assert!(fs::metadata("/dev/null").is_ok_and(|found| !found.is_file()));
        let folder = tempfile::tempdir().unwrap();
        let error = Target::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("is a directory"), "{error}");
        assert!(Target::open(&folder.path().join("none/calls.csv")).is_err());
    }
}
