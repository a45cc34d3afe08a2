//! Bodies over HTTP: their size is limited before and after decompression.

use super::export::check_bytes;
use super::failure::{Code, Failure};
use crate::http::body::{self, BodyError, Compression, ContentError, UNKNOWN_COMPRESSION};
use crate::http::computing::is_large;
use crate::http::state::State;
use crate::requester::Requester;
use axum::extract::Request;
use axum::http::StatusCode;
use bytes::Bytes;
use ingest::otlp::MAX_BODY_BYTES;

/// Reads a body, and decompresses it.
pub(super) async fn read(state: &State, requester: &Requester, request: Request) -> Result<Bytes, Failure> {
    let compression = Compression::of(request.headers())
        .ok_or_else(|| Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, UNKNOWN_COMPRESSION))?;
    let body = body::read(request.into_body(), MAX_BODY_BYTES, state.limits().head_timeout).await.map_err(failure)?;
    check_bytes(state, requester, body.len())?;
    if compression == Compression::None {
        return Ok(body);
    }
    let content = || compression.content(body.clone(), MAX_BODY_BYTES).map_err(content_failure);
    state.cpu_permits.run(is_large(body.len()), content).await
}

fn failure(error: BodyError) -> Failure {
    match error {
        BodyError::TimedOut => {
            let message = "the body did not arrive in time";
            let failure = Failure::of(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, message);
            Failure { retry_after_s: Some(1), ..failure }
        }
        BodyError::TooLong => too_long(),
        BodyError::Incomplete => Failure::of(StatusCode::BAD_REQUEST, Code::InvalidArgument, "the body is incomplete"),
    }
}

fn content_failure(error: ContentError) -> Failure {
    match error {
        ContentError::TooLong => too_long(),
        ContentError::Damaged(reason) => {
            let message = format!("the compressed body is damaged: {reason}");
            Failure::of(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
        }
    }
}

fn too_long() -> Failure {
    Failure::too_large(format!(
        "the body has more than {MAX_BODY_BYTES} bytes after decompression, which is the limit: export fewer spans at once"
    ))
}
