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

/// The order of a list whose rows have a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By time, then by id, both ascending.
    #[default]
    OldestFirst,
    /// By time, then by id, both descending.
    NewestFirst,
}

/// Which rows of a list to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page {
    /// The order of the rows, for a list that can be read in both. Others are read with the oldest row first.
    pub order: Order,
    /// Only rows after this cursor in the order of the list; from the first row on if none is given.
    pub after: Option<Cursor>,
    /// The maximum number of rows, clamped to 1 to [`MAX_PAGE_ROWS`] + 1: the extra row tells whether there is a next
    /// page.
    pub limit: i64,
}

impl Page {
    pub(crate) fn limit(self) -> i64 {
        clamp_limit(self.limit)
    }

    /// A statement whose text has `{after}` where sort keys are compared with the cursor, and `{direction}` behind each column
    /// of the order.
    pub(crate) fn in_order(self, text: &str) -> String {
        let (after, direction) = match self.order {
            Order::OldestFirst => (">", "asc"),
            Order::NewestFirst => ("<", "desc"),
        };
        text.replace("{after}", after).replace("{direction}", direction)
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
            assert_eq!(Page { limit, ..Page::default() }.limit(), clamped, "{limit}");
        }
    }

    #[test]
    fn the_last_rows_come_first_and_their_cursors_lead_backwards() {
        let text = "where key {after} $1 order by at {direction}, id {direction}";
        let statement = |order| Page { order, ..Page::default() }.in_order(text);
        assert_eq!(statement(Order::OldestFirst), "where key > $1 order by at asc, id asc");
        assert_eq!(statement(Order::NewestFirst), "where key < $1 order by at desc, id desc");
    }

    #[test]
    fn a_cursor_gives_both_parts_of_the_sort_key_or_neither() {
        let cursor = (DateTime::<Utc>::UNIX_EPOCH, Uuid::from_u128(7));
        assert_eq!(Page { after: Some(cursor), ..Page::default() }.after(), (Some(cursor.0), Some(cursor.1)));
        assert_eq!(Page::default().after(), (None, None));
    }
}
