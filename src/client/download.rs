//! Files that a server makes, which are read while they are sent.

use super::error::ClientError;
use super::graphql::Client;
use super::http::Http;
use bytes::Bytes;
use reqwest::StatusCode;
use std::time::Duration;

/// How long a part of a file may take: an hour, as long as a server makes an export at most. It sends nothing while it makes a
/// row group of Parquet, or sums up a day. That it is gone is noticed by the keepalive of TCP.
const PART_TIMEOUT: Duration = Duration::from_secs(3600);

/// A file that a server sends.
pub struct Download<'c> {
    http: &'c Http,
    response: reqwest::Response,
}

impl Client {
    /// Asks for a file.
    ///
    /// # Errors
    /// [`ClientError`] if the server does not begin to send it.
    pub async fn download(&self, path: &str, parameters: &[(&str, String)]) -> Result<Download<'_>, ClientError> {
        let (http, token) = (self.http(), self.token().await?);
        let mut response = http.get_stream(path, parameters, token.as_ref()).await?;
        if response.status() == StatusCode::OK {
            return Ok(Download { http, response });
        }
        let mut answer = http.answer(response).await?;
        if let Some(renewed) = self.renewed(&answer, token.as_ref()).await? {
            response = http.get_stream(path, parameters, Some(&renewed)).await?;
            if response.status() == StatusCode::OK {
                return Ok(Download { http, response });
            }
            answer = http.answer(response).await?;
        }
        Err(self.unauthenticated(&answer, token.is_some()).unwrap_or_else(|| http.refused(&answer)))
    }
}

impl Download<'_> {
    /// A header of the response, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The error of a response that lacks something.
    #[must_use]
    pub fn incomplete(&self, what: &str) -> ClientError {
        ClientError::Incomplete { url: self.http.server(), what: what.to_owned() }
    }

    /// The next part; none at the end of the file.
    ///
    /// # Errors
    /// [`ClientError::CutShort`] if the server ended the file before its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        match self.http.next_chunk_within(&mut self.response, PART_TIMEOUT).await {
            Err(ClientError::Unreachable { url, cause }) => Err(ClientError::CutShort { url, cause }),
            next => next,
        }
    }
}
