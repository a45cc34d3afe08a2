//! A server whose statements forget the tenant, planted between it and PostgreSQL: every condition on the tenant in a
//! statement of a request's connection is replaced by one that always holds.

use testkit::TestDatabase;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The beginning of a condition. The number of a parameter follows.
const CONDITION: &[u8] = b"tenant_id = $";

/// Forgets the tenant in the text of a statement: a condition becomes one that always holds. The length stays.
fn forget(message: &mut [u8]) {
    let mut from = 0;
    while let Some(found) = message[from..].windows(CONDITION.len()).position(|window| window == CONDITION) {
        let at = from + found;
        from = at + CONDITION.len();
        let (Some(parameter), after) = (message.get(from).copied(), message.get(from + 1).copied()) else { return };
        if after.is_some_and(|after| after.is_ascii_digit()) {
            continue;
        }
        // The name of a table before it belongs to the condition.
        let mut start = at;
        while start > 0 && (message[start - 1] == b'.' || message[start - 1].is_ascii_alphanumeric()) {
            start -= 1;
        }
        message[start..at].fill(b' ');
        message[at..=from].copy_from_slice(&[b"$", &[parameter][..], b" is not null"].concat());
    }
}

/// The URL of a proxy in front of the database that forgets the tenant.
pub(super) async fn forgetful(database: &TestDatabase) -> String {
    let (start, rest) = database.url.rsplit_once('@').unwrap();
    let (target, name) = rest.split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{start}@{}/{name}?sslmode=disable", listener.local_addr().unwrap());
    let target = target.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&target).await.unwrap();
            tokio::spawn(forward(client, server));
        }
    });
    url
}

async fn forward(client: TcpStream, server: TcpStream) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    // The first message of a client has no type byte. It names the role of the connection.
    let (mut is_first, mut is_of_requests) = (true, false);
    loop {
        let mut head = vec![0; if is_first { 4 } else { 5 }];
        if from_client.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap()) as usize;
        let mut body = vec![0; length - 4];
        if from_client.read_exact(&mut body).await.is_err() {
            return;
        }
        if is_first {
            is_of_requests = body.windows(11).any(|window| window == b"apex_reader");
        } else if is_of_requests && head[0] == b'P' {
            forget(&mut body);
        }
        is_first = false;
        if to_server.write_all(&[head, body].concat()).await.is_err() {
            return;
        }
    }
}

#[test]
fn a_statement_without_its_tenant_is_as_long() {
    let forgotten = |text: &str| {
        let mut text = text.as_bytes().to_vec();
        forget(&mut text);
        String::from_utf8(text).unwrap()
    };
    assert_eq!(forgotten("where tenant_id = $1 and a = $2"), "where $1 is not null and a = $2");
    assert_eq!(forgotten("where c.tenant_id = $1"), "where   $1 is not null");
    assert_eq!(forgotten("where tenant_id = $2"), "where $2 is not null");
    assert_eq!(forgotten("where tenant_id = any ($1)"), "where tenant_id = any ($1)");
}
