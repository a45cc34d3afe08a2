//! How much is received at the same time. What is beyond it is refused before its body is read, and comes back later.

use domain::TenantId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most requests with lines at the same time. Each has a thread and some MiB of memory.
pub(super) const MAX_LINE_REQUESTS: u64 = 64;
/// The most requests with files at the same time. Each has a thread; the server has several hundred.
pub(super) const MAX_FILE_REQUESTS: u64 = 64;
/// The most bytes of files that are imported at the same time: 1 GiB.
const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;
/// The fewest bytes that a file counts for.
const MIN_FILE_BYTES: u64 = 64 * 1024;
/// The part of each of these that one tenant may have: one in so many. The rest is left to others.
pub(in crate::http) const TENANT_SHARE: u64 = 2;

/// What may be received at the same time.
pub(crate) struct IngestPermits {
    lines: Arc<Pool>,
    files: Arc<Pool>,
    file_bytes: Arc<Pool>,
}

impl IngestPermits {
    pub(crate) fn new() -> Self {
        let [lines, files, file_bytes] =
            [MAX_LINE_REQUESTS, MAX_FILE_REQUESTS, MAX_FILE_BYTES].map(|max| Arc::new(Pool::of(max)));
        Self { lines, files, file_bytes }
    }

    /// A permit for a request with lines; none if there are too many.
    pub(super) fn lines(&self, tenant: &TenantId) -> Option<Permit> {
        self.lines.try_take(tenant, 1)
    }

    /// A permit for a file that takes at most this number of bytes; none if the others take too many.
    pub(super) fn file(&self, tenant: &TenantId, max_bytes: u64) -> Option<FilePermit> {
        let request = self.files.try_take(tenant, 1)?;
        let bytes = self.file_bytes.try_take(tenant, max_bytes.max(MIN_FILE_BYTES))?;
        Some(FilePermit { _request: request, _bytes: bytes })
    }
}

/// An amount of which each tenant may have a part.
pub(in crate::http) struct Pool {
    used: Mutex<Used>,
    max: u64,
}

#[derive(Default)]
struct Used {
    all: u64,
    /// The amount of each tenant that has some.
    by_tenant: HashMap<TenantId, u64>,
}

/// A part of an amount, until it is dropped.
pub(in crate::http) struct Permit {
    pool: Arc<Pool>,
    tenant: TenantId,
    amount: u64,
}

/// The right to import a file, until it is dropped.
pub(super) struct FilePermit {
    _request: Permit,
    _bytes: Permit,
}

impl Pool {
    pub(in crate::http) fn of(max: u64) -> Self {
        Self { used: Mutex::default(), max }
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a part; none if the others, or those of the tenant, take too much.
    pub(in crate::http) fn try_take(self: &Arc<Self>, tenant: &TenantId, amount: u64) -> Option<Permit> {
        let mut used = self.lock();
        let of_tenant = used.by_tenant.get(tenant).copied().unwrap_or_default();
        let (all, of_tenant) = (used.all.checked_add(amount)?, of_tenant.checked_add(amount)?);
        if all > self.max || of_tenant > self.max / TENANT_SHARE {
            return None;
        }
        used.all = all;
        used.by_tenant.insert(tenant.clone(), of_tenant);
        Some(Permit { pool: self.clone(), tenant: tenant.clone(), amount })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut used = self.pool.lock();
        used.all -= self.amount;
        match used.by_tenant.get_mut(&self.tenant) {
            Some(of_tenant) if *of_tenant > self.amount => *of_tenant -= self.amount,
            _ => _ = used.by_tenant.remove(&self.tenant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn tenants() -> [TenantId; 3] {
        ["one", "two", "three"].map(|name| TenantId::from_stored(name.to_owned()))
    }

    #[test]
    fn requests_are_limited_by_number_and_a_tenant_has_a_part() {
        let permits = IngestPermits::new();
        let [one, two, three] = tenants();
        let take = |tenant: &TenantId| (0..).map_while(|_| permits.lines(tenant)).collect::<Vec<_>>();
        let first = take(&one);
        assert_eq!(first.len() as u64, MAX_LINE_REQUESTS / TENANT_SHARE);
        let second = take(&two);
        assert_eq!((first.len() + second.len()) as u64, MAX_LINE_REQUESTS);
        assert!(permits.lines(&three).is_none());
        drop(first);
        assert!(permits.lines(&three).is_some() && permits.lines(&two).is_none());
        drop(second);
        assert!(permits.lines.lock().by_tenant.is_empty() && permits.lines.lock().all == 0);
    }

    #[test]
    fn files_are_limited_by_number_and_by_bytes() {
        let permits = IngestPermits::new();
        let [one, two, three] = tenants();
        let take = |tenant: &TenantId, bytes| (0..).map_while(|_| permits.file(tenant, bytes)).collect::<Vec<_>>();
        let small = [take(&one, 1), take(&two, 1)];
        assert_eq!(small.iter().map(Vec::len).sum::<usize>() as u64, MAX_FILE_REQUESTS);
        drop(small);
        let large = [take(&one, 256 * MIB), take(&two, 256 * MIB)];
        assert_eq!(large.each_ref().map(Vec::len), [2, 2]);
        assert!(permits.file(&three, 1).is_none(), "the bytes are taken");
        drop(large);
        assert!(permits.file(&three, 512 * MIB).is_some());
        assert!(permits.file(&three, u64::MAX).is_none() && permits.file(&three, 513 * MIB).is_none());
        assert!(permits.files.lock().by_tenant.is_empty() && permits.file_bytes.lock().all == 0);
    }
}
