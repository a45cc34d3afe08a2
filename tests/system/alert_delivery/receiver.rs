//! A receiver of webhooks on this machine, which answers as a test says, and keeps what it got.

use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use testkit::{HttpRequest, POLL_INTERVAL, read_request, wait_until};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How the receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Status(u16),
    /// With 429, and that the next attempt is to be an hour later.
    Busy,
    /// With a redirect to `/elsewhere`.
    Redirect,
    /// Not at all: the connection stays open.
    Hang,
    /// As the next answer that a test says.
    Hold,
}

/// A request that was received.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Received {
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Received {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The id of the message.
    pub(super) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) address: String,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
}

impl Receiver {
    /// A receiver that answers everything with 204.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let receiver = Self { address, received: Arc::default(), answers: Arc::default() };
        let accepting = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().converse(stream));
            }
        });
        receiver
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Answers requests for a path in another way from now on.
    pub(super) fn answer(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    fn answer_to(&self, path: &str) -> Answer {
        self.answers.lock().unwrap().get(path).copied().unwrap_or(Answer::Status(204))
    }

    /// What was received so far for a path.
    pub(super) fn of(&self, path: &str) -> Vec<Received> {
        self.received.lock().unwrap().iter().filter(|received| received.path == path).cloned().collect()
    }

    /// Waits until a number of requests for a path were received.
    pub(super) async fn wait(&self, path: &str, count: usize) -> Vec<Received> {
        wait_until(&format!("{count} requests for {path}"), async || self.of(path).len() >= count).await;
        self.of(path)
    }

    /// Serves a connection: requests of HTTP/1.1 with a length.
    async fn converse(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Ok(Some(HttpRequest { path, headers, body })) = read_request(&mut stream).await {
            let body = String::from_utf8(body).unwrap();
            self.received.lock().unwrap().push(Received { path: path.clone(), headers, body });
            while self.answer_to(&path) == Answer::Hold {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            let text = match self.answer_to(&path) {
                Answer::Status(status) => format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n"),
                Answer::Busy => {
                    "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n".to_owned()
                }
                Answer::Redirect => {
                    format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", self.url("/elsewhere"))
                }
                Answer::Hang | Answer::Hold => return std::future::pending().await,
            };
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
