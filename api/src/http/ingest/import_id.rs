//! The id of the import that a request with lines or a file is: the one that its sender gives, else one that follows from what is
//! sent, so that the same request again is the same import.
//!
//! What is recorded has the id, so that it must be known before the body is read to its end. It follows from the start of the
//! content and, of a longer one, from the length of the body. A body that states no length, or whose start does not arrive in
//! time, gets a new id.

use super::admission::content_length;
use crate::http::body::Compression;
use crate::http::computing::is_large;
use crate::http::state::State;
use crate::requester::Requester;
use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use domain::{ImportId, content_id};
use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use hyper::body::Frame;
use ingest::import_of_content;
use std::io::Read as _;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// The most bytes of the content from which an id follows.
const MAX_START_BYTES: usize = 256 * 1024;
/// How long the start of a body may take, and each part of it. A sender may wait for the answers to its first lines.
const START_TIMEOUT: Duration = Duration::from_secs(120);
const PART_TIMEOUT: Duration = Duration::from_secs(5);

/// The import that a request is, and the request as it was.
///
/// A body that states no length is not waited for.
pub(super) async fn import_of(
    state: &State,
    requester: &Requester,
    compression: Compression,
    request: Request,
) -> (ImportId, Request) {
    if let Some(id) = requester.correlation_id {
        return (ImportId(id), request);
    }
    let Some(length) = content_length(request.headers()) else { return (ImportId(Uuid::now_v7()), request) };
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let (head, body) = request.into_parts();
    let (start, body) = start_of(body, PART_TIMEOUT).await;
    let request = Request::from_parts(head, body);
    let Some(start) = start else { return (ImportId(Uuid::now_v7()), request) };
    let id = state.cpu_permits.run(is_large(start.len()), || id_of(&target, compression, &start, length)).await;
    (import_of_content(id, requester.principal.agent()), request)
}

/// Reads the start of a body: its first bytes, none if they did not arrive in time, with the body as a whole.
async fn start_of(mut body: Body, part_timeout: Duration) -> (Option<Bytes>, Body) {
    let (mut start, mut last, mut is_late) = (BytesMut::new(), None, false);
    let deadline = Instant::now() + START_TIMEOUT;
    while start.len() < MAX_START_BYTES {
        let next = tokio::time::timeout_at(deadline.min(Instant::now() + part_timeout), body.frame());
        let Ok(frame) = next.await else {
            is_late = true;
            break;
        };
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => start.extend_from_slice(&data),
                // Trailers, which are the end.
                Err(trailers) => {
                    last = Some(Ok(trailers));
                    break;
                }
            },
            // Who reads the body learns of the error in its place.
            Some(Err(error)) => {
                last = Some(Err(error));
                break;
            }
            None => break,
        }
    }
    let start = start.freeze();
    let before = stream::iter([Ok(Frame::data(start.clone()))].into_iter().chain(last));
    let body = Body::new(StreamBody::new(before.chain(BodyStream::new(body))));
    ((!is_late).then_some(start), body)
}

/// An id that follows from the start of what is sent to a path. The content is the same whether it is compressed or not.
fn id_of(target: &str, compression: Compression, start: &[u8], length: u64) -> Uuid {
    let start = &start[..start.len().min(MAX_START_BYTES)];
    let mut content = Vec::new();
    if compression == Compression::None {
        content.extend_from_slice(start);
    } else {
        let decoder = compression.decoder(std::io::Cursor::new(start.to_vec()));
        // What cannot be decompressed is refused later. The start of a longer body ends early.
        drop(decoder.and_then(|decoder| decoder.take(MAX_START_BYTES as u64).read_to_end(&mut content)));
    }
    let is_whole = content.len() < MAX_START_BYTES && start.len() as u64 == length;
    let length = if is_whole { String::new() } else { length.to_string() };
    content_id(&format!("ingest {target} {length}"), &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::gzip;

    fn plain(target: &str, content: &[u8]) -> Uuid {
        id_of(target, Compression::None, &content[..content.len().min(MAX_START_BYTES)], content.len() as u64)
    }

    #[test]
    fn the_same_content_has_the_same_id_however_it_is_compressed() {
        let id = plain("/v1/ingest", b"line\n");
        let compressed = gzip(b"line\n");
        assert_eq!(id_of("/v1/ingest", Compression::Gzip, &compressed, compressed.len() as u64), id);
        let ids = [id, plain("/v1/ingest", b"line"), plain("/v1/ingest/file", b"line\n"), plain("/v1/ingest", b"")];
        assert_eq!(std::collections::BTreeSet::from(ids).len(), 4);
    }

    #[test]
    fn a_longer_content_is_told_by_its_start_and_its_length() {
        let content = vec![b'x'; 3 * MAX_START_BYTES];
        let mut other_end = content.clone();
        other_end.pop();
        assert_ne!(plain("/", &content), plain("/", &other_end), "another length");
        let mut other_start = content.clone();
        other_start[7] = b'y';
        assert_ne!(plain("/", &content), plain("/", &other_start));
        assert_eq!(plain("/", &content), plain("/", &content.clone()));
        // What is damaged has an id, too.
        let damaged = id_of("/", Compression::Gzip, b"no gzip", 7);
        assert_eq!(damaged, id_of("/", Compression::Gzip, b"no gzip", 7));
    }

    #[tokio::test]
    async fn the_body_is_as_it_was() {
        for size in [0, 1, MAX_START_BYTES - 1, MAX_START_BYTES, MAX_START_BYTES + 1, 3 * MAX_START_BYTES] {
            let content: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let parts: Vec<_> = content.chunks(100_000).map(Bytes::copy_from_slice).map(Ok::<_, axum::Error>).collect();
            let (start, body) = start_of(Body::from_stream(stream::iter(parts)), PART_TIMEOUT).await;
            let start = start.unwrap();
            assert!(start.len() >= size.min(MAX_START_BYTES) && content.starts_with(&start));
            assert_eq!(axum::body::to_bytes(body, usize::MAX).await.unwrap(), content, "{size}");
        }
        // Its sender waits for an answer to what is there.
        let first = stream::iter([Ok::<_, axum::Error>(Bytes::from_static(b"line\n"))]);
        let (start, body) =
            start_of(Body::from_stream(first.chain(stream::pending())), Duration::from_millis(10)).await;
        assert_eq!(start, None);
        assert_eq!(BodyStream::new(body).next().await.unwrap().unwrap().into_data().unwrap(), "line\n");
    }
}
