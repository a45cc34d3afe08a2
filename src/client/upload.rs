//! Files that a server imports, which are read while they are sent.

use super::error::ClientError;
use super::graphql::Client;
use super::http::Answer;
use super::sending::{Content, Sending};
use crate::config::Secret;
use bytes::BytesMut;
use domain::{ImportId, error_with_causes};
use ingest::{FileEnd, FileLine, FileStopped, InputError};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, sleep};

/// The longest line of an answer, in bytes: the last one names calls without a price.
const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;
/// The first pause between two attempts.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
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
    /// Lets the server import a file in a format, as a part of an import. Each line of the answer but the last one is passed to `on_line`. While the
    /// server is busy, which `on_busy` is told once, the file is sent again.
    ///
    /// # Errors
    /// [`UploadError`] if the server did not say how the import ended.
    pub async fn import(
        &self,
        import_id: ImportId,
        (format, parameters): (&str, &[(&str, String)]),
        mut content: Content,
        mut on_line: impl FnMut(FileLine),
        on_busy: impl Fn(),
    ) -> Result<FileEnd, UploadError> {
        let deadline = Instant::now() + BUSY_TIMEOUT;
        let token = self.token().await?;
        let mut attempts = Attempts { token, is_renewed: false, pause: FIRST_PAUSE, deadline };
        loop {
            let length = content.bytes;
            let (body, sending) = Sending::begin(content);
            let token = attempts.token.as_ref();
            let path = format!("/v1/ingest/{format}");
            let response = self.http().post_stream(&path, parameters, (token, import_id.0), length, body).await;
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
                    if !self.may_send_again(&answer, &mut attempts, &on_busy).await? {
                        return Err(refused);
                    }
                    content = sending.stop().await.ok_or(refused)?;
                }
            }
        }
    }

    /// Whether what an answer refuses may be accepted if it is sent again now.
    async fn may_send_again(
        &self,
        answer: &Answer,
        attempts: &mut Attempts,
        on_busy: &impl Fn(),
    ) -> Result<bool, ClientError> {
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
        if attempts.pause == FIRST_PAUSE {
            on_busy();
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
            lines.bytes.extend_from_slice(&chunk);
            while let Some(line) = lines.take_line() {
                match Line::parse(&line).ok_or_else(|| self.incomplete("line"))? {
                    Line::File(FileLine::Ended(end)) => return Ok(Sent::Ended(end)),
                    Line::File(line) => on_line(line),
                    Line::Failure(Failure { code, message }) => {
                        return Err(ClientError::Refused { code, reason: None, message });
                    }
                }
            }
            if lines.bytes.len() > MAX_LINE_BYTES {
                return Err(self.incomplete("line"));
            }
        }
        Err(self.incomplete("last line"))
    }
}

/// A line of an answer.
enum Line {
    File(FileLine),
    Failure(Failure),
}

/// The last line, if the server cannot say how the import ended.
#[derive(Deserialize)]
struct FailureLine {
    error: Failure,
}

/// Why there is no other last line.
#[derive(Deserialize)]
struct Failure {
    code: String,
    message: String,
}

impl Line {
    fn parse(line: &[u8]) -> Option<Self> {
        match serde_json::from_slice(line) {
            Ok(line) => Some(Self::File(line)),
            Err(_) => serde_json::from_slice(line).ok().map(|FailureLine { error }| Self::Failure(error)),
        }
    }
}

fn code(answer: &Answer) -> Option<&str> {
    answer.body.pointer("/errors/0/extensions/code").and_then(Value::as_str)
}

/// What has arrived of an answer and is not read yet. Each byte is looked at once.
#[derive(Default)]
struct LineBuffer {
    bytes: BytesMut,
    /// How much of it has no end of a line.
    searched: usize,
}

impl LineBuffer {
    /// Takes the next whole line.
    fn take_line(&mut self) -> Option<BytesMut> {
        let Some(at) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            return None;
        };
        let line = self.bytes.split_to(self.searched + at + 1);
        self.searched = 0;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_in_parts_and_no_byte_is_searched_twice() {
        let mut lines = LineBuffer::default();
        lines.bytes.extend_from_slice(b"on");
        assert_eq!((lines.take_line(), lines.searched), (None, 2));
        lines.bytes.extend_from_slice(b"e\ntwo\nth");
        assert_eq!(lines.take_line().unwrap(), b"one\n"[..]);
        assert_eq!(lines.take_line().unwrap(), b"two\n"[..]);
        assert_eq!((lines.take_line(), lines.searched, lines.bytes.len()), (None, 2, 2));
        lines.bytes.extend_from_slice(&[b'x'; 10_000]);
        assert_eq!((lines.take_line(), lines.searched), (None, 10_002));
        lines.bytes.extend_from_slice(b"\n");
        assert_eq!((lines.take_line().map(|line| line.len()), lines.searched), (Some(10_003), 0));
    }

    #[test]
    fn the_last_line_may_be_a_failure() {
        let failure = Line::parse(br#"{"error":{"code":"UNAVAILABLE","message":"retry","retry_after_s":1}}"#);
        assert!(matches!(failure, Some(Line::Failure(error)) if error.code == "UNAVAILABLE"));
        let refused = Line::parse(br#"{"event":"refused","number":1,"reason":"line 1: x"}"#);
        assert!(matches!(refused, Some(Line::File(FileLine::Refused { number: 1, .. }))));
        assert!(Line::parse(b"{}").is_none());
    }
}
