//! Ranges of ordered maps whose keys begin with the tenant.

use domain::TenantId;
use std::ops::{Bound, RangeBounds};

/// A range of ids.
pub(crate) type Range<T> = (Bound<T>, Bound<T>);

/// The range of a range of any form.
pub(crate) fn owned<T: Clone>(range: &impl RangeBounds<T>) -> Range<T> {
    (range.start_bound().cloned(), range.end_bound().cloned())
}

/// All ids.
pub(super) fn all<T>() -> Range<T> {
    (Bound::Unbounded, Bound::Unbounded)
}

/// The part of a map with the ids of a tenant that are in a range. `first` and `last` are the lowest and the highest id.
pub(super) fn of_tenant<T>(tenant: &TenantId, ids: Range<T>, first: T, last: T) -> Range<(TenantId, T)> {
    let bound = |bound: Bound<T>, unbounded: T| match bound {
        Bound::Unbounded => Bound::Included((tenant.clone(), unbounded)),
        limited => limited.map(|id| (tenant.clone(), id)),
    };
    (bound(ids.0, first), bound(ids.1, last))
}
