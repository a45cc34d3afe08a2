//! A trace as it is shown, wherever it is read.

use domain::Sum;
use serde::Serialize;
use uuid::Uuid;

/// A trace.
#[derive(Debug, Serialize)]
pub(super) struct Drawn {
    pub(super) trace_id: String,
    /// When its first span started, and when the last one ended, in RFC 3339.
    pub(super) started_at: Option<String>,
    pub(super) ended_at: Option<String>,
    pub(super) duration_us: Option<u64>,
    /// Whether spans were left out, because there are too many.
    pub(super) is_truncated: bool,
    /// The sums over its calls; none if there are too many calls to sum up.
    pub(super) totals: Option<DrawnTotals>,
    /// Its spans, each before those inside of it.
    pub(super) spans: Vec<DrawnSpan>,
}

/// Sums over the calls of a trace.
#[derive(Debug, Serialize)]
pub(super) struct DrawnTotals {
    pub(super) calls: i64,
    pub(super) tool_calls: i64,
    pub(super) input_tokens: String,
    pub(super) output_tokens: String,
    /// None if no call has a price.
    pub(super) cost: Option<Sum>,
}

/// A span.
#[derive(Debug, Serialize)]
pub(super) struct DrawnSpan {
    pub(super) span_id: String,
    pub(super) parent_span_id: Option<String>,
    /// The number of spans around it that are shown.
    pub(super) depth: u32,
    pub(super) name: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) started_at: Option<String>,
    pub(super) duration_us: Option<u64>,
    pub(super) status: String,
    pub(super) status_message: Option<String>,
    pub(super) service: Option<String>,
    pub(super) agent_id: Option<Uuid>,
    /// The call that it was.
    pub(super) call: Option<DrawnCall>,
}

/// A call.
#[derive(Debug, Serialize)]
pub(super) struct DrawnCall {
    pub(super) id: Uuid,
    pub(super) kind: String,
    pub(super) model: Option<String>,
    pub(super) tool: Option<String>,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    /// None if no price is known.
    pub(super) cost: Option<Sum>,
}
