//! Subscriptions over the graphql-transport-ws protocol: delivery, errors, authentication and protocol violations.

use crate::access_log::wait_for_blocked;
use crate::graphql::command;
use crate::identities::{Installation, ask};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{Server, TIMEOUT, TestDatabase, tenant};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

/// A client that sends arbitrary messages, valid or not.
struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(server: &Server, path: &str, protocol: Option<&str>) -> Self {
        let url = format!("{}{path}", server.address.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_str(protocol).unwrap());
        }
        Self(connect_async(request).await.unwrap().0)
    }

    /// Connects and waits for the acknowledgement.
    async fn acknowledged(server: &Server) -> Self {
        let mut client = Self::connect(server, "/graphql/ws", Some("graphql-transport-ws")).await;
        client.send(json!({ "type": "connection_init" })).await;
        assert_eq!(client.receive().await, json!({ "type": "connection_ack" }));
        client
    }

    async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    async fn send_text(&mut self, text: &str) {
        self.0.send(Message::Text(text.into())).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "type": "subscribe", "id": id, "payload": payload })).await;
    }

    /// The next message other than a WebSocket ping.
    async fn next(&mut self) -> Message {
        let next = async {
            loop {
                match self.0.next().await.unwrap().unwrap() {
                    Message::Ping(_) => {}
                    message => return message,
                }
            }
        };
        tokio::time::timeout(TIMEOUT, next).await.unwrap()
    }

    /// The next protocol message.
    async fn receive_any(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The next protocol message other than a heartbeat.
    async fn receive(&mut self) -> Value {
        let received = async {
            loop {
                let message = self.receive_any().await;
                if message["type"] != "ping" {
                    return message;
                }
            }
        };
        tokio::time::timeout(TIMEOUT, received).await.unwrap()
    }

    /// Waits for a heartbeat that names the operation: from then on the server follows the log for it.
    async fn until_followed(&mut self, id: &str) {
        while self.receive_any().await["payload"]["positions"][id].is_null() {}
    }

    /// The data of the next message, which must be a `next` of this operation.
    async fn data(&mut self, id: &str) -> Value {
        let mut message = self.receive().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!(id)), "{message}");
        assert!(message["payload"].get("errors").is_none(), "{message}");
        message["payload"]["data"].take()
    }

    /// The close code of the server.
    async fn close_code(&mut self) -> u16 {
        loop {
            match self.next().await {
                Message::Close(Some(frame)) => return frame.code.into(),
                // A heartbeat may precede the close frame.
                Message::Text(text) if text.contains("\"ping\"") => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

const EVENTS: &str = "subscription ($after: Position, $filter: EventFilter) {
    events(after: $after, filter: $filter) { position type payload }
}";

/// Receives events up to a position.
async fn until(client: &mut Client, id: &str, last: u64) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event = client.data(id).await["events"].take();
        let position: u64 = event["position"].as_str().unwrap().parse().unwrap();
        events.push(event);
        if position >= last {
            return events;
        }
    }
}

async fn register(server: &Server, name: &str) -> u64 {
    let payload = command(server, "registerAgent", json!({ "name": name }), "position").await;
    payload["position"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_before_during_and_after_writes_see_the_same_events() {
    const AGENTS: usize = 300;
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let start: u64 = server.graphql("{ head }", json!({})).await["head"].as_str().unwrap().parse().unwrap();
    let last = start + AGENTS as u64;
    let follow = async |after: Option<u64>| {
        let mut client = Client::acknowledged(&server).await;
        client.subscribe("s", EVENTS, json!({ "after": after.map(|after| after.to_string()) })).await;
        client
    };
    let mut now = follow(None).await;
    let mut before = follow(Some(0)).await;
    let first = before.data("s").await["events"]["position"].take();
    assert_eq!(first, "1");
    // Without `after`, the subscription begins with the next event.
    now.until_followed("s").await;
    let is_writing = CancellationToken::new();
    let write = async {
        for n in 0..AGENTS {
            register(&server, &format!("agent {n}")).await;
            if n == AGENTS / 10 {
                is_writing.cancel();
            }
        }
    };
    let mut during = None;
    let join = async {
        is_writing.cancelled().await;
        during = Some(follow(Some(0)).await);
    };
    tokio::join!(write, join);
    let mut after = follow(Some(0)).await;
    let after = until(&mut after, "s", last).await;
    let positions: Vec<u64> = after.iter().map(|event| event["position"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(positions, (1..=last).collect::<Vec<_>>());
    assert!(
        until(&mut before, "s", last).await == after[1..],
        "the subscriber from before the writes saw another sequence"
    );
    assert!(
        until(&mut during.unwrap(), "s", last).await == after,
        "the subscriber from during the writes saw another sequence"
    );
    let start = usize::try_from(start).unwrap();
    assert!(until(&mut now, "s", last).await == after[start..], "the subscriber without `after` saw another sequence");
    // A client resumes at its position, and a filter selects its events.
    let mut resumed = follow(Some(last - 7)).await;
    assert!(until(&mut resumed, "s", last).await == after[after.len() - 7..]);
    let mut filtered = Client::acknowledged(&server).await;
    let filter = json!({ "after": "0", "filter": { "category": "agent", "types": ["agent.registered"] } });
    filtered.subscribe("s", EVENTS, filter).await;
    assert!(until(&mut filtered, "s", last).await == after[start..]);
    register(&server, "one more").await;
    assert_eq!(filtered.data("s").await["events"]["position"], (last + 1).to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_totals_add_up_and_each_alert_is_delivered_once() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2023-01-01T00:00:00Z",
                        "components": [{ "meter": "INPUT", "rate": "1" }, { "meter": "OUTPUT", "rate": "1" }] });
    command(&server, "setPrices", json!({ "prices": [price] }), "outcome").await;
    let terms = json!({ "name": "all", "scope": { "tenant": true }, "limit": "2" });
    command(&server, "defineBudget", json!({ "terms": terms }), "outcome").await;
    let mut client = Client::acknowledged(&server).await;
    let totals = "subscription { usageTotals(by: [MODEL], intervalMs: 100) { total { calls cost } position } }";
    client.subscribe("usage", totals, json!({})).await;
    assert_eq!(client.data("usage").await["usageTotals"]["total"], json!({ "calls": 0, "cost": "0" }));
    let mut alerts = Client::acknowledged(&server).await;
    let query = "subscription ($after: Position) { budgetAlerts(after: $after) { thresholdPercent spent position } }";
    alerts.subscribe("alerts", query, json!({ "after": "0" })).await;
    for n in 1..=3 {
        let report = json!({ "callKey": n.to_string(), "provider": "acme", "model": "m",
                             "usage": { "input": 1_000_000 }, "startedAt": "2023-09-10T00:00:00Z" });
        command(&server, "reportCall", report, "outcome").await;
    }
    let mut alerts_received = Vec::new();
    for _ in 0..3 {
        alerts_received.push(alerts.data("alerts").await["budgetAlerts"].take());
    }
    let thresholds: Vec<_> =
        alerts_received.iter().map(|alert| (&alert["thresholdPercent"], &alert["spent"])).collect();
    let [half, most, all] = [json!(50), json!(80), json!(100)];
    assert_eq!(thresholds, [(&half, &json!("1")), (&most, &json!("2")), (&all, &json!("2"))]);
    let sums = tokio::time::timeout(TIMEOUT, async {
        loop {
            let totals = client.data("usage").await["usageTotals"]["total"].take();
            if totals["calls"] == 3 {
                return totals;
            }
        }
    });
    assert_eq!(sums.await.unwrap()["cost"], "3");
    alerts.send(json!({ "type": "complete", "id": "alerts" })).await;
    alerts.subscribe("again", query, json!({ "after": alerts_received[1]["position"] })).await;
    assert_eq!(alerts.data("again").await["budgetAlerts"], alerts_received[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protocol_violations_close_the_connection_with_their_code() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let fresh = async || Client::connect(&server, "/graphql/ws", Some("graphql-transport-ws")).await;
    let init = json!({ "type": "connection_init" });
    let subscribe = json!({ "type": "subscribe", "id": "a", "payload": { "query": "subscription { events { id } }" } });

    // Browsers and this client close the connection if the server accepts none of their protocols.
    let url = format!("{}/graphql/ws", server.address.replace("http://", "ws://"));
    let mut old = url.into_client_request().unwrap();
    old.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-ws"));
    assert!(connect_async(old).await.is_err());
    let mut client = Client::connect(&server, "/graphql", None).await;
    assert_eq!(client.close_code().await, 4406);
    let mut client = fresh().await;
    client.send(subscribe.clone()).await;
    assert_eq!(client.close_code().await, 4401);
    for (said, code) in [(vec![init.clone()], 4429), (vec![subscribe.clone(), subscribe.clone()], 4409)] {
        let mut client = Client::acknowledged(&server).await;
        for message in said {
            client.send(message).await;
        }
        assert_eq!(client.close_code().await, code);
    }
    for bad in [
        "x",
        "{}",
        "[]",
        "{\"type\":\"hello\"}",
        "{\"type\":\"subscribe\",\"id\":\"a\"}",
        "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"query\":\"{head}\"}}",
        "{\"type\":\"subscribe\",\"id\":\"a\",\"payload\":{}}",
        "{\"type\":\"connection_init\",\"payload\":1}",
        "{\"type\":\"ping\",\"payload\":1}",
        "{\"type\":\"pong\",\"payload\":[]}",
        "{\"type\":\"complete\"}",
        "{\"type\":\"next\",\"id\":\"a\",\"payload\":{}}",
        "{\"type\":\"subscribe\",\"id\":\"\",\"payload\":{\"query\":\"{head}\"}}",
        "{\"type\":\"subscribe\",\"id\":\"a\",\"payload\":{\"query\":\"{head}\",\"variables\":[]}}",
    ] {
        let mut client = if bad.contains("subscribe") { Client::acknowledged(&server).await } else { fresh().await };
        client.send_text(bad).await;
        assert_eq!(client.close_code().await, 4400, "{bad}");
    }
    // The close reason names the operation, truncated to the size of a close frame.
    for (id, room) in [("a".repeat(20), 20), ("ä".repeat(100), 104)] {
        let mut client = Client::acknowledged(&server).await;
        for _ in 0..2 {
            client.subscribe(&id, EVENTS, json!({})).await;
        }
        let Message::Close(Some(frame)) = client.next().await else { panic!("the connection is not closed") };
        let said = format!("Subscriber for {id} already exists");
        assert_eq!(u16::from(frame.code), 4409);
        assert!(said.starts_with(frame.reason.as_str()) && frame.reason.len() >= room, "{}", frame.reason);
    }
    // A close frame is answered with a close frame.
    let mut client = Client::acknowledged(&server).await;
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    client.0.send(Message::Close(Some(frame))).await.unwrap();
    assert_eq!(client.close_code().await, 1000);
    let mut client = fresh().await;
    client.0.send(Message::Binary("x".into())).await.unwrap();
    assert_eq!(client.close_code().await, 4400);
    // A client that sends nothing times out.
    let mut client = fresh().await;
    assert_eq!(client.close_code().await, 4408);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_messages_close_the_connection_with_their_code() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let fresh = async || Client::connect(&server, "/graphql/ws", Some("graphql-transport-ws")).await;
    // Messages over the size limit.
    for bytes in [1024 * 1024 + 1, 20 * 1024 * 1024] {
        let (mut sink, mut stream) = fresh().await.0.split();
        // The connection may be closed before the whole message is sent.
        let said = tokio::spawn(async move { sink.send("x".repeat(bytes).into()).await });
        let closed = tokio::time::timeout(TIMEOUT, stream.next()).await.unwrap().unwrap();
        assert!(matches!(&closed, Ok(Message::Close(Some(frame))) if frame.code == CloseCode::Size), "{closed:?}");
        drop(said.await.unwrap());
    }
    for (kind, payload, code) in [(Data::Text, vec![0xff], 1007), (Data::Continue, vec![], 1002)] {
        let mut client = fresh().await;
        let frame = Frame::message(payload, OpCode::Data(kind), true);
        client.0.send(Message::Frame(frame)).await.unwrap();
        assert_eq!(client.close_code().await, code);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_start_and_complete_independently_on_one_connection() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let mut client = Client::connect(&server, "/graphql", Some("graphql-transport-ws")).await;
    client.send(json!({ "type": "ping" })).await;
    assert_eq!(client.receive().await, json!({ "type": "pong" }));
    client.send(json!({ "type": "connection_init", "payload": {} })).await;
    assert_eq!(client.receive().await["type"], "connection_ack");

    let register = "mutation { registerAgent(input: { name: \"ada\" }) { outcome } }";
    client.subscribe("m", register, json!({})).await;
    assert_eq!(client.data("m").await["registerAgent"]["outcome"], "DONE");
    assert_eq!(client.receive().await, json!({ "type": "complete", "id": "m" }));
    // An operation id can be reused after the operation has completed.
    client.subscribe("m", "{ head }", json!({})).await;
    assert!(client.data("m").await["head"].is_string());
    assert_eq!(client.receive().await["type"], "complete");

    // It can also be reused after the client has completed the operation. Completing twice is harmless.
    for id in ["m", "m", "never seen"] {
        client.send(json!({ "type": "complete", "id": id })).await;
    }
    client.subscribe("m", EVENTS, json!({})).await;
    client.send(json!({ "type": "complete", "id": "m" })).await;
    client.subscribe("m", "{ head }", json!({})).await;
    assert!(client.data("m").await["head"].is_string());
    assert_eq!(client.receive().await, json!({ "type": "complete", "id": "m" }));
    client.send(json!({ "type": "pong" })).await;

    let deep = format!("{}x{}", "{ a ".repeat(1000), "}".repeat(1000));
    for (query, code) in [
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        (deep.as_str(), "TOO_DEEP"),
        ("subscription { events(after: \"4000000000\") { id } }", "BAD_USER_INPUT"),
        ("subscription { usageTotals(intervalMs: 1) { position } }", "BAD_USER_INPUT"),
        ("subscription { usageTotals(by: [TASK, MODEL]) { position } }", "BAD_USER_INPUT"),
    ] {
        client.subscribe("e", query, json!({})).await;
        let message = client.receive().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("e")), "{query}: {message}");
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{message}");
    }
    // With a position, so that no operation misses the event, however late it begins to follow the log.
    let head = server.graphql("{ head }", json!({})).await["head"].take();
    for n in 0..50 {
        client.subscribe(&n.to_string(), EVENTS, json!({ "after": head })).await;
    }
    client.subscribe("one too many", EVENTS, json!({})).await;
    let message = client.receive().await;
    assert_eq!(message["payload"][0]["extensions"]["code"], "TOO_MANY_OPERATIONS", "{message}");
    for n in 1..50 {
        client.send(json!({ "type": "complete", "id": n.to_string() })).await;
    }
    client.send(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(client.receive().await, json!({ "type": "pong", "payload": { "n": 1 } }));
    server.graphql(register, json!({})).await;
    // Only the remaining operation receives the event.
    assert_eq!(client.data("0").await["events"]["type"], "agent.registered");
    client.send(json!({ "type": "ping" })).await;
    assert_eq!(client.receive().await, json!({ "type": "pong" }));

    let terminated = server.terminate();
    let (closed, (code, said)) = tokio::join!(client.close_code(), terminated);
    assert_eq!((closed, code), (1001, Some(0)), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_authenticates_when_it_connects() {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--token", "tea"]).await;
    for payload in [json!(null), json!({}), json!({ "authorization": "Bearer coffee" }), json!({ "authorization": 1 })]
    {
        let mut client = Client::connect(&server, "/graphql/ws", Some("graphql-transport-ws")).await;
        client.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(client.close_code().await, 4403, "{payload}");
    }
    for key in ["authorization", "Authorization"] {
        let mut client = Client::connect(&server, "/graphql/ws", Some("graphql-transport-ws")).await;
        client.send(json!({ "type": "connection_init", "payload": { key: "Bearer tea" } })).await;
        assert_eq!(client.receive().await["type"], "connection_ack");
    }
    let url = format!("{}/graphql/ws", server.address.replace("http://", "ws://"));
    let with = |token: &'static str| {
        let mut request = url.as_str().into_client_request().unwrap();
        request.headers_mut().insert("authorization", HeaderValue::from_static(token));
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        connect_async(request)
    };
    assert!(with("Bearer coffee").await.is_err());
    let mut client = Client(with("Bearer tea").await.unwrap().0);
    client.send(json!({ "type": "connection_init" })).await;
    assert_eq!(client.receive().await["type"], "connection_ack");

    // The operator token allows operator mutations over a WebSocket too.
    let server = database.serve(&["--token", "tea", "--operator-token", "rum"]).await;
    for (token, reason) in [("tea", "FORBIDDEN"), ("rum", "BAD_USER_INPUT")] {
        let mut client = Client::connect(&server, "/graphql/ws", Some("graphql-transport-ws")).await;
        let payload = json!({ "authorization": format!("Bearer {token}") });
        client.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(client.receive().await["type"], "connection_ack");
        client.subscribe("a", "mutation { switchProjection(name: \"x\") { name } }", json!({})).await;
        assert_eq!(client.receive().await["payload"]["errors"][0]["extensions"]["code"], reason);
    }
}

/// What a client has sent counts, even if the server was busy with something else for longer than a client may be silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_messages_had_to_wait_is_not_disconnected() {
    const KEEPALIVE_MS: u64 = 100;
    /// The most trials: on a busy machine the server may have closed the connection because it could not check the credential.
    const TRIALS: usize = 20;
    let installation = Installation::new().await;
    let key = installation.key(tenant().as_str(), "viewer", &[]).await;
    let mut owner = installation.database.owner().await;
    for trial in 1.. {
        // A new server reads the hash of the key, which takes as long as its table is locked.
        let server = installation.serve(&["--keepalive-ms", &KEEPALIVE_MS.to_string()]).await;
        let lock = "begin; lock table apex.api_key_secrets in access exclusive mode";
        sqlx::raw_sql(lock).execute(&mut owner).await.unwrap();
        let mut client = Client::connect(&server, "/graphql/ws", Some("graphql-transport-ws")).await;
        let payload = json!({ "authorization": format!("Bearer {key}") });
        client.send(json!({ "type": "connection_init", "payload": payload })).await;
        client.send(json!({ "type": "ping" })).await;
        wait_for_blocked(&mut owner, "apex.api_key_secrets").await;
        tokio::time::sleep(Duration::from_millis(4 * KEEPALIVE_MS)).await;
        sqlx::query("rollback").execute(&mut owner).await.unwrap();
        match client.next().await {
            Message::Close(Some(frame)) if u16::from(frame.code) == 1013 => assert!(trial < TRIALS, "{frame:?}"),
            Message::Text(text) => {
                assert!(text.contains("connection_ack"), "{text}");
                assert_eq!(client.receive().await["type"], "pong");
                return;
            }
            other => panic!("{other:?}"),
        }
        drop(server.terminate().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_ends_only_its_own_operation() {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--keepalive-ms", "2000"]).await;
    let mut client = Client::acknowledged(&server).await;
    client.subscribe("s", EVENTS, json!({})).await;
    // A heartbeat with its position shows that the operation follows the log.
    assert!(client.receive_any().await["payload"]["positions"]["s"].is_string());
    for id in ["s2", "s2"] {
        // The id can be reused, since an error ends its operation.
        client.subscribe(id, "{ nothing }", json!({})).await;
        let message = client.receive().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!(id)), "{message}");
    }
    let position = register(&server, "ada").await.to_string();
    let message = client.receive().await;
    assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!("s")), "{message}");
    // A later heartbeat has the position of that event.
    let reached = async {
        loop {
            let message = client.receive_any().await;
            assert_eq!(message["type"], "ping", "{message}");
            if message["payload"]["positions"]["s"].as_str() == Some(&*position) {
                return;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, reached).await.unwrap();
}

/// A field that failed is null in its event, and the events after it are sent too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_with_a_field_that_failed_does_not_end_its_subscription() {
    let installation = Installation::new().await;
    let admin = installation.key(tenant().as_str(), "admin", &[]).await;
    // Who may not read the texts that payloads contain.
    let viewer = installation.key(tenant().as_str(), "viewer", &[]).await;
    let server = installation.serve(&[]).await;
    for name in ["ada", "bob"] {
        let register = format!("mutation {{ registerAgent(input: {{ name: \"{name}\" }}) {{ outcome }} }}");
        let (_, answer) = ask(&server, &admin, &register).await;
        assert_eq!(answer["data"]["registerAgent"]["outcome"], "DONE", "{answer}");
    }
    let mut client = Client::connect(&server, "/graphql/ws", Some("graphql-transport-ws")).await;
    client.send(json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {viewer}") } })).await;
    assert_eq!(client.receive().await["type"], "connection_ack");
    let of_agents = "subscription { events(after: \"0\", filter: { category: \"agent\" }) { payload type } }";
    client.subscribe("a", of_agents, json!({})).await;
    let expected = json!({ "events": { "payload": null, "type": "agent.registered" } });
    for _ in 0..2 {
        let message = client.receive().await;
        assert_eq!((&message["type"], &message["payload"]["data"]), (&json!("next"), &expected), "{message}");
        let error = &message["payload"]["errors"][0];
        assert_eq!(
            (&error["path"], &error["extensions"]["code"]),
            (&json!(["events", "payload"]), &json!("FORBIDDEN"))
        );
    }
    // All fields of the event failed.
    client.subscribe("b", &of_agents.replace("type", ""), json!({})).await;
    let message = client.receive().await;
    assert_eq!(message["payload"]["data"], json!({ "events": { "payload": null } }), "{message}");
    drop(server.terminate().await);
}
