//! The part of an OTLP span that imports use, whatever encoding the span came in.

use super::attributes::Attributes;
use super::conventions::{ScopeBasis, Slot};
use domain::call::{CallSpan, Outcome};
use domain::span_contents::SpanContents;
use domain::telemetry::{SpanKind, SpanStatus};

/// The ids of a span: 16 bytes of its trace, 8 bytes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SpanId {
    pub(crate) trace: u128,
    pub(crate) span: u64,
}

/// A time of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SpanTime {
    /// Nanoseconds since 1970.
    UnixNanos(i64),
    /// Not a time: the value as found, clipped.
    Invalid(String),
}

/// A span.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) id: SpanId,
    /// The id of the parent span in the same trace. `None` for a root.
    pub(crate) parent: Option<u64>,
    pub(crate) name: Option<String>,
    pub(crate) start: Option<SpanTime>,
    pub(crate) end: Option<SpanTime>,
    /// The attributes that imports use.
    pub(crate) attributes: Attributes,
    /// How far the usage that the instrumentation writes can be relied on.
    pub(crate) scope: ScopeBasis,
    /// The kind, if it is stated.
    pub(crate) kind: Option<SpanKind>,
    pub(crate) status: SpanStatus,
    /// The message of the status, if the status is an error.
    pub(crate) status_error: Option<String>,
    /// The texts that it carries, if they are kept.
    pub(crate) contents: Option<SpanContents>,
}

impl Span {
    /// The error that ended the span: its `error.type`, or the message of its status.
    pub(crate) fn error(&self) -> Option<&str> {
        self.attributes.text(Slot::Error).or(self.status_error.as_deref())
    }

    /// How the span ended.
    pub(crate) fn outcome(&self) -> Outcome {
        match self.error() {
            None => Outcome::Ok,
            Some("timeout" | "deadline_exceeded") => Outcome::Timeout,
            Some("cancelled" | "canceled") => Outcome::Cancelled,
            Some(_) => Outcome::Error,
        }
    }

    /// The ids of the span as facts of a call; none if an id is 0.
    pub(crate) fn call_span(&self) -> Option<CallSpan> {
        CallSpan::of(self.id.trace, self.id.span, self.parent)
    }

    /// The duration, in milliseconds, if both times are known and in order.
    pub(crate) fn latency_ms(&self) -> Option<u64> {
        let (Some(SpanTime::UnixNanos(start)), Some(SpanTime::UnixNanos(end))) = (&self.start, &self.end) else {
            return None;
        };
        u64::try_from(end.checked_sub(*start)? / 1_000_000).ok()
    }

    /// The memory taken by text and attributes, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let times = [&self.start, &self.end].into_iter().flatten().map(|time| match time {
            SpanTime::UnixNanos(_) => 0,
            SpanTime::Invalid(found) => found.len(),
        });
        let texts = [&self.name, &self.status_error].into_iter().flatten().map(String::len);
        self.attributes.heap_bytes() + times.chain(texts).sum::<usize>()
    }
}
