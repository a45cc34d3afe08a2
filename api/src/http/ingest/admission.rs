//! What is checked before the body of a request is read.

use super::failure::Failure;
use crate::http::body::{Compression, UNKNOWN_COMPRESSION};
use crate::http::state::State;
use crate::http::{access, rate_limit};
use crate::requester::Requester;
use axum::http::{HeaderMap, StatusCode, header};
use commands::Principal;
use domain::permissions::Forbidden;
use domain::rate_limits::LimitedResource;

/// Takes a request from what the caller may send, and checks that it may send one.
pub(super) fn admit(
    state: &State,
    requester: &Requester,
    authorise: impl FnOnce(&Principal) -> Result<(), Forbidden>,
) -> Result<(), Failure> {
    rate_limit::take(state, requester, LimitedResource::Requests, 1)?;
    authorise(&requester.principal).map_err(|forbidden| {
        access::forbidden(state, requester, &forbidden);
        Failure::from(forbidden)
    })
}

/// How the body of a request is compressed.
pub(super) fn compression(headers: &HeaderMap) -> Result<Compression, Failure> {
    let unknown = || Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", UNKNOWN_COMPRESSION);
    Compression::of(headers).ok_or_else(unknown)
}

/// How many bytes the body of a request has, if it says so.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Takes the bytes of a body from what the caller may send, if its length is known before it is read.
pub(super) fn paid(state: &State, requester: &Requester, headers: &HeaderMap) -> Result<bool, Failure> {
    let Some(length) = content_length(headers) else { return Ok(false) };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    rate_limit::take(state, requester, LimitedResource::IngestBytes, length)?;
    Ok(true)
}
