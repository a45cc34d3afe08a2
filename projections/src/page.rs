//! Keyset pagination, as all lists of read models use it.
//!
//! A list has a fixed order. A cursor is a row's sort key in that order, so that pages stay correct while rows are
//! inserted and deleted.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The maximum number of rows in a page.
pub const MAX_PAGE_ROWS: i64 = 500;

/// The sort key of a row: its time, then its id.
pub type Cursor = (DateTime<Utc>, Uuid);

/// Which rows of a list to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page {
    /// Only rows after this cursor; from the first row on if none is given.
    pub after: Option<Cursor>,
    /// The maximum number of rows, clamped to 1 to [`MAX_PAGE_ROWS`] + 1: the extra row tells whether there is a next
    /// page.
    pub limit: i64,
}

impl Page {
    pub(crate) fn limit(self) -> i64 {
        clamp_limit(self.limit)
    }

    pub(crate) fn after(self) -> (Option<DateTime<Utc>>, Option<Uuid>) {
        self.after.unzip()
    }
}

/// Clamps a limit as [`Page::limit`] does, for lists that have another cursor.
pub(crate) fn clamp_limit(limit: i64) -> i64 {
    limit.clamp(1, MAX_PAGE_ROWS + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_clamped_to_one_row_more_than_a_page_may_have() {
        for (limit, clamped) in [(i64::MIN, 1), (0, 1), (1, 1), (500, 500), (501, 501), (502, 501), (i64::MAX, 501)] {
            assert_eq!(Page { after: None, limit }.limit(), clamped, "{limit}");
        }
    }

    #[test]
    fn a_cursor_gives_both_parts_of_the_sort_key_or_neither() {
        let cursor = (DateTime::<Utc>::UNIX_EPOCH, Uuid::from_u128(7));
        assert_eq!(Page { after: Some(cursor), limit: 1 }.after(), (Some(cursor.0), Some(cursor.1)));
        assert_eq!(Page::default().after(), (None, None));
    }
}
