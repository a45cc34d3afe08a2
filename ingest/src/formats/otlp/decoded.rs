//! What the body of a request holds, whatever its signal and its encoding.

use super::exported::KeptSpans;
use crate::error::Refusal;
use crate::item::Item;
use std::collections::BTreeSet;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Protobuf.
    Protobuf,
    /// JSON, as OTLP has it.
    Json,
}

/// What of spans is kept beside the calls that they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing.
    Nothing,
    /// The spans.
    Spans,
    /// The spans, with the texts that they carry.
    Contents,
}

/// What a request exports.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) items: Vec<Item>,
    /// The spans as they are kept.
    pub(crate) exported: KeptSpans,
    /// The spans or records that cannot be read.
    pub(crate) refusals: Vec<Refusal>,
    /// What of the attributes was not counted or not read.
    pub(crate) not_read: Vec<String>,
    /// The number of calls to models whose usage nothing states.
    pub(crate) unmeasured: u64,
    /// The number of spans, records or data points.
    pub(crate) count: u64,
    /// The names of metrics about usage, which are not charged.
    pub(crate) usage_metrics: BTreeSet<String>,
}
