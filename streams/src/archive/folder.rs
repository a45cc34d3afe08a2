//! A folder of archive files, read as the table is read.

use super::{ArchiveError, ArchiveRecord, Digest, Manifest, Sums, file, file_name, hex, manifest_name};
use crate::read::{Limit, Page};
use crate::{Position, ReadFilter, RecordedEvent, StreamKey, Version};
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Groups of rows kept in memory: readers page through a group several times, and a few of them at once. Each holds
/// some megabytes at most.
const KEPT_GROUPS: usize = 4;
/// Bytes hashed at once.
const HASH_BYTES: usize = 1024 * 1024;

type Group = Arc<Vec<RecordedEvent>>;

/// A folder that holds archive files. Its calls block.
#[derive(Debug)]
pub struct ArchiveFolder {
    path: PathBuf,
    /// The files whose bytes this process has found to be those that were recorded, by first position.
    files: Mutex<HashMap<u64, Arc<file::Reader>>>,
    /// The groups read last, by first position of the file and number; the latest at the end.
    groups: Mutex<Vec<((u64, usize), Group)>>,
}

impl std::fmt::Debug for file::Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("groups", &self.groups()).finish()
    }
}

impl ArchiveFolder {
    /// A folder; nothing is read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, files: Mutex::default(), groups: Mutex::default() }
    }

    /// Checks everything about one archive: that the file has the bytes that were recorded, that each event in it is
    /// intact and in its place, and that the manifest says the same. Returns how many events it holds.
    ///
    /// # Errors
    /// [`ArchiveError`]: what is missing or wrong.
    pub fn verify(&self, archived: &ArchiveRecord) -> Result<u64, ArchiveError> {
        let path = self.path.join(file_name(&archived.name));
        let reader = self.open(archived)?;
        let sums = sums(&reader, &path, |_| ())?;
        let manifest_path = self.path.join(manifest_name(&archived.name));
        let text = std::fs::read(&manifest_path).map_err(|error| missing(&manifest_path, error))?;
        let damaged = |what: &str| ArchiveError::Damaged { path: manifest_path.clone(), what: what.to_owned() };
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))?;
        let same = manifest.format_version == super::FORMAT_VERSION
            && manifest.sha256 == hex(&archived.sha256)
            && manifest.content_sha256 == hex(&archived.content_sha256)
            && manifest.content_sha256 == hex(&sums.content_sha256)
            && manifest.places_sha256 == hex(&sums.places_sha256)
            && (manifest.first_position, manifest.last_position) == (archived.first, archived.last)
            && (sums.first.0, sums.last.0) == (archived.first, archived.last)
            && manifest.events == archived.last - archived.first + 1;
        if same { Ok(manifest.events) } else { Err(damaged("it does not say what the file and the database say")) }
    }

    /// What a filter leaves after a position, up to the end of the archives.
    pub(crate) fn after(
        &self,
        archives: &[ArchiveRecord],
        after: Position,
        filter: &ReadFilter,
        limit: Limit,
    ) -> Result<Page, ArchiveError> {
        let mut page = Page::new(limit);
        for archived in archives.iter().filter(|archived| archived.last > after.get()) {
            let file = self.open(archived)?;
            for number in file.group_after(after)..file.groups() {
                let Some(group) = self.group(archived, &file, number, filter)? else { continue };
                for event in group.iter().filter(|event| event.position > after && filter.matches(event)) {
                    if !page.push(event.clone()) {
                        return Ok(page);
                    }
                }
            }
        }
        Ok(page)
    }

    /// What a filter leaves before a position, the latest first.
    pub(crate) fn before(
        &self,
        archives: &[ArchiveRecord],
        before: Position,
        filter: &ReadFilter,
        limit: Limit,
    ) -> Result<Page, ArchiveError> {
        let mut page = Page::new(limit);
        for archived in archives.iter().rev().filter(|archived| archived.first < before.get()) {
            let file = self.open(archived)?;
            let last = Position::from(before.get().min(archived.last + 1).saturating_sub(2));
            for number in (0..=file.group_after(last)).rev() {
                let Some(group) = self.group(archived, &file, number, filter)? else { continue };
                for event in group.iter().rev().filter(|event| event.position < before && filter.matches(event)) {
                    if !page.push(event.clone()) {
                        return Ok(page);
                    }
                }
            }
        }
        Ok(page)
    }

    /// The events of a stream after a version, up to the end of the archives.
    pub(crate) fn stream(
        &self,
        archives: &[ArchiveRecord],
        key: &StreamKey,
        after: Version,
        limit: Limit,
    ) -> Result<Page, ArchiveError> {
        let mut page = Page::new(limit);
        let filter = ReadFilter {
            tenant: Some(key.tenant.clone()),
            category: Some(key.category.to_string()),
            stream_id: Some(key.id),
            types: Vec::new(),
        };
        for archived in archives {
            let file = self.open(archived)?;
            for number in 0..file.groups() {
                let Some(group) = self.group(archived, &file, number, &filter)? else { continue };
                for event in group.iter().filter(|event| event.version > after && filter.matches(event)) {
                    if !page.push(event.clone()) {
                        return Ok(page);
                    }
                }
            }
        }
        Ok(page)
    }

    /// The first position at or after a time, in the archive that follows a position.
    pub(crate) fn position_at(
        &self,
        archives: &[ArchiveRecord],
        after: Position,
        moment: DateTime<Utc>,
    ) -> Result<Position, ArchiveError> {
        for archived in archives.iter().filter(|archived| archived.first > after.get()) {
            let file = self.open(archived)?;
            for number in (0..file.groups()).filter(|number| file.ends_at_or_after(*number, moment)) {
                let Some(group) = self.group(archived, &file, number, &ReadFilter::default())? else { continue };
                if let Some(event) = group.iter().find(|event| event.recorded_at >= moment) {
                    return Ok(event.position);
                }
            }
        }
        // Not reached while the recorded times are those of the events.
        Ok(archives.last().map_or(after, |archived| Position::from(archived.last + 1)))
    }

    /// A group of a file, unless nothing in it is wanted.
    fn group(
        &self,
        archived: &ArchiveRecord,
        file: &file::Reader,
        number: usize,
        filter: &ReadFilter,
    ) -> Result<Option<Group>, ArchiveError> {
        let key = (archived.first, number);
        {
            let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = groups.iter().position(|(kept, _)| *kept == key) {
                let kept = groups.remove(place);
                let group = kept.1.clone();
                groups.push(kept);
                return Ok(Some(group));
            }
        }
        if *filter != ReadFilter::default() && !file.may_hold(number, filter)? {
            return Ok(None);
        }
        let group = Arc::new(file.group(number)?);
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.len() >= KEPT_GROUPS {
            groups.remove(0);
        }
        groups.push((key, group.clone()));
        Ok(Some(group))
    }

    /// The file of an archive, whose bytes are hashed the first time.
    fn open(&self, archived: &ArchiveRecord) -> Result<Arc<file::Reader>, ArchiveError> {
        // Held while hashing: others would need the same answer.
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(&archived.first) {
            return Ok(file.clone());
        }
        let path = self.path.join(file_name(&archived.name));
        let file = File::open(&path).map_err(|error| missing(&path, error))?;
        let (bytes, found) = sha256(&file)?;
        if found != archived.sha256 {
            let (found, recorded) = (hex(&found), hex(&archived.sha256));
            let what = format!("its {bytes} bytes have the SHA-256 {found}, recorded is {recorded}");
            return Err(ArchiveError::Damaged { path, what });
        }
        let reader = Arc::new(file::Reader::new(file)?);
        files.insert(archived.first, reader.clone());
        Ok(reader)
    }
}

fn missing(path: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::Missing { path: path.to_owned(), source }
}

/// The size and the SHA-256 of a file.
pub(super) fn sha256(mut file: &File) -> io::Result<(u64, Vec<u8>)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; HASH_BYTES];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hasher.finalize().to_vec()));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// Reads a whole file, one group at a time, and checks every event.
pub(super) fn sums(reader: &file::Reader, path: &Path, mut progress: impl FnMut(u64)) -> Result<Sums, ArchiveError> {
    let damaged = |what: String| ArchiveError::Damaged { path: path.to_owned(), what };
    let mut digest = Digest::default();
    for number in 0..reader.groups() {
        let events = reader.group(number)?;
        for event in &events {
            digest.push(event).map_err(damaged)?;
        }
        progress(events.len() as u64);
    }
    digest.sums().ok_or_else(|| damaged("it holds no events".to_owned()))
}
