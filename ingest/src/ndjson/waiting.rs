//! The answers that wait to be sent, which are limited in number and in bytes.

use super::answer::LineAnswer;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

/// The most answers that wait. A client that sends more lines than that reads answers while it sends.
const MAX_ANSWERS: usize = 64 * 1024;
/// The most bytes of answers that wait: 16 MiB. All that is created fits, and several thousand refusals.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// An answer that waits to be sent. It counts until it is dropped.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct WaitingAnswer {
    /// The answer.
    pub answer: LineAnswer,
    #[serde(skip)]
    _bytes: OwnedSemaphorePermit,
}

/// Where answers wait until they are sent.
#[derive(Debug)]
pub struct AnswerSender {
    answers: mpsc::Sender<WaitingAnswer>,
    bytes: Arc<Semaphore>,
    timeout: Duration,
}

/// A queue of answers. Its client is given up if it takes none for the time of the timeout while the queue is full.
#[must_use]
pub fn answer_queue(timeout: Duration) -> (AnswerSender, mpsc::Receiver<WaitingAnswer>) {
    let (answers, received) = mpsc::channel(MAX_ANSWERS);
    (AnswerSender { answers, bytes: Arc::new(Semaphore::new(MAX_BYTES)), timeout }, received)
}

impl AnswerSender {
    /// Adds an answer; none if the answers are not taken.
    pub(super) async fn send(&self, answer: LineAnswer) -> Option<()> {
        // No answer has as many bytes as all may have.
        let bytes = u32::try_from(answer.bytes().min(MAX_BYTES)).unwrap_or(u32::MAX);
        let sending = async {
            let permit = self.bytes.clone().acquire_many_owned(bytes).await.ok()?;
            self.answers.send(WaitingAnswer { answer, _bytes: permit }).await.ok()
        };
        timeout(self.timeout, sending).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ndjson::answer::{LineRefusal, LineStatus};
    use uuid::Uuid;

    fn refused(bytes: usize) -> LineAnswer {
        let error = LineRefusal { code: "NOT_JSON", message: "x".repeat(bytes) };
        LineAnswer { line: 1, status: LineStatus::Refused, id: None, position: None, error: Some(error) }
    }

    fn created() -> LineAnswer {
        let (id, position) = (Some(Uuid::nil()), Some(u64::MAX.to_string()));
        LineAnswer { line: 1, status: LineStatus::Created, id, position, error: None }
    }

    #[tokio::test]
    async fn what_waits_is_limited_in_bytes_and_in_number() {
        let (sender, mut received) = answer_queue(Duration::from_millis(50));
        let mut waiting = 0;
        while sender.send(refused(2048)).await.is_some() {
            waiting += 1;
        }
        assert!((MAX_BYTES / 4096..MAX_BYTES / 2048).contains(&waiting), "{waiting}");
        // An answer that is taken makes room for another one.
        drop(received.recv().await);
        assert!(sender.send(refused(2048)).await.is_some() && sender.send(refused(2048)).await.is_none());
        let (sender, _received) = answer_queue(Duration::from_millis(50));
        for _ in 0..MAX_ANSWERS {
            assert!(sender.send(created()).await.is_some(), "what was created does not fit");
        }
        assert!(sender.send(created()).await.is_none());
    }

    #[tokio::test]
    async fn an_answer_is_written_as_if_it_did_not_wait() {
        let (sender, mut received) = answer_queue(Duration::from_millis(50));
        sender.send(created()).await.unwrap();
        let written = serde_json::to_value(received.recv().await.unwrap()).unwrap();
        assert_eq!((&written["line"], &written["status"]), (&1.into(), &"created".into()));
    }
}
