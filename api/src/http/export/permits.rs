//! How many exports are made at the same time.

use crate::http::ingest::{Permit, Pool};
use domain::TenantId;
use projections::Pool as DatabasePool;
use std::sync::Arc;
use streams::TenantReads;

/// The most exports at the same time. Each has a thread, a connection, and some ten MiB of memory for calls that are read and
/// bytes that are sent; beside these, FOCUS has the rows of a day, up to some 100 MiB, and Parquet a row group of some 32 MiB.
pub(super) const MAX_EXPORTS: u32 = 4;

/// The connections and the permits of exports.
pub(crate) struct Exports {
    /// Apart from those of other reads, so that exports, which take long, keep nobody waiting.
    reads: TenantReads,
    permits: Arc<Pool>,
}

impl Exports {
    pub(crate) fn new(pool: &DatabasePool) -> Self {
        Self { reads: TenantReads::beside(pool, MAX_EXPORTS), permits: Arc::new(Pool::of(MAX_EXPORTS.into())) }
    }

    /// The connections that exports are read by.
    pub(super) fn reads(&self) -> &TenantReads {
        &self.reads
    }

    /// The right to make an export; none if there are too many.
    pub(super) fn permit(&self, tenant: &TenantId) -> Option<Permit> {
        self.permits.try_take(tenant, 1)
    }
}
