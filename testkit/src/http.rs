//! Requests over HTTP whose result does not depend on how busy the machine is.

use crate::POLL_INTERVAL;
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// How often a request is sent at most, until its credential can be checked.
const MAX_ATTEMPTS: u32 = 10;

/// A response with its whole body.
#[derive(Debug)]
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, parsed as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Whether the server could not find out in time whether the credential of the request is valid.
    fn is_unchecked(&self) -> bool {
        // Over gRPC, the status is that of HTTP for what is fine, and the message is in a header.
        let message = self.headers.get("grpc-message").map(|message| String::from_utf8_lossy(message.as_bytes()));
        let has_message = message.is_some_and(|message| message.starts_with("credentials"));
        let is_unavailable = self.status == StatusCode::SERVICE_UNAVAILABLE;
        has_message || (is_unavailable && self.text().contains("credentials cannot be checked at the moment"))
    }
}

/// A request that a server of a test receives.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// The path with the query.
    pub path: String,
    /// The headers, with names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Reads a request of HTTP/1.1 whose body has a length or is empty; none at the end of the connection.
///
/// # Errors
/// If the connection breaks.
pub async fn read_request(connection: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<HttpRequest>> {
    let mut line = String::new();
    if connection.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        connection.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    Ok(Some(HttpRequest { path, headers, body }))
}

/// Sends a request. If the server answers that it cannot check credentials at the moment, nothing was done yet, and the request is
/// sent again, as the answer asks for: on a busy machine the database may not answer in time. After several attempts, that is the
/// response.
///
/// # Panics
/// If there is no response, or the body of the request is a stream.
pub async fn send_until_checked(request: RequestBuilder) -> HttpResponse {
    let mut attempt = 1;
    loop {
        let response = request.try_clone().expect("a body that can be sent again").send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let response = HttpResponse { status, headers, body: response.bytes().await.unwrap().to_vec() };
        if attempt == MAX_ATTEMPTS || !response.is_unchecked() {
            return response;
        }
        attempt += 1;
        tokio::time::sleep(POLL_INTERVAL * 5).await;
    }
}
