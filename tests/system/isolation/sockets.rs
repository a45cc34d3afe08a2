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

/// Subscribes to everything as an actor, and reads all of it up to a position of the log.
async fn read(matrix: &Matrix, actor: &Actor, requests: &[Request], head: u64) -> BTreeMap<usize, Received> {
    let url = format!("{}/graphql/ws", matrix.server.address.replace("http://", "ws://"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut sender, mut receiver) = connect_async(request).await.unwrap().0.split();
    let text = |message: Value| Message::Text(message.to_string().into());
    let authorization = format!("Bearer {}", actor.credential);
    let init = json!({ "type": "connection_init", "payload": { "Authorization": authorization } });
    sender.send(text(init)).await.unwrap();
    for (id, request) in requests.iter().enumerate() {
        let subscribe = json!({ "type": "subscribe", "id": id.to_string(), "payload": request.body });
        sender.send(text(subscribe)).await.unwrap();
    }
    let (mut received, mut done) = (BTreeMap::<usize, Received>::new(), BTreeSet::new());
    while done.len() < requests.len() {
        let message = receiver.next().await.unwrap_or_else(|| panic!("{}: the socket was closed", actor.name)).unwrap();
        let message = match message {
            Message::Text(message) => message,
            // The library answers it.
            Message::Ping(_) => continue,
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
                sender.send(text(json!({ "type": "pong" }))).await.unwrap();
                for (id, position) in json["payload"]["positions"].as_object().into_iter().flatten() {
                    let position: u64 = position.as_str().unwrap().parse().unwrap();
                    done.extend((position >= head).then(|| id.parse::<usize>().unwrap()));
                }
            }
            _ => {}
        }
    }
    received
}

async fn problems(matrix: &Matrix, actor: &Actor, requests: &[Request], head: u64) -> Vec<String> {
    let reading = tokio::time::timeout(TIMEOUT, read(matrix, actor, requests, head));
    let mut received =
        reading.await.unwrap_or_else(|_| panic!("{}: a subscription has not reached {head}", actor.name));
    let mut problems = Vec::new();
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
