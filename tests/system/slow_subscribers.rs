//! Subscribers that read slowly or never: bounded memory, an error with their position, and disconnection.

use crate::resume::{Sse, Subscriber, Transport, connect, log, number, receive, send, tcp};

use serde_json::json;
use std::time::{Duration, Instant};
use streams::{Expected, NewEvent};
use testkit::{Server, TIMEOUT, TestDatabase, append, event, memory_kb, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

/// Appends events of 128 KiB, more than the buffers of a connection hold, and returns the head.
async fn append_large(database: &TestDatabase, events: usize) -> u64 {
    let rooms = database.rooms().await;
    let id = Uuid::new_v4();
    let mut streams = stream(id, Expected::Any, 0);
    for _ in 0..events {
        let large = NewEvent {
            payload: json!({ "at": "2023-11-16T18:17:03Z", "note": "x".repeat(1 << 17) }).to_string(),
            ..event("")
        };
        streams.events = vec![large];
        rooms.log.append(append(vec![streams.clone()])).await.unwrap();
    }
    rooms.close().await.unwrap();
    u64::try_from(database.head().await).unwrap()
}

async fn metric(server: &Server, name: &str) -> u64 {
    let text = testkit::http_get(format!("{}/metrics", server.address)).await.unwrap().text().await.unwrap();
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

async fn until(server: &Server, what: &str, condition: impl Fn(u64) -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition(metric(server, what).await) {
        if Instant::now() >= deadline {
            let text = testkit::http_get(format!("{}/metrics", server.address)).await.unwrap().text().await.unwrap();
            let http: Vec<_> =
                text.lines().filter(|line| line.starts_with("apex_http") && !line.contains('{')).collect();
            panic!("timed out waiting for {what}: {http:#?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asserts that a feed that was too slow ends with its position and can be resumed there. Returns that position.
async fn assert_slow_feed_resumes(server: &Server, mut feed: TcpStream, start: u64, log: &[(u64, Uuid)]) -> u64 {
    let mut text = String::new();
    tokio::time::timeout(TIMEOUT, feed.read_to_string(&mut text)).await.unwrap().unwrap();
    let mut client = Subscriber::new(Transport::Feed, "", start);
    let mut messages = text.split_once("\r\n\r\n").unwrap().1.split_inclusive("\n\n").map(Sse::parse);
    let slow = messages.find(|message| client.handle_sse(message).is_none()).unwrap();
    assert_eq!((slow.event.as_str(), slow.id), ("slow", Some(client.cursor)));
    assert_eq!(number(&slow.data.unwrap()["extensions"]["position"]), client.cursor);
    assert!(messages.next().is_none());
    let position = client.cursor;
    let missing = log.len() - client.seen.len();
    tokio::time::timeout(TIMEOUT, client.follow(server, missing)).await.unwrap().unwrap();
    client.compare(log).unwrap();
    position
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_subscribers_use_bounded_memory_get_their_position_and_block_nobody() {
    const SLOW: usize = 30;
    const LARGE: usize = 128;
    let database = TestDatabase::new().await;
    // On a loaded machine some subscribers fall behind seconds before others; none may be disconnected before all have.
    let server = database.serve(&["--send-timeout-ms", "20000"]).await;
    let query = "subscription ($after: Position) { events(after: $after) { position eventId payload } }";
    let asked = |after: u64| json!({ "query": query, "variables": { "after": after.to_string() } });
    let subscribe = |id: &str, after: u64| json!({ "type": "subscribe", "id": id, "payload": asked(after) });
    let start = u64::try_from(database.head().await).unwrap();
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut socket = connect(&server, Some(4096)).await.unwrap();
        send(&mut socket, subscribe("s", start)).await.unwrap();
        slow.push(socket);
    }
    let mut quick = connect(&server, None).await.unwrap();
    send(&mut quick, subscribe("s", start)).await.unwrap();
    let mut feed = tcp(&server, Some(4096)).await.unwrap();
    // HTTP/1.0, so that the body is not chunked.
    let request = format!("GET /events?after={start} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    feed.write_all(request.as_bytes()).await.unwrap();
    let before_kb = memory_kb(server.child.id().unwrap(), "RssAnon");

    let all = async {
        let mut client = Subscriber::new(Transport::WebSocket, "", start);
        while client.seen.len() < LARGE {
            client.handle(&receive(&mut quick).await.unwrap()).unwrap();
        }
        client
    };
    let (last, quick) =
        tokio::time::timeout(TIMEOUT, async { tokio::join!(append_large(&database, LARGE), all) }).await.unwrap();
    let log = log(&database, start, "").await;
    quick.compare(&log).unwrap();
    until(&server, "apex_http_slow_subscribers_total", |slow| slow > SLOW as u64).await;
    let grown_kb = memory_kb(server.child.id().unwrap(), "RssAnon").saturating_sub(before_kb);
    // Buffering everything would take 16 MiB for each subscriber.
    assert!(grown_kb < 250 * 1024, "{SLOW} slow subscribers use {grown_kb} kB");
    eprintln!("{SLOW} slow subscribers behind {} MiB: {grown_kb} kB", LARGE * 128 / 1024);

    let socket = &mut slow[0];
    let mut client = Subscriber::new(Transport::WebSocket, "", start);
    let error = loop {
        let message = tokio::time::timeout(TIMEOUT, receive(socket)).await.unwrap().unwrap();
        if client.handle(&message).is_none() {
            break message;
        }
    };
    assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("s")), "{error}");
    let extensions = &error["payload"][0]["extensions"];
    assert_eq!((&extensions["code"], number(&extensions["position"])), (&json!("TOO_SLOW"), client.cursor), "{error}");
    assert!(client.cursor < last, "the subscriber was not slow");
    // The error ends the operation only: the connection can resume it.
    send(socket, subscribe("s", client.cursor)).await.unwrap();
    while client.seen.len() < LARGE {
        client.handle(&tokio::time::timeout(TIMEOUT, receive(socket)).await.unwrap().unwrap()).unwrap();
    }
    client.compare(&log).unwrap();

    assert!(assert_slow_feed_resumes(&server, feed, start, &log).await < last);
    // Slow subscribers that do not read the error either are disconnected.
    until(&server, "apex_http_websockets", |open| open <= 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_disconnected() {
    let database = TestDatabase::new().await;
    // Long enough that the client is seen to be connected before it is disconnected.
    let server = database.serve(&["--max-connections", "1", "--send-timeout-ms", "5000"]).await;
    append_large(&database, 128).await;
    let mut silent = tcp(&server, Some(4096)).await.unwrap();
    silent.write_all(b"GET /events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let status =
        async || testkit::http_get(format!("{}/events?after=0", server.address)).await.unwrap().status().as_u16();
    let answered = async |wanted: u16| {
        let deadline = Instant::now() + TIMEOUT;
        while status().await != wanted {
            assert!(Instant::now() < deadline, "no response with status {wanted}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    until(&server, "apex_http_event_streams", |streams| streams == 1).await;
    answered(503).await;
    answered(200).await;
    // The client is still connected and has read nothing.
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_pings_and_never_reads_uses_bounded_memory() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut silent = tcp(&server, Some(4096)).await.unwrap();
    let upgrade = "GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
    silent.write_all(upgrade.as_bytes()).await.unwrap();
    until(&server, "apex_http_websockets", |sockets| sockets == 1).await;
    let before_kb = memory_kb(server.child.id().unwrap(), "RssAnon");
    // A ping of 125 bytes, masked with zeros.
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[b'x'; 125]].concat();
    let pings = ping.repeat(1000);
    let mut sent = 0;
    while let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(1), silent.write_all(&pings)).await {
        sent += pings.len();
        assert!(sent < 100 << 20, "the server keeps reading without backpressure");
    }
    let grown_kb = memory_kb(server.child.id().unwrap(), "RssAnon").saturating_sub(before_kb);
    // What the server does besides, soon after its start, takes some of it.
    assert!(grown_kb < 24 * 1024, "{grown_kb} kB for {sent} bytes of pings");
}
