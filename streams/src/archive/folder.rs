//! A folder of archive files, with the same reads as the table.

use super::digest::{EventDigest, EventSums};
use super::error::ArchiveError;
use super::file::Reader;
use super::manifest::{FORMAT_VERSION, Manifest, file_name, hex, manifest_name};
use super::record::ArchiveRecord;
use crate::event::{Position, RecordedEvent, StreamKey, Version};
use crate::filter::ReadFilter;
use crate::page::{Page, PageLimit};
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The number of row groups in the cache: a few concurrent readers page through a row group several times. Each takes a
/// few megabytes at most.
const MAX_CACHED_GROUPS: usize = 4;
/// The number of bytes hashed at once.
const HASH_BYTES: usize = 1024 * 1024;

type Group = Arc<Vec<RecordedEvent>>;

/// A folder that holds archive files. All methods block.
#[derive(Debug)]
pub struct ArchiveFolder {
    path: PathBuf,
    /// The files whose SHA-256 this process has verified, by first position.
    files: Mutex<HashMap<u64, Arc<Reader>>>,
    /// The most recently read row groups, by first position of the file and number; the latest at the end.
    groups: Mutex<Vec<((u64, usize), Group)>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("groups", &self.groups()).finish()
    }
}

impl ArchiveFolder {
    /// A folder; does not read it yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, files: Mutex::default(), groups: Mutex::default() }
    }

    /// Verifies an archive: that the file has the recorded SHA-256, that its events are intact and contiguous, and that
    /// the manifest matches. Returns the number of events.
    ///
    /// # Errors
    /// [`ArchiveError::Missing`] when the file or its manifest cannot be opened, [`ArchiveError::Damaged`] when either
    /// does not match, [`ArchiveError::Parquet`] when the file cannot be parsed.
    pub fn verify(&self, archive: &ArchiveRecord) -> Result<u64, ArchiveError> {
        let path = self.path.join(file_name(&archive.name));
        let reader = self.open(archive)?;
        let sums = sum_events(&reader, &path, |_| ())?;
        let manifest_path = self.path.join(manifest_name(&archive.name));
        let text = std::fs::read(&manifest_path).map_err(|error| missing(&manifest_path, error))?;
        let damaged = |what: &str| ArchiveError::Damaged { path: manifest_path.clone(), what: what.to_owned() };
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))?;
        let same = manifest.format_version == FORMAT_VERSION
            && manifest.sha256 == hex(&archive.sha256)
            && manifest.content_sha256 == hex(&archive.content_sha256)
            && manifest.content_sha256 == hex(&sums.content_sha256)
            && manifest.places_sha256 == hex(&sums.places_sha256)
            && (manifest.first_position, manifest.last_position) == (archive.first, archive.last)
            && (sums.first.0, sums.last.0) == (archive.first, archive.last)
            && manifest.events == archive.last - archive.first + 1;
        if same { Ok(manifest.events) } else { Err(damaged("it does not match the file and its database record")) }
    }

    /// Matching events after a position, up to the end of the archives.
    pub(crate) fn after(
        &self,
        archives: &[ArchiveRecord],
        after: Position,
        filter: &ReadFilter,
        limit: PageLimit,
    ) -> Result<Page, ArchiveError> {
        let mut page = Page::new(limit);
        for archive in archives.iter().filter(|archive| archive.last > after.get()) {
            let file = self.open(archive)?;
            for number in file.group_after(after)..file.groups() {
                let Some(group) = self.group(archive, &file, number, filter)? else { continue };
                for event in group.iter().filter(|event| event.position > after && filter.matches(event)) {
                    if !page.push(event.clone()) {
                        return Ok(page);
                    }
                }
            }
        }
        Ok(page)
    }

    /// Matching events before a position, latest first.
    pub(crate) fn before(
        &self,
        archives: &[ArchiveRecord],
        before: Position,
        filter: &ReadFilter,
        limit: PageLimit,
    ) -> Result<Page, ArchiveError> {
        let mut page = Page::new(limit);
        for archive in archives.iter().rev().filter(|archive| archive.first < before.get()) {
            let file = self.open(archive)?;
            let last = Position::from(before.get().min(archive.last + 1).saturating_sub(2));
            for number in (0..=file.group_after(last)).rev() {
                let Some(group) = self.group(archive, &file, number, filter)? else { continue };
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
        limit: PageLimit,
    ) -> Result<Page, ArchiveError> {
        let mut page = Page::new(limit);
        let filter = ReadFilter {
            tenant: Some(key.tenant.clone()),
            category: Some(key.category.to_string()),
            stream_id: Some(key.id),
            types: Vec::new(),
        };
        for archive in archives {
            let file = self.open(archive)?;
            for number in 0..file.groups() {
                let Some(group) = self.group(archive, &file, number, &filter)? else { continue };
                for event in group.iter().filter(|event| event.version > after && filter.matches(event)) {
                    if !page.push(event.clone()) {
                        return Ok(page);
                    }
                }
            }
        }
        Ok(page)
    }

    /// The first position recorded at or after a time, in the archives after a position.
    pub(crate) fn position_at(
        &self,
        archives: &[ArchiveRecord],
        after: Position,
        time: DateTime<Utc>,
    ) -> Result<Position, ArchiveError> {
        for archive in archives.iter().filter(|archive| archive.first > after.get()) {
            let file = self.open(archive)?;
            for number in (0..file.groups()).filter(|number| file.ends_at_or_after(*number, time)) {
                let Some(group) = self.group(archive, &file, number, &ReadFilter::default())? else { continue };
                if let Some(event) = group.iter().find(|event| event.recorded_at >= time) {
                    return Ok(event.position);
                }
            }
        }
        // Not reached unless the recorded times differ from those of the events.
        Ok(archives.last().map_or(after, |archive| Position::from(archive.last + 1)))
    }

    /// A row group of a file; none if it has no matching events.
    fn group(
        &self,
        archive: &ArchiveRecord,
        file: &Reader,
        number: usize,
        filter: &ReadFilter,
    ) -> Result<Option<Group>, ArchiveError> {
        let key = (archive.first, number);
        {
            let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(index) = groups.iter().position(|(cached, _)| *cached == key) {
                let cached = groups.remove(index);
                let group = cached.1.clone();
                groups.push(cached);
                return Ok(Some(group));
            }
        }
        if *filter != ReadFilter::default() && !file.may_hold(number, filter)? {
            return Ok(None);
        }
        let group = Arc::new(file.group(number)?);
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.len() >= MAX_CACHED_GROUPS {
            groups.remove(0);
        }
        groups.push((key, group.clone()));
        Ok(Some(group))
    }

    /// The file of an archive. Its SHA-256 is verified the first time.
    fn open(&self, archive: &ArchiveRecord) -> Result<Arc<Reader>, ArchiveError> {
        // Locked while hashing: concurrent readers wait for the result instead of hashing the same file.
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(&archive.first) {
            return Ok(file.clone());
        }
        let path = self.path.join(file_name(&archive.name));
        let file = File::open(&path).map_err(|error| missing(&path, error))?;
        let (bytes, found) = sha256(&file)?;
        if found != archive.sha256 {
            let (found, recorded) = (hex(&found), hex(&archive.sha256));
            let what = format!("its {bytes} bytes have the SHA-256 {found}, but {recorded} was recorded");
            return Err(ArchiveError::Damaged { path, what });
        }
        let reader = Arc::new(Reader::new(file)?);
        files.insert(archive.first, reader.clone());
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

/// Computes the digest of all events of a file, one row group at a time, and checks every event.
pub(super) fn sum_events(
    reader: &Reader,
    path: &Path,
    mut progress: impl FnMut(u64),
) -> Result<EventSums, ArchiveError> {
    let damaged = |what: String| ArchiveError::Damaged { path: path.to_owned(), what };
    let mut digest = EventDigest::default();
    for number in 0..reader.groups() {
        let events = reader.group(number)?;
        for event in &events {
            digest.push(event).map_err(damaged)?;
        }
        progress(events.len() as u64);
    }
    digest.sums().ok_or_else(|| damaged("it has no events".to_owned()))
}
