//! Pages of lists, as Relay connections.
//!
//! A cursor encodes the sort key of a row, so that pagination is stable while rows are inserted and removed.

use super::errors::bad_input;
use super::scalars::parse_position;
use super::services::services;
use async_graphql::connection::{Connection, Edge};
use async_graphql::{Context, Enum, OutputType, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike, Utc};
use projections::{Cursor, Order, Page};
use uuid::Uuid;

/// The page size without `first`.
pub(crate) const DEFAULT_PAGE: i32 = 50;
/// The years of valid cursors: a superset of those of stored rows, and within the range of PostgreSQL's timestamps.
const CURSOR_YEARS: std::ops::RangeInclusive<i32> = 1..=9999;
/// The complexity of a text field of up to 64 KiB, which is buffered for each row until the response is written.
pub(crate) const LARGE_TEXT_COST: usize = 16;
/// The complexity of one SQL statement, in the unit of [`crate::config::Limits::max_complexity`].
pub(crate) const STATEMENT_COST: usize = 10;

/// The complexity of a count of all objects of a kind.
pub(crate) const COUNT_COST: usize = 10 * STATEMENT_COST;

/// Order of a list by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "projections::Order")]
pub(crate) enum ListOrder {
    /// The oldest object comes first.
    OldestFirst,
    /// The newest object comes first.
    NewestFirst,
}

/// The complexity of a list: one statement, and the selected fields of each row of the page.
pub(crate) fn cost(first: Option<i32>, child_complexity: usize) -> usize {
    let rows = usize::try_from(first.unwrap_or(DEFAULT_PAGE)).unwrap_or(0);
    rows.saturating_mul(child_complexity).saturating_add(STATEMENT_COST)
}

/// Checks `first` and returns the page size.
///
/// # Errors
/// `BAD_PAGE_SIZE` if it is not between 1 and [`crate::config::Limits::max_page`].
pub(crate) fn size(ctx: &Context<'_>, first: Option<i32>) -> Result<usize> {
    check_size(first, services(ctx)?.limits.max_page)
}

fn check_size(first: Option<i32>, limit: usize) -> Result<usize> {
    let first = first.unwrap_or(DEFAULT_PAGE);
    match usize::try_from(first) {
        Ok(size) if (1..=limit).contains(&size) => Ok(size),
        _ => Err(bad_input("BAD_PAGE_SIZE", format!("a page has 1 to {limit} rows, requested {first}"))),
    }
}

/// The page of a list in order of time. It reads one row more than requested, which tells whether there is a next page.
pub(crate) fn page(ctx: &Context<'_>, first: Option<i32>, after: Option<&str>) -> Result<Page> {
    let size = size(ctx, first)?;
    let after = after.map(cursor).transpose()?;
    Ok(Page { after, limit: i64::try_from(size + 1).unwrap_or(i64::MAX), ..Page::default() })
}

/// [`page`] of a list that can be read in both orders: with the oldest object first if no order is given.
pub(crate) fn page_in_order(
    ctx: &Context<'_>,
    first: Option<i32>,
    after: Option<&str>,
    order: Option<ListOrder>,
) -> Result<Page> {
    Ok(Page { order: order.map_or_else(Order::default, Order::from), ..page(ctx, first, after)? })
}

/// Decodes the cursor of a list in order of time.
pub(crate) fn cursor(text: &str) -> Result<Cursor> {
    decode(text).ok_or_else(|| bad_cursor(text))
}

/// Creates the error for a cursor that is not one of the list.
pub(crate) fn bad_cursor(cursor: &str) -> async_graphql::Error {
    let shown: String = cursor.chars().take(64).collect();
    bad_input("BAD_CURSOR", format!("{shown:?} is not a cursor of this list; send one as it was returned"))
}

/// Decodes the cursor of a list whose cursors are positions.
pub(crate) fn position_cursor(text: &str) -> Result<streams::Position> {
    parse_position(text).map(Into::into).ok_or_else(|| bad_cursor(text))
}

/// Builds a connection from the rows of a page.
pub(crate) fn connect<R, N>(rows: Vec<R>, page: Page, cursor: impl Fn(&R) -> Cursor) -> Result<Connection<String, N>>
where
    N: OutputType + TryFrom<R, Error = async_graphql::Error>,
{
    let size = usize::try_from(page.limit).unwrap_or(1).saturating_sub(1);
    let cursors = |row: &R| encode(cursor(row));
    connect_by(rows, size, page.after.is_some(), cursors)
}

/// Builds a connection from the rows of a list that has another form of cursor.
pub(crate) fn connect_by<R, N>(
    rows: Vec<R>,
    size: usize,
    has_previous_page: bool,
    cursor: impl Fn(&R) -> String,
) -> Result<Connection<String, N>>
where
    N: OutputType + TryFrom<R, Error = async_graphql::Error>,
{
    let mut connection = Connection::new(has_previous_page, rows.len() > size);
    for row in rows.into_iter().take(size) {
        let cursor = cursor(&row);
        connection.edges.push(Edge::new(cursor, N::try_from(row)?));
    }
    Ok(connection)
}

/// Encodes the cursor of a list in order of time.
pub(crate) fn encode((at, id): Cursor) -> String {
    encode_text(&format!("{}:{id}", at.timestamp_micros()))
}

fn decode(cursor: &str) -> Option<Cursor> {
    let text = decode_text(cursor)?;
    let (micros, id) = text.split_once(':')?;
    let at = DateTime::<Utc>::from_timestamp_micros(micros.parse().ok()?)?;
    // PostgreSQL and its driver cannot represent other times.
    if !CURSOR_YEARS.contains(&at.year()) {
        return None;
    }
    Some((at, Uuid::try_parse(id).ok()?))
}

/// Encodes text as an opaque cursor.
pub(crate) fn encode_text(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Decodes an opaque cursor to its text.
pub(crate) fn decode_text(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_keep_microseconds() {
        let at = DateTime::<Utc>::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        let cursor = (at, Uuid::from_u128(7));
        assert_eq!(decode(&encode(cursor)), Some(cursor));
        let early = (DateTime::<Utc>::from_timestamp_micros(-5).unwrap(), Uuid::from_u128(7));
        assert_eq!(decode(&encode(early)), Some(early));
    }

    #[test]
    fn a_cursor_beyond_the_range_of_the_database_is_rejected() {
        for at in [i64::MIN, -210_900_000_000_000_000, -62_135_596_800_000_001, 253_402_300_800_000_000, i64::MAX] {
            assert_eq!(decode(&encode_text(&format!("{at}:{}", Uuid::from_u128(7)))), None, "{at}");
        }
    }

    #[test]
    fn other_text_is_not_a_cursor() {
        for bad in ["", "x", "42", &encode_text("a:b"), &encode_text("5"), &encode_text("5:x")] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_page_has_at_least_one_row_and_at_most_the_limit() {
        assert_eq!(check_size(None, 500).unwrap(), 50);
        assert_eq!(check_size(Some(500), 500).unwrap(), 500);
        for bad in [0, -1, 501] {
            assert!(check_size(Some(bad), 500).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_complexity_of_a_list_grows_with_its_page() {
        assert_eq!(cost(Some(100), 3), 310);
        assert_eq!(cost(None, 1), 60);
        assert_eq!(cost(Some(-5), 7), 10);
        assert_eq!(cost(Some(i32::MAX), usize::MAX), usize::MAX);
    }
}
