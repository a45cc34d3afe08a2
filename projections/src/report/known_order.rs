//! The order of the rows of a report that is in memory, and its row of the rest, as the statements of other reports have them.

use super::dimension::{Dimension, times};
use super::period::Start;
use super::query::Selection;
use super::{ReportCursor, ReportRow};
use domain::Sum;
use std::cmp::Ordering;

/// What rows are sorted by.
pub(super) struct SortKey<'r> {
    times: Vec<Start>,
    is_rest: bool,
    cost: &'r Sum,
    calls: i64,
    /// The keys that are no times.
    keys: Vec<&'r Option<String>>,
}

impl<'r> SortKey<'r> {
    pub(super) fn new(selection: &Selection, row: &'r ReportRow) -> Self {
        Self::of(selection, (&row.keys, row.is_rest), (&row.totals.cost, row.totals.calls))
    }

    pub(super) fn of_cursor(selection: &Selection, cursor: &'r ReportCursor) -> Self {
        Self::of(selection, (&cursor.keys, cursor.is_rest), (&cursor.cost, cursor.calls))
    }

    fn of(selection: &Selection, (keys, is_rest): (&'r [Option<String>], bool), (cost, calls): (&'r Sum, i64)) -> Self {
        let start = |(n, by): (usize, Dimension)| by.start(&selection.zone, keys.get(n)?.as_deref()?);
        let times = times(&selection.by).into_iter().filter_map(start).collect();
        let keys = selection.by.iter().zip(keys).filter(|(by, _)| !by.is_time()).map(|(_, key)| key).collect();
        Self { times, is_rest, cost, calls, keys }
    }

    /// The order of rows, as the statements of other reports have it.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        // Nulls last; text by bytes, which for ids is the order of the ids.
        let ties = || {
            let mut ties = self.keys.iter().zip(&other.keys);
            let order = ties.find_map(|(a, b)| {
                Some(a.is_none().cmp(&b.is_none()).then_with(|| a.cmp(b))).filter(|order| order.is_ne())
            });
            order.unwrap_or(Ordering::Equal)
        };
        let times = self.times.cmp(&other.times).then(self.is_rest.cmp(&other.is_rest));
        times.then_with(|| other.cost.cmp(self.cost)).then_with(|| other.calls.cmp(&self.calls)).then_with(ties)
    }
}

/// Rows in their order.
pub(super) fn sorted(selection: &Selection, rows: Vec<ReportRow>) -> Vec<ReportRow> {
    let mut order: Vec<_> = rows.iter().enumerate().map(|(n, row)| (SortKey::new(selection, row), n)).collect();
    order.sort_by(|(a, _), (b, _)| a.compare(b));
    let order: Vec<_> = order.into_iter().map(|(_, n)| n).collect();
    let mut rows: Vec<_> = rows.into_iter().map(Some).collect();
    order.into_iter().filter_map(|n| rows.get_mut(n)?.take()).collect()
}

/// Sums up the rows of each period after those of highest cost, if a report has a number of these.
pub(super) fn with_rest(selection: &Selection, rows: Vec<ReportRow>) -> Vec<ReportRow> {
    let Some(top) = selection.top.and_then(|top| usize::try_from(top).ok()) else { return rows };
    let (mut kept, mut in_period): (Vec<ReportRow>, usize) = (Vec::new(), 0);
    for mut row in rows {
        let period = |row: &ReportRow| times(&selection.by).iter().map(|(n, _)| row.keys.get(*n).cloned()).collect();
        let (of_row, of_last): (Vec<_>, Option<Vec<_>>) = (period(&row), kept.last().map(period));
        in_period = if of_last.is_some_and(|last| last == of_row) { in_period + 1 } else { 1 };
        match kept.last_mut() {
            Some(rest) if in_period > top + 1 => {
                rest.totals.add(&row.totals);
                rest.base.iter_mut().zip(&row.base).for_each(|(sums, base)| sums.add(base));
            }
            _ => {
                row.is_rest = in_period > top;
                if row.is_rest {
                    let keys = selection.by.iter().zip(&mut row.keys).filter(|(by, _)| !by.is_time());
                    keys.for_each(|(_, key)| *key = None);
                }
                kept.push(row);
            }
        }
    }
    kept
}
