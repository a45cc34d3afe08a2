//! Bodies that are read while they arrive: a task takes them from the network, and a thread reads their content.

use super::admission::paid;
use super::failure::Failure;
use super::import_id::import_of;
use crate::authenticator::EndReason;
use crate::http::body::Compression;
use crate::http::state::State;
use crate::http::{auth, rate_limit};
use crate::requester::Requester;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use bytes::{Buf as _, Bytes};
use domain::ImportId;
use domain::rate_limits::LimitedResource;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use ingest::Importer;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;

/// How many parts of a body wait to be read.
const MAX_WAITING_PARTS: usize = 16;
/// The trailer in which a sender says that it could not read the rest of what it sends: `incomplete`.
const UPLOAD_TRAILER: &str = "x-apex-upload";
/// How long a body may take as a whole.
const MAX_DURATION: Duration = Duration::from_secs(3600);

/// Why a body ended before its end. The first reason is the one that is told.
#[derive(Clone, Default)]
pub(super) struct Fault(Arc<OnceLock<Failure>>);

impl Fault {
    fn set(&self, failure: Failure) {
        // A later reason follows from the first one.
        drop(self.0.set(failure));
    }

    pub(super) fn get(&self) -> Option<Failure> {
        self.0.get().cloned()
    }
}

/// How a body is read.
struct Reading {
    compression: Compression,
    /// The most bytes of the content; none if it is read in bounded memory however long it is.
    max_bytes: Option<u64>,
    /// Whether its bytes were taken from what the requester may send, because its length was known.
    is_paid: bool,
}

/// Begins to read the body of a request that is admitted, and makes what imports it, under the id of the import that it is. `max_decompressed` is the most bytes of
/// the content of a body that is compressed; what one that is not takes is what its sender sends.
pub(super) async fn begin(
    state: &Arc<State>,
    requester: &Requester,
    import_id: &mut Option<ImportId>,
    request: Request,
    (compression, max_decompressed): (Compression, u64),
) -> Result<(Importer, Upload), Failure> {
    let is_paid = paid(state, requester, request.headers())?;
    let (import, request) = import_of(state, requester, compression, request).await;
    *import_id = Some(import);
    let importer = state.receiver.importer(requester.principal.clone(), Some(import)).await;
    let importer = importer.map_err(|error| Failure::from(&error))?;
    let max_bytes = (compression != Compression::None).then_some(max_decompressed);
    let reading = Reading { compression, max_bytes, is_paid };
    Ok((importer, Upload::open(state, requester, request.into_body(), reading)))
}

/// The content of a body, and why it ended if it did before its end.
pub(super) struct Upload {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) fault: Fault,
}

/// A part of a body, or its end.
enum Part {
    Data(Bytes),
    End,
}

impl Upload {
    /// Begins to read a body. It is read only as fast as its content is.
    fn open(state: &Arc<State>, requester: &Requester, body: Body, reading: Reading) -> Self {
        let Reading { compression, max_bytes, is_paid } = reading;
        let (parts, received) = mpsc::channel(MAX_WAITING_PARTS);
        let fault = Fault::default();
        let body = Incoming { state: state.clone(), requester: requester.clone(), body, parts, is_paid };
        state.connections.spawn(body.forward(fault.clone()));
        Self { reader: content(received, compression, max_bytes, fault.clone()), fault }
    }
}

/// What reads the content of the parts of a body.
fn content(
    received: mpsc::Receiver<Part>,
    compression: Compression,
    max_bytes: Option<u64>,
    fault: Fault,
) -> Box<dyn Read + Send> {
    let arrived = Arrived { received, part: Bytes::new(), is_ended: false };
    let inner = Inner::Unopened(compression, Some(arrived));
    Box::new(Content { inner, left: max_bytes, max_bytes, fault })
}

/// A body that arrives.
struct Incoming {
    state: Arc<State>,
    requester: Requester,
    body: Body,
    parts: mpsc::Sender<Part>,
    is_paid: bool,
}

impl Incoming {
    /// Forwards the body until its end, or until the server, the credential or the time for it ends.
    async fn forward(mut self, fault: Fault) {
        let (state, ended) = (self.state.clone(), auth::ended(&self.state, &self.requester));
        let failed = tokio::select! {
            biased;
            () = state.shutdown.cancelled() => Err(Failure::unavailable("the server shuts down; send the rest again")),
            reason = ended => Err(ended_failure(reason)),
            () = tokio::time::sleep(MAX_DURATION) => {
                Err(Failure::of(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", "the body takes too long; send several"))
            }
            forwarded = self.forward_parts() => forwarded,
        };
        if let Err(failure) = failed {
            fault.set(failure);
        }
        // What reads the content learns by the end of this that nothing follows.
    }

    async fn forward_parts(&mut self) -> Result<(), Failure> {
        let timeout = self.state.limits().head_timeout;
        loop {
            let frame = tokio::time::timeout(timeout, self.body.frame()).await.map_err(|_| {
                let failure = Failure::of(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", "the body did not arrive in time");
                Failure { retry_after_s: Some(1), ..failure }
            })?;
            let part = match frame {
                None => Part::End,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Part::Data(data),
                    Err(frame) if is_incomplete(&frame) => {
                        let message = "the sender could not read the rest of the body";
                        return Err(Failure::of(StatusCode::BAD_REQUEST, "BODY_INCOMPLETE", message));
                    }
                    Err(_) => continue,
                },
                Some(Err(_)) => {
                    return Err(Failure::of(StatusCode::BAD_REQUEST, "BODY_INCOMPLETE", "the body is cut off"));
                }
            };
            let is_end = matches!(part, Part::End);
            if let (Part::Data(data), false) = (&part, self.is_paid) {
                rate_limit::take(&self.state, &self.requester, LimitedResource::IngestBytes, data.len())?;
            }
            // An error means that the rest is not needed.
            if self.parts.send(part).await.is_err() || is_end {
                return Ok(());
            }
        }
    }
}

/// Whether trailers say that the sender could not read the rest of what it sends.
fn is_incomplete(frame: &Frame<Bytes>) -> bool {
    let told = frame.trailers_ref().and_then(|trailers| trailers.get(UPLOAD_TRAILER));
    told.is_some_and(|told| told == "incomplete")
}

fn ended_failure(reason: EndReason) -> Failure {
    match reason {
        EndReason::Unavailable => Failure::unavailable("credentials cannot be checked at the moment; retry"),
        EndReason::Ended => {
            Failure::of(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "the credential is no longer valid")
        }
    }
}

/// The bytes that have arrived, as a thread reads them.
struct Arrived {
    received: mpsc::Receiver<Part>,
    part: Bytes,
    is_ended: bool,
}

impl Read for Arrived {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.part.is_empty() && !self.is_ended {
            match self.received.blocking_recv() {
                Some(Part::Data(data)) => self.part = data,
                Some(Part::End) => self.is_ended = true,
                None => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the body ended before its end")),
            }
        }
        let count = buffer.len().min(self.part.len());
        self.part.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// What reads the content. It is made on the thread that reads, because it reads the head of the compression at once.
enum Inner {
    Unopened(Compression, Option<Arrived>),
    Opened(Box<dyn Read + Send>),
}

impl Read for Inner {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self {
                Self::Opened(reader) => return reader.read(buffer),
                Self::Unopened(compression, arrived) => {
                    // Nothing is left if it could not be opened before.
                    let Some(arrived) = arrived.take() else { return Err(io::ErrorKind::InvalidData.into()) };
                    *self = Self::Opened(compression.decoder(arrived)?);
                }
            }
        }
    }
}

/// The content of a body, limited.
struct Content {
    inner: Inner,
    left: Option<u64>,
    max_bytes: Option<u64>,
    fault: Fault,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                let message = format!("the body is damaged: {error}");
                self.fault.set(Failure::of(StatusCode::BAD_REQUEST, "BODY_DAMAGED", message));
            }
        })?;
        let Some(left) = self.left else { return Ok(count) };
        self.left = left.checked_sub(count as u64);
        if self.left.is_some() {
            return Ok(count);
        }
        // Nothing more is read.
        self.left = Some(0);
        let limit = self.max_bytes.unwrap_or_default();
        let message = format!("the body has more than {limit} bytes after decompression, which is the limit: split it");
        self.fault.set(Failure::of(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", message));
        Err(io::Error::other("the body is too long"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::gzip;

    /// What is read of a body whose parts arrive later, and why it ended. What reads it is made on a thread of the runtime, as
    /// that of a request is.
    async fn read(compression: Compression, body: &[u8], is_whole: bool) -> (Result<Vec<u8>, String>, Option<Failure>) {
        let (parts, received) = mpsc::channel(1);
        let fault = Fault::default();
        let mut reader = content(received, compression, Some(1024), fault.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let mut content = Vec::new();
            reader.read_to_end(&mut content).map(|_| content).map_err(|error| error.to_string())
        });
        for part in body.chunks(7) {
            if parts.send(Part::Data(part.to_vec().into())).await.is_err() {
                break;
            }
        }
        if is_whole {
            drop(parts.send(Part::End).await);
        }
        drop(parts);
        (reading.await.unwrap(), fault.get())
    }

    #[tokio::test]
    async fn content_is_read_as_it_arrives() {
        let zstd = zstd::encode_all(&b"lines"[..], 3).unwrap();
        for (compression, body) in
            [(Compression::None, b"lines".to_vec()), (Compression::Gzip, gzip(b"lines")), (Compression::Zstd, zstd)]
        {
            let (content, fault) = read(compression, &body, true).await;
            assert_eq!((content.as_deref(), fault.is_none()), (Ok(&b"lines"[..]), true), "{compression:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_damaged_or_cut_off_is_an_error() {
        for (compression, body, is_whole, code) in [
            (Compression::Gzip, gzip(&[0; 2000]), true, "BODY_TOO_LARGE"),
            (Compression::Gzip, b"lines".to_vec(), true, "BODY_DAMAGED"),
            (Compression::Zstd, b"lines".to_vec(), true, "BODY_DAMAGED"),
            (Compression::Gzip, gzip(b"lines")[..9].to_vec(), true, "BODY_DAMAGED"),
            (Compression::None, b"lines".to_vec(), false, "BODY_DAMAGED"),
        ] {
            let (content, fault) = read(compression, &body, is_whole).await;
            assert!(content.is_err(), "{compression:?}");
            assert_eq!(fault.map(|fault| fault.code), Some(code), "{compression:?}");
        }
    }
}
