//! Receives the requests of OpenTelemetry exporters: decodes them, reports what they say, and says what was rejected.
//!
//! A request is answered after all of it is in the log. What a retry sends again changes nothing.

mod receiver;
mod received;

pub use crate::error::DecodeError;
pub use crate::formats::otlp_request::Encoding;
pub use received::Received;
pub use receiver::{ReceiveError, Receiver};

use crate::formats::otlp_request::{Decoded, decode_traces};

/// The most bytes of a body after decompression: 16 MiB. SDKs export 512 spans at once, and collectors 8,192.
pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// What a request exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
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
        };
        Ok(Self { decoded })
    }
}
