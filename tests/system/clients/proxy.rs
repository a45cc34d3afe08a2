//! A proxy between clients and a server, which loses what the server replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::{HttpRequest, http_client, read_request};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Passes requests and replies on.
    Forward,
    /// Passes requests on, and loses every other reply, the first one too.
    LoseEveryOther,
    /// Passes requests on, and keeps their replies until the mode changes. Then they are lost.
    HoldReplies,
    /// Cuts connections.
    Down,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    held: AtomicU64,
}

/// A proxy that listens on a loopback port, until it is dropped.
pub(super) struct Proxy {
    /// Its URL.
    pub(super) address: String,
    mode: watch::Sender<Mode>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Starts a proxy for a server.
    pub(super) async fn start(server: &str, mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (mode, watched) = watch::channel(mode);
        let (counts, server) = (Arc::new(Counts::default()), server.to_owned());
        let counted = counts.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, watched, counts) = (server.clone(), watched.clone(), counted.clone());
                // A client that has gone needs no reply.
                tokio::spawn(async move { drop(serve(stream, &server, watched, &counts).await) });
            }
        });
        Self { address, mode, counts, task }
    }

    /// Changes what it does.
    pub(super) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// The requests that were passed on.
    pub(super) fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::Relaxed)
    }

    /// The replies that were held.
    pub(super) fn held(&self) -> u64 {
        self.counts.held.load(Ordering::Relaxed)
    }
}

/// Passes a request on, and its reply back, as the mode says. The connection is closed after that.
async fn serve(
    stream: TcpStream,
    server: &str,
    mut watched: watch::Receiver<Mode>,
    counts: &Counts,
) -> std::io::Result<()> {
    let mode = *watched.borrow_and_update();
    if mode == Mode::Down {
        return Ok(());
    }
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let Some(HttpRequest { path, headers, body }) = read_request(&mut reader).await? else { return Ok(()) };
    let mut request = http_client().post(format!("{server}{path}")).body(body);
    for name in ["authorization", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let number = counts.requests.fetch_add(1, Ordering::Relaxed);
    let reply = request.send().await.unwrap();
    let (status, body) = (reply.status(), reply.bytes().await.unwrap());
    match mode {
        Mode::LoseEveryOther if number.is_multiple_of(2) => return Ok(()),
        Mode::HoldReplies => {
            counts.held.fetch_add(1, Ordering::Relaxed);
            // Also when the proxy is dropped.
            drop(watched.changed().await);
            return Ok(());
        }
        Mode::Forward | Mode::LoseEveryOther | Mode::Down => {}
    }
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    writer.write_all(head.as_bytes()).await?;
    writer.write_all(&body).await
}
