//! Subscriptions over WebSockets, whose clients present their credential in a message.

use super::actors::Actor;
use super::schema::Request;
use super::verdict::{is_allowed, is_refused};
use super::{Matrix, shortened};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use testkit::TIMEOUT;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// What a client received for one subscription.
#[derive(Default)]
struct Received {
    text: String,
    is_refused: bool,
}

/// The sockets that are open at the same time.
const AT_ONCE: usize = 12;
/// The code with which a server closes a connection whose credential it cannot check in time, for the client to connect again.
const TRY_AGAIN_LATER: u16 = 1013;

/// What a client has received over one connection or several, by the place of the request.
#[derive(Default)]
struct Reading {
    received: BTreeMap<usize, Received>,
    /// The requests that are answered, or read up to the position.
    done: BTreeSet<usize>,
}

/// Subscribes to everything as an actor that is not read yet, and reads it up to a position of the log. Returns whether it came to
/// the end of it, or has to connect again.
async fn read(matrix: &Matrix, actor: &Actor, requests: &[Request], head: u64, reading: &mut Reading) -> bool {
    let url = format!("{}/graphql/ws", matrix.server.address.replace("http://", "ws://"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut sender, mut receiver) = connect_async(request).await.unwrap().0.split();
    let text = |message: Value| Message::Text(message.to_string().into());
    let authorization = format!("Bearer {}", actor.credential);
    let init = json!({ "type": "connection_init", "payload": { "Authorization": authorization } });
    sender.send(text(init)).await.unwrap();
    for (id, request) in requests.iter().enumerate().filter(|(id, _)| !reading.done.contains(id)) {
        let subscribe = json!({ "type": "subscribe", "id": id.to_string(), "payload": request.body });
        // If it was closed, the reason is read below.
        drop(sender.send(text(subscribe)).await);
    }
    let Reading { received, done } = reading;
    while done.len() < requests.len() {
        let message = receiver.next().await.unwrap_or_else(|| panic!("{}: the socket was closed", actor.name)).unwrap();
        let message = match message {
            Message::Text(message) => message,
            // The library answers it.
            Message::Ping(_) => continue,
            Message::Close(Some(frame)) if u16::from(frame.code) == TRY_AGAIN_LATER => return false,
            other => panic!("{}: {other:?}", actor.name),
        };
        let json: Value = serde_json::from_str(&message).unwrap();
        let id: Option<usize> = json["id"].as_str().map(|id| id.parse().unwrap());
        match (json["type"].as_str().unwrap(), id) {
            ("next", Some(id)) => {
                let received = received.entry(id).or_default();
                received.text += &message;
                received.is_refused |= is_refused(&json["payload"]);
                // Sums report no position.
                done.extend((requests[id].operation == "Subscription.usageTotals").then_some(id));
            }
            ("error", Some(id)) => {
                let received = received.entry(id).or_default();
                received.text += &message;
                received.is_refused |= is_refused(&json!({ "errors": json["payload"] }));
                done.insert(id);
            }
            ("complete", Some(id)) => _ = done.insert(id),
            ("ping", _) => {
                drop(sender.send(text(json!({ "type": "pong" }))).await);
                for (id, position) in json["payload"]["positions"].as_object().into_iter().flatten() {
                    let position: u64 = position.as_str().unwrap().parse().unwrap();
                    done.extend((position >= head).then(|| id.parse::<usize>().unwrap()));
                }
            }
            _ => {}
        }
    }
    true
}

async fn problems(matrix: &Matrix, actor: &Actor, requests: &[Request], head: u64) -> Vec<String> {
    let mut reading = Reading::default();
    let read_all = async { while !read(matrix, actor, requests, head, &mut reading).await {} };
    let is_read = tokio::time::timeout(TIMEOUT, read_all).await.is_ok();
    assert!(is_read, "{}: a subscription has not reached {head}", actor.name);
    let (mut received, mut problems) = (reading.received, Vec::new());
    for (id, request) in requests.iter().enumerate() {
        let Received { text, is_refused } = received.remove(&id).unwrap_or_default();
        let name = format!("{}, over a WebSocket: {}", actor.name, request.name());
        let found = matrix.foreign.canaries.found_in(&text, &request.body.to_string());
        if !found.is_empty() {
            problems.push(format!("{name} shows {found:?}"));
        }
        if is_refused == is_allowed(actor, request) {
            let refused = if is_refused { "refused" } else { "not refused" };
            problems.push(format!("{name} is {refused}: {}", shortened(&text)));
        }
    }
    problems
}

/// Opens every subscription of every actor, about the objects of both tenants, and returns what is wrong with them.
pub(super) async fn check(matrix: &Matrix, actors: &[Actor]) -> Vec<String> {
    let head = u64::try_from(matrix.installation.database.head().await).unwrap();
    let [own, foreign] = &matrix.both("Subscription");
    let both = actors.iter().flat_map(|actor| [(actor, own), (actor, foreign)]);
    let reading = both.map(|(actor, requests)| problems(matrix, actor, requests, head));
    futures::stream::iter(reading).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.concat()
}
