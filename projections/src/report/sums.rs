//! The lists of sums that the statements of a report select.

use super::usage_source::{COUNTS, OTHER_SUMS};
use domain::Meter;
use std::sync::LazyLock;

/// What precedes the names of the sums of the period that a report is compared with.
pub(super) const BASE: &str = "base_";

/// The columns of sums, each with whether it is a count.
fn columns() -> impl Iterator<Item = (&'static str, bool)> {
    let sums = OTHER_SUMS.into_iter().chain(Meter::ALL.iter().map(|meter| meter.column()));
    COUNTS.into_iter().map(|column| (column, true)).chain(sums.map(|column| (column, false)))
}

/// The sums of columns whose names begin with a prefix, over the rows that meet a condition.
fn list(condition: &str, of: &str, named: &str) -> String {
    let sum = |(column, is_count): (&str, bool)| {
        let cast = if is_count { "::bigint" } else { "" };
        format!("coalesce(sum({of}{column}){condition}, 0){cast} as {named}{column}")
    };
    columns().map(sum).collect::<Vec<_>>().join(", ")
}

/// Sums over rows of a usage source, or over rows that are such sums.
static SUMS: LazyLock<String> = LazyLock::new(|| list("", "", ""));
/// The same, and those of the base, over rows that are such sums.
static WITH_BASE: LazyLock<String> = LazyLock::new(|| format!("{}, {}", list("", "", ""), list("", BASE, BASE)));
/// Sums over rows of a usage source of which some are of the base.
static DIVIDED: LazyLock<String> = LazyLock::new(|| {
    let (current, base) = (" filter (where not u.is_base)", " filter (where u.is_base)");
    format!("{}, {}", list(current, "", ""), list(base, "", BASE))
});

/// Sums over rows of a usage source.
pub(super) fn of_cells(has_base: bool) -> &'static str {
    if has_base { &DIVIDED } else { &SUMS }
}

/// Sums over rows that are such sums.
pub(super) fn of_rows(has_base: bool) -> &'static str {
    if has_base { &WITH_BASE } else { &SUMS }
}

/// The sums `t` less the sums `r`.
pub(super) fn differences(has_base: bool) -> String {
    names(has_base).split(", ").map(|name| format!("t.{name} - r.{name}")).collect::<Vec<_>>().join(", ")
}

/// The names of the sums.
pub(super) fn names(has_base: bool) -> String {
    let of = |prefix: &'static str| columns().map(move |(column, _)| format!("{prefix}{column}"));
    let base = has_base.then(|| of(BASE)).into_iter().flatten();
    of("").chain(base).collect::<Vec<_>>().join(", ")
}
