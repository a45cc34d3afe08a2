//! Malicious requests: known attacks over every transport, cross-site requests, and values that cannot exist.

use futures::{SinkExt, StreamExt};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Server, TIMEOUT, TestDatabase};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

/// The error code that a query gets over a WebSocket.
async fn over_websocket(server: &Server, query: &str) -> String {
    let url = format!("{}/graphql/ws", server.address.replace("http://", "ws://"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = connect_async(request).await.unwrap();
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": query } });
    for message in [json!({ "type": "connection_init" }), subscribe] {
        socket.send(Message::Text(message.to_string().into())).await.unwrap();
    }
    let answer = async {
        while let Some(Ok(message)) = socket.next().await {
            let message: Value =
                message.to_text().ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            if message["type"] == "error" {
                return message["payload"][0]["extensions"]["code"].as_str().unwrap().to_owned();
            }
        }
        panic!("the connection closed without an error message");
    };
    tokio::time::timeout(TIMEOUT, answer).await.unwrap()
}

/// The error codes that a query gets over each transport.
async fn over_all_transports(server: &Server, query: &str) -> Vec<String> {
    let (client, url) = (Client::new(), format!("{}/graphql", server.address));
    let posted = client.post(&url).json(&json!({ "query": query }));
    let mut codes = vec![code(&posted.send().await.unwrap().json().await.unwrap()).to_owned()];
    if query.len() < 10_000 {
        let got = client.get(&url).query(&[("query", query)]).send().await.unwrap();
        codes.push(code(&got.json().await.unwrap()).to_owned());
    }
    codes.push(over_websocket(server, query).await);
    let streamed = client.post(&url).header("accept", "text/event-stream").json(&json!({ "query": query }));
    let streamed = streamed.send().await.unwrap().text().await.unwrap();
    let data = streamed.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    codes.push(code(&serde_json::from_str(data).unwrap()).to_owned());
    codes
}

/// An unclosed block string once hid the rest of a query from the limits, but not from the parser.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_query_can_neither_crash_nor_stall_the_server() {
    let database = TestDatabase::new().await;
    let mut server = database.serve(&[]).await;
    let hidden = |levels: usize| format!("{{ a(b: [\"\"\"  \" {}{} ] ) }}", "[".repeat(levels), "]".repeat(levels));
    let quotes = |count: usize| format!("{{ a(b: [\"\"\"{} \" ] ) }}", "x\\\"\"\"\"\"".repeat(count));
    for query in [hidden(1_600), hidden(400_000), quotes(1_000), quotes(70_000)] {
        for code in over_all_transports(&server, &query).await {
            assert_eq!(code, "GRAPHQL_PARSE_FAILED");
        }
    }
    for query in
        ["[", "{a:", "[{a:"].map(|open| format!("{{ agents(filter: {} ) {{ nodes {{ id }} }} }}", open.repeat(400)))
    {
        for code in over_all_transports(&server, &query).await {
            assert_eq!(code, "TOO_DEEP");
        }
    }
    assert_eq!(server.child.try_wait().unwrap(), None);
    server.graphql("{ head }", json!({})).await;
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_cross_site_requests_reach_only_healthz() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let client = Client::new();
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = client.request(method, format!("{}{path}", server.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status()
    };
    let routes = [
        "/",
        "/graphql?query=%7Bhead%7D",
        "/graphql/ws",
        "/events?after=0",
        "/graphiql",
        "/graphiql/graphiql.min.js",
        "/agents",
        "/assets/missing.css",
        "/metrics",
        "/readyz",
        "/nothing",
    ];
    for route in routes {
        for method in [Method::GET, Method::POST] {
            // Among others an image of another site, which sends no origin.
            for headers in [
                &[("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "image")][..],
                &[("sec-fetch-site", "same-site")],
                &[("origin", "http://evil.example")],
                &[("origin", "null")],
                &[("host", "evil.example")],
            ] {
                let status = ask(method.clone(), route, headers).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{method} {route} {headers:?}");
            }
        }
        let own = [("sec-fetch-site", "same-origin"), ("origin", server.address.as_str())];
        assert_ne!(ask(Method::GET, route, &own).await, StatusCode::FORBIDDEN, "{route}");
        assert_ne!(ask(Method::GET, route, &[("sec-fetch-site", "none")]).await, StatusCode::FORBIDDEN, "{route}");
    }
    assert_eq!(ask(Method::GET, "/healthz", &[("sec-fetch-site", "cross-site")]).await, StatusCode::OK);
    drop(server.terminate().await);
    // With a token, cross-site requests are allowed: other sites do not know it.
    let server = database.serve(&["--token", "tea"]).await;
    let request = client.get(format!("{}/graphql?query=%7Bhead%7D", server.address)).bearer_auth("tea");
    assert_eq!(request.header("sec-fetch-site", "cross-site").send().await.unwrap().status(), StatusCode::OK);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_no_event_can_match_are_refused_at_once() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let client = Client::new();
    for (parameters, expected) in [
        ("category=%00", "agent, task"),
        ("category=nothing", "agent, task"),
        ("type=%00", "task.completed"),
        ("type=task.finished", "task.completed"),
        ("type=task.completed&type=a%00b", "task.completed"),
        ("category=agent&type=task.completed", "agent.registered"),
        ("streamId=%00", "id"),
        ("after=%00", "position"),
        ("%00=1", "parameter"),
    ] {
        let answer = client.get(format!("{}/events?{parameters}", server.address)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{parameters}");
        let answer: Value = answer.json().await.unwrap();
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{parameters}: {message}");
    }
    for (filter, reason) in [
        (json!({ "category": "\u{0}" }), "UNKNOWN_CATEGORY"),
        (json!({ "types": ["task.finished"] }), "UNKNOWN_EVENT_TYPE"),
        (json!({ "types": ["\u{0}"] }), "UNKNOWN_EVENT_TYPE"),
        (json!({ "category": "task", "types": ["agent.registered"] }), "UNKNOWN_EVENT_TYPE"),
    ] {
        let query = "query ($filter: EventFilter) { events(filter: $filter) { nodes { id } } }";
        let answer = server.graphql_response(query, json!({ "filter": filter })).await;
        assert_eq!(answer["errors"][0]["extensions"]["reason"], reason, "{answer}");
        let query = "subscription ($filter: EventFilter) { events(after: \"0\", filter: $filter) { id } }";
        let request = client.post(format!("{}/graphql", server.address)).header("accept", "text/event-stream");
        let request = request.json(&json!({ "query": query, "variables": { "filter": filter } }));
        let stream = tokio::time::timeout(TIMEOUT, async { request.send().await.unwrap().text().await.unwrap() }).await;
        assert!(stream.unwrap().contains(reason));
    }
    // Filters that an event can match are accepted.
    let query = "{ events(filter: { category: \"agent\", types: [\"agent.registered\"] }) { nodes { id } } }";
    assert_eq!(server.graphql(query, json!({})).await["events"]["nodes"], json!([]));
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_postgresql_cannot_store_are_user_errors() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    for filter in [json!({ "search": "\u{0}" }), json!({ "search": "a\u{0}b" }), json!({ "tag": "\u{0}" })] {
        let query = "query ($filter: MemoryFilter) { memories(filter: $filter) { nodes { id } } }";
        let answer = server.graphql_response(query, json!({ "filter": filter })).await;
        assert_eq!(code(&answer), "BAD_USER_INPUT", "{filter}: {answer}");
    }
    let query = "query ($filter: CallFilter) { calls(filter: $filter) { nodes { id } } }";
    let answer = server.graphql_response(query, json!({ "filter": { "model": "\u{0}" } })).await;
    assert_eq!(code(&answer), "BAD_USER_INPUT", "{answer}");
    // In base64url: a number of microseconds in or before the year 4714 BC, and an id.
    for cursor in [
        "LTIxMDkwMDAwMDAwMDAwMDAwMDowMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA",
        "LTkwMDAwMDAwMDAwMDAwMDAwMDowMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA",
    ] {
        for list in ["agents", "tasks", "calls", "memories", "budgets"] {
            let answer = server
                .graphql_response(&format!("{{ {list}(after: \"{cursor}\") {{ nodes {{ id }} }} }}"), json!({}))
                .await;
            assert_eq!(answer["errors"][0]["extensions"]["reason"], "BAD_CURSOR", "{list}: {answer}");
        }
    }
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_omitted_variable_uses_the_default_of_its_argument() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let query = "query ($by: [Dimension!], $first: Int, $no: Boolean = false) {
        usageReport(by: $by) { total { calls } } agents(first: $first) { nodes { id } } head @include(if: $no) }";
    let data = server.graphql(query, json!({})).await;
    assert_eq!(data, json!({ "usageReport": { "total": { "calls": 0 } }, "agents": { "nodes": [] } }));
    let data = server.graphql(query, json!({ "by": ["MODEL"], "first": 1, "no": true })).await;
    assert!(data["head"].is_string(), "{data}");
    drop(server.terminate().await);
}

/// Compared as text, since JSON parsers do not keep the order. The slow field comes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn response_fields_keep_the_query_order_in_json_and_event_streams() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let query = "{ usageReport(by: []) { total { cost calls } } b: __typename ...F a: __typename }
        fragment F on Query { head z: __typename budgets { nodes { id } } }";
    let keys = ["usageReport", "b", "head", "z", "budgets", "a"];
    let (client, url) = (Client::new(), format!("{}/graphql", server.address));
    for accept in ["application/json", "text/event-stream"] {
        let request = client.post(&url).header("accept", accept).json(&json!({ "query": query }));
        let answer = request.send().await.unwrap().text().await.unwrap();
        let offsets: Vec<_> = keys.iter().map(|key| answer.find(&format!("\"{key}\":")).unwrap()).collect();
        assert!(offsets.is_sorted(), "{answer}");
        assert!(answer.contains("{\"cost\":\"0\",\"calls\":0}"), "{answer}");
    }
    drop(server.terminate().await);
}
