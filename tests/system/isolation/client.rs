//! Requests over HTTP, with the whole answers.

use super::ingest::Body;
use reqwest::StatusCode;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use testkit::{POLL_INTERVAL, TIMEOUT, send_until_checked};
use tokio::sync::Semaphore;

/// A client of a server.
pub(super) struct Client {
    http: reqwest::Client,
    address: String,
}

/// An answer: its status, headers and body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Headers and body.
    pub(super) text: String,
    /// The body, if it is JSON.
    pub(super) json: Value,
    /// The status of gRPC, if the headers have it.
    grpc_status: Option<String>,
}

impl Answer {
    /// Whether the request was accepted, with all of its lines.
    pub(super) fn is_accepted(&self) -> bool {
        let is_refused = self.lines().any(|line| !line["error"].is_null() || !line["stopped"].is_null());
        self.status.is_success() && self.grpc_status.as_deref().is_none_or(|status| status == "0") && !is_refused
    }

    /// Whether the principal may not do what it asked for, or what one of its lines did.
    pub(super) fn is_forbidden(&self) -> bool {
        let is_refused = self.lines().any(|line| line["error"]["code"] == "FORBIDDEN");
        self.status == StatusCode::FORBIDDEN || self.grpc_status.as_deref() == Some("7") || is_refused
    }

    /// The lines of an answer to lines.
    fn lines(&self) -> impl Iterator<Item = Value> {
        let body = self.text.split_once('\n').map_or("", |(_, body)| body);
        body.lines().filter(|line| line.starts_with('{')).filter_map(|line| serde_json::from_str(line).ok())
    }
}

impl Client {
    pub(super) fn new(address: &str) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, address: address.to_owned() }
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = send_until_checked(request).await;
        let grpc_status = response.headers.get("grpc-status").and_then(|status| status.to_str().ok());
        let (grpc_status, body) = (grpc_status.map(str::to_owned), response.text());
        let json = serde_json::from_str(&body).unwrap_or_default();
        Answer { status: response.status, text: format!("{:?}\n{body}", response.headers), json, grpc_status }
    }

    /// Sends a GraphQL request.
    pub(super) async fn ask(&self, credential: &str, body: &Value) -> Answer {
        let request = self.http.post(format!("{}/graphql", self.address)).bearer_auth(credential);
        self.answer(request.header("accept", "application/json").json(body)).await
    }

    /// Posts JSON without a credential, from a device.
    pub(super) async fn post(&self, path: &str, body: &Value, device: &str) -> Answer {
        let request = self.http.post(format!("{}{path}", self.address)).header("user-agent", device);
        self.answer(request.json(body)).await
    }

    /// Sends a request to a route, with a body if it is a `POST`.
    pub(super) async fn send(&self, credential: Option<&str>, path: &str, body: Option<&Value>) -> Answer {
        let url = format!("{}{path}", self.address);
        let request = match body {
            Some(body) => self.http.post(url).json(body),
            None => self.http.get(url),
        };
        self.answer(credential.iter().fold(request, |request, key| request.bearer_auth(key))).await
    }

    /// Posts a body to a route by which data comes in, with headers that might name a tenant.
    pub(super) async fn send_body(
        &self,
        credential: Option<&str>,
        path: &str,
        body: &Body,
        headers: &[(&str, &str)],
    ) -> Answer {
        let request = self.http.post(format!("{}{path}", self.address)).header("content-type", body.content_type);
        let request = credential.iter().fold(request, |request, key| request.bearer_auth(key));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.answer(request.body(body.bytes.clone())).await
    }

    /// Reads an event stream until it reports the position of a marker, or ends. Counts itself as open once it has read
    /// something.
    pub(super) async fn follow(&self, credential: &str, path: &str, body: Option<&Value>, marker: &Marker) -> String {
        let url = format!("{}{path}", self.address);
        let request = match body {
            Some(body) => self.http.post(url).json(body),
            None => self.http.get(url),
        };
        let request = request.bearer_auth(credential).header("accept", "text/event-stream");
        let permit = marker.opening.acquire().await.unwrap();
        let mut response = loop {
            let response = request.try_clone().unwrap().send().await.unwrap();
            // A busy server could not check the credential, and asks for another request.
            if response.status() != StatusCode::SERVICE_UNAVAILABLE || marker.is_late() {
                break response;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        };
        drop(permit);
        let mut text = format!("{:?}\n", response.headers());
        let (mut is_open, mut read, mut reported) = (false, text.len(), None);
        loop {
            let chunk = tokio::time::timeout(LOOK_INTERVAL, response.chunk()).await;
            if chunk.is_ok() && !std::mem::replace(&mut is_open, true) {
                marker.opened.fetch_add(1, Ordering::SeqCst);
                marker.note_progress();
            }
            match chunk {
                Ok(Ok(Some(chunk))) => text += &String::from_utf8_lossy(&chunk),
                Ok(_) => return text,
                Err(_) => {}
            }
            // Whole lines that were not looked at yet.
            let end = text.rfind('\n').map_or(read, |end| end + 1).max(read);
            let positions =
                text[read..end].lines().filter_map(|line| line.strip_prefix("id:")?.trim().parse::<u64>().ok());
            reported = reported.max(positions.max());
            read = end;
            match reported {
                Some(position) if position >= marker.position.load(Ordering::SeqCst) => return text,
                // A stream of sums reports no position.
                None if marker.is_set_since(LAST_SUMS) => return text,
                _ => assert!(!marker.is_late(), "{path} {body:?} does not report the position: {text}"),
            }
        }
    }
}

/// How often a stream that sends nothing looks whether it is read to its end.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// The streams that are being opened at the same time.
const OPENED_AT_ONCE: usize = 8;
/// How long streams are read on that report no position, after everything has happened.
const LAST_SUMS: Duration = Duration::from_secs(3);

/// Until which position streams are read, and how many are open.
pub(super) struct Marker {
    pub(super) opened: AtomicUsize,
    /// Lets few be opened at the same time: each takes a connection to the database for a moment.
    opening: Semaphore,
    position: AtomicU64,
    set_at: OnceLock<Instant>,
    /// When a stream was opened, or the position was set, last.
    progress_at: Mutex<Instant>,
}

impl Marker {
    /// No position yet.
    pub(super) fn new() -> Self {
        let position = AtomicU64::new(u64::MAX);
        let opening = Semaphore::new(OPENED_AT_ONCE);
        let progress_at = Mutex::new(Instant::now());
        Self { opened: AtomicUsize::new(0), opening, position, set_at: OnceLock::new(), progress_at }
    }

    pub(super) fn set(&self, position: u64) {
        self.position.store(position, Ordering::SeqCst);
        self.set_at.get_or_init(Instant::now);
        self.note_progress();
    }

    fn note_progress(&self) {
        *self.progress_at.lock().unwrap() = Instant::now();
    }

    /// Whether nothing that is waited for has happened for too long, however many streams there are.
    pub(super) fn is_late(&self) -> bool {
        self.progress_at.lock().unwrap().elapsed() > TIMEOUT
    }

    fn is_set_since(&self, time: Duration) -> bool {
        self.set_at.get().is_some_and(|at| at.elapsed() > time)
    }
}
