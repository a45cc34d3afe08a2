//! The file of key-encryption keys, with which the hashes of secrets are keyed and stored secrets are encrypted.
//!
//! The file has a line for each key, `VERSION HEX`, in ascending order; the last one is used for new hashes. It is outside
//! the database, so that a copy of the database is not enough to test a guess. It belongs to the user of the process and is
//! for that user only, or belongs to root and may also be read by its group, as PostgreSQL demands of its private key.

use crate::error::KeyFileError;
use crate::key_text::{KeySecret, hex, unhex};
use domain::ApiKeyId;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// The largest file that is accepted, in bytes: hundreds of keys.
const MAX_FILE_BYTES: u64 = 65_536;
/// The user id of root.
const ROOT: u32 = 0;
/// What a hash is for. A hash for one purpose is never one for another.
const API_KEY: &[u8] = b"apex api key v1";
const ORIGIN: &[u8] = b"apex origin v1";
const FINGERPRINT: &[u8] = b"apex key-encryption key fingerprint v1";

/// The length of a hash and of a fingerprint, in bytes.
pub(crate) const HASH_BYTES: usize = 32;

/// A key-encryption key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EncryptionKey([u8; 32]);

impl EncryptionKey {
    /// A key that no hash was made with.
    pub(crate) fn decoy() -> Self {
        Self([0; 32])
    }

    /// Another key, for tests.
    #[cfg(test)]
    pub(crate) fn other() -> Self {
        Self([1; 32])
    }

    fn mac(&self, purpose: &[u8]) -> Result<Hmac<Sha256>, KeyFileError> {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|_| KeyFileError::Unusable)?;
        mac.update(purpose);
        Ok(mac)
    }

    /// Identifies the key without telling anything about it.
    pub(crate) fn fingerprint(&self) -> Result<[u8; HASH_BYTES], KeyFileError> {
        Ok(self.mac(FINGERPRINT)?.finalize().into_bytes().into())
    }

    /// The keyed hash of the secret of an API key.
    pub(crate) fn hash(&self, id: ApiKeyId, secret: &KeySecret) -> Result<[u8; HASH_BYTES], KeyFileError> {
        Ok(self.mac_of(id, secret)?.finalize().into_bytes().into())
    }

    /// Whether a secret has a hash. The comparison takes the same time wherever the two differ.
    pub(crate) fn verifies(&self, id: ApiKeyId, secret: &KeySecret, hash: &[u8]) -> Result<bool, KeyFileError> {
        Ok(self.mac_of(id, secret)?.verify_slice(hash).is_ok())
    }

    /// The keyed hash of some parts, for a purpose. Each part is hashed with its length.
    pub(crate) fn keyed_hash(&self, purpose: &[u8], parts: &[&[u8]]) -> Result<[u8; HASH_BYTES], KeyFileError> {
        Ok(self.mac_of_parts(purpose, parts)?.finalize().into_bytes().into())
    }

    /// Whether some parts have a keyed hash. The comparison takes the same time wherever the two differ.
    pub(crate) fn has_keyed_hash(&self, purpose: &[u8], parts: &[&[u8]], hash: &[u8]) -> Result<bool, KeyFileError> {
        Ok(self.mac_of_parts(purpose, parts)?.verify_slice(hash).is_ok())
    }

    fn mac_of_parts(&self, purpose: &[u8], parts: &[&[u8]]) -> Result<Hmac<Sha256>, KeyFileError> {
        let mut mac = self.mac(purpose)?;
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        Ok(mac)
    }

    /// An id of an origin, from its parts. Without the key, nobody can find out which parts an id is of.
    pub(crate) fn origin_id(&self, parts: &[&str]) -> Result<Uuid, KeyFileError> {
        let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
        let hash = self.keyed_hash(ORIGIN, &parts)?;
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Ok(uuid::Builder::from_custom_bytes(id).into_uuid())
    }

    fn mac_of(&self, id: ApiKeyId, secret: &KeySecret) -> Result<Hmac<Sha256>, KeyFileError> {
        let mut mac = self.mac(API_KEY)?;
        mac.update(id.0.as_bytes());
        mac.update(secret.bytes());
        Ok(mac)
    }
}

/// The keys of a file by version. At least one.
type Keys = BTreeMap<i32, EncryptionKey>;

/// The file of key-encryption keys. It is read when a key is needed that is not known yet, so that a process runs without
/// it until the first API key is created, and sees a new version that is added to it.
pub(crate) struct KeyFile {
    path: PathBuf,
    known: Mutex<Arc<Keys>>,
}

impl KeyFile {
    /// The file at a path. Messages have the absolute path, since processes may run in different directories.
    pub(crate) fn new(path: PathBuf) -> Self {
        let path = std::path::absolute(&path).unwrap_or(path);
        Self { path, known: Mutex::default() }
    }

    /// The key of a version.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file cannot be read, or has no such version.
    pub(crate) fn key(&self, version: i32) -> Result<EncryptionKey, KeyFileError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(key) = known.get(&version) {
            return Ok(key.clone());
        }
        let keys = self.load()?;
        keys.get(&version).cloned().ok_or_else(|| KeyFileError::MissingVersion { path: self.path.clone(), version })
    }

    /// The newest key with its version, as the file has it now.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file cannot be read.
    pub(crate) fn newest(&self) -> Result<(i32, EncryptionKey), KeyFileError> {
        let keys = self.load()?;
        let (version, key) = keys.last_key_value().ok_or_else(|| KeyFileError::Empty(self.path.clone()))?;
        Ok((*version, key.clone()))
    }

    /// Creates the file with a new key, if it does not exist. Of several processes that do so, one creates it. Returns
    /// whether this one did.
    ///
    /// # Errors
    /// [`KeyFileError`] if it cannot be written.
    pub(crate) fn create_if_missing(&self) -> Result<bool, KeyFileError> {
        if self.path.exists() {
            return Ok(false);
        }
        let failed = |source| KeyFileError::Write { path: self.path.clone(), source };
        let secret = KeySecret::generate().map_err(|error| failed(std::io::Error::other(error)))?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed)?;
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(format!(".{}", Uuid::new_v4()));
        let temporary = PathBuf::from(temporary);
        let text = format!(
            "# Key-encryption keys of Apex: version and key. Back this file up, and keep it secret.\n1 {}\n",
            hex(secret.bytes())
        );
        // A link does not replace a file that another process has created meanwhile.
        let linked = write_new(&temporary, &text).and_then(|()| match fs::hard_link(&temporary, &self.path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true),
        });
        let removed = fs::remove_file(&temporary);
        let is_created = linked.map_err(failed)?;
        removed.and_then(|()| File::open(folder)?.sync_all()).map_err(failed)?;
        Ok(is_created)
    }

    fn load(&self) -> Result<Arc<Keys>, KeyFileError> {
        let keys = Arc::new(read(&self.path)?);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = keys.clone();
        Ok(keys)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Checks that nobody but a user and root can write a file, and nobody but them and a group that root chose can read it.
fn check_access(path: &Path, owner: u32, mode: u32, user: u32) -> Result<(), KeyFileError> {
    if owner != user && owner != ROOT {
        return Err(KeyFileError::OtherOwner { path: path.to_owned(), owner, user });
    }
    let forbidden = if owner == user { 0o077 } else { 0o037 };
    if mode & forbidden == 0 { Ok(()) } else { Err(KeyFileError::Readable { path: path.to_owned(), mode }) }
}

fn read(path: &Path) -> Result<Keys, KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => KeyFileError::Missing(path.to_owned()),
        _ => failed(error),
    })?;
    let metadata = file.metadata().map_err(failed)?;
    check_access(path, metadata.uid(), metadata.mode() & 0o777, rustix::process::geteuid().as_raw())?;
    let mut text = String::new();
    let bytes = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(bytes).map_or(true, |bytes| bytes > MAX_FILE_BYTES) {
        return Err(KeyFileError::TooLarge { path: path.to_owned(), max_bytes: MAX_FILE_BYTES });
    }
    let mut keys = Keys::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
    {
        let malformed = || KeyFileError::Malformed { path: path.to_owned(), line: index + 1 };
        let (version, key) = line.split_once(' ').ok_or_else(malformed)?;
        let version: i32 = version.parse().ok().filter(|version| *version > 0).ok_or_else(malformed)?;
        let key = EncryptionKey(unhex(key.trim()).ok_or_else(malformed)?);
        if keys.last_key_value().is_some_and(|(last, _)| *last >= version) {
            return Err(malformed());
        }
        keys.insert(version, key);
    }
    if keys.is_empty() { Err(KeyFileError::Empty(path.to_owned())) } else { Ok(keys) }
}

#[cfg(test)]
mod tests;
