//! Receives the requests of OpenTelemetry exporters: decodes them, reports what they say, and says what was rejected.
//!
//! A request is answered after all of it is in the log. What a retry sends again changes nothing.

mod received;
mod receiver;

pub use crate::error::DecodeError;
pub use crate::formats::KeptSpans;
pub use crate::formats::otlp_request::Encoding;
pub use received::Received;

use crate::error::Refusal;
use crate::formats::otlp_request::{Decoded, Kept, decode_logs, decode_metrics, decode_traces};
use crate::item::Item;
use crate::receiver::of_content;
use domain::{AgentId, ImportId, content_id};
use uuid::Uuid;

/// The most bytes of a body after decompression: 16 MiB. SDKs export 512 spans at once, and collectors 8,192.
pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// What a request exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Records of logs, and events.
    Logs,
    /// Metrics.
    Metrics,
}

impl Signal {
    /// The name, as the path of the signal has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// The field of a partial success with the number of what was rejected, as JSON has it.
    #[must_use]
    pub fn rejected_field(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Logs => "rejectedLogRecords",
            Self::Metrics => "rejectedDataPoints",
        }
    }
}

/// A request that was decoded.
#[derive(Debug)]
pub struct Export {
    pub(crate) decoded: Decoded,
    import: ImportOf,
}

/// What the spans of a request are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanUse {
    /// The calls that they were.
    Calls,
    /// The calls, and the spans are kept so that their traces can be drawn.
    CallsAndTraces,
    /// As [`SpanUse::CallsAndTraces`], with the prompts, responses and other texts that the spans carry.
    CallsAndContents,
}

impl SpanUse {
    fn kept(self) -> Kept {
        match self {
            Self::Calls => Kept::Nothing,
            Self::CallsAndTraces => Kept::Spans,
            Self::CallsAndContents => Kept::Contents,
        }
    }
}

/// What the id of the import is that a request is.
#[derive(Debug, Clone, Copy)]
enum ImportOf {
    /// The one that its sender gave it.
    Sender(ImportId),
    /// Derived from the body, whose id this is.
    Content(Uuid),
}

impl Export {
    /// Decodes a body. It is CPU-bound, and takes memory in proportion to the body. If the sender gives no id of the import
    /// that the request is, one is derived from the body, so that a retry is the same import.
    ///
    /// # Errors
    /// [`DecodeError`] if nothing of the body can be used.
    pub fn decode(
        signal: Signal,
        encoding: Encoding,
        body: &[u8],
        (import_id, spans): (Option<ImportId>, SpanUse),
    ) -> Result<Self, DecodeError> {
        let decoded = match signal {
            Signal::Traces => decode_traces(body, encoding, spans.kept())?,
            Signal::Logs => decode_logs(body, encoding, spans.kept())?,
            Signal::Metrics => decode_metrics(body, encoding)?,
        };
        let import = import_id.map_or_else(|| ImportOf::Content(content_id(signal.name(), body)), ImportOf::Sender);
        Ok(Self { decoded, import })
    }

    /// The id of the import that the request is. Without one of its sender, the same content sent for the same agent is the same
    /// import.
    pub(crate) fn import_id(&self, agent: Option<AgentId>) -> ImportId {
        match self.import {
            ImportOf::Sender(import_id) => import_id,
            ImportOf::Content(content_id) => of_content(content_id, agent),
        }
    }

    /// The number of spans, records of logs or data points of the body.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.decoded.count
    }

    /// Takes the spans as they are kept so that a trace can be drawn: all that can be read, up to 50,000. None, if they are not
    /// kept.
    #[must_use]
    pub fn take_spans(&mut self) -> KeptSpans {
        std::mem::take(&mut self.decoded.exported)
    }

    /// What can be reported of them. Spans without usage are no part of it.
    #[must_use]
    pub fn into_items(self) -> Vec<Item> {
        self.decoded.items
    }

    /// Those that cannot be read, each with the reason.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        &self.decoded.refusals
    }
}
