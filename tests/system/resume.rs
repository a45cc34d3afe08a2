//! Subscriptions that are interrupted and resumed: over each transport, a client sees the exact sequence of the log.

use domain::Labels;
use domain::agent::{Agent, AgentCommand, Profile};
use futures::{SinkExt, StreamExt};
use rand::Rng;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use streams::Expected;
use testkit::{Server, TIMEOUT, TestDatabase, append, name, stream, tenant};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use uuid::Uuid;

type WebSocket = tokio_tungstenite::WebSocketStream<TcpStream>;

const EVENTS: &str = "subscription ($after: Position, $filter: EventFilter) {
    events(after: $after, filter: $filter) { position eventId }
}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSocket,
    GraphqlSse,
    Feed,
}

/// A client: the events it has seen over all its connections, and the position from which it resumes.
pub(crate) struct Subscriber {
    pub(crate) transport: Transport,
    /// The event type to subscribe to; all types if empty.
    pub(crate) event_type: &'static str,
    pub(crate) cursor: u64,
    pub(crate) seen: Vec<(u64, Uuid)>,
    /// A planted bug: the client resumes this far from its cursor. 0 is correct.
    pub(crate) skew: i64,
    pub(crate) heartbeats: usize,
}

impl Subscriber {
    pub(crate) fn new(transport: Transport, event_type: &'static str, after: u64) -> Self {
        Self { transport, event_type, cursor: after, seen: Vec::new(), skew: 0, heartbeats: 0 }
    }

    pub(crate) fn record(&mut self, event: &Value) {
        let position = number(&event["position"]);
        self.seen.push((position, event["eventId"].as_str().unwrap().parse().unwrap()));
        self.cursor = position;
    }

    pub(crate) fn advance(&mut self, position: u64) {
        self.heartbeats += 1;
        self.cursor = self.cursor.max(position);
    }

    /// Follows over one connection until it has seen `events` more events. `None` if the connection was refused or ended.
    pub(crate) async fn follow(&mut self, server: &Server, events: usize) -> Option<()> {
        let wanted = self.seen.len() + events;
        let after = self.cursor.saturating_add_signed(self.skew);
        let mut filter = json!({});
        if !self.event_type.is_empty() {
            filter["types"] = json!([self.event_type]);
        }
        let asked = json!({ "query": EVENTS, "variables": { "after": after.to_string(), "filter": filter } });
        match self.transport {
            Transport::WebSocket => {
                let mut socket = connect(server, None).await?;
                send(&mut socket, json!({ "type": "subscribe", "id": "s", "payload": asked })).await?;
                while self.seen.len() < wanted {
                    self.handle(&receive(&mut socket).await?)?;
                }
            }
            Transport::GraphqlSse | Transport::Feed => {
                let url = &server.address;
                let client = reqwest::Client::builder().no_proxy().build().unwrap();
                let request = if self.transport == Transport::Feed {
                    let kind = if self.event_type.is_empty() { vec![] } else { vec![("type", self.event_type)] };
                    client.get(format!("{url}/events")).query(&kind)
                } else {
                    client.post(format!("{url}/graphql")).json(&asked)
                };
                let request = request.header("accept", "text/event-stream").header("last-event-id", after.to_string());
                let mut response = request.send().await.ok()?;
                let mut text = Vec::new();
                while self.seen.len() < wanted {
                    text.extend_from_slice(&response.chunk().await.ok()??);
                    while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                        let message: Vec<u8> = text.drain(..end + 2).collect();
                        self.handle_sse(&Sse::parse(std::str::from_utf8(&message).unwrap()))?;
                    }
                }
            }
        }
        Some(())
    }

    pub(crate) fn handle(&mut self, message: &Value) -> Option<()> {
        match message["type"].as_str().unwrap() {
            "next" => self.record(&message["payload"]["data"]["events"]),
            "ping" => self.advance(number(&message["payload"]["positions"]["s"])),
            _ => return None,
        }
        Some(())
    }

    pub(crate) fn handle_sse(&mut self, message: &Sse) -> Option<()> {
        match (message.event.as_str(), &message.data) {
            ("", None) => self.advance(message.id.unwrap_or(0)),
            ("", Some(data)) => self.record(data),
            ("next", Some(data)) if data.get("errors").is_none() => self.record(&data["data"]["events"]),
            _ => return None,
        }
        assert!(message.data.is_none() || message.id == Some(self.cursor), "the id is not the position");
        Some(())
    }

    /// Compares what the client has seen with the log.
    pub(crate) fn compare(&self, log: &[(u64, Uuid)]) -> Result<(), String> {
        if let Some((index, (seen, wanted))) =
            self.seen.iter().zip(log).enumerate().find(|(_, (seen, wanted))| seen != wanted)
        {
            return Err(format!("event {index} is the one at {}, not the one at {}", seen.0, wanted.0));
        }
        let (seen, wanted) = (self.seen.len(), log.len());
        if seen == wanted { Ok(()) } else { Err(format!("{seen} events were seen, not {wanted}")) }
    }
}

pub(crate) fn number(text: &Value) -> u64 {
    text.as_str().unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

/// A message of an event stream (server-sent events).
pub(crate) struct Sse {
    pub(crate) event: String,
    pub(crate) id: Option<u64>,
    pub(crate) data: Option<Value>,
}

impl Sse {
    pub(crate) fn parse(text: &str) -> Self {
        let mut message = Self { event: String::new(), id: None, data: None };
        let mut data = None;
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
            match line.split_once(": ").unwrap() {
                ("event", value) => message.event = value.to_owned(),
                ("id", value) => message.id = Some(value.parse().unwrap()),
                ("data", value) => data.get_or_insert_with(String::new).push_str(value),
                other => panic!("{other:?}"),
            }
        }
        message.data =
            data.map(|data| if data.is_empty() { Value::Null } else { serde_json::from_str(&data).unwrap() });
        message
    }
}

pub(crate) async fn tcp(server: &Server, receive_bytes: Option<u32>) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = receive_bytes {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    socket.connect(server.address.trim_start_matches("http://").parse().unwrap()).await.ok()
}

/// Opens a WebSocket and waits for the acknowledgement.
pub(crate) async fn connect(server: &Server, receive_bytes: Option<u32>) -> Option<WebSocket> {
    let mut request =
        format!("{}/graphql/ws", server.address.replace("http://", "ws://")).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let mut socket = client_async(request, tcp(server, receive_bytes).await?).await.ok()?.0;
    send(&mut socket, json!({ "type": "connection_init" })).await?;
    (receive(&mut socket).await?["type"] == "connection_ack").then_some(socket)
}

pub(crate) async fn send(socket: &mut WebSocket, message: Value) -> Option<()> {
    socket.send(Message::Text(message.to_string().into())).await.ok()
}

pub(crate) async fn receive(socket: &mut WebSocket) -> Option<Value> {
    loop {
        match socket.next().await?.ok()? {
            Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
            Message::Ping(_) | Message::Pong(_) => {}
            _ => return None,
        }
    }
}

/// Appends events: pauses and resumes three agents until `stop` is set.
async fn write(database: &TestDatabase, stop: Arc<AtomicBool>) {
    let rooms = database.rooms().await;
    let agents = (0..3).map(|_| {
        let (commands, stop) = (rooms.commands.clone(), stop.clone());
        async move {
            let context = || testkit::context(tenant(), "test", Uuid::new_v4());
            let (agent, at) = (Uuid::new_v4(), chrono::Utc::now());
            let profile = Profile { name: name("busy"), kind: None, model: None, labels: Labels::default() };
            let mut command = AgentCommand::Register { profile, at };
            for next in [AgentCommand::Activate { at }, AgentCommand::Pause { reason: None, at }] {
                commands.execute::<Agent>(&context(), agent, command).await.unwrap();
                command = next;
            }
            while !stop.load(Ordering::Relaxed) {
                for next in [AgentCommand::Pause { reason: None, at }, AgentCommand::Resume { at }] {
                    commands.execute::<Agent>(&context(), agent, next).await.unwrap();
                    let pause = rand::rng().random_range(0..6);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            }
        }
    });
    futures::future::join_all(agents).await;
    rooms.close().await.unwrap();
}

pub(crate) async fn log(database: &TestDatabase, after: u64, event_type: &str) -> Vec<(u64, Uuid)> {
    let query = "select position, event_id from apex.events
                 where position > $1 and ($2 = '' or type = $2) order by position";
    let query = sqlx::query_as(query).bind(i64::try_from(after).unwrap()).bind(event_type);
    let rows: Vec<(i64, Uuid)> = query.fetch_all(&database.pool).await.unwrap();
    rows.into_iter().map(|(position, id)| (u64::try_from(position).unwrap(), id)).collect()
}

/// Disconnects a client `kills` times while others write. Returns the client and the log for comparison.
async fn kill_repeatedly(kills: usize, mut client: Subscriber) -> (Subscriber, Vec<(u64, Uuid)>) {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--keepalive-ms", "50"]).await;
    let (stop, start) = (Arc::new(AtomicBool::new(false)), client.cursor);
    let read = async {
        let mut left = kills;
        // The control continues until it has seen enough events to be wrong, and all until the log is long enough.
        while left > 0
            || (client.skew != 0 && client.seen.len() < 40)
            || log(&database, start, client.event_type).await.len() <= kills / 4
        {
            // The connection ends at a random time: while connecting, between messages, or within one.
            let most_us = if left > 0 || client.skew == 0 { 15_000 } else { 1_000_000 };
            left = left.saturating_sub(1);
            let (events, after) = (rand::rng().random_range(1..12), rand::rng().random_range(0..most_us));
            drop(tokio::time::timeout(Duration::from_micros(after), client.follow(&server, events)).await);
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(read, write(&database, stop.clone()));
    let log = log(&database, start, client.event_type).await;
    let deadline = Instant::now() + TIMEOUT;
    while client.seen.len() < log.len() && Instant::now() < deadline && client.skew == 0 {
        let missing = log.len() - client.seen.len();
        drop(tokio::time::timeout(TIMEOUT, client.follow(&server, missing)).await);
    }
    (client, log)
}

/// Asserts that a client that is disconnected `kills` times sees the exact sequence.
async fn assert_exact_sequence(transport: Transport, event_type: &'static str, kills: usize) {
    let (client, log) = kill_repeatedly(kills, Subscriber::new(transport, event_type, 0)).await;
    assert!(log.len() > kills / 4, "only {} events: the test proves nothing", log.len());
    eprintln!("{transport:?} {event_type:?}: {} events, {} heartbeats, {kills} kills", log.len(), client.heartbeats);
    client.compare(&log).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_subscriber_killed_1000_times_sees_the_exact_sequence() {
    assert_exact_sequence(Transport::WebSocket, "agent.paused", 1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_stream_subscriber_killed_1000_times_sees_the_exact_sequence() {
    assert_exact_sequence(Transport::GraphqlSse, "agent.paused", 1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_client_killed_200_times_sees_the_exact_log() {
    assert_exact_sequence(Transport::Feed, "", 200).await;
}

/// Control of the tests above: a client that resumes from a wrong position sees another sequence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_from_a_wrong_cursor_is_detected() {
    for (transport, skew) in [(Transport::WebSocket, 1), (Transport::Feed, 1), (Transport::GraphqlSse, -1)] {
        let client = Subscriber { skew, ..Subscriber::new(transport, "", 0) };
        let (client, log) = kill_repeatedly(60, client).await;
        let wrong = client.compare(&log).unwrap_err();
        // The client is not merely behind: its sequence differs.
        assert!(wrong.contains("not the one at"), "{transport:?}, {skew}: {wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_survive_terminated_database_connections() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let start = u64::try_from(database.head().await).unwrap();
    let mut clients = [Transport::WebSocket, Transport::Feed].map(|transport| Subscriber::new(transport, "", start));
    let ended = async {
        let mut owner = database.owner().await;
        let rooms = database.rooms().await;
        // This also terminates the connections of this process, so its appends are retried.
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()";
        for _ in 0..40 {
            let append = append(vec![stream(Uuid::new_v4(), Expected::Any, 3)]);
            while rooms.log.append(append.clone()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            sqlx::query(end).execute(&mut owner).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        rooms.close().await.unwrap();
    };
    let [websocket, feed] = &mut clients;
    // Each client uses one connection and does not resume.
    let both = async { tokio::join!(ended, websocket.follow(&server, 120), feed.follow(&server, 120)) };
    let ((), websocket, feed) = tokio::time::timeout(5 * TIMEOUT, both).await.expect("the subscribers get all events");
    assert_eq!((websocket, feed), (Some(()), Some(())), "a subscription ended");
    let query = sqlx::query_as("select position, event_id from apex.events where position > $1 order by position");
    let query = query.bind(i64::try_from(start).unwrap());
    let rows: Vec<(i64, Uuid)> = query.fetch_all(&mut database.owner().await).await.unwrap();
    let log: Vec<_> = rows.into_iter().map(|(position, id)| (u64::try_from(position).unwrap(), id)).collect();
    for client in clients {
        client.compare(&log).unwrap();
    }
}

/// The number of rows of the log read so far. PostgreSQL counts them when the server's connections close.
async fn rows_read(database: &TestDatabase) -> i64 {
    let deadline = Instant::now() + TIMEOUT;
    let others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    let mut owner = database.owner().await;
    while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut owner).await.unwrap() > database.pool.size().into() {
        assert!(Instant::now() < deadline, "the connections of the server did not close");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let read = "select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint from pg_stat_user_tables
                where schemaname = 'apex' and relname like 'events%'";
    sqlx::query_scalar(read).fetch_one(&mut owner).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_advance_a_filter_without_matches_so_that_nothing_is_read_again() {
    const EVENTS: usize = 2000;
    let database = TestDatabase::new().await;
    for transport in [Transport::WebSocket, Transport::GraphqlSse, Transport::Feed] {
        let server = database.serve(&["--keepalive-ms", "50"]).await;
        let mut client = Subscriber::new(transport, "agent.retired", 0);
        let rooms = database.rooms().await;
        let filled = async {
            for _ in 0..EVENTS / 100 {
                rooms.log.append(append(vec![stream(Uuid::new_v4(), Expected::Any, 100)])).await.unwrap();
            }
            u64::try_from(database.head().await).unwrap()
        };
        let head = filled.await;
        let reached = async {
            while client.cursor < head {
                drop(tokio::time::timeout(Duration::from_millis(200), client.follow(&server, 1)).await);
            }
        };
        tokio::time::timeout(TIMEOUT, reached).await.unwrap();
        assert_eq!((client.cursor, client.seen.len()), (head, 0));
        rooms.wait_for_read_models(TIMEOUT).await.unwrap();
        rooms.close().await.unwrap();
        server.terminate().await;
        // A restarted server has nothing cached.
        let mut read = Vec::new();
        for after in [head, 0] {
            let before = rows_read(&database).await;
            let server = database.serve(&["--keepalive-ms", "50"]).await;
            let mut client = Subscriber::new(transport, "agent.retired", after);
            let heard = async {
                while client.heartbeats < 2 || client.cursor < head {
                    drop(tokio::time::timeout(Duration::from_secs(1), client.follow(&server, 1)).await);
                }
            };
            tokio::time::timeout(TIMEOUT, heard).await.unwrap();
            server.terminate().await;
            read.push(rows_read(&database).await - before);
        }
        eprintln!("{transport:?}: {read:?} rows read from the heartbeat's position and from 0");
        // At its start the server reads the price book and little else.
        assert!(read[0] < EVENTS as i64 / 4, "{transport:?}: {} rows were read again", read[0]);
        // Control: from position 0 the rows are read, and the measurement shows it.
        assert!(read[1] >= EVENTS as i64, "{transport:?}: {} rows were read from the beginning", read[1]);
    }
}
