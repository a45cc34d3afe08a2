//! The file of sessions, one for each server, and its lock.
//!
//! A refresh token is used once: if two processes used the same, the session would end. So a token is renewed under the lock
//! of a file beside it, and the process that waited for the lock reads what the other one wrote.

use super::error::CredentialsError;
use crate::config::Secret;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long before its end an access token is renewed, so that it does not end on the way.
const RENEW_BEFORE: TimeDelta = TimeDelta::seconds(30);
/// How long another process may hold the lock. A renewal takes less, since a request has a timeout.
const LOCK_TIMEOUT: Duration = Duration::from_secs(120);
/// The pause between attempts to take the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// The most bytes of the file that are read.
const MAX_BYTES: u64 = 1024 * 1024;
/// The format of the file.
const VERSION: u32 = 1;

fn revealed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.reveal())
}

fn secret<'d, D: serde::Deserializer<'d>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from)
}

/// A session at a server, with its tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredSession {
    /// Who signed in, as the server calls the person.
    pub actor: String,
    /// The access token.
    #[serde(serialize_with = "revealed", deserialize_with = "secret")]
    pub access_token: Secret,
    /// When the access token ends.
    pub access_expires_at: DateTime<Utc>,
    /// The refresh token, which is used once.
    #[serde(serialize_with = "revealed", deserialize_with = "secret")]
    pub refresh_token: Secret,
}

impl StoredSession {
    /// Whether the access token has to be renewed before it is used.
    #[must_use]
    pub fn has_to_be_renewed(&self, now: DateTime<Utc>) -> bool {
        self.access_expires_at - RENEW_BEFORE <= now
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    version: u32,
    servers: BTreeMap<String, StoredSession>,
}

/// The file of sessions.
#[derive(Debug, Clone)]
pub struct CredentialsFile {
    path: PathBuf,
}

/// The right to change the file, which one process has at a time.
#[derive(Debug)]
pub struct LockedFile<'f> {
    file: &'f CredentialsFile,
    /// Unlocked when it is closed.
    _lock: File,
}

impl CredentialsFile {
    /// The file at a path, which need not exist.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn io(&self, cause: io::Error) -> CredentialsError {
        CredentialsError::Io { file: self.path.clone(), cause }
    }

    /// The session at a server; none if there is none.
    ///
    /// # Errors
    /// [`CredentialsError`] if the file cannot be read, or others may read it.
    pub fn session(&self, server: &str) -> Result<Option<StoredSession>, CredentialsError> {
        Ok(self.read()?.servers.remove(server))
    }

    fn read(&self) -> Result<Content, CredentialsError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Content { version: VERSION, servers: BTreeMap::new() });
            }
            Err(error) => return Err(self.io(error)),
        };
        // Of the file that was opened, not of the one that has the name by now.
        let metadata = file.metadata().map_err(|error| self.io(error))?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(CredentialsError::NotOwn { file: self.path.clone() });
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(CredentialsError::Exposed { file: self.path.clone() });
        }
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| self.io(error))?;
        let content: Option<Content> = serde_json::from_str(&text).ok();
        let content = content.filter(|content| content.version == VERSION);
        content.ok_or_else(|| CredentialsError::Damaged { file: self.path.clone() })
    }

    /// Takes the lock, and creates the folder of the file if there is none.
    ///
    /// # Errors
    /// [`CredentialsError::Locked`] if another process does not release it in time.
    pub async fn lock(&self) -> Result<LockedFile<'_>, CredentialsError> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let created = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            created.map_err(|error| self.io(error))?;
        }
        let mut options = OpenOptions::new();
        let opened =
            options.create(true).truncate(false).write(true).mode(0o600).open(self.path.with_extension("lock"));
        let lock = opened.map_err(|error| self.io(error))?;
        let started = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(LockedFile { file: self, _lock: lock }),
                Err(TryLockError::Error(error)) => return Err(self.io(error)),
                Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_TIMEOUT => {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(CredentialsError::Locked { file: self.path.clone(), timeout: LOCK_TIMEOUT });
                }
            }
        }
    }
}

impl LockedFile<'_> {
    /// The session at a server, as it is now.
    ///
    /// # Errors
    /// As [`CredentialsFile::session`].
    pub fn session(&self, server: &str) -> Result<Option<StoredSession>, CredentialsError> {
        self.file.session(server)
    }

    /// Stores the session at a server, or removes it. The file is replaced as a whole, so that it is never half written.
    ///
    /// # Errors
    /// [`CredentialsError`] if the file cannot be written.
    pub fn store(&self, server: &str, session: Option<StoredSession>) -> Result<(), CredentialsError> {
        let mut content = self.file.read()?;
        match session {
            Some(session) => content.servers.insert(server.to_owned(), session),
            None => content.servers.remove(server),
        };
        let io = |error| self.file.io(error);
        if content.servers.is_empty() {
            return match std::fs::remove_file(&self.file.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io(error)),
                _ => Ok(()),
            };
        }
        let text = serde_json::to_string_pretty(&content).map_err(|error| io(error.into()))?;
        let new = self.file.path.with_extension("new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        // The mode counts from the creation on: at no time may others read it.
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new).map_err(io)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&new, &self.file.path).map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn session(token: &str) -> StoredSession {
        let secret = |text: &str| Secret::from(text.to_owned());
        let (access_token, refresh_token) = (secret("access"), secret(token));
        StoredSession { actor: "user:1".to_owned(), access_token, access_expires_at: Utc::now(), refresh_token }
    }

    #[tokio::test]
    async fn sessions_are_kept_by_server_in_a_file_of_the_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = CredentialsFile::at(folder.path().join("apex").join("credentials.json"));
        assert!(file.session("https://a").unwrap().is_none());
        {
            let locked = file.lock().await.unwrap();
            locked.store("https://a", Some(session("one"))).unwrap();
            locked.store("https://b", Some(session("two"))).unwrap();
        }
        let token = |server: &str| file.session(server).unwrap().map(|found| found.refresh_token.reveal().to_owned());
        assert_eq!((token("https://a"), token("https://b")), (Some("one".to_owned()), Some("two".to_owned())));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(file.path()), 0o600);
        assert_eq!(mode(file.path().parent().unwrap()), 0o700);
        assert!(!format!("{:?}", file.session("https://a")).contains("one"));
        for exposed in [0o640, 0o604, 0o622] {
            std::fs::set_permissions(file.path(), PermissionsExt::from_mode(exposed)).unwrap();
            assert!(matches!(file.session("https://a"), Err(CredentialsError::Exposed { .. })), "{exposed:o}");
        }
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o600)).unwrap();
        let locked = file.lock().await.unwrap();
        locked.store("https://a", None).unwrap();
        locked.store("https://b", None).unwrap();
        assert!(!file.path().exists(), "nothing is left of the last session");
        std::fs::write(file.path(), "{}").unwrap();
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o600)).unwrap();
        assert!(matches!(file.session("https://a"), Err(CredentialsError::Damaged { .. })));
    }

    #[tokio::test]
    async fn one_process_at_a_time_changes_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = CredentialsFile::at(folder.path().join("credentials.json"));
        let held = file.lock().await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(100), file.lock()).await;
        assert!(waiting.is_err(), "the lock was given twice");
        drop(held);
        assert!(tokio::time::timeout(Duration::from_secs(5), file.lock()).await.is_ok());
    }
}
