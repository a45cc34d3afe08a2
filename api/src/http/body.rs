//! Bodies of requests, which are limited in size and in the time that they take, and may be compressed.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, header};
use bytes::{Buf as _, Bytes};
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

/// Why the content of a body is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ContentError {
    /// It is longer than the limit.
    TooLong,
    /// What was compressed is damaged.
    Damaged(String),
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

    /// The content of a body, of which a bomb is read no further than the limit. It is CPU-bound.
    pub(crate) fn content(self, body: Bytes, max_bytes: usize) -> Result<Bytes, ContentError> {
        if self == Self::None {
            return if body.len() > max_bytes { Err(ContentError::TooLong) } else { Ok(body) };
        }
        let mut content = Vec::new();
        let decoder = self.decoder(body.reader());
        let read = decoder.and_then(|decoder| decoder.take(max_bytes as u64 + 1).read_to_end(&mut content));
        match read {
            Ok(_) if content.len() > max_bytes => Err(ContentError::TooLong),
            Ok(_) => Ok(content.into()),
            Err(error) => Err(ContentError::Damaged(error.to_string())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::gzip;

    const MAX_BYTES: usize = 1024 * 1024;

    #[test]
    fn what_was_compressed_is_read() {
        let content = |compression: Compression, body: Vec<u8>| compression.content(body.into(), MAX_BYTES).unwrap();
        assert_eq!(content(Compression::Gzip, gzip(b"spans")), b"spans"[..]);
        assert_eq!(content(Compression::Zstd, zstd::encode_all(&b"spans"[..], 3).unwrap()), b"spans"[..]);
        assert_eq!(content(Compression::None, b"spans".to_vec()), b"spans"[..]);
    }

    /// The compressions of which more is read than the limit allows.
    fn read_beyond_the_limit(content: impl Fn(Compression, Bytes) -> Result<Bytes, ContentError>) -> Vec<Compression> {
        let compressed =
            |bomb: &[u8]| [(Compression::Gzip, gzip(bomb)), (Compression::Zstd, zstd::encode_all(bomb, 3).unwrap())];
        let bomb = vec![0; MAX_BYTES + 1];
        for (compression, body) in compressed(&bomb[1..]) {
            assert!(body.len() < 10_000 && content(compression, body.into()).is_ok(), "{compression:?}");
        }
        let is_read = |(compression, body): (Compression, Vec<u8>)| {
            (content(compression, body.into()) != Err(ContentError::TooLong)).then_some(compression)
        };
        compressed(&bomb).into_iter().filter_map(is_read).collect()
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        assert_eq!(read_beyond_the_limit(|compression, body| compression.content(body, MAX_BYTES)), []);
    }

    /// Control for the test above: what decompresses zstd without a limit is found.
    #[test]
    fn planted_decompression_without_a_limit_is_found() {
        let planted = |compression: Compression, body: Bytes| {
            let limit = if compression == Compression::Zstd { usize::MAX - 1 } else { MAX_BYTES };
            compression.content(body, limit)
        };
        assert_eq!(read_beyond_the_limit(planted), [Compression::Zstd]);
    }

    #[test]
    fn damaged_bodies_are_the_error_of_the_client() {
        for (compression, body) in [(Compression::Gzip, &gzip(b"spans")[..9]), (Compression::Zstd, b"spans")] {
            let refused = compression.content(body.to_vec().into(), MAX_BYTES);
            assert!(matches!(refused, Err(ContentError::Damaged(_))), "{compression:?}");
        }
    }
}
