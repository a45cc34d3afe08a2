//! Bodies over HTTP: their size is limited before and after decompression.

use super::export::check_bytes;
use super::failure::{Code, Failure};
use crate::http::body::{self, BodyError, Compression, UNKNOWN_COMPRESSION};
use crate::http::computing::is_large;
use crate::http::state::State;
use crate::requester::Requester;
use axum::extract::Request;
use axum::http::StatusCode;
use bytes::{Buf as _, Bytes};
use ingest::otlp::MAX_BODY_BYTES;
use std::io::Read;

/// Reads a body, and decompresses it.
pub(super) async fn read(state: &State, requester: &Requester, request: Request) -> Result<Bytes, Failure> {
    let compression = Compression::of(request.headers())
        .ok_or_else(|| Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, UNKNOWN_COMPRESSION))?;
    let body = match body::read(request.into_body(), MAX_BODY_BYTES, state.limits().head_timeout).await {
        Err(BodyError::TimedOut) => {
            let message = "the body did not arrive in time";
            return Err(Failure {
                retry_after_s: Some(1),
                ..Failure::of(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, message)
            });
        }
        Err(BodyError::TooLong) => return Err(too_long()),
        Err(BodyError::Incomplete) => {
            return Err(Failure::of(StatusCode::BAD_REQUEST, Code::InvalidArgument, "the body is incomplete"));
        }
        Ok(body) => body,
    };
    check_bytes(state, requester, body.len())?;
    if compression == Compression::None {
        return Ok(body);
    }
    state.cpu_permits.run(is_large(body.len()), || decompressed(compression, &body)).await
}

fn too_long() -> Failure {
    Failure::too_large(format!(
        "the body has more than {MAX_BODY_BYTES} bytes after decompression, which is the limit: export fewer spans at once"
    ))
}

fn decompressed(compression: Compression, body: &Bytes) -> Result<Bytes, Failure> {
    let mut content = Vec::new();
    let read = compression
        .decoder(body.clone().reader())
        .and_then(|mut decoder| decoder.by_ref().take(MAX_BODY_BYTES as u64 + 1).read_to_end(&mut content));
    match read {
        Ok(_) if content.len() > MAX_BODY_BYTES => Err(too_long()),
        Ok(_) => Ok(content.into()),
        Err(error) => {
            let message = format!("the compressed body is damaged: {error}");
            Err(Failure::of(StatusCode::BAD_REQUEST, Code::InvalidArgument, message))
        }
    }
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
        assert_eq!(decompressed(Compression::Gzip, &gzip(b"spans").into()).unwrap(), b"spans"[..]);
        let zstd = zstd::encode_all(&b"spans"[..], 3).unwrap();
        assert_eq!(decompressed(Compression::Zstd, &zstd.into()).unwrap(), b"spans"[..]);
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = vec![0; MAX_BODY_BYTES + 1];
        for (compression, body) in
            [(Compression::Gzip, gzip(&bomb)), (Compression::Zstd, zstd::encode_all(&bomb[..], 3).unwrap())]
        {
            assert!(body.len() < 100_000);
            let refused = decompressed(compression, &body.into()).unwrap_err();
            assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{compression:?}");
        }
        assert!(decompressed(Compression::Gzip, &gzip(&bomb[1..]).into()).is_ok());
    }

    #[test]
    fn damaged_bodies_are_the_error_of_the_client() {
        for (compression, body) in [(Compression::Gzip, &gzip(b"spans")[..9]), (Compression::Zstd, b"spans")] {
            let refused = decompressed(compression, &body.to_vec().into()).unwrap_err();
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{compression:?}");
        }
    }
}
