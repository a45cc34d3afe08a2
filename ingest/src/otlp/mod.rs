//! Receives the requests of OpenTelemetry exporters: decodes them, reports what they say, and says what was rejected.
//!
//! A request is answered after all of it is in the log. What a retry sends again changes nothing.

mod received;
mod receiver;

pub use crate::error::DecodeError;
pub use crate::formats::otlp_request::Encoding;
pub use received::Received;

use crate::formats::otlp_request::{Decoded, decode_logs, decode_metrics, decode_traces};

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
}

impl Export {
    /// Decodes a body. It is CPU-bound, and takes memory in proportion to the body.
    ///
    /// # Errors
    /// [`DecodeError`] if nothing of the body can be used.
    pub fn decode(signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Self, DecodeError> {
        let decoded = match signal {
            Signal::Traces => decode_traces(body, encoding)?,
            Signal::Logs => decode_logs(body, encoding)?,
            Signal::Metrics => decode_metrics(body, encoding)?,
        };
        Ok(Self { decoded })
    }
}
