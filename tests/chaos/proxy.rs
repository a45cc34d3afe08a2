//! A TCP proxy between a process with a log and PostgreSQL, which delays, blocks or cuts connections on request.
//!
//! It parses what goes to the server far enough to know when an append has been sent: a message of the protocol is a byte
//! for its type, a length that includes itself, and a body.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use testkit::TIMEOUT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Text that the statement of an append contains, and no other.
const APPEND: &[u8] = b"apex.append(";

/// What the proxy does with data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Forwards it.
    Forward,
    /// Forwards every chunk after a delay.
    Delay(Duration),
    /// Forwards nothing until the mode changes. No data is lost.
    BlackHole,
    /// Cuts the connection as soon as an append was sent completely, without its response.
    CutAfterSent,
    /// Cuts the connection when the server responds to an append: it is committed, and the client does not know.
    CutAfterCommit,
}

/// A proxy that listens on a loopback port, until it is dropped.
pub(crate) struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    cuts: Arc<AtomicU64>,
}

impl Proxy {
    /// Starts a proxy for a server on a loopback port.
    pub(crate) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, watched) = watch::channel(Mode::Forward);
        let cuts = Arc::new(AtomicU64::new(0));
        let counted = cuts.clone();
        tokio::spawn(async move {
            // Ends when the proxy is dropped; so do its connections.
            while watched.has_changed().is_ok() {
                let accepted = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await;
                if let Ok(Ok((client, _))) = accepted {
                    tokio::spawn(connection(client, server, watched.clone(), counted.clone()));
                }
            }
        });
        Self { port, mode, cuts }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Cuts the connection of the next append. Returns false if none was sent in time.
    pub(crate) async fn cut(&self, mode: Mode) -> bool {
        let before = self.cuts.load(Ordering::SeqCst);
        self.set(mode);
        let was_cut = async {
            while self.cuts.load(Ordering::SeqCst) == before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let was_cut = tokio::time::timeout(TIMEOUT, was_cut).await.is_ok();
        self.set(Mode::Forward);
        was_cut
    }
}

/// Forwards both directions of a connection, and closes it when one of them ends or is cut.
async fn connection(client: TcpStream, server: u16, mode: watch::Receiver<Mode>, cuts: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    drop(client.set_nodelay(true));
    drop(server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (sent, appends) = watch::channel(0_u64);
    let requests = forward_requests(from_client, to_server, mode.clone(), sent, cuts.clone());
    let responses = forward_responses(from_server, to_client, mode.clone(), appends, cuts);
    tokio::select! {
        () = requests => {}
        () = responses => {}
        () = dropped(mode) => {}
    }
}

/// Completes when the proxy is dropped.
async fn dropped(mut mode: watch::Receiver<Mode>) {
    while mode.changed().await.is_ok() {}
}

/// Delays a chunk as the mode requires.
async fn delay(mode: &mut watch::Receiver<Mode>) {
    let now = *mode.borrow();
    match now {
        Mode::Delay(delay) => tokio::time::sleep(delay).await,
        Mode::BlackHole => drop(mode.wait_for(|mode| *mode != Mode::BlackHole).await),
        Mode::Forward | Mode::CutAfterSent | Mode::CutAfterCommit => {}
    }
}

async fn forward_requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    sent: watch::Sender<u64>,
    cuts: Arc<AtomicU64>,
) {
    let mut parser = RequestParser::default();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(size @ 1..) = from.read(&mut buffer).await {
        delay(&mut mode).await;
        let appends = parser.parse(&buffer[..size]);
        if appends > 0 && *mode.borrow() == Mode::CutAfterCommit {
            // Before the bytes are written, so that the response cannot arrive first.
            sent.send_modify(|count| *count += appends);
        }
        if to.write_all(&buffer[..size]).await.is_err() {
            return;
        }
        if appends > 0 && *mode.borrow() == Mode::CutAfterSent {
            cuts.fetch_add(1, Ordering::SeqCst);
            return;
        }
    }
}

async fn forward_responses(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    appends: watch::Receiver<u64>,
    cuts: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(size @ 1..) = from.read(&mut buffer).await {
        delay(&mut mode).await;
        if *appends.borrow() > 0 {
            cuts.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if to.write_all(&buffer[..size]).await.is_err() {
            return;
        }
    }
}

/// Parses the messages of a client.
#[derive(Default)]
struct RequestParser {
    /// The received part of an incomplete message.
    bytes: Vec<u8>,
    is_started: bool,
    /// Names of prepared statements that append.
    statements: HashSet<Vec<u8>>,
    /// Whether an append was bound, and no Sync was sent yet.
    is_bound: bool,
}

impl RequestParser {
    /// Parses further bytes. Returns how many appends they complete.
    fn parse(&mut self, sent: &[u8]) -> u64 {
        self.bytes.extend_from_slice(sent);
        let mut complete = 0;
        // The first message, Startup, has no type.
        while let Some(message) = self.next(usize::from(self.is_started)) {
            if !self.is_started {
                self.is_started = true;
                continue;
            }
            let (kind, body) = (message[0], &message[5..]);
            let mut texts = body.split(|byte| *byte == 0);
            match kind {
                // Parse: the statement's name and its text.
                b'P' => {
                    let statement = texts.next().unwrap_or_default();
                    if contains(texts.next().unwrap_or_default(), APPEND) {
                        self.statements.insert(statement.to_owned());
                    }
                }
                // Bind: the portal's name and the statement's name.
                b'B' => self.is_bound |= self.statements.contains(texts.nth(1).unwrap_or_default()),
                // Sync: the server commits and responds.
                b'S' => complete += u64::from(std::mem::take(&mut self.is_bound)),
                // Query: a statement in one message.
                b'Q' => complete += u64::from(contains(body, APPEND)),
                _ => {}
            }
        }
        complete
    }

    fn next(&mut self, type_bytes: usize) -> Option<Vec<u8>> {
        let length = self.bytes.get(type_bytes..type_bytes + 4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        let end = type_bytes + usize::try_from(length).ok()?;
        (self.bytes.len() >= end).then(|| self.bytes.drain(..end).collect())
    }
}

fn contains(text: &[u8], change: &[u8]) -> bool {
    text.windows(change.len()).any(|window| window == change)
}

pub(crate) const TRIALS: testkit::Trials = testkit::trials![the_proxy_detects_complete_appends];

fn the_proxy_detects_complete_appends() {
    let message = |name: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[name][..], &length, body].concat()
    };
    let bind = [message(b'B', b"\0s1\0rest"), message(b'E', b"\0\0\0\0\0")].concat();
    let startup = [&12_u32.to_be_bytes()[..], b"\0\x03\0\0user"].concat();
    let parse = [message(b'P', b"s1\0select apex.append($1)\0\0\0"), message(b'S', b"")].concat();
    let other = [message(b'P', b"s2\0select 1\0\0\0"), message(b'B', b"\0s2\0"), message(b'S', b"")].concat();
    let all = [startup, parse, other, bind, message(b'S', b"")].concat();
    for chunk in [1, 7, all.len()] {
        let mut parser = RequestParser::default();
        let completed: Vec<_> = all.chunks(chunk).map(|sent| parser.parse(sent)).collect();
        assert_eq!((completed.iter().sum::<u64>(), completed.last()), (1, Some(&1)), "chunks of {chunk}");
    }
}
