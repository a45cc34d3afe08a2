//! Files that a server imports, which are read while they are sent.

use super::error::ClientError;
use super::graphql::Client;
use super::http::Answer;
use super::sending::{Content, Sending};
use crate::config::Secret;
use domain::error_with_causes;
use ingest::{FileEnd, FileLine, FileStopped, InputError};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, sleep};

/// The longest line of an answer, in bytes: the last one names calls without a price.
const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;
/// How long a file is sent again while the server has as many as it can.
const BUSY_TIMEOUT: Duration = Duration::from_secs(600);
/// The longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(10);

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

/// What the server did with a file.
enum Sent {
    Ended(Box<FileEnd>),
    /// It takes nothing of it.
    Refused(Answer),
}

/// The attempts to send a file.
struct Attempts {
    token: Option<Secret>,
    is_renewed: bool,
    pause: Duration,
    deadline: Instant,
}

impl Client {
    /// Lets the server import a file in a format. Each line of the answer but the last one is passed to `on_line`. While the
    /// server is busy, the file is sent again.
    ///
    /// # Errors
    /// [`UploadError`] if the server did not say how the import ended.
    pub async fn import(
        &self,
        format: &str,
        parameters: &[(&str, String)],
        mut content: Content,
        mut on_line: impl FnMut(FileLine),
    ) -> Result<FileEnd, UploadError> {
        let deadline = Instant::now() + BUSY_TIMEOUT;
        let token = self.token().await?;
        let mut attempts = Attempts { token, is_renewed: false, pause: Duration::from_secs(1), deadline };
        loop {
            let length = content.bytes;
            let (body, sending) = Sending::begin(content);
            let token = attempts.token.as_ref();
            let path = format!("/v1/ingest/{format}");
            let response = self.http().post_stream(&path, parameters, token, length, body).await;
            let sent = match response {
                Ok(response) => self.read(response, &mut on_line).await,
                Err(error) => Err(error),
            };
            // What this program could not read, the server did not get.
            match (sent, sending.failure()) {
                (Ok(Sent::Ended(end)), None) => return Ok(*end),
                (Ok(Sent::Ended(end)), Some(error)) => {
                    let stopped = FileStopped::unreadable(error_with_causes(&InputError::from(error)));
                    return Ok(FileEnd { stopped: Some(stopped), ..*end });
                }
                (_, Some(error)) => return Err(InputError::from(error).into()),
                (Err(error), None) => return Err(error.into()),
                (Ok(Sent::Refused(answer)), None) => {
                    let refused = self.refused_file(&answer, attempts.token.is_some());
                    if !self.may_send_again(&answer, &mut attempts).await? {
                        return Err(refused);
                    }
                    content = sending.stop().await.ok_or(refused)?;
                }
            }
        }
    }

    /// Whether what an answer refuses may be accepted if it is sent again now.
    async fn may_send_again(&self, answer: &Answer, attempts: &mut Attempts) -> Result<bool, ClientError> {
        if !attempts.is_renewed
            && let Some(renewed) = self.renewed(answer, attempts.token.as_ref()).await?
        {
            (attempts.token, attempts.is_renewed) = (Some(renewed), true);
            return Ok(true);
        }
        let is_busy = answer.status == StatusCode::TOO_MANY_REQUESTS && code(answer) == Some("BUSY");
        if !is_busy || Instant::now() >= attempts.deadline {
            return Ok(false);
        }
        sleep(attempts.pause).await;
        attempts.pause = (attempts.pause * 2).min(MAX_PAUSE);
        Ok(true)
    }

    fn refused_file(&self, answer: &Answer, has_token: bool) -> UploadError {
        if let Some(refused) = self.unauthenticated(answer, has_token) {
            return refused.into();
        }
        if code(answer) == Some(FileStopped::UNREADABLE) {
            let message = answer.body.pointer("/errors/0/message").and_then(Value::as_str).unwrap_or_default();
            return UploadError::Unreadable(message.to_owned());
        }
        self.http().refused(answer).into()
    }

    async fn read(
        &self,
        mut response: reqwest::Response,
        on_line: &mut impl FnMut(FileLine),
    ) -> Result<Sent, ClientError> {
        if !response.status().is_success() {
            return self.http().answer(response).await.map(Sent::Refused);
        }
        let mut lines = LineBuffer::default();
        while let Some(chunk) = self.http().next_chunk(&mut response).await? {
            lines.add(&chunk);
            while let Some(line) = lines.next() {
                match serde_json::from_slice(&line).map_err(|_| self.incomplete("line"))? {
                    Line::File(FileLine::Ended(end)) => return Ok(Sent::Ended(end)),
                    Line::File(line) => on_line(line),
                    Line::Failure { error: Failure { code, message } } => {
                        return Err(ClientError::Refused { code, reason: None, message });
                    }
                }
            }
            if lines.len() > MAX_LINE_BYTES {
                return Err(self.incomplete("line"));
            }
        }
        Err(self.incomplete("last line"))
    }
}

/// A line of an answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    File(FileLine),
    Failure { error: Failure },
}

/// Why there is no other last line.
#[derive(Deserialize)]
struct Failure {
    code: String,
    message: String,
}

fn code(answer: &Answer) -> Option<&str> {
    answer.body.pointer("/errors/0/extensions/code").and_then(Value::as_str)
}

/// What has arrived of an answer, of which each byte is looked at once.
#[derive(Default)]
struct LineBuffer {
    bytes: Vec<u8>,
    /// How much of it has no end of a line.
    searched: usize,
}

impl LineBuffer {
    fn add(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The next whole line.
    fn next(&mut self) -> Option<Vec<u8>> {
        let Some(at) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            return None;
        };
        let rest = self.bytes.split_off(self.searched + at + 1);
        self.searched = 0;
        Some(std::mem::replace(&mut self.bytes, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_in_parts() {
        let mut lines = LineBuffer::default();
        lines.add(b"on");
        assert_eq!((lines.next(), lines.searched), (None, 2));
        lines.add(b"e\ntwo\nth");
        assert_eq!(
            [lines.next(), lines.next(), lines.next()],
            [Some(b"one\n".to_vec()), Some(b"two\n".to_vec()), None]
        );
        assert_eq!((lines.searched, lines.len()), (2, 2));
        // A line of 64 MiB in small parts is not searched from its beginning for each of them.
        let started = std::time::Instant::now();
        for _ in 0..MAX_LINE_BYTES / 16_384 {
            lines.add(&[b'x'; 16_384]);
            assert!(lines.next().is_none());
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }

    #[test]
    fn the_last_line_may_be_a_failure() {
        let line = |text: &str| serde_json::from_str::<Line>(text).unwrap();
        let failure = line(r#"{"error":{"code":"UNAVAILABLE","message":"retry","retry_after_s":1}}"#);
        assert!(matches!(failure, Line::Failure { error } if error.code == "UNAVAILABLE"));
        let refused = line(r#"{"event":"refused","number":1,"reason":"line 1: x"}"#);
        assert!(matches!(refused, Line::File(FileLine::Refused { number: 1, .. })));
    }
}
