//! What an export is asked for.

use projections::{ExportFormat, ExportQuery, FocusVersion, NamedFilter};
use std::time::Duration;

/// What is exported.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    Calls,
    Focus(FocusVersion),
}

/// What an export is asked for.
pub(super) struct ExportRequest {
    pub(super) content: Content,
    pub(super) format: ExportFormat,
    pub(super) query: ExportQuery,
    /// The filters of the query, as they were given.
    pub(super) filters: Vec<NamedFilter>,
    /// How long it is waited for the read models; none if it is not.
    pub(super) wait: Option<Duration>,
}
