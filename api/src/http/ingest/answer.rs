//! Responses that begin while the body is still read: one line for each answer.

use super::failure::Failure;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The media type of lines of JSON.
pub(super) const NDJSON: &str = "application/x-ndjson";
/// How long the head of a response waits for the first answer. If there is none because the body cannot be read, the status
/// says so.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the head of a response waits for the end of all answers: longer than it takes until a log that fails is given up,
/// and less than proxies wait.
const END_TIMEOUT: Duration = Duration::from_secs(45);
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
    Ok(response(Answers { first, received, worker, note }))
}

/// As [`respond`], but a failure is the response also after answers, as long as the head of the response was not sent, which
/// `has_begun` tells. It is for clients that read the status and nothing else. The answers until then have room in the
/// channel.
pub(super) async fn respond_at_end<T: Serialize + Send + 'static>(
    received: mpsc::Receiver<T>,
    worker: Worker,
    has_begun: &AtomicBool,
    note: fn(&T),
) -> Result<Response, Failure> {
    respond_within(END_TIMEOUT, received, worker, has_begun, note).await
}

async fn respond_within<T: Serialize + Send + 'static>(
    end_timeout: Duration,
    received: mpsc::Receiver<T>,
    mut worker: Worker,
    has_begun: &AtomicBool,
    note: fn(&T),
) -> Result<Response, Failure> {
    let worker = match tokio::time::timeout(end_timeout, &mut worker).await {
        Ok(result) => {
            result.unwrap_or_else(|panicked| Err(Failure::internal(&panicked)))?;
            None
        }
        Err(_) => {
            has_begun.store(true, Ordering::Relaxed);
            Some(worker)
        }
    };
    Ok(response(Answers { first: Vec::new(), received, worker, note }))
}

fn response<T: Serialize + Send + 'static>(answers: Answers<T>) -> Response {
    let lines = futures::stream::unfold(answers, |mut answers| async move {
        let line = answers.next().await?;
        Some((Ok::<_, Infallible>(line), answers))
    });
    let headers = [(header::CONTENT_TYPE, NDJSON), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::OK, headers, Body::from_stream(lines)).into_response()
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
    async fn a_failure_is_the_response_until_the_head_is_sent() {
        let respond = async |delay: Duration, end: Result<(), Failure>| {
            let (sender, received) = mpsc::channel(8);
            let worker = tokio::spawn(async move {
                sender.send(1).await.unwrap();
                tokio::time::sleep(delay).await;
                sender.send(2).await.unwrap();
                end
            });
            let has_begun = AtomicBool::new(false);
            let response = respond_within(Duration::from_millis(200), received, worker, &has_begun, |_| {}).await?;
            let body = to_bytes(response.into_body(), 10_000).await.unwrap();
            Ok::<_, Failure>((String::from_utf8(body.to_vec()).unwrap(), has_begun.into_inner()))
        };
        let failure = || Failure::of(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "no");
        let (soon, late) = (Duration::ZERO, Duration::from_millis(400));
        assert_eq!(respond(soon, Ok(())).await.unwrap(), ("1\n2\n".to_owned(), false));
        assert_eq!(respond(soon, Err(failure())).await.unwrap_err().code, "UNAVAILABLE");
        assert_eq!(respond(late, Ok(())).await.unwrap(), ("1\n2\n".to_owned(), true));
        let (lines, _) = respond(late, Err(failure())).await.unwrap();
        assert!(lines.ends_with("{\"error\":{\"code\":\"UNAVAILABLE\",\"message\":\"no\"}}\n"), "{lines}");
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
