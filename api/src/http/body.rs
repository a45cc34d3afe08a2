//! Bodies of requests, which are limited in size and in the time that they take, and may be compressed.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufReader, Read};
use std::time::Duration;

/// The binary logarithm of the largest window of zstd, which a decoder holds in memory: 8 MiB, the most that its
/// specification recommends to support.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is longer than the limit.
    TooLong,
    /// It did not arrive in time.
    TimedOut,
    /// It was cut off.
    Incomplete,
}

/// Reads a body as a whole.
pub(crate) async fn read(body: Body, max_bytes: usize, timeout: Duration) -> Result<Bytes, BodyError> {
    match tokio::time::timeout(timeout, to_bytes(body, max_bytes)).await {
        Err(_) => Err(BodyError::TimedOut),
        Ok(Err(error)) if is_too_long(&error) => Err(BodyError::TooLong),
        Ok(Err(_)) => Err(BodyError::Incomplete),
        Ok(Ok(body)) => Ok(body),
    }
}

/// Whether the body is longer than the limit, rather than cut off.
fn is_too_long(error: &axum::Error) -> bool {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.any(|cause| cause.is::<http_body_util::LengthLimitError>())
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// The message about a compression that is not supported.
pub(crate) const UNKNOWN_COMPRESSION: &str = "the Content-Encoding is not supported: use gzip, zstd, or none";

impl Compression {
    /// How the body of a request is compressed; none if that is not supported.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let Some(named) = headers.get(header::CONTENT_ENCODING) else { return Some(Self::None) };
        let named = named.to_str().unwrap_or_default().trim().to_ascii_lowercase();
        match named.as_str() {
            "" | "identity" => Some(Self::None),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What reads the content of a body.
    pub(crate) fn decoder(self, body: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        let body = BufReader::new(body);
        Ok(match self {
            Self::None => Box::new(body),
            Self::Gzip => Box::new(MultiGzDecoder::new(body)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        })
    }
}
