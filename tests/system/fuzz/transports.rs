//! The transports over which requests reach the server. Each sends a request and waits for the response.

use super::bodies::Hostile;
use futures::{SinkExt, StreamExt};
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The longest query, in bytes, that is sent in a URL.
const MAX_URL_BYTES: usize = 12_000;
/// How long to wait for the first message of a subscription, which may have none.
const SUBSCRIPTION_WAIT: Duration = Duration::from_millis(300);

/// The transport of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Transport {
    Post,
    /// A POST whose body need not be JSON.
    RawPost,
    Get,
    EventStream,
    WebSocket,
}

impl Transport {
    pub(super) const ALL: [Self; 5] = [Self::Post, Self::RawPost, Self::Get, Self::EventStream, Self::WebSocket];
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(super) struct Client {
    address: String,
    transport: Transport,
    http: reqwest::Client,
    socket: Option<Socket>,
    operations: u64,
}

impl Client {
    pub(super) fn new(address: &str, transport: Transport) -> Self {
        Self { address: address.to_owned(), transport, http: reqwest::Client::new(), socket: None, operations: 0 }
    }

    /// Sends a request and returns the response.
    ///
    /// # Errors
    ///
    /// A description of the failure, if the connection fails or no response arrives before the deadline.
    pub(super) async fn send(&mut self, hostile: &Hostile, deadline: Duration) -> Result<String, String> {
        let sent = async {
            match self.transport {
                Transport::Post => self.post(hostile, hostile.body.clone(), "application/json").await,
                Transport::RawPost => self.post(hostile, hostile.raw.clone(), "*/*").await,
                Transport::Get => self.get(hostile).await,
                Transport::EventStream => self.post(hostile, hostile.body.clone(), "text/event-stream").await,
                Transport::WebSocket => self.send_over_websocket(hostile).await,
            }
        };
        tokio::time::timeout(deadline, sent).await.unwrap_or_else(|_| Err("no response before the deadline".to_owned()))
    }

    async fn post(&self, hostile: &Hostile, body: Vec<u8>, accept: &str) -> Result<String, String> {
        let request = self.http.post(format!("{}/graphql", self.address)).body(body);
        read_response(request.header("content-type", "application/json").header("accept", accept), hostile).await
    }

    async fn get(&self, hostile: &Hostile) -> Result<String, String> {
        let end = hostile.query.floor_char_boundary(MAX_URL_BYTES);
        let variables = hostile.variables.to_string();
        let variables = if variables.len() > MAX_URL_BYTES { "{}" } else { &variables };
        let pairs = [("query", &hostile.query[..end]), ("variables", variables)];
        read_response(self.http.get(format!("{}/graphql", self.address)).query(&pairs), hostile).await
    }

    async fn send_over_websocket(&mut self, hostile: &Hostile) -> Result<String, String> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => open(&self.address).await?,
        };
        self.operations += 1;
        let id = self.operations.to_string();
        let payload = json!({ "query": hostile.query, "variables": hostile.variables });
        let message = json!({ "type": "subscribe", "id": id, "payload": payload }).to_string();
        socket.send(Message::Text(message.into())).await.map_err(|error| format!("cannot send: {error}"))?;
        // A subscription may have no event to send.
        let answer = if hostile.may_wait() {
            let received = tokio::time::timeout(SUBSCRIPTION_WAIT, first_message(&mut socket, &id)).await;
            let done = json!({ "type": "complete", "id": id }).to_string();
            socket.send(Message::Text(done.into())).await.map_err(|error| format!("cannot send: {error}"))?;
            received.unwrap_or_else(|_| Ok(Some(String::new())))?
        } else {
            first_message(&mut socket, &id).await?
        };
        // A close frame with a reason is a valid response; the next request opens a new connection.
        if answer.is_some() {
            self.socket = Some(socket);
        }
        Ok(answer.unwrap_or_default())
    }
}

async fn read_response(request: reqwest::RequestBuilder, hostile: &Hostile) -> Result<String, String> {
    let mut response = request.send().await.map_err(|error| format!("no response: {error:?}"))?;
    let is_stream = response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
    if is_stream && hostile.may_wait() {
        let chunk = tokio::time::timeout(SUBSCRIPTION_WAIT, response.chunk()).await.unwrap_or(Ok(None));
        let chunk = chunk.map_err(|error| format!("the stream failed: {error:?}"))?.unwrap_or_default();
        return Ok(String::from_utf8_lossy(&chunk).into_owned());
    }
    response.text().await.map_err(|error| format!("the response failed: {error:?}"))
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

/// Returns the first message of an operation, or `None` if the server closes the connection with a close frame.
async fn first_message(socket: &mut Socket, id: &str) -> Result<Option<String>, String> {
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
            Some(Err(error)) => return Err(format!("the connection failed: {error}")),
            None => return Err("the connection ended without a close frame".to_owned()),
        }
    }
}
