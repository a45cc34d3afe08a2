//! The gateway to providers of models, against a stub of them: what it passes on, meters, refuses and leaves behind.

mod budgets;
mod claims;
mod faults;
mod limits;
mod sdk;

use crate::identities::{Installation, Possessions};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::path::PathBuf;
use testkit::{ProviderStub, Server, TIMEOUT, TestDatabase, http_client, wait_until};

const CALLS: &str = "query ($position: Position) { calls(first: 500, minPosition: $position) { nodes {
    agentId key conversation provider model outcome usageAssumed cost source error tags { key value }
    usage { input output cacheRead } } } }";

/// A model that costs a dollar for a million tokens of any kind, at both providers.
async fn set_prices(server: &Server) {
    let price = |provider: &str| {
        json!({ "provider": provider, "model": "m", "effectiveFrom": "2020-01-01T00:00:00Z",
                "components": [{ "meter": "OUTPUT", "rate": "1" }, { "meter": "INPUT", "rate": "1" }] })
    };
    let input = json!({ "source": "test", "prices": [price("openai"), price("anthropic")] });
    let set = "mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome error { message } } }";
    let set = server.graphql(set, json!({ "input": input })).await;
    assert_eq!(set["setPrices"]["outcome"], "DONE", "{set}");
}

/// A stub, and the file of settings by which a gateway passes calls on to it.
struct Upstream {
    stub: ProviderStub,
    folder: tempfile::TempDir,
}

impl Upstream {
    /// Settings with further lines before the tables, and further ones at the end.
    async fn with(before: &str, after: &str) -> Self {
        let (stub, folder) = (ProviderStub::start().await, tempfile::tempdir().unwrap());
        let upstream = Self { stub, folder };
        let url = &upstream.stub.address;
        std::fs::write(upstream.folder.path().join("key"), "provider-key\n").unwrap();
        let settings = format!(
            "{before}\n[[upstream]]\nname = 'openai'\napi = 'openai'\nbase_url = '{url}/v1'\nkey_file = 'key'\n\
             [[upstream]]\nname = 'anthropic'\napi = 'anthropic'\nbase_url = '{url}'\nkey_file = 'key'\n\
             [[upstream]]\nname = 'closed'\napi = 'openai'\nbase_url = 'http://127.0.0.1:9/v1'\n\
             [[model]]\nname = 'm'\noutput_tokens = 100\n{after}\n"
        );
        std::fs::write(upstream.config(), settings).unwrap();
        upstream
    }

    async fn new() -> Self {
        Self::with("", "").await
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("gateway.toml")
    }

    async fn serve(&self, database: &TestDatabase) -> Server {
        let server = database.serve(&["--gateway-config", self.config().to_str().unwrap()]).await;
        set_prices(&server).await;
        server
    }
}

/// A request to an endpoint of the gateway.
fn post(server: &Server, path: &str, body: &Value) -> RequestBuilder {
    http_client().post(format!("{}/gateway/{path}", server.address)).json(body)
}

fn chat(more: &Value) -> Value {
    crate::otlp::with(json!({ "model": "m", "messages": [{ "role": "user", "content": "Weather?" }] }), more)
}

fn message(more: &Value) -> Value {
    crate::otlp::with(chat(&json!({ "max_tokens": 100 })), more)
}

/// The calls in the log, once the read models have them.
async fn calls(database: &TestDatabase, server: &Server) -> Vec<Value> {
    let position = database.head().await.to_string();
    let mut found = server.graphql(CALLS, json!({ "position": position })).await;
    serde_json::from_value(found["calls"]["nodes"].take()).unwrap()
}

/// Waits until there is a number of calls, and returns them.
async fn settled(database: &TestDatabase, server: &Server, count: usize) -> Vec<Value> {
    wait_until("the calls are settled", async || calls(database, server).await.len() >= count).await;
    let found = calls(database, server).await;
    assert_eq!(found.len(), count, "{found:?}");
    found
}

/// The sums of calls are those of the stub, and so is their cost.
fn assert_equals_stub(calls: &[Value], stub: &ProviderStub) {
    let sum = |meter: &str| calls.iter().map(|call| call["usage"][meter].as_u64().unwrap()).sum::<u64>();
    let usage = stub.usage();
    let found = (calls.len() as u64, sum("input"), sum("cacheRead"), sum("output"));
    assert_eq!(found, (usage.calls, usage.input, usage.cached, usage.output), "{calls:?}");
    let cost = |call: &Value| call["cost"].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
    let cost: rust_decimal::Decimal = calls.iter().map(cost).sum();
    let tokens = usage.input + usage.cached + usage.output;
    assert_eq!(cost * rust_decimal::Decimal::from(1_000_000), rust_decimal::Decimal::from(tokens));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_every_endpoint_pass_and_their_usage_and_cost_are_those_of_the_provider() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let stream = json!({ "stream": true });
    let function = json!({ "type": "function", "function": { "name": "weather", "parameters": { "type": "object" } } });
    let requests = [
        ("openai/v1/chat/completions", chat(&json!({}))),
        ("openai/v1/chat/completions", chat(&stream)),
        ("openai/v1/chat/completions", chat(&json!({ "tools": [function] }))),
        ("openai/v1/responses", json!({ "model": "m", "input": "Weather?" })),
        ("openai/v1/responses", json!({ "model": "m", "input": "Weather?", "stream": true })),
        ("openai/v1/embeddings", json!({ "model": "m", "input": "Weather?" })),
        ("openai/v1/embeddings", json!({ "model": "m", "input": "Weather?" })),
        ("anthropic/v1/messages?beta=true", message(&json!({}))),
        ("anthropic/v1/messages", message(&stream)),
    ];
    for (path, body) in &requests {
        let mut request = post(&server, path, body);
        if path.starts_with("anthropic") {
            request = request.header("anthropic-version", "2023-06-01");
        }
        let answered = request.send().await.unwrap();
        assert_eq!(answered.status(), StatusCode::OK, "{path}");
        assert!(answered.headers().contains_key("x-apex-reservation"), "{path}");
        assert!(!answered.headers().contains_key("set-cookie"), "{path}");
        let text = answered.text().await.unwrap();
        assert!(
            text.contains("Sunny") || text.contains("weather") || text.contains("embedding") || text.contains("Sun")
        );
    }
    let counted = post(&server, "anthropic/v1/messages/count_tokens", &message(&json!({}))).send().await.unwrap();
    assert_eq!(counted.json::<Value>().await.unwrap(), json!({ "input_tokens": 30 }));
    let found = settled(&database, &server, requests.len()).await;
    assert_equals_stub(&found, &upstream.stub);
    for call in &found {
        assert_eq!(
            (&call["outcome"], &call["usageAssumed"], &call["source"]),
            (&json!("OK"), &json!(false), &json!("gateway"))
        );
    }
    let received = upstream.stub.requests();
    assert_eq!(received.len(), requests.len() + 1, "nothing is sent twice");
    assert!(received.iter().any(|request| request.path == "/v1/messages?beta=true"));
    for request in received {
        let key = request.headers.get("authorization").or(request.headers.get("x-api-key")).unwrap();
        assert!(key.ends_with("provider-key"), "{request:?}");
        let is_of_anthropic = request.path.contains("messages");
        assert_eq!(
            request.headers.contains_key("anthropic-version"),
            is_of_anthropic && !request.path.contains("count")
        );
    }
    server.terminate().await;
    database.verify_log().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_pass_byte_for_byte_but_for_two_additions() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let send = async |path: &str, text: &str| {
        let request = http_client().post(format!("{}/gateway/openai/v1/{path}", server.address));
        let answered = request.header("content-type", "application/json").body(text.to_owned()).send().await.unwrap();
        assert_eq!(answered.status(), StatusCode::OK);
        (upstream.stub.requests().pop().unwrap().text, answered.text().await.unwrap())
    };
    let odd = "{ \"model\":\"m\" , \"temperature\":1.00, \"messages\":[{\"role\":\"user\",\"content\":\"\\u00e9\"}]}";
    assert_eq!(send("chat/completions", odd).await.0, odd, "without a hard budget, nothing is added");
    let streamed = "{\"stream\":true,\"model\":\"m\",\"messages\":[]}";
    let (sent, events) = send("chat/completions", streamed).await;
    let right = "{\"stream\":true,\"model\":\"m\",\"messages\":[],\"stream_options\":{\"include_usage\":true}}";
    assert_eq!(sent, right);
    assert!(!events.contains("prompt_tokens") && events.ends_with("data: [DONE]\n\n"), "{events}");
    let asking = "{\"stream\":true,\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"messages\":[]}";
    let (sent, events) = send("chat/completions", asking).await;
    assert_eq!(sent, asking);
    assert!(events.contains("prompt_tokens"), "{events}");
    crate::reservations::define(&server, budgets::terms("1")).await;
    let (sent, _) = send("chat/completions", odd).await;
    let body = odd.replace(" \"model\":\"m\" , \"temperature\":1.00, ", "\"model\":\"m\",\"temperature\":1.00,");
    assert_eq!(sent, body.replacen("{ ", "{", 1).replace("]}", "],\"max_completion_tokens\":100}"));
    let limited = "{ \"model\":\"m\", \"max_tokens\": 7, \"messages\":[]}";
    assert_eq!(send("chat/completions", limited).await.0, limited);
    settled(&database, &server, 5).await;
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_attributed_to_what_the_credential_says_and_headers_declare() {
    let (installation, upstream) = (Installation::new().await, Upstream::new().await);
    let config = upstream.config();
    let server = installation.serve(&["--gateway-config", config.to_str().unwrap()]).await;
    let tenant = testkit::tenant().to_string();
    let admin = installation.key(&tenant, "admin", &[]).await;
    let (own, other) = (Possessions::create(&server, &admin).await.0, uuid::Uuid::now_v7().to_string());
    let own = own.agent.to_string();
    let key = installation.key(&tenant, "agent", &["--agent", &own]).await;
    let viewer = installation.key(&tenant, "viewer", &[]).await;
    let send = async |path: &str, header: (&'static str, &str), more: &[(&'static str, &str)]| {
        let body = if path.starts_with("anthropic") { message(&json!({})) } else { chat(&json!({})) };
        let request = post(&server, path, &body).header(header.0, header.1);
        let request = more.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = testkit::send_until_checked(request).await;
        (response.status, response.json())
    };
    let bearer = format!("Bearer {key}");
    let declared = [("x-apex-conversation", "c1"), ("x-apex-tags", "project=apollo")];
    let (status, body) = send("openai/v1/chat/completions", ("authorization", &bearer), &declared).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (status, body) = send("anthropic/v1/messages", ("x-api-key", &key), &[]).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    // What is refused, in the form of the provider.
    let refused = send("openai/v1/chat/completions", ("authorization", &bearer), &[("x-apex-agent", &other)]).await;
    assert_eq!((refused.0, &refused.1["error"]["code"]), (StatusCode::FORBIDDEN, &json!("attribution_denied")));
    let refused = send("anthropic/v1/messages", ("x-api-key", &viewer), &[]).await;
    assert_eq!((refused.0, &refused.1["error"]["type"]), (StatusCode::FORBIDDEN, &json!("permission_error")));
    let refused = send("anthropic/v1/messages", ("x-api-key", "apex_wrong"), &[]).await;
    assert_eq!((refused.0, &refused.1["error"]["type"]), (StatusCode::UNAUTHORIZED, &json!("authentication_error")));
    let refused = send("openai/v1/chat/completions", ("authorization", &bearer), &[("x-apex-task", "x")]).await;
    assert_eq!(refused.0, StatusCode::BAD_REQUEST);
    assert_eq!(upstream.stub.requests().len(), 2);
    let mut found = Value::Null;
    wait_until("both calls are recorded", async || {
        let query = CALLS.replace("($position: Position)", "").replace(", minPosition: $position", "");
        let request = http_client().post(format!("{}/graphql", server.address)).bearer_auth(&admin);
        let response = testkit::send_until_checked(request.json(&json!({ "query": query }))).await;
        found = response.json()["data"]["calls"]["nodes"].take();
        found.as_array().is_some_and(|calls| calls.len() == 2)
    })
    .await;
    let found = found.as_array().unwrap();
    assert!(found.iter().all(|call| call["agentId"].is_string() && call["key"].is_string()), "{found:?}");
    let tagged = found.iter().find(|call| call["conversation"] == "c1").unwrap();
    assert_eq!(tagged["tags"], json!([{ "key": "project", "value": "apollo" }]));
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_runs_in_a_process_of_its_own_and_serves_nothing_else() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = database.serve(&[]).await;
    set_prices(&server).await;
    let gateway = database.gateway(&["--gateway-config", upstream.config().to_str().unwrap()]).await;
    let answered = post(&gateway, "openai/v1/chat/completions", &chat(&json!({}))).send().await.unwrap();
    assert_eq!(answered.status(), StatusCode::OK);
    let status =
        async |path: &str| testkit::http_get(format!("{}/{path}", gateway.address)).await.unwrap().status().as_u16();
    wait_until("the gateway is ready", async || status("readyz").await == 200).await;
    for (path, right) in [("healthz", 200), ("metrics", 200), ("graphql", 404), ("events", 404), ("v1/traces", 404)] {
        assert_eq!(status(path).await, right, "{path}");
    }
    // The server has no upstreams, and says so in the form of the provider.
    let answered = post(&server, "openai/v1/chat/completions", &chat(&json!({}))).send().await.unwrap();
    assert_eq!(answered.status(), StatusCode::NOT_FOUND);
    assert_eq!(answered.json::<Value>().await.unwrap()["error"]["code"], "unknown_upstream");
    assert_equals_stub(&settled(&database, &server, 1).await, &upstream.stub);
    assert_eq!(gateway.terminate().await.0, Some(0));
    server.kill().await;
    let without = database.run(&["gateway", "--listen", "127.0.0.1:0"]).await;
    assert!(without.code == Some(1) && without.stderr.contains("APEX_GATEWAY_CONFIG"), "{}", without.stderr);
}

/// At shutdown, open calls are completed and settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_calls_are_completed_at_shutdown() {
    let (database, upstream) = (TestDatabase::new().await, Upstream::new().await);
    let server = upstream.serve(&database).await;
    let held = chat(&json!({ "user": "hold" }));
    let open = tokio::spawn(post(&server, "openai/v1/chat/completions", &held).send());
    wait_until("the call is held", async || upstream.stub.requests().len() == 1).await;
    let address = server.address.trim_start_matches("http://").to_owned();
    let terminated = tokio::spawn(server.terminate());
    let is_closed = async || tokio::net::TcpStream::connect(&address).await.is_err();
    wait_until("no connection is accepted any more", is_closed).await;
    upstream.stub.release();
    let answered = open.await.unwrap().unwrap();
    assert_eq!(answered.status(), StatusCode::OK);
    assert_eq!(tokio::time::timeout(TIMEOUT, terminated).await.unwrap().unwrap().0, Some(0));
    let server = database.serve(&[]).await;
    assert_equals_stub(&settled(&database, &server, 1).await, &upstream.stub);
    server.kill().await;
}
