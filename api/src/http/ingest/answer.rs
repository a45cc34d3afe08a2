//! Responses that begin while the body is still read: one line for each answer.

use super::failure::Failure;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The media type of lines of JSON.
pub(super) const NDJSON: &str = "application/x-ndjson";
/// How long the head of a response waits for the first answer. If there is none because the body cannot be read, the status
/// says so.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// The most answers that are sent together.
const MAX_BATCH: usize = 256;

/// What answers, and fails if not everything is answered.
pub(super) type Worker = JoinHandle<Result<(), Failure>>;

/// The answers that are left to be sent.
struct Answers<T> {
    first: Vec<T>,
    received: mpsc::Receiver<T>,
    worker: Option<Worker>,
    /// Called with each answer that is sent.
    note: fn(&T),
}

/// Responds with the answers of a worker, a line each. A failure before the first answer is the response; one after it is the
/// last line.
pub(super) async fn respond<T: Serialize + Send + 'static>(
    mut received: mpsc::Receiver<T>,
    worker: Worker,
    note: fn(&T),
) -> Result<Response, Failure> {
    let (mut first, mut worker) = (Vec::new(), Some(worker));
    let waited = tokio::time::timeout(HEAD_TIMEOUT, received.recv_many(&mut first, MAX_BATCH)).await;
    if waited == Ok(0) {
        ended(worker.take()).await?;
    }
    let answers = Answers { first, received, worker, note };
    let lines = futures::stream::unfold(answers, |mut answers| async move {
        let line = answers.next().await?;
        Some((Ok::<_, Infallible>(line), answers))
    });
    let headers = [(header::CONTENT_TYPE, NDJSON), (header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::OK, headers, Body::from_stream(lines)).into_response())
}

async fn ended(worker: Option<Worker>) -> Result<(), Failure> {
    match worker {
        None => Ok(()),
        Some(worker) => worker.await.unwrap_or_else(|panicked| Err(Failure::internal(&panicked))),
    }
}

impl<T: Serialize> Answers<T> {
    /// The next lines; none after the last one.
    async fn next(&mut self) -> Option<Bytes> {
        let mut batch = std::mem::take(&mut self.first);
        if batch.is_empty() {
            self.received.recv_many(&mut batch, MAX_BATCH).await;
        }
        if batch.is_empty() {
            let failure = ended(self.worker.take()).await.err()?;
            return Some(failure.line().into());
        }
        let mut lines = Vec::new();
        for answer in &batch {
            (self.note)(answer);
            // Answers have text and numbers, and writing to memory does not fail.
            if let Err(error) = serde_json::to_writer(&mut lines, answer) {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot serialize an answer");
            }
            lines.push(b'\n');
        }
        Some(lines.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn answered(answers: Vec<u32>, end: Result<(), Failure>) -> Result<String, Failure> {
        let (sender, received) = mpsc::channel(8);
        let worker = tokio::spawn(async move {
            for answer in answers {
                sender.send(answer).await.unwrap();
            }
            end
        });
        let response = respond(received, worker, |_| {}).await?;
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_failure_is_the_response_or_its_last_line() {
        let failure = || Failure::of(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", "no");
        assert_eq!(answered(vec![1, 2], Ok(())).await.unwrap(), "1\n2\n");
        assert_eq!(answered(vec![], Ok(())).await.unwrap(), "");
        let last = "{\"error\":{\"code\":\"BODY_TOO_LARGE\",\"message\":\"no\"}}\n";
        assert_eq!(answered(vec![1], Err(failure())).await.unwrap(), format!("1\n{last}"));
        assert_eq!(answered(vec![], Err(failure())).await.unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
