//! Bodies over HTTP: their size is limited before and after decompression.

use super::export::check_bytes;
use super::failure::{Code, Failure};
use crate::http::computing::is_large;
use crate::http::state::State;
use crate::requester::Requester;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use ingest::otlp::MAX_BODY_BYTES;
use std::io::{self, Read};

/// The binary logarithm of the largest window of zstd, which a decoder holds in memory: 8 MiB, the most that its
/// specification recommends to support.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Reads a body, and decompresses it.
pub(super) async fn read(state: &State, requester: &Requester, request: Request) -> Result<Bytes, Failure> {
    let compression = compression(request.headers())?;
    let reading = to_bytes(request.into_body(), MAX_BODY_BYTES);
    let body = match tokio::time::timeout(state.limits().head_timeout, reading).await {
        Err(_) => {
            let message = "the body did not arrive in time";
            return Err(Failure {
                retry_after_s: Some(1),
                ..Failure::of(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, message)
            });
        }
        Ok(Err(error)) if is_too_long(&error) => return Err(too_long()),
        Ok(Err(_)) => {
            return Err(Failure::of(StatusCode::BAD_REQUEST, Code::InvalidArgument, "the body is incomplete"));
        }
        Ok(Ok(body)) => body,
    };
    check_bytes(state, requester, body.len())?;
    if compression == Compression::None {
        return Ok(body);
    }
    state.cpu_permits.run(is_large(body.len()), || decompressed(compression, &body)).await
}

fn compression(headers: &HeaderMap) -> Result<Compression, Failure> {
    let Some(named) = headers.get(header::CONTENT_ENCODING) else { return Ok(Compression::None) };
    let named = named.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    match named.as_str() {
        "" | "identity" => Ok(Compression::None),
        "gzip" | "x-gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        _ => {
            let message = "the Content-Encoding is not supported: use gzip, zstd, or none";
            Err(Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message))
        }
    }
}

/// Whether the body is longer than the limit, rather than cut off.
fn is_too_long(error: &axum::Error) -> bool {
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.any(|cause| cause.is::<http_body_util::LengthLimitError>())
}

fn too_long() -> Failure {
    Failure::too_large(format!(
        "the body has more than {MAX_BODY_BYTES} bytes after decompression, which is the limit: export fewer spans at once"
    ))
}

fn decompressed(compression: Compression, body: &[u8]) -> Result<Bytes, Failure> {
    let read = |reader: &mut dyn Read| {
        let mut content = Vec::new();
        Read::take(reader, MAX_BODY_BYTES as u64 + 1).read_to_end(&mut content).map(|_| content)
    };
    let content = match compression {
        Compression::None => Ok(body.to_vec()),
        Compression::Gzip => read(&mut MultiGzDecoder::new(body)),
        Compression::Zstd => zstd_decoder(body).and_then(|mut decoder| read(&mut decoder)),
    };
    match content {
        Ok(content) if content.len() > MAX_BODY_BYTES => Err(too_long()),
        Ok(content) => Ok(content.into()),
        Err(error) => {
            let message = format!("the compressed body is damaged: {error}");
            Err(Failure::of(StatusCode::BAD_REQUEST, Code::InvalidArgument, message))
        }
    }
}

fn zstd_decoder(body: &[u8]) -> io::Result<impl Read + '_> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_compressed_is_read() {
        assert_eq!(decompressed(Compression::Gzip, &gzip(b"spans")).unwrap(), b"spans"[..]);
        let zstd = zstd::encode_all(&b"spans"[..], 3).unwrap();
        assert_eq!(decompressed(Compression::Zstd, &zstd).unwrap(), b"spans"[..]);
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = vec![0; MAX_BODY_BYTES + 1];
        for (compression, body) in
            [(Compression::Gzip, gzip(&bomb)), (Compression::Zstd, zstd::encode_all(&bomb[..], 3).unwrap())]
        {
            assert!(body.len() < 100_000);
            let refused = decompressed(compression, &body).unwrap_err();
            assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{compression:?}");
        }
        assert!(decompressed(Compression::Gzip, &gzip(&bomb[1..])).is_ok());
    }

    #[test]
    fn damaged_bodies_are_the_error_of_the_client() {
        for (compression, body) in [(Compression::Gzip, &gzip(b"spans")[..9]), (Compression::Zstd, b"spans")] {
            let refused = decompressed(compression, body).unwrap_err();
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{compression:?}");
        }
    }
}
