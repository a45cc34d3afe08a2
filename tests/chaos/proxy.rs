//! A TCP proxy between a process with a log and PostgreSQL, which hurts on request.
//!
//! It reads along what goes to the server, as far as it takes to know when an append has been sent: the protocol's
//! messages are a byte that names them, a length that counts itself, and a body.

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

/// What the statement is known by that appends.
const APPEND: &[u8] = b"apex.append(";

/// What happens to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Every piece is held up for so long.
    Delay(Duration),
    /// Nothing passes; it stays where it is, and goes on when the mode changes.
    BlackHole,
    /// As soon as an append has been sent whole, the connection is cut and the answer never passes back.
    CutAfterSent,
    /// As above, but only once the server answered: the commit is done, and nobody is told.
    CutAfterDone,
}

pub(crate) struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    cuts: Arc<AtomicU64>,
}

impl Proxy {
    /// Begins to listen, on behalf of a server on a loopback port.
    pub(crate) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, watched) = watch::channel(Mode::Pass);
        let cuts = Arc::new(AtomicU64::new(0));
        let counted = cuts.clone();
        tokio::spawn(async move {
            // Ends with the proxy; so do its connections.
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

    /// Cuts at the next append; whether one came in time.
    pub(crate) async fn cut(&self, mode: Mode) -> bool {
        let before = self.cuts.load(Ordering::SeqCst);
        self.set(mode);
        let was_cut = async {
            while self.cuts.load(Ordering::SeqCst) == before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let was_cut = tokio::time::timeout(TIMEOUT, was_cut).await.is_ok();
        self.set(Mode::Pass);
        was_cut
    }
}

/// Carries both directions; when one ends, or cuts, the connection is gone for both.
async fn connection(client: TcpStream, server: u16, mode: watch::Receiver<Mode>, cuts: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
    drop(client.set_nodelay(true));
    drop(server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (sent, appends) = watch::channel(0_u64);
    let there = forward(from_client, to_server, mode.clone(), sent, cuts.clone());
    let back = hand_back(from_server, to_client, mode.clone(), appends, cuts);
    tokio::select! {
        () = there => {}
        () = back => {}
        () = abandoned(mode) => {}
    }
}

async fn abandoned(mut mode: watch::Receiver<Mode>) {
    while mode.changed().await.is_ok() {}
}

/// Holds a piece up as the mode says.
async fn hold(mode: &mut watch::Receiver<Mode>) {
    let now = *mode.borrow();
    match now {
        Mode::Delay(delay) => tokio::time::sleep(delay).await,
        Mode::BlackHole => drop(mode.wait_for(|mode| *mode != Mode::BlackHole).await),
        Mode::Pass | Mode::CutAfterSent | Mode::CutAfterDone => {}
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    sent: watch::Sender<u64>,
    cuts: Arc<AtomicU64>,
) {
    let mut listener = Listener::default();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(size @ 1..) = from.read(&mut buffer).await {
        hold(&mut mode).await;
        let appends = listener.hear(&buffer[..size]);
        if appends > 0 && *mode.borrow() == Mode::CutAfterDone {
            // Before the bytes go, so that the answer cannot overtake.
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

async fn hand_back(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    appends: watch::Receiver<u64>,
    cuts: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(size @ 1..) = from.read(&mut buffer).await {
        hold(&mut mode).await;
        if *appends.borrow() > 0 {
            cuts.fetch_add(1, Ordering::SeqCst);
            return;
        }
        if to.write_all(&buffer[..size]).await.is_err() {
            return;
        }
    }
}

/// Follows the messages of a client.
#[derive(Default)]
struct Listener {
    /// What has come of a message that is not whole yet.
    bytes: Vec<u8>,
    is_started: bool,
    /// Names of prepared statements that append.
    statements: HashSet<Vec<u8>>,
    /// Whether an append has been bound and not synchronized.
    is_bound: bool,
}

impl Listener {
    /// Takes what was sent; how many appends are complete with it.
    fn hear(&mut self, sent: &[u8]) -> u64 {
        self.bytes.extend_from_slice(sent);
        let mut complete = 0;
        // The first message has no name.
        while let Some(message) = self.next(usize::from(self.is_started)) {
            if !self.is_started {
                self.is_started = true;
                continue;
            }
            let (name, body) = (message[0], &message[5..]);
            let mut texts = body.split(|byte| *byte == 0);
            match name {
                // Parse: the statement's name, its text.
                b'P' => {
                    let statement = texts.next().unwrap_or_default();
                    if contains(texts.next().unwrap_or_default(), APPEND) {
                        self.statements.insert(statement.to_owned());
                    }
                }
                // Bind: the portal's name, the statement's name.
                b'B' => self.is_bound |= self.statements.contains(texts.nth(1).unwrap_or_default()),
                // Sync: the server will answer, and commit.
                b'S' => complete += u64::from(std::mem::take(&mut self.is_bound)),
                // A query in one piece.
                b'Q' => complete += u64::from(contains(body, APPEND)),
                _ => {}
            }
        }
        complete
    }

    fn next(&mut self, name_bytes: usize) -> Option<Vec<u8>> {
        let length = self.bytes.get(name_bytes..name_bytes + 4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        let end = name_bytes + usize::try_from(length).ok()?;
        (self.bytes.len() >= end).then(|| self.bytes.drain(..end).collect())
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

pub(crate) const TRIALS: testkit::Trials = testkit::trials![the_proxy_knows_when_an_append_was_sent];

fn the_proxy_knows_when_an_append_was_sent() {
    let message = |name: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[name][..], &length, body].concat()
    };
    let bind = [message(b'B', b"\0s1\0rest"), message(b'E', b"\0\0\0\0\0")].concat();
    let startup = [&12_u32.to_be_bytes()[..], b"\0\x03\0\0user"].concat();
    let parse = [message(b'P', b"s1\0select apex.append($1)\0\0\0"), message(b'S', b"")].concat();
    let other = [message(b'P', b"s2\0select 1\0\0\0"), message(b'B', b"\0s2\0"), message(b'S', b"")].concat();
    let all = [startup, parse, other, bind, message(b'S', b"")].concat();
    for piece in [1, 7, all.len()] {
        let mut listener = Listener::default();
        let heard: Vec<_> = all.chunks(piece).map(|sent| listener.hear(sent)).collect();
        assert_eq!((heard.iter().sum::<u64>(), heard.last()), (1, Some(&1)), "pieces of {piece}");
    }
}
