//! Connections of GraphQL, which are read page by page.

use serde::Deserialize;

/// Where a page of a connection ends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl PageInfo {
    /// The cursor after which the next page begins; none if there is none.
    #[must_use]
    pub fn next(self) -> Option<String> {
        self.end_cursor.filter(|_| self.has_next_page)
    }
}

/// A page of a connection.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The objects, in the order of the list.
    pub nodes: Vec<T>,
    /// Where the page ends.
    pub page_info: PageInfo,
}
