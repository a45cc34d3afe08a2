//! The response of an export.

use super::content::Content;
use super::parameters::Parameters;
use super::refused::{Refused, internal, unavailable};
use crate::authenticator::EndReason;
use crate::http::auth;
use crate::http::ingest::Permit;
use crate::http::state::State;
use crate::requester::Requester;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::price_book::PriceBook;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use projections::{ExportError, ExportStream, OpenExport};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Instrument as _;

/// How long an export may take, however fast the client reads: its snapshot keeps the database from removing old rows.
pub(super) const MAX_DURATION: Duration = Duration::from_secs(3600);
/// The header with the position up to which the export has every call.
const POSITION: HeaderName = HeaderName::from_static("x-apex-position");
/// The header with the number of calls that are read, where it is known before.
const CALLS: HeaderName = HeaderName::from_static("x-apex-calls");
/// The header with the number of these that have no price, and therefore no cost.
const UNPRICED_CALLS: HeaderName = HeaderName::from_static("x-apex-unpriced-calls");

/// Why the rest of an export is not sent.
#[derive(Debug, thiserror::Error)]
enum Aborted {
    #[error(transparent)]
    Failed(#[from] ExportError),
    #[error("the client did not read for {} s", .0.as_secs())]
    Slow(Duration),
    #[error("it took more than {} s", MAX_DURATION.as_secs())]
    TooLong,
    #[error("the credential of the client ended")]
    CredentialEnded,
    #[error("the credential of the client cannot be checked")]
    CredentialUnchecked,
    #[error("the server shuts down")]
    ShutDown,
}

/// Responds with an export, which is aborted at the deadline. A failure before its first part is the response.
pub(super) async fn respond(
    state: &Arc<State>,
    requester: &Requester,
    (content, parameters): (Content, &Parameters),
    (open, book): (OpenExport, PriceBook),
    (permit, deadline): (Permit, Instant),
) -> Result<Response, Refused> {
    let headers = headers(content, parameters, &open);
    let mut interrupted: BoxFuture<'static, Aborted> =
        Box::pin(interrupted(state.clone(), requester.clone(), deadline));
    let mut stream = open.start(book, parameters.format)?;
    // The first part of a Parquet file comes with its first row group, which may take as long as everything else.
    let first = tokio::select! {
        biased;
        aborted = &mut interrupted => return Err(refused(aborted)),
        chunk = stream.next() => chunk?.map(|chunk| chunk.bytes),
    };
    let (sender, received) = mpsc::channel::<Option<Bytes>>(1);
    let timeout = state.limits().send_timeout;
    let send = async move {
        let _permit = permit;
        match forward((first, stream), &sender, timeout, interrupted).await {
            Ok(()) => {}
            Err(Aborted::Failed(error)) => drop(internal(&error)),
            Err(aborted) => tracing::warn!(error = &aborted as &dyn std::error::Error, "an export was aborted"),
        }
    };
    tokio::spawn(state.connections.track_future(send.in_current_span()));
    Ok((StatusCode::OK, headers, Body::from_stream(whole(received))).into_response())
}

/// Completes when an export must not go on, and returns why.
async fn interrupted(state: Arc<State>, requester: Requester, deadline: Instant) -> Aborted {
    tokio::select! {
        biased;
        () = state.shutdown.cancelled() => Aborted::ShutDown,
        reason = auth::ended(&state, &requester) => match reason {
            EndReason::Ended => Aborted::CredentialEnded,
            EndReason::Unavailable => Aborted::CredentialUnchecked,
        },
        () = tokio::time::sleep_until(deadline) => Aborted::TooLong,
    }
}

/// The response, if an export is aborted before its first part.
fn refused(aborted: Aborted) -> Refused {
    match aborted {
        Aborted::Failed(error) => error.into(),
        Aborted::CredentialEnded => {
            Refused::of(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "the credential is no longer valid")
        }
        Aborted::CredentialUnchecked | Aborted::ShutDown => unavailable(&aborted),
        Aborted::TooLong | Aborted::Slow(_) => {
            let message = format!("the export was aborted: {aborted}; export a shorter time range");
            Refused::of(StatusCode::GATEWAY_TIMEOUT, "TIMEOUT", &message)
        }
    }
}

/// The parts of a body. Its end is an explicit message; if the channel is closed without it, the connection is aborted.
fn whole(received: mpsc::Receiver<Option<Bytes>>) -> impl futures::Stream<Item = io::Result<Bytes>> + use<> {
    let parts = futures::stream::unfold(Some(received), |received| async move {
        let mut received = received?;
        match received.recv().await {
            Some(Some(bytes)) => Some((Ok(bytes), Some(received))),
            Some(None) => None,
            None => Some((Err(io::Error::other("the export was aborted")), None)),
        }
    });
    parts.boxed()
}

/// Sends an export, until it ends or its client is gone, for which no error is given.
async fn forward(
    (first, mut stream): (Option<Bytes>, ExportStream),
    sender: &mpsc::Sender<Option<Bytes>>,
    timeout: Duration,
    mut interrupted: BoxFuture<'static, Aborted>,
) -> Result<(), Aborted> {
    let mut next = first;
    loop {
        let is_end = next.is_none();
        tokio::select! {
            biased;
            aborted = &mut interrupted => return Err(aborted),
            sent = tokio::time::timeout(timeout, sender.send(next)) => match sent {
                Err(_) => return Err(Aborted::Slow(timeout)),
                Ok(Err(_)) => return Ok(()),
                Ok(Ok(())) if is_end => return Ok(()),
                Ok(Ok(())) => {}
            },
        }
        next = tokio::select! {
            biased;
            aborted = &mut interrupted => return Err(aborted),
            () = sender.closed() => return Ok(()),
            chunk = stream.next() => chunk?.map(|chunk| chunk.bytes),
        };
    }
}

fn headers(content: Content, parameters: &Parameters, open: &OpenExport) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let name = format!("attachment; filename=\"apex-{}.{}\"", content.data(), parameters.format);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(parameters.format.media_type()));
    headers.extend(HeaderValue::try_from(name).ok().map(|name| (header::CONTENT_DISPOSITION, name)));
    headers.insert(POSITION, HeaderValue::from(open.position.get()));
    if let Some(expected) = &open.expected {
        headers.insert(CALLS, HeaderValue::from(expected.calls));
        headers.insert(UNPRICED_CALLS, HeaderValue::from(expected.unpriced_calls));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn body(parts: Vec<Option<&'static str>>) -> Option<Bytes> {
        let (sender, received) = mpsc::channel(8);
        for part in parts {
            sender.send(part.map(Bytes::from)).await.unwrap();
        }
        drop(sender);
        to_bytes(Body::from_stream(whole(received)), 100).await.ok()
    }

    #[tokio::test]
    async fn a_body_without_its_end_is_an_error() {
        assert_eq!(body(vec![Some("a"), Some("b"), None]).await.unwrap(), "ab");
        assert_eq!(body(vec![None]).await.unwrap(), "");
        assert!(body(vec![Some("a"), Some("b")]).await.is_none());
        assert!(body(vec![]).await.is_none());
    }
}
