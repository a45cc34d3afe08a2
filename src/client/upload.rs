//! Files that a server imports, which are read while they are sent.

use super::error::ClientError;
use super::graphql::Client;
use bytes::Bytes;
use http_body_util::channel::Channel;
use ingest::{FileEnd, FileLine, InputError};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tokio::sync::mpsc;

/// How much is read at once, in bytes.
const PART_BYTES: usize = 64 * 1024;
/// How many parts wait to be sent.
const MAX_WAITING_PARTS: usize = 4;
/// The longest line of an answer, in bytes: the last one names calls without a price.
const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;
/// The trailer in which this program says that it could not read the rest of a file.
const UPLOAD_TRAILER: HeaderName = HeaderName::from_static("x-apex-upload");
/// The code of the server for a file of which nothing can be read.
const UNREADABLE: &str = "UNREADABLE";

/// Why a file was not imported by a server.
#[derive(Debug, Error)]
pub enum UploadError {
    /// Nothing of the file can be read: what the server says about it.
    #[error("{0}")]
    Unreadable(String),
    /// The file cannot be read by this program.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The server cannot be asked, or refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Why a file could not be read, once that is known.
type ReadFailure = Arc<Mutex<Option<io::Error>>>;

impl Client {
    /// Lets the server import a file in a format. Each line of the answer but the last one is passed to `on_line`.
    ///
    /// # Errors
    /// [`UploadError`] if the server did not say how the import ended.
    pub async fn import(
        &self,
        format: &str,
        parameters: &[(&str, String)],
        reader: Box<dyn Read + Send>,
        mut on_line: impl FnMut(FileLine),
    ) -> Result<FileEnd, UploadError> {
        let (body, failure) = body(reader);
        let imported = self.send(format, parameters, body, &mut on_line).await;
        // What this program could not read, the server did not get.
        let failed = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (imported, failed) {
            (Ok(end), Some(error)) => {
                let stopped = ingest::FileStopped::unreadable(&InputError::from(error));
                Ok(FileEnd { stopped: Some(stopped), ..end })
            }
            (Err(_), Some(error)) => Err(InputError::from(error).into()),
            (imported, None) => imported,
        }
    }

    async fn send(
        &self,
        format: &str,
        parameters: &[(&str, String)],
        body: reqwest::Body,
        on_line: &mut impl FnMut(FileLine),
    ) -> Result<FileEnd, UploadError> {
        let token = self.token().await?;
        let path = format!("/v1/ingest/{format}");
        let mut response = self.http().post_stream(&path, parameters, token.as_ref(), body).await?;
        if !response.status().is_success() {
            let answer = self.http().answer(response).await?;
            if let Some(refused) = self.unauthenticated(&answer, token.is_some()) {
                return Err(refused.into());
            }
            let text = |pointer| answer.body.pointer(pointer).and_then(Value::as_str);
            if text("/errors/0/extensions/code") == Some(UNREADABLE) {
                let message = text("/errors/0/message").unwrap_or_default();
                return Err(UploadError::Unreadable(message.to_owned()));
            }
            return Err(self.http().refused(&answer).into());
        }
        let mut waiting = Vec::new();
        while let Some(chunk) = self.http().next_chunk(&mut response).await? {
            waiting.extend_from_slice(&chunk);
            while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = waiting.drain(..=end).collect();
                match serde_json::from_slice(&line).map_err(|_| self.incomplete("line"))? {
                    FileLine::Ended(end) => return Ok(*end),
                    line => on_line(line),
                }
            }
            if waiting.len() > MAX_LINE_BYTES {
                return Err(self.incomplete("line").into());
            }
        }
        Err(self.incomplete("last line").into())
    }
}

/// A body whose content is read, on a thread, as fast as it is sent.
fn body(mut reader: Box<dyn Read + Send>) -> (reqwest::Body, ReadFailure) {
    let (parts, mut waiting) = mpsc::channel::<io::Result<Bytes>>(MAX_WAITING_PARTS);
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let failure = ReadFailure::default();
    tokio::task::spawn_blocking(move || {
        loop {
            let mut part = vec![0; PART_BYTES];
            let read = match reader.read(&mut part) {
                Ok(0) => return,
                Ok(count) => {
                    part.truncate(count);
                    Ok(part.into())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_last = read.is_err();
            // An error means that nothing more is sent.
            if parts.blocking_send(read).is_err() || is_last {
                return;
            }
        }
    });
    let failed = failure.clone();
    tokio::spawn(async move {
        while let Some(part) = waiting.recv().await {
            match part {
                Ok(part) => {
                    if sender.send_data(part).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    // The server counts what it got, and does not take it for the whole file.
                    let told = (UPLOAD_TRAILER, HeaderValue::from_static("incomplete"));
                    drop(sender.send_trailers(HeaderMap::from_iter([told])).await);
                    return;
                }
            }
        }
    });
    (reqwest::Body::wrap(body), failure)
}
