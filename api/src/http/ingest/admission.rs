//! What is checked before the body of a request is read.

use super::failure::Failure;
use crate::http::state::State;
use crate::http::{access, rate_limit};
use crate::requester::Requester;
use axum::http::{HeaderMap, header};
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

/// Takes the bytes of a body from what the caller may send, if its length is known before it is read.
pub(super) fn paid(state: &State, requester: &Requester, headers: &HeaderMap) -> Result<bool, Failure> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let Some(length) = length else { return Ok(false) };
    rate_limit::take(state, requester, LimitedResource::IngestBytes, length)?;
    Ok(true)
}
