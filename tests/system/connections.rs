//! HTTP connections: their limit, their timeout, and the response to a WebSocket upgrade.

use futures::{SinkExt as _, StreamExt as _};
use std::path::Path;
use std::time::Duration;
use testkit::{Server, TIMEOUT, TestDatabase};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Sends a request over a connection that stays open, and reads the response by its `content-length`.
async fn get(connection: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    read_response(connection).await
}

async fn read_response(connection: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let answer = tokio::time::timeout(TIMEOUT, async {
        loop {
            assert!(connection.read_buf(&mut read).await.unwrap() > 0, "the server closed the connection");
            let text = String::from_utf8_lossy(&read);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.is_none_or(|length| body.len() >= length.parse().unwrap()) {
                return text.into_owned();
            }
        }
    });
    answer.await.unwrap()
}

/// The number of open connections according to `/metrics`.
fn open_connections(metrics: &str) -> &str {
    metrics.lines().find_map(|line| line.strip_prefix("apex_http_connections ")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incomplete_requests_time_out_while_others_are_served() {
    const INCOMPLETE: usize = 1_200;
    let database = TestDatabase::new().await;
    let server = database.serve(&["--head-timeout-ms", "5000"]).await;
    let mut incomplete = Vec::new();
    for n in 0..INCOMPLETE {
        let mut connection = connect(&server).await;
        // Every other connection begins a request, the others send nothing.
        if n % 2 == 0 {
            connection.write_all(b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
        }
        incomplete.push(connection);
    }
    let answer = testkit::http_get(format!("{}/healthz", server.address)).await.unwrap();
    assert_eq!(answer.status(), 200);
    for connection in &mut incomplete {
        let mut read = Vec::new();
        let closed = tokio::time::timeout(TIMEOUT, connection.read_to_end(&mut read)).await;
        assert!(closed.is_ok(), "an idle connection is not closed");
    }
    assert_eq!(server.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_wait_until_one_closes() {
    let database = TestDatabase::new().await;
    // One for requests and one for a subscriber.
    let server = database.serve(&["--max-http-connections", "1", "--max-connections", "1"]).await;
    let (mut first, mut second) = (connect(&server).await, connect(&server).await);
    for connection in [&mut first, &mut second] {
        get(connection, "/healthz").await;
    }
    let mut third = connect(&server).await;
    third.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    // Each request gives the server time to accept one more connection, which it must not do.
    for _ in 0..100 {
        assert_eq!(open_connections(&get(&mut first, "/metrics").await), "2");
    }
    drop(second);
    assert!(read_response(&mut third).await.starts_with("HTTP/1.1 200"));
    assert_eq!(server.terminate().await.0, Some(0));
}

const UPGRADE: &str = "GET /graphql/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_counts_as_a_connection_until_it_closes() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut plain = connect(&server).await;
    let mut socket = connect(&server).await;
    socket
        .write_all(format!("{UPGRADE}Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n").as_bytes())
        .await
        .unwrap();
    assert!(read_response(&mut socket).await.starts_with("HTTP/1.1 101"));
    assert_eq!(open_connections(&get(&mut plain, "/metrics").await), "2");
    drop(socket);
    let ended = tokio::time::timeout(TIMEOUT, async {
        while open_connections(&get(&mut plain, "/metrics").await) != "1" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    ended.await.unwrap();
}

/// Python's `gql` looks up the header by its exact spelling.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_response_keeps_the_clients_spelling_of_the_protocol_header() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    for name in ["Sec-WebSocket-Protocol", "sec-websocket-protocol", "SEC-WEBSOCKET-PROTOCOL"] {
        let mut connection = connect(&server).await;
        let request = format!("{UPGRADE}{name}: graphql-ws, graphql-transport-ws\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let answer = read_response(&mut connection).await;
        assert!(answer.contains(&format!("\r\n{name}: graphql-transport-ws\r\n")), "{answer}");
    }
}

/// The example uses Python's `gql` with its defaults, which offer two protocols.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_example_follows_the_log_over_a_websocket() {
    let database = TestDatabase::new().await;
    let token = "test-token-of-a-user";
    let server = database.serve(&["--token", token]).await;
    let register = serde_json::json!({ "query": "mutation { registerAgent(input: {name: \"ada\"}) { position } }" });
    let client = reqwest::Client::new();
    let done = client.post(format!("{}/graphql", server.address)).bearer_auth(token).json(&register).send();
    assert_eq!(done.await.unwrap().status(), 200);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/tools/python/bin/python");
    let example = tokio::process::Command::new(python)
        .arg(root.join("examples/follow.py"))
        .args([&server.address, token, "1"])
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIMEOUT, example).await.unwrap().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    assert!(stdout.contains("position"), "{stdout}");
}

/// A WebSocket has no response body: the reason of the close frame is all that a developer sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_without_a_token_is_told_how_to_send_it() {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--token", "test-token-of-a-user"]).await;
    let mut request =
        format!("{}/graphql/ws", server.address.replace("http://", "ws://")).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    socket.send(Message::Text(r#"{"type":"connection_init"}"#.into())).await.unwrap();
    let closed = tokio::time::timeout(TIMEOUT, async {
        loop {
            if let Message::Close(frame) = socket.next().await.unwrap().unwrap() {
                return frame.unwrap();
            }
        }
    });
    let closed = closed.await.unwrap();
    assert_eq!(u16::from(closed.code), 4403);
    for needed in ["Forbidden", "connection_init", "\"authorization\": \"Bearer TOKEN\""] {
        assert!(closed.reason.contains(needed), "{}", closed.reason);
    }
}

/// Connects from a loopback address, which are many.
async fn connect_from(server: &Server, from: [u8; 4]) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(server.address.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap()
}

async fn is_closed(connection: &mut TcpStream) -> bool {
    // A connection that was closed may be reset already.
    drop(connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await);
    let mut read = [0; 16];
    !matches!(tokio::time::timeout(TIMEOUT, connection.read(&mut read)).await.unwrap(), Ok(1..))
}

/// It holds before a client has sent anything, and leaves the connections of others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_a_limit_on_connections_of_its_own() {
    let database = TestDatabase::new().await;
    let arguments = ["--token", "tea", "--max-connections-per-address", "2", "--trusted-proxies", "127.0.0.9"];
    let server = database.serve(&arguments).await;
    let (first, mut second) =
        (connect_from(&server, [127, 0, 0, 2]).await, connect_from(&server, [127, 0, 0, 2]).await);
    assert!(get(&mut second, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(is_closed(&mut connect_from(&server, [127, 0, 0, 2]).await).await, "a third connection is accepted");
    assert!(!is_closed(&mut connect_from(&server, [127, 0, 0, 3]).await).await, "another address is affected");
    // A proxy has the connections of all its clients.
    let mut forwarded = Vec::new();
    for _ in 0..4 {
        forwarded.push(connect_from(&server, [127, 0, 0, 9]).await);
        assert!(!is_closed(forwarded.last_mut().unwrap()).await, "a connection of a trusted proxy is closed");
    }
    drop(first);
    let reopened = tokio::time::timeout(TIMEOUT, async {
        while is_closed(&mut connect_from(&server, [127, 0, 0, 2]).await).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    reopened.await.unwrap();
    let metrics = testkit::http_client().get(format!("{}/metrics", server.address)).bearer_auth("tea");
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    let refused = metrics.lines().find_map(|line| line.strip_prefix("apex_http_connections_refused_total "));
    assert!(refused.unwrap().parse::<u64>().unwrap() >= 1, "{refused:?}");
}
