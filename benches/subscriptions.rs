//! Subscribers of a real server over WebSocket: the latency from append to subscriber, and the memory of 10 000 subscribers.
//!
//! The server is a separate process, `apex serve` on the database of this run. The latency is measured from an append in
//! this process until a subscriber of the server has received the event; the baseline is `NOTIFY` with a listener that
//! selects the row, on the same PostgreSQL at the same rate. `RATE` and `SUBSCRIBERS` set the load.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use futures::{SinkExt, StreamExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use sqlx::postgres::PgListener;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::ServerProcess;
use testkit::bench::{Bench, Table, new_stream, payload, percentile, setting};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use uuid::Uuid;

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// A server with room for the subscribers.
struct Server(ServerProcess);

impl Server {
    /// Subscribes to new events of one type, or of all types.
    async fn subscribe(&self, event_type: Option<&str>) -> Socket {
        let mut request = format!("ws://{}/graphql/ws", self.0.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        let stream = TcpStream::connect(&self.0.address).await.unwrap();
        let small = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
        let mut socket = client_async_with_config(request, stream, Some(small)).await.unwrap().0;
        let filter = event_type.map(|name| json!({ "types": [name] }));
        let query = "subscription ($filter: EventFilter) { events(filter: $filter) { position eventId } }";
        for message in [
            json!({ "type": "connection_init" }),
            json!({ "type": "subscribe", "id": "s", "payload": { "query": query, "variables": { "filter": filter } } }),
            // A query on the same connection: its response means that the subscription has started.
            json!({ "type": "subscribe", "id": "q", "payload": { "query": "{ head }" } }),
        ] {
            socket.send(Message::Text(message.to_string().into())).await.unwrap();
        }
        while !text(&mut socket).await.contains("\"complete\"") {}
        socket
    }

    fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.child.id().unwrap())).unwrap();
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

/// The time at which each event was appended that has not arrived yet.
type SentAt = Arc<Mutex<HashMap<String, Instant>>>;

/// Starts steps at a rate per second, each with its number.
async fn at_rate<F>(bench: &Bench, rate: u64, step: impl Fn(u64) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..rate * bench.seconds.as_secs() {
        let due = started + Duration::from_secs_f64(number as f64 / rate as f64);
        tokio::time::sleep_until(due.into()).await;
        tasks.spawn(step(number));
    }
    tasks.join_all().await;
}

/// Microseconds from append to subscriber.
async fn ours(bench: &Bench, server: &Server, rate: u64, percent: usize) -> f64 {
    let sent = SentAt::default();
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
    at_rate(bench, rate, |number| {
        let append = new_stream(1, number);
        let id = append.streams[0].events[0].event_id.to_string();
        sent.lock().unwrap().insert(id, Instant::now());
        let log = bench.log.clone();
        async move {
            log.append(append).await.unwrap();
        }
    })
    .await;
    percentile(&mut reader.await.unwrap(), percent).as_secs_f64() * 1e6
}

/// Microseconds from an INSERT with `NOTIFY` until the listener has selected the row.
async fn notify(bench: &Bench, rate: u64, percent: usize) -> f64 {
    let sent = SentAt::default();
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
    percentile(&mut reader.await.unwrap(), percent).as_secs_f64() * 1e6
}

/// Opens subscriptions. Returns the server's memory per subscriber in bytes, and the latency of the last one in
/// microseconds.
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
                // Skips keep-alive messages.
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
    println!(
        "{} bytes per subscriber before the event, {} after it",
        bytes.round(),
        (after - before) / subscribers as u64
    );
    ((after - before) as f64 / subscribers as f64, (last - started).as_secs_f64() * 1e6)
}

fn raise_open_files(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let maximum = limit.maximum.map(|maximum| maximum.max(needed));
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum });
        raised.unwrap_or_else(|error| panic!("{needed} open files are needed, the limit is {limit:?}: {error}"));
    }
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let (rate, subscribers) = (setting("RATE", 1000), setting("SUBSCRIBERS", 10_000));
    raise_open_files(subscribers + 1000);
    let bench = Bench::new().await;
    let tail = tokio::spawn(bench.log.tail().clone().run(std::future::pending()));
    let connections = (subscribers + 100).to_string();
    let arguments = ["--max-connections", &connections];
    let server = Server(ServerProcess::start(env!("CARGO_BIN_EXE_apex"), &bench.url(), &arguments).await);
    let mut table = Table::new();
    for percent in [50, 99] {
        let case = format!("p{percent} latency from append to subscriber, {rate}/s; NOTIFY and select");
        let baseline = || notify(&bench, rate, percent);
        table.case(&bench, &case, "µs", || ours(&bench, &server, rate, percent), baseline).await;
    }
    let count = usize::try_from(subscribers).unwrap();
    if Table::wants("subscribers") {
        let (bytes, latency_us) = many(&bench, &server, count).await;
        table.figure(&format!("memory per subscriber of {count}; the goal"), "bytes", bytes, 20_000.0);
        let one = ours(&bench, &server, 10, 50).await;
        table.figure(&format!("latency of the last of {count} subscribers; of a single one"), "µs", latency_us, one);
    }
    table.write("subscriptions");
    tail.abort();
}
