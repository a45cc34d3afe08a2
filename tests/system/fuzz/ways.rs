//! The ways in: each sends a request and waits for its answer.

use super::bodies::Hostile;
use futures::{SinkExt, StreamExt};
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The longest query that fits into an address.
const MAX_URL_BYTES: usize = 12_000;
/// How long a subscription is followed that has nothing to say.
const FOLLOW: Duration = Duration::from_millis(300);

/// How a request comes in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Way {
    Post,
    /// As bytes that need not be JSON.
    Raw,
    Get,
    EventStream,
    WebSocket,
}

impl Way {
    pub(super) const ALL: [Self; 5] = [Self::Post, Self::Raw, Self::Get, Self::EventStream, Self::WebSocket];
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) struct Client {
    address: String,
    way: Way,
    http: reqwest::Client,
    socket: Option<Socket>,
    operations: u64,
}

impl Client {
    pub(super) fn new(address: &str, way: Way) -> Self {
        Self { address: address.to_owned(), way, http: reqwest::Client::new(), socket: None, operations: 0 }
    }

    /// What came back; an error if nothing did in time.
    pub(super) async fn send(&mut self, hostile: &Hostile, deadline: Duration) -> Result<String, String> {
        let sent = async {
            match self.way {
                Way::Post => self.post(hostile, hostile.body.clone(), "application/json").await,
                Way::Raw => self.post(hostile, hostile.raw.clone(), "*/*").await,
                Way::Get => self.get(hostile).await,
                Way::EventStream => self.post(hostile, hostile.body.clone(), "text/event-stream").await,
                Way::WebSocket => self.over_socket(hostile).await,
            }
        };
        tokio::time::timeout(deadline, sent).await.unwrap_or_else(|_| Err("no answer".to_owned()))
    }

    async fn post(&self, hostile: &Hostile, body: Vec<u8>, accept: &str) -> Result<String, String> {
        let request = self.http.post(format!("{}/graphql", self.address)).body(body);
        read(request.header("content-type", "application/json").header("accept", accept), hostile).await
    }

    async fn get(&self, hostile: &Hostile) -> Result<String, String> {
        let end = hostile.query.floor_char_boundary(MAX_URL_BYTES);
        let variables = hostile.variables.to_string();
        let variables = if variables.len() > MAX_URL_BYTES { "{}" } else { &variables };
        let pairs = [("query", &hostile.query[..end]), ("variables", variables)];
        read(self.http.get(format!("{}/graphql", self.address)).query(&pairs), hostile).await
    }

    async fn over_socket(&mut self, hostile: &Hostile) -> Result<String, String> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => open(&self.address).await?,
        };
        self.operations += 1;
        let id = self.operations.to_string();
        let payload = json!({ "query": hostile.query, "variables": hostile.variables });
        let message = json!({ "type": "subscribe", "id": id, "payload": payload }).to_string();
        socket.send(Message::Text(message.into())).await.map_err(|error| format!("cannot send: {error}"))?;
        // Whoever follows the log may have nothing to wait for.
        let answer = if hostile.may_wait() {
            let heard = tokio::time::timeout(FOLLOW, hear(&mut socket, &id)).await;
            let done = json!({ "type": "complete", "id": id }).to_string();
            socket.send(Message::Text(done.into())).await.map_err(|error| format!("cannot send: {error}"))?;
            heard.unwrap_or_else(|_| Ok(Some(String::new())))?
        } else {
            hear(&mut socket, &id).await?
        };
        // A connection that was closed in order is answered as well; the next request opens another.
        if answer.is_some() {
            self.socket = Some(socket);
        }
        Ok(answer.unwrap_or_default())
    }
}

async fn read(request: reqwest::RequestBuilder, hostile: &Hostile) -> Result<String, String> {
    let mut response = request.send().await.map_err(|error| format!("no answer: {error:?}"))?;
    let is_stream = response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
    if is_stream && hostile.may_wait() {
        let chunk = tokio::time::timeout(FOLLOW, response.chunk()).await.unwrap_or(Ok(None));
        let chunk = chunk.map_err(|error| format!("the stream broke off: {error:?}"))?.unwrap_or_default();
        return Ok(String::from_utf8_lossy(&chunk).into_owned());
    }
    response.text().await.map_err(|error| format!("the answer broke off: {error:?}"))
}

async fn open(address: &str) -> Result<Socket, String> {
    let url = format!("{}/graphql/ws", address.replace("http://", "ws://"));
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = connect_async(request).await.map_err(|error| format!("cannot connect: {error}"))?;
    let init = json!({ "type": "connection_init" }).to_string();
    socket.send(Message::Text(init.into())).await.map_err(|error| format!("cannot send: {error}"))?;
    Ok(socket)
}

/// The first answer to an operation; none if the server closes the connection with a reason.
async fn hear(socket: &mut Socket, id: &str) -> Result<Option<String>, String> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let message: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                if message["id"] == id {
                    return Ok(Some(text.to_string()));
                }
            }
            Some(Ok(Message::Close(Some(_)))) => return Ok(None),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(format!("the connection broke off: {error}")),
            None => return Err("the connection ended without a word".to_owned()),
        }
    }
}
