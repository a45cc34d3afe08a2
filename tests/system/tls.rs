//! TLS: certificates of servers and clients, reloading them, WebSockets, and clients that do not complete the handshake.

use futures::{SinkExt as _, StreamExt as _};
use rustls::pki_types::ServerName;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use testkit::{Authority, Certificate, Server, TIMEOUT, TestDatabase, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// The names that a certificate of the server is for.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];
const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A folder with the files of TLS.
struct Files(tempfile::TempDir);

impl Files {
    fn new(certificate: &Certificate) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.replace(certificate);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn replace(&self, certificate: &Certificate) {
        std::fs::write(self.path("certificate.pem"), &certificate.certificate).unwrap();
        std::fs::write(self.path("key.pem"), &certificate.key).unwrap();
    }

    async fn serve(&self, database: &TestDatabase, more: &[&str]) -> Server {
        let (certificate, key) = (self.path("certificate.pem"), self.path("key.pem"));
        let files = ["--tls-certificate", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
        database.serve(&[&files, more].concat()).await
    }
}

fn socket_address(server: &Server) -> &str {
    server.address.strip_prefix("https://").unwrap()
}

async fn connect(server: &Server, connector: &TlsConnector, name: &'static str) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(socket_address(server)).await?;
    connector.connect(ServerName::try_from(name).unwrap(), stream).await
}

/// The head and the body of a response.
async fn read(stream: &mut TlsStream<TcpStream>) -> io::Result<String> {
    let mut read = Vec::new();
    let reading = async {
        loop {
            if stream.read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let text = String::from_utf8_lossy(&read);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.is_none_or(|length| body.len() >= length.parse().unwrap()) {
                return Ok(text.into_owned());
            }
        }
    };
    tokio::time::timeout(TIMEOUT, reading).await.unwrap()
}

async fn ask(stream: &mut TlsStream<TcpStream>, request: &[u8]) -> io::Result<String> {
    stream.write_all(request).await?;
    read(stream).await
}

/// Connects and sends a request. A server refuses a client certificate after the client's own handshake has ended.
async fn get(server: &Server, connector: &TlsConnector) -> io::Result<String> {
    let mut stream = connect(server, connector, "localhost").await?;
    ask(&mut stream, REQUEST).await
}

async fn metric(server: &Server, connector: &TlsConnector, name: &str) -> f64 {
    let mut stream = connect(server, connector, "localhost").await.unwrap();
    let metrics = ask(&mut stream, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_verify_the_certificate_of_the_server() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = Files::new(&authority.issue(&NAMES));
    let database = TestDatabase::new().await;
    let server = files.serve(&database, &[]).await;
    let answer = get(&server, &authority.connector(None)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age=31536000\r\n"), "{answer}");
    assert!(answer.contains("x-content-type-options: nosniff\r\n"), "{answer}");
    let refused = get(&server, &other.connector(None)).await.unwrap_err().to_string();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    let refused = connect(&server, &authority.connector(None), "example.org").await.unwrap_err().to_string();
    assert!(refused.contains("not valid for name"), "{refused}");
    assert_eq!(server.terminate().await.0, Some(0));

    let files = Files::new(&authority.issue_expired(&NAMES));
    let server = files.serve(&database, &[]).await;
    let refused = get(&server, &authority.connector(None)).await.unwrap_err().to_string();
    assert!(refused.to_lowercase().contains("expired"), "{refused}");
    assert_eq!(server.terminate().await.0, Some(0));

    // Without TLS, browsers are not told to use it.
    let plain = database.serve(&[]).await;
    let answer = testkit::http_get(format!("{}/healthz", plain.address)).await.unwrap();
    assert!(plain.address.starts_with("http://") && !answer.headers().contains_key("strict-transport-security"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_verifies_the_certificates_of_clients() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let files = Files::new(&authority.issue(&NAMES));
    let client_ca = files.path("clients.pem");
    std::fs::write(&client_ca, clients.pem()).unwrap();
    let database = TestDatabase::new().await;
    let (known, unknown) = (clients.issue(&["client"]), strangers.issue(&["client"]));
    let expired = clients.issue_expired(&["client"]);
    for (mode, admits_none) in [("required", false), ("optional", true)] {
        let arguments = ["--tls-client-ca", client_ca.to_str().unwrap(), "--tls-client-certificate", mode];
        let server = files.serve(&database, &arguments).await;
        let is_admitted = async |certificate: Option<&Certificate>| {
            let answer = get(&server, &authority.connector(certificate)).await;
            answer.inspect(|answer| assert!(answer.starts_with("HTTP/1.1 200"), "{answer}")).is_ok()
        };
        assert!(is_admitted(Some(&known)).await, "{mode}");
        assert_eq!(is_admitted(None).await, admits_none, "{mode}");
        assert!(!is_admitted(Some(&unknown)).await, "{mode}: of an unknown authority");
        assert!(!is_admitted(Some(&expired)).await, "{mode}: expired");
        assert_eq!(server.terminate().await.0, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_reloaded_while_connections_are_open() {
    const FAILING: &str = "apex_tls_reload_failing";
    let (old, new) = (Authority::new(), Authority::new());
    let files = Files::new(&old.issue(&NAMES));
    let database = TestDatabase::new().await;
    let server = files.serve(&database, &[]).await;
    let (trusts_old, trusts_new) = (old.connector(None), new.connector(None));
    let mut open = connect(&server, &trusts_old, "localhost").await.unwrap();
    ask(&mut open, REQUEST).await.unwrap();

    files.replace(&new.issue(&NAMES));
    wait_until("the new certificate is used", async || get(&server, &trusts_new).await.is_ok()).await;
    assert!(get(&server, &trusts_old).await.is_err(), "the old certificate is still used");
    assert!(ask(&mut open, REQUEST).await.unwrap().starts_with("HTTP/1.1 200"), "an open connection was dropped");
    assert!(metric(&server, &trusts_new, FAILING).await == 0.0);

    // A certificate whose key is not there yet, then files that are none.
    std::fs::write(files.path("certificate.pem"), old.issue(&NAMES).certificate).unwrap();
    wait_until("the failure is counted", async || metric(&server, &trusts_new, FAILING).await == 1.0).await;
    std::fs::write(files.path("key.pem"), "nothing").unwrap();
    std::fs::remove_file(files.path("certificate.pem")).unwrap();
    assert!(get(&server, &trusts_new).await.is_ok(), "the server does not go on with the old files");
    assert!(ask(&mut open, REQUEST).await.is_ok());

    files.replace(&old.issue(&NAMES));
    wait_until("the third certificate is used", async || get(&server, &trusts_old).await.is_ok()).await;
    wait_until("there is no failure", async || metric(&server, &trusts_old, FAILING).await == 0.0).await;
    let (code, log) = server.terminate().await;
    assert_eq!(code, Some(0));
    assert!(log.contains("the files of TLS cannot be loaded again") && log.contains("key.pem"), "{log}");
    assert!(!log.contains("PRIVATE KEY"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_work_over_tls() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue(&NAMES));
    let database = TestDatabase::new().await;
    let server = files.serve(&database, &[]).await;
    let stream = connect(&server, &authority.connector(None), "localhost").await.unwrap();
    let url = format!("{}/graphql/ws", server.address.replace("https://", "wss://"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let subscribe = r#"{"type":"subscribe","id":"a","payload":{"query":"subscription { events(after: 0) { type } }"}}"#;
    for message in [r#"{"type":"connection_init"}"#, subscribe] {
        socket.send(Message::Text(message.into())).await.unwrap();
    }
    let mutation = r#"{"query":"mutation { registerAgent(input: {name: \"ada\"}) { position } }"}"#;
    let mut stream = connect(&server, &authority.connector(None), "localhost").await.unwrap();
    let length = mutation.len();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}"
    );
    let answer = ask(&mut stream, format!("{head}\r\n\r\n{mutation}").as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let received = tokio::time::timeout(TIMEOUT, async {
        loop {
            let message = socket.next().await.unwrap().unwrap();
            if message.to_text().is_ok_and(|text| text.contains("agent.registered")) {
                return;
            }
        }
    });
    received.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_tls_is_told_so_and_one_that_is_silent_is_disconnected() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue(&NAMES));
    let database = TestDatabase::new().await;
    // Silent clients would hold both connections for ever.
    let limits = ["--max-http-connections", "1", "--max-connections", "1", "--tls-handshake-timeout-ms", "3000"];
    let server = files.serve(&database, &limits).await;
    let mut plain = TcpStream::connect(socket_address(&server)).await.unwrap();
    plain.write_all(REQUEST).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(TIMEOUT, plain.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("NOT_TLS"), "{answer}");
    drop(plain);

    let started = Instant::now();
    let mut silent = TcpStream::connect(socket_address(&server)).await.unwrap();
    let mut halfway = TcpStream::connect(socket_address(&server)).await.unwrap();
    // The head of a handshake of 512 bytes that never come.
    halfway.write_all(&[0x16, 3, 1, 2, 0]).await.unwrap();
    // It waits for one of them to be disconnected.
    assert!(get(&server, &authority.connector(None)).await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(started.elapsed() > Duration::from_millis(2900), "the limit on connections does not hold");
    for client in [&mut silent, &mut halfway] {
        let mut read = Vec::new();
        let closed = tokio::time::timeout(TIMEOUT, client.read_to_end(&mut read)).await;
        assert!(closed.is_ok(), "a client that does not complete the handshake is not disconnected");
    }
    let failed =
        metric(&server, &authority.connector(None), "apex_tls_handshakes_failed_total{reason=\"timeout\"}").await;
    assert!(failed == 2.0, "{failed}");
    assert_eq!(server.terminate().await.0, Some(0));
    // Such a client does not delay a shutdown either: the handshake has much longer than the shutdown.
    let server = files.serve(&database, &["--tls-handshake-timeout-ms", "600000"]).await;
    let _silent = TcpStream::connect(socket_address(&server)).await.unwrap();
    // The server accepts connections in the order in which they were made.
    assert!(get(&server, &authority.connector(None)).await.unwrap().starts_with("HTTP/1.1 200"));
    let (code, log) = server.terminate().await;
    assert_eq!(code, Some(0));
    assert!(!log.contains("did not finish within the shutdown timeout"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_files_that_cannot_be_used_does_not_start() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue(&NAMES));
    std::fs::write(files.path("key.pem"), authority.issue(&NAMES).key).unwrap();
    let (certificate, key) = (files.path("certificate.pem"), files.path("key.pem"));
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let database = TestDatabase::new().await;
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let run = async |more: &[&str]| database.run(&[&serve, more].concat()).await;
    let other_key = run(&["--tls-certificate", certificate, "--tls-key", key]).await;
    assert_eq!(other_key.code, Some(1), "{}", other_key.stderr);
    assert!(other_key.stderr.contains("cannot be used together"), "{}", other_key.stderr);
    let missing = run(&["--tls-certificate", certificate, "--tls-key", "/nonexistent"]).await;
    assert!(missing.stderr.contains("/nonexistent cannot be read"), "{}", missing.stderr);
    let alone = run(&["--tls-certificate", certificate]).await;
    assert_eq!(alone.code, Some(2), "{}", alone.stderr);
    assert!(alone.stderr.contains("--tls-key"), "{}", alone.stderr);
}
