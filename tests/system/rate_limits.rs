//! Rate limits and quotas: of tenants, keys and addresses, over every transport, changed while the server runs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use futures::{SinkExt as _, StreamExt as _};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use testkit::{Server, TIMEOUT, TestDatabase, http_client, wait_until};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

const HEAD: &str = "{ head }";
const AGENTS: &str = "{ agents(first: 100) { nodes { uuid name } } }";
const REGISTER: &str = "mutation { registerAgent(input: {name: \"ada\"}) { outcome } }";

/// A database with a file of key-encryption keys.
struct Installation {
    database: TestDatabase,
    folder: tempfile::TempDir,
}

/// An API key.
struct Key {
    id: String,
    text: String,
}

impl Installation {
    async fn new() -> Self {
        Self { database: TestDatabase::new().await, folder: tempfile::tempdir().unwrap() }
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("identity.keys")
    }

    /// Runs a subcommand that succeeds, and returns its standard output without the line break at its end.
    async fn run(&self, arguments: &[&str]) -> String {
        let key_file = self.key_file();
        let arguments = [arguments, &["--key-file", key_file.to_str().unwrap()]].concat();
        self.database.run(&arguments).await.assert_success().stdout.trim_end().to_owned()
    }

    async fn serve(&self, arguments: &[&str]) -> Server {
        let key_file = self.key_file();
        let tokens = ["--token", "tea", "--operator-token", "rum"];
        let arguments = [&["--key-file", key_file.to_str().unwrap()][..], &tokens, arguments].concat();
        self.database.serve(&arguments).await
    }

    /// Keys of a new account that is an admin of a new tenant.
    async fn keys<const N: usize>(&self, tenant: &str) -> [Key; N] {
        self.run(&["tenants", "create", tenant]).await;
        let account = self.run(&["accounts", "create", "importer", "--role", "admin", "--tenant", tenant]).await;
        let mut keys = Vec::new();
        for _ in 0..N {
            let create = ["keys", "create", "--account", &account, "--tenant", tenant, "--all-scopes"];
            let text = self.run(&create).await;
            let id = text.split('_').nth(1).unwrap().to_owned();
            keys.push(Key { id, text });
        }
        keys.try_into().ok().unwrap()
    }

    async fn set(&self, tenant: &str, limits: &[&str]) {
        self.run(&[&["limits", "set", "--tenant", tenant], limits].concat()).await;
    }
}

async fn post(server: &Server, key: &str, query: &str) -> Response {
    let request = http_client().post(format!("{}/graphql", server.address)).bearer_auth(key);
    request.json(&json!({ "query": query })).send().await.unwrap()
}

async fn status(server: &Server, key: &str, query: &str) -> StatusCode {
    post(server, key, query).await.status()
}

async fn events(server: &Server, key: &str) -> Response {
    http_client().get(format!("{}/events?after=0", server.address)).bearer_auth(key).send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// The extensions of the one error of a response that a limit refused.
async fn refusal(response: Response) -> Value {
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let mut body: Value = response.json().await.unwrap();
    assert!(body.get("data").is_none() && body["errors"].as_array().unwrap().len() == 1, "{body}");
    assert_eq!(body["errors"][0]["extensions"]["code"], "RATE_LIMITED", "{body}");
    body["errors"][0]["extensions"].take()
}

/// A tenant at its limit gets 429 and typed errors over every transport, and another tenant does not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_at_its_limit_is_refused_and_no_other() {
    let installation = Installation::new().await;
    let [one, other] = installation.keys("acme").await;
    let [unaffected] = installation.keys("calm").await;
    // Few, so that a further one is allowed much later than everything below takes: after 20 s.
    installation.set("acme", &["--requests", "3"]).await;
    let server = installation.serve(&[]).await;
    let mut socket = subscriber(&server, &one.text).await;
    for left in (1..3).rev() {
        let key = if left % 2 == 0 { &one } else { &other };
        let answered = post(&server, &key.text, HEAD).await;
        assert_eq!(answered.status(), StatusCode::OK);
        assert_eq!(header(&answered, "ratelimit-policy"), Some("\"tenant-requests\";q=3;w=60"));
        let remaining = header(&answered, "ratelimit").unwrap();
        assert!(remaining.starts_with(&format!("\"tenant-requests\";r={left};t=")), "{remaining}");
        assert_eq!(header(&answered, "retry-after"), None);
    }
    assert_eq!(events(&server, &one.text).await.status(), StatusCode::OK);
    for key in [&one, &other] {
        let refused = post(&server, &key.text, HEAD).await;
        let retry_after: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
        assert!((1..=20).contains(&retry_after), "{retry_after}");
        assert!(header(&refused, "ratelimit").unwrap().starts_with("\"tenant-requests\";r=0;t="));
        let extensions = refusal(refused).await;
        assert_eq!(
            (&extensions["scope"], &extensions["resource"], &extensions["limit"]),
            (&json!("tenant"), &json!("requests"), &json!(3))
        );
        assert!(extensions["retryAfterMs"].as_u64().unwrap() <= 20_000);
        refusal(events(&server, &key.text).await).await;
        assert_eq!(status(&server, &unaffected.text, HEAD).await, StatusCode::OK);
        assert_eq!(status(&server, &unaffected.text, REGISTER).await, StatusCode::OK);
    }
    let unlimited = post(&server, &unaffected.text, HEAD).await;
    assert_eq!(header(&unlimited, "ratelimit"), None);
    // An operation over a WebSocket that is open is refused, and the connection stays.
    for id in ["a", "b"] {
        let payload = json!({ "type": "subscribe", "id": id, "payload": { "query": HEAD } });
        socket.send(Message::Text(payload.to_string().into())).await.unwrap();
        let error = next(&mut socket, "error").await;
        assert_eq!((&error["id"], &error["payload"][0]["extensions"]["code"]), (&json!(id), &json!("RATE_LIMITED")));
    }
    // A stream of GraphQL is refused before it begins.
    let stream = http_client().post(format!("{}/graphql", server.address)).bearer_auth(&one.text);
    let stream =
        stream.header("accept", "text/event-stream").json(&json!({ "query": "subscription { events { type } }" }));
    assert_eq!(stream.send().await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    let metrics = http_client().get(format!("{}/metrics", server.address)).bearer_auth("rum");
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    let refused = "apex_rate_limited_total{scope=\"tenant\",resource=\"requests\"} ";
    let refused = metrics.lines().find_map(|line| line.strip_prefix(refused)).unwrap();
    assert_eq!(refused, "7", "{metrics}");
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn subscriber(server: &Server, key: &str) -> Socket {
    let url = format!("{}/graphql/ws", server.address.replace("http://", "ws://"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let mut socket = connect_async(request).await.unwrap().0;
    let init = json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {key}") } });
    socket.send(Message::Text(init.to_string().into())).await.unwrap();
    next(&mut socket, "connection_ack").await;
    socket
}

/// The next message of a type.
async fn next(socket: &mut Socket, kind: &str) -> Value {
    let received = tokio::time::timeout(TIMEOUT, async {
        loop {
            let message = socket.next().await.unwrap().unwrap();
            let Ok(message) = serde_json::from_str::<Value>(message.to_text().unwrap()) else { continue };
            if message["type"] == kind {
                return message;
            }
        }
    });
    received.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_its_own_limit_else_that_of_each_key() {
    let installation = Installation::new().await;
    let [own, first, second] = installation.keys("acme").await;
    installation.set("acme", &["--each-key", "--requests", "2"]).await;
    installation.set("acme", &["--api-key", &own.id, "--requests", "3"]).await;
    let server = installation.serve(&["--rate-limits", "tenant.requests=100,key.requests=50"]).await;
    for (key, limit) in [(&own, 3), (&first, 2), (&second, 2)] {
        for _ in 0..limit {
            let answered = post(&server, &key.text, HEAD).await;
            assert_eq!(answered.status(), StatusCode::OK);
            let policies: Vec<_> = answered.headers().get_all("ratelimit-policy").iter().collect();
            assert_eq!(policies, [&format!("\"key-requests\";q={limit};w=60"), "\"tenant-requests\";q=100;w=60"]);
        }
        let extensions = refusal(post(&server, &key.text, HEAD).await).await;
        assert_eq!((&extensions["scope"], &extensions["limit"]), (&json!("key"), &json!(limit)));
    }
    // What a key is refused is not taken from its tenant. The shared tokens of the settings are another tenant.
    let listed = installation.run(&["limits", "show", "--tenant", "acme", "--format", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");
    assert_eq!((&listed[1]["scope"], &listed[1]["requests"]), (&json!("each key"), &json!("2")));
    assert_eq!((&listed[0]["requests"], &listed[2]["requests"]), (&json!("default"), &json!("3")));
    assert_eq!(status(&server, "tea", HEAD).await, StatusCode::OK);
    // The last limit of a key is removed, and that of each key holds.
    installation.set("acme", &["--api-key", &own.id, "--requests", "default"]).await;
    let listed = installation.run(&["limits", "show", "--tenant", "acme", "--format", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap().as_array().unwrap().len(), 2, "{listed}");
}

const SET: &str = "mutation ($tenant: String, $limits: RateLimitValuesInput!) {
    setRateLimits(input: {tenantId: $tenant, scope: {tenant: true}, limits: $limits}) {
        outcome error { code message field }
    }
}";

async fn set_by(server: &Server, token: &str, tenant: &str, limits: Value) -> Value {
    let request = http_client().post(format!("{}/graphql", server.address)).bearer_auth(token);
    let body = json!({ "query": SET, "variables": { "tenant": tenant, "limits": limits } });
    request.json(&body).send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_changes_limits_while_servers_run() {
    let installation = Installation::new().await;
    let [key] = installation.keys("acme").await;
    let (server, second) = (installation.serve(&[]).await, installation.serve(&[]).await);
    for _ in 0..5 {
        assert_eq!(status(&server, &key.text, HEAD).await, StatusCode::OK);
    }
    let set = set_by(&server, "rum", "acme", json!({ "requestsPerMinute": 2, "subscriptions": 7 })).await;
    assert_eq!(set["data"]["setRateLimits"]["outcome"], "DONE", "{set}");
    // At once in this process, within a second in others. Each counts for itself.
    let usage = "{ rateLimits { scope resource limit remaining windowSeconds } }";
    let listed: Value = post(&server, &key.text, usage).await.json().await.unwrap();
    let requests = json!({"scope": "TENANT", "resource": "REQUESTS", "limit": 2, "remaining": 1, "windowSeconds": 60});
    let open =
        json!({"scope": "TENANT", "resource": "SUBSCRIPTIONS", "limit": 7, "remaining": 7, "windowSeconds": null});
    assert_eq!(listed["data"]["rateLimits"], json!([requests, open]));
    assert_eq!(status(&server, &key.text, HEAD).await, StatusCode::OK);
    assert_eq!(status(&server, &key.text, HEAD).await, StatusCode::TOO_MANY_REQUESTS);
    wait_until("the other process limits too", async || {
        status(&second, &key.text, HEAD).await == StatusCode::TOO_MANY_REQUESTS
    })
    .await;
    let again = set_by(&server, "rum", "acme", json!({ "requestsPerMinute": 2, "subscriptions": 7 })).await;
    assert_eq!(again["data"]["setRateLimits"]["outcome"], "ALREADY_DONE", "{again}");
    // An admin of the tenant does not raise its limit, nor does the token of clients.
    let raised = json!({ "requestsPerMinute": 1_000_000 });
    let refused = set_by(&second, "tea", "acme", raised.clone()).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN", "{refused}");
    // Bad input changes nothing.
    for (limits, field) in [
        (json!({ "requestsPerMinute": 0 }), "requestsPerMinute"),
        (json!({ "complexityPerMinute": 1_000_000_001_u32 }), "complexityPerMinute"),
    ] {
        let rejected = set_by(&server, "rum", "acme", limits).await;
        let error = &rejected["data"]["setRateLimits"]["error"];
        assert_eq!((&error["code"], &error["field"]), (&json!("INVALID_INPUT"), &json!(field)), "{rejected}");
    }
    for (tenant, code) in [("No Tenant", "INVALID_INPUT"), ("installation", "WRONG_TENANT")] {
        let rejected = set_by(&server, "rum", tenant, raised.clone()).await;
        assert_eq!(rejected["data"]["setRateLimits"]["error"]["code"], code, "{rejected}");
    }
    assert_eq!(set_by(&server, "rum", "acme", raised).await["data"]["setRateLimits"]["outcome"], "DONE");
    let own = set_by(&server, &key.text, "acme", json!({})).await;
    assert_eq!(own["errors"][0]["extensions"]["code"], "FORBIDDEN", "{own}");
    // After a restart the limits are folded from the log.
    assert_eq!(server.terminate().await.0, Some(0));
    let server = installation.serve(&[]).await;
    assert_eq!(
        header(&post(&server, &key.text, HEAD).await, "ratelimit-policy"),
        Some("\"tenant-requests\";q=1000000;w=60")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complexity_and_bytes_of_commands_are_limited() {
    let installation = Installation::new().await;
    let [key] = installation.keys("acme").await;
    installation.set("acme", &["--complexity", "1500", "--ingest-bytes", "2000"]).await;
    let server = installation.serve(&[]).await;
    // 211 points: a page of 100 with two fields each, and a statement.
    let mut answered = 0;
    let refused = loop {
        let response = post(&server, &key.text, AGENTS).await;
        if response.status() != StatusCode::OK {
            break response;
        }
        answered += 1;
        assert!(answered < 20, "complexity is not limited");
    };
    assert!(answered >= 3, "{answered}");
    assert_eq!(refusal(refused).await["resource"], "complexity");
    // A cheaper query still fits in what is left.
    assert_eq!(status(&server, &key.text, "{ __typename }").await, StatusCode::OK);
    // A command of more bytes than the limit never fits.
    let name = "x".repeat(3000);
    let large = post(&server, &key.text, &REGISTER.replace("ada", &name)).await;
    assert_eq!(header(&large, "retry-after"), None);
    let extensions = refusal(large).await;
    assert_eq!((&extensions["resource"], extensions.get("retryAfterMs")), (&json!("ingest_bytes"), None));
    assert!(
        header(&post(&server, &key.text, "{ __typename }").await, "ratelimit-policy")
            .unwrap()
            .contains("\"tenant-ingest_bytes\";q=2000;qu=\"content-bytes\";w=60")
    );
    let mut done = 0;
    let refused = loop {
        let response = post(&server, &key.text, REGISTER).await;
        if response.status() != StatusCode::OK {
            break response;
        }
        done += 1;
        assert!(done < 400, "bytes are not limited");
    };
    assert!(done >= 10, "{done}");
    let retry_after: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry_after));
    assert_eq!(refusal(refused).await["resource"], "ingest_bytes");
    // Queries send no commands.
    assert_eq!(status(&server, &key.text, "{ __typename }").await, StatusCode::OK);
    // What was refused changed nothing.
    let registered = sqlx::query_scalar::<_, i64>("select count(*) from apex.events where type = 'agent.registered'");
    assert_eq!(registered.fetch_one(&installation.database.pool).await.unwrap(), done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_subscriptions_are_limited_over_every_transport() {
    let installation = Installation::new().await;
    let [key, other] = installation.keys("acme").await;
    installation.set("acme", &["--each-key", "--subscriptions", "2"]).await;
    installation.set("acme", &["--subscriptions", "3"]).await;
    let server = installation.serve(&[]).await;
    let subscribe =
        json!({ "type": "subscribe", "id": "a", "payload": { "query": "subscription { events { type } }" } });
    let stream = events(&server, &key.text).await;
    assert_eq!(stream.status(), StatusCode::OK);
    let mut socket = subscriber(&server, &key.text).await;
    socket.send(Message::Text(subscribe.to_string().into())).await.unwrap();
    wait_until("the key has two subscriptions", async || {
        let usage = post(&server, &key.text, "{ rateLimits { scope remaining } }").await;
        usage.json::<Value>().await.unwrap()["data"]["rateLimits"][0]["remaining"] == 0
    })
    .await;
    let extensions = refusal(events(&server, &key.text).await).await;
    assert_eq!((&extensions["scope"], &extensions["resource"]), (&json!("key"), &json!("subscriptions")));
    let mut more = subscribe.clone();
    more["id"] = json!("b");
    socket.send(Message::Text(more.to_string().into())).await.unwrap();
    assert_eq!(next(&mut socket, "error").await["payload"][0]["extensions"]["code"], "RATE_LIMITED");
    // Queries are no subscriptions.
    assert_eq!(status(&server, &key.text, HEAD).await, StatusCode::OK);
    // The tenant has one left, for its other key.
    let last = events(&server, &other.text).await;
    assert_eq!(last.status(), StatusCode::OK);
    assert_eq!(refusal(events(&server, &other.text).await).await["scope"], "tenant");
    // A subscription that ends makes room: of a WebSocket by `complete`, of a stream by closing it.
    socket.send(Message::Text(json!({ "type": "complete", "id": "a" }).to_string().into())).await.unwrap();
    drop(stream);
    for _ in 0..2 {
        wait_until("there is room", async || events(&server, &key.text).await.status() == StatusCode::OK).await;
    }
}

/// `google.rpc.RetryInfo` as the only detail at the end of a `google.rpc.Status`.
fn retry_info(seconds: u8) -> Vec<u8> {
    let url = b"type.googleapis.com/google.rpc.RetryInfo";
    let any = [&[0x0a, 40][..], url, &[0x12, 4, 0x0a, 2, 0x08, seconds]].concat();
    [&[0x1a, u8::try_from(any.len()).unwrap()][..], &any].concat()
}

/// An exporter waits as long as it is told, and then sends the same again: over HTTP in both encodings, and over gRPC.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exporter_at_a_limit_is_told_when_to_retry_over_every_protocol() {
    let installation = Installation::new().await;
    let [key] = installation.keys("acme").await;
    // The next request is allowed a minute later.
    installation.set("acme", &["--requests", "1"]).await;
    let server = installation.serve(&[]).await;
    let span = crate::otlp::span("00000000000000a1", "", &crate::otlp::chat("gpt-4o", 10, 2));
    let body = crate::otlp::export("shop", &[span]).to_string();
    let send = async |path: &str, media_type: &str, body: Vec<u8>| {
        let request = http_client().post(format!("{}{path}", server.address)).bearer_auth(&key.text);
        let request = request.header("content-type", media_type).header("te", "trailers").body(body);
        request.send().await.unwrap()
    };
    const GRPC: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let accepted = send("/v1/traces", "application/json", body.clone().into_bytes()).await;
    assert_eq!(accepted.status(), StatusCode::OK);
    assert_eq!(header(&accepted, "retry-after"), None);
    let recorded = async || -> i64 {
        let query = "select count(*) from apex.events where type = 'call.recorded'";
        sqlx::query_scalar(query).fetch_one(&installation.database.pool).await.unwrap()
    };
    assert_eq!(recorded().await, 1);
    let retry_after = |response: &Response| header(response, "retry-after").unwrap().parse::<u8>().unwrap();

    let refused = send("/v1/traces", "application/json", body.clone().into_bytes()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!((1..=60).contains(&retry_after(&refused)));
    assert!(header(&refused, "content-type").unwrap().starts_with("application/json"));
    let answer: Value = refused.json().await.unwrap();
    assert_eq!(answer["code"], 8, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("limit"), "{answer}");

    for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
        let refused = send(path, "application/x-protobuf", Vec::new()).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
        let seconds = retry_after(&refused);
        let status = refused.bytes().await.unwrap();
        assert!(status.starts_with(&[0x08, 8]) && status.ends_with(&retry_info(seconds)), "{path}: {status:?}");
    }

    let refused = send(GRPC, "application/grpc", vec![0; 5]).await;
    // The status of a call is that of gRPC: RESOURCE_EXHAUSTED, which exporters retry if it says when.
    assert_eq!((refused.status(), header(&refused, "grpc-status")), (StatusCode::OK, Some("8")));
    let details = header(&refused, "grpc-status-details-bin").unwrap();
    let details = STANDARD_NO_PAD.decode(details.trim_end_matches('=')).unwrap();
    let seconds = *details.last().unwrap();
    assert!((1..=60).contains(&seconds) && details.ends_with(&retry_info(seconds)), "{details:?}");
    assert_eq!(recorded().await, 1, "what is refused changes nothing");

    // When the limit allows it, the same request is what it was: a repetition, and another one a call.
    installation.set("acme", &["--requests", "1000"]).await;
    wait_until("the new limit applies", async || {
        let accepted = send("/v1/traces", "application/json", body.replace("00a1", "00a2").into_bytes()).await;
        accepted.status() == StatusCode::OK
    })
    .await;
    assert_eq!(recorded().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_limited_before_its_credential_and_a_proxy_by_its_clients() {
    let database = TestDatabase::new().await;
    let limits = ["--token", "tea", "--rate-limits", "address.requests=3"];
    let ask = async |server: &Server, path: &str, forwarded: &[(&str, &str)]| {
        let mut request = http_client().get(format!("{}{path}", server.address));
        for (name, value) in forwarded {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    let server = database.serve(&limits).await;
    // Nobody is trusted: whatever a client says about its address, it is one client. Wrong credentials count.
    for n in 0..3 {
        let forwarded = format!("203.0.113.{n}");
        let answered = ask(&server, "/graphql?query={head}", &[("x-forwarded-for", &forwarded)]).await;
        assert_eq!(answered.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(header(&answered, "ratelimit-policy"), Some("\"address-requests\";q=3;w=60"));
    }
    let refused = ask(&server, "/graphql?query={head}", &[("x-forwarded-for", "203.0.113.9")]).await;
    assert!(header(&refused, "retry-after").is_some());
    assert_eq!(refusal(refused).await["scope"], "address");
    assert_eq!(ask(&server, "/nothing", &[]).await.status(), StatusCode::TOO_MANY_REQUESTS);
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(ask(&server, probe, &[]).await.status(), StatusCode::OK, "{probe}");
    }
    assert_eq!(server.terminate().await.0, Some(0));

    let proxied = [&limits[..], &["--trusted-proxies", "127.0.0.0/8,10.0.0.0/8"]].concat();
    let server = database.serve(&proxied).await;
    for client in ["203.0.113.1", "203.0.113.2", "2001:db8::1"] {
        for n in 0..4 {
            // Another proxy stands before this one, and a client may have made up the first address.
            let forwarded = format!("198.51.100.{n}, {client}, 10.0.0.5");
            let expected = if n < 3 { StatusCode::UNAUTHORIZED } else { StatusCode::TOO_MANY_REQUESTS };
            // The other header is not that of the proxy.
            let headers = [("x-forwarded-for", forwarded.as_str()), ("forwarded", "for=192.0.2.77")];
            assert_eq!(ask(&server, "/graphql?query={head}", &headers).await.status(), expected, "{client}");
        }
    }
    // All addresses of a network of IPv6 are one client.
    let neighbour = ask(&server, "/graphql?query={head}", &[("x-forwarded-for", "2001:db8::2")]).await;
    assert_eq!(neighbour.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(server.terminate().await.0, Some(0));

    let server = database.serve(&[&proxied[..], &["--forwarded-header", "forwarded"]].concat()).await;
    for n in 0..4 {
        let forwarded = format!("for=198.51.100.{n}, for=\"[2001:db8:0:7::1]:4711\";proto=https");
        let expected = if n < 3 { StatusCode::UNAUTHORIZED } else { StatusCode::TOO_MANY_REQUESTS };
        assert_eq!(ask(&server, "/graphql?query={head}", &[("forwarded", &forwarded)]).await.status(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_client_that_waits_as_told_is_answered() {
    let installation = Installation::new().await;
    let [key] = installation.keys("acme").await;
    // One every three seconds: fewer than are sent on a busy machine.
    installation.set("acme", &["--requests", "20"]).await;
    let server = installation.serve(&[]).await;
    let refused = loop {
        let response = post(&server, &key.text, HEAD).await;
        if response.status() != StatusCode::OK {
            break response;
        }
    };
    let wait = refusal(refused).await["retryAfterMs"].as_u64().unwrap();
    assert!((1..=3000).contains(&wait), "{wait}");
    tokio::time::sleep(Duration::from_millis(wait)).await;
    assert_eq!(status(&server, &key.text, HEAD).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_are_no_limits_are_refused_at_the_start() {
    let database = TestDatabase::new().await;
    for (wrong, named) in [
        ("tenant.requests=0", "from 1 to 1000000000"),
        ("team.requests=1", "address.requests, tenant.RESOURCE or key.RESOURCE"),
        ("tenant.requests=1,tenant.requests=2", "given twice"),
    ] {
        let refused = database.run(&["serve", "--rate-limits", wrong]).await;
        assert_eq!(refused.code, Some(2), "{wrong}");
        assert!(refused.stderr.contains(named), "{}", refused.stderr);
    }
    for wrong in ["proxy.example", "10.0.0.0/40"] {
        let refused = database.run(&["serve", "--trusted-proxies", wrong]).await;
        assert!(refused.stderr.contains("is not an IP address or a network"), "{}", refused.stderr);
    }
}
