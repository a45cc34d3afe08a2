//! Subscribers of a real server over WebSocket: how long a command takes to reach one, and what ten thousand cost.
//!
//! The server is another process, `apex serve` on a database of this run. Latency is from the moment at which a
//! command is handed to this process's own log until a subscriber of the server has its event; the baseline is
//! `NOTIFY` with a listener that selects the row, on the same PostgreSQL at the same rate. `RATE` and `SUBSCRIBERS`
//! change how much.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot go on has failed"
)]

use futures::{SinkExt, StreamExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use sqlx::postgres::PgListener;
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::bench::{Bench, Table, new_stream, payload, setting};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use uuid::Uuid;

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

struct Server {
    child: Child,
    address: String,
}

impl Server {
    async fn start(bench: &Bench, connections: u64) -> Self {
        let url = bench.url();
        let mut child = Command::new(env!("CARGO_BIN_EXE_apex"))
            .args(["serve", "--listen", "127.0.0.1:0", "--max-connections", &connections.to_string()])
            .env("APEX_DATABASE_URL", url)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("the server says where it listens");
            if let Some(address) = line.strip_prefix("Apex listens on http://") {
                break address.to_owned();
            }
            println!("{line}");
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, address }
    }

    /// A subscriber of the events to come of one type, or of all.
    async fn subscribe(&self, event_type: Option<&str>) -> Socket {
        let mut request = format!("ws://{}/graphql/ws", self.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let small = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
        let mut socket = client_async_with_config(request, stream, Some(small)).await.unwrap().0;
        let filter = event_type.map(|name| json!({ "types": [name] }));
        let query = "subscription ($filter: EventFilter) { events(filter: $filter) { position eventId } }";
        for message in [
            json!({ "type": "connection_init" }),
            json!({ "type": "subscribe", "id": "s", "payload": { "query": query, "variables": { "filter": filter } } }),
            // Answered behind the subscription, which by then is begun.
            json!({ "type": "subscribe", "id": "q", "payload": { "query": "{ head }" } }),
        ] {
            socket.send(Message::Text(message.to_string().into())).await.unwrap();
        }
        while !text(&mut socket).await.contains("\"complete\"") {}
        socket
    }

    fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }
}

async fn text(socket: &mut Socket) -> String {
    loop {
        if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
            return text.to_string();
        }
    }
}

/// When each event was handed in, until it came.
type Sent = Arc<Mutex<HashMap<String, Instant>>>;

/// One command in so many microseconds; at each turn the step is given its number.
async fn at_rate<F>(bench: &Bench, rate: u64, step: impl Fn(u64) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for turn in 0..rate * bench.seconds.as_secs() {
        let due = started + Duration::from_secs_f64(turn as f64 / rate as f64);
        tokio::time::sleep_until(due.into()).await;
        tasks.spawn(step(turn));
    }
    tasks.join_all().await;
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1e6
}

/// Microseconds from command to subscriber.
async fn ours(bench: &Bench, server: &Server, rate: u64, percent: usize) -> f64 {
    let sent = Sent::default();
    let mut socket = server.subscribe(Some("call.recorded")).await;
    let (marks, total) = (sent.clone(), usize::try_from(rate * bench.seconds.as_secs()).unwrap());
    let reader = tokio::spawn(async move {
        let mut times = Vec::with_capacity(total);
        while times.len() < total {
            let text = text(&mut socket).await;
            let now = Instant::now();
            let message: serde_json::Value = serde_json::from_str(&text).unwrap();
            if let Some(id) = message["payload"]["data"]["events"]["eventId"].as_str() {
                times.push(now - marks.lock().unwrap().remove(id).unwrap());
            }
        }
        times
    });
    at_rate(bench, rate, |turn| {
        let append = new_stream(1, turn);
        let id = append.streams[0].events[0].event_id.to_string();
        sent.lock().unwrap().insert(id, Instant::now());
        let log = bench.log.clone();
        async move {
            log.append(append).await.unwrap();
        }
    })
    .await;
    percentile(&mut reader.await.unwrap(), percent)
}

/// Microseconds from an insert with `NOTIFY` to a listener that has selected the row.
async fn notify(bench: &Bench, rate: u64, percent: usize) -> f64 {
    let sent = Sent::default();
    let mut listener = PgListener::connect_with(&bench.raw).await.unwrap();
    listener.listen("raw").await.unwrap();
    let (marks, raw, total) = (sent.clone(), bench.raw.clone(), rate * bench.seconds.as_secs());
    let reader = tokio::spawn(async move {
        let mut times = Vec::new();
        for _ in 0..total {
            let id = listener.recv().await.unwrap().payload().to_owned();
            let query = sqlx::query("select payload::text from raw_events where stream_id = $1");
            query.bind(id.parse::<Uuid>().unwrap()).fetch_one(&raw).await.unwrap();
            times.push(marks.lock().unwrap().remove(&id).unwrap().elapsed());
        }
        times
    });
    at_rate(bench, rate, |_| {
        let id = Uuid::now_v7();
        sent.lock().unwrap().insert(id.to_string(), Instant::now());
        let raw = bench.raw.clone();
        async move {
            let query = "with written as (
                insert into raw_events values ((random() * 9e15)::bigint, 'default', 'call', $1, 1, $1, 'call.recorded',
                    1, $2::json, '{}', now(), '\\x00') returning stream_id)
                select pg_notify('raw', stream_id::text) from written";
            sqlx::query(query).bind(id).bind(payload(1)).execute(&raw).await.unwrap();
        }
    })
    .await;
    percentile(&mut reader.await.unwrap(), percent)
}

/// Opens so many subscribers, says what each costs the server in bytes, and how late the last one is, in microseconds.
async fn many(bench: &Bench, server: &Server, subscribers: usize) -> (f64, f64) {
    drop(server.subscribe(None).await);
    let before = server.resident_bytes();
    let mut sockets = Vec::with_capacity(subscribers);
    for _ in 0..subscribers.div_ceil(50) {
        let some = (0..50.min(subscribers - sockets.len())).map(|_| server.subscribe(Some("call.recorded")));
        sockets.extend(futures::future::join_all(some).await);
    }
    let bytes = (server.resident_bytes() - before) as f64 / subscribers as f64;
    let readers: Vec<_> = sockets
        .into_iter()
        .map(|mut socket| {
            tokio::spawn(async move {
                // What it says while nothing happens is no event.
                while !text(&mut socket).await.contains("\"next\"") {}
                (Instant::now(), socket)
            })
        })
        .collect();
    let started = Instant::now();
    bench.log.append(new_stream(1, 0)).await.unwrap();
    let mut last = started;
    let mut sockets = Vec::new();
    for reader in readers {
        let (at, socket) = reader.await.unwrap();
        last = last.max(at);
        sockets.push(socket);
    }
    let after = server.resident_bytes();
    println!("{} bytes each before the event, {} after it", bytes.round(), (after - before) / subscribers as u64);
    ((after - before) as f64 / subscribers as f64, (last - started).as_secs_f64() * 1e6)
}

fn allow_files(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let maximum = limit.maximum.map(|maximum| maximum.max(needed));
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum });
        raised.unwrap_or_else(|error| panic!("{needed} open files are needed, {limit:?} are allowed: {error}"));
    }
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let (rate, subscribers) = (setting("RATE", 1000), setting("SUBSCRIBERS", 10_000));
    allow_files(subscribers + 1000);
    let bench = Bench::new().await;
    let tail = tokio::spawn(bench.log.tail().clone().run(std::future::pending()));
    let server = Server::start(&bench, subscribers + 100).await;
    let mut table = Table::new();
    for percent in [50, 99] {
        let case = format!("p{percent} of command to subscriber, {rate}/s; NOTIFY and select");
        let baseline = || notify(&bench, rate, percent);
        table.case(&bench, &case, "µs", || ours(&bench, &server, rate, percent), baseline).await;
    }
    let count = usize::try_from(subscribers).unwrap();
    if Table::wants("subscribers") {
        let (bytes, late_us) = many(&bench, &server, count).await;
        table.figure(&format!("memory of each of {count} subscribers; the goal"), "bytes", bytes, 20_000.0);
        let one = ours(&bench, &server, 10, 50).await;
        table.figure(&format!("the last of {count} subscribers; one alone"), "µs", late_us, one);
    }
    table.write("subscriptions");
    tail.abort();
}
