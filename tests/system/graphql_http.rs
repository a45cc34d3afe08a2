//! GraphQL over HTTP: status codes, content negotiation, limits, authentication and headers.

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

const GRAPHQL: &str = "application/graphql-response+json";
const JSON: &str = "application/json";

fn request(server: &Server, method: Method) -> reqwest::RequestBuilder {
    Client::new().request(method, format!("{}/graphql", server.address))
}

async fn post(server: &Server, accept: &str, body: &str) -> (StatusCode, String, Value) {
    let request = request(server, Method::POST).header("accept", accept).header("content-type", JSON);
    read(request.body(body.to_owned()).send().await.unwrap()).await
}

async fn read(response: Response) -> (StatusCode, String, Value) {
    let media_type = response.headers()["content-type"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let status = response.status();
    (status, media_type, response.json().await.unwrap())
}

fn code(body: &Value) -> &str {
    body["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{body}"))
}

fn query(query: &str) -> String {
    json!({ "query": query }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_http_status_reflects_the_outcome_of_a_request() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    // The body; the status for application/graphql-response+json and for application/json; the error code.
    let cases = [
        (query("{ head }"), 200, 200, None),
        (query("{"), 400, 200, Some("GRAPHQL_PARSE_FAILED")),
        (query("{ nothing }"), 400, 200, Some("GRAPHQL_VALIDATION_FAILED")),
        (query("{ agent(id: 1.5) { id } }"), 400, 200, Some("GRAPHQL_VALIDATION_FAILED")),
        (query("{ agents(minPosition: \"x\") { nodes { id } } }"), 400, 200, Some("GRAPHQL_VALIDATION_FAILED")),
        (query("query ($id: ID!) { agent(id: $id) { id } }"), 400, 200, Some("GRAPHQL_VALIDATION_FAILED")),
        (query("query A { head } query B { head }"), 400, 200, Some("OPERATION_NOT_FOUND")),
        (query("{ agent(id: \"x\") { id } }"), 200, 200, Some("BAD_USER_INPUT")),
        (query("{ agents(first: 0) { nodes { id } } }"), 200, 200, Some("BAD_USER_INPUT")),
        (query("subscription { events { id } }"), 400, 400, Some("SUBSCRIPTION_NEEDS_WEBSOCKET")),
        ("{".to_owned(), 400, 400, Some("BAD_REQUEST")),
        ("[]".to_owned(), 400, 400, Some("BAD_REQUEST")),
        (format!("[{}]", query("{ head }")), 400, 400, Some("BAD_REQUEST")),
        ("{}".to_owned(), 400, 400, Some("BAD_REQUEST")),
        (json!({ "query": 1 }).to_string(), 400, 400, Some("BAD_REQUEST")),
        (json!({ "query": "{ head }", "variables": [] }).to_string(), 400, 400, Some("BAD_REQUEST")),
        ("\u{0}".to_owned(), 400, 400, Some("BAD_REQUEST")),
    ];
    for (body, graphql_status, json_status, error) in cases {
        for (accept, expected) in [(GRAPHQL, graphql_status), (JSON, json_status)] {
            let (status, media_type, answer) = post(&server, accept, &body).await;
            assert_eq!((status.as_u16(), media_type.as_str()), (expected, accept), "{body}: {answer}");
            assert_eq!(error, answer.get("errors").map(|_| code(&answer)), "{body}: {answer}");
            let executed = error.is_none() || error == Some("BAD_USER_INPUT");
            assert_eq!(answer.get("data").is_some(), executed, "{body}: {answer}");
        }
    }
}

/// What failed is null, or what it is in, up to the data themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_failed_are_null_and_have_an_error() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let ask = async |text: &str| {
        let (status, _, mut answer) = post(&server, GRAPHQL, &query(text)).await;
        let path = answer["errors"][0]["path"].take();
        assert_eq!(
            (status, code(&answer), answer["errors"].as_array().map(Vec::len)),
            (StatusCode::OK, "BAD_USER_INPUT", Some(1))
        );
        (answer.get("data").cloned().unwrap_or_else(|| panic!("{answer}")), path)
    };
    let register = |fields: &str| format!("mutation {{ registerAgent(input: {{ name: \"ada\" }}) {{ {fields} }} }}");
    // No page has 0 tasks.
    let fails = "tasks(first: 0) { nodes { id } }";
    let nothing = "agent(id: \"x\") { id }";
    let (data, path) = ask(&register(&format!("outcome agent {{ name {fails} }}"))).await;
    assert_eq!(data, json!({ "registerAgent": { "outcome": "DONE", "agent": null } }), "the command was executed");
    assert_eq!(path, json!(["registerAgent", "agent", "tasks"]));
    let (_, _, registered) = post(&server, GRAPHQL, &query(&register("position agent { id }"))).await;
    let (id, position) =
        (&registered["data"]["registerAgent"]["agent"]["id"], &registered["data"]["registerAgent"]["position"]);
    let at = format!("minPosition: {position}");
    let null = Value::Null;
    for (text, expected, failed) in [
        (format!("{{ {nothing} }}"), json!({ "agent": null }), json!(["agent"])),
        (format!("{{ a: {nothing} __typename }}"), json!({ "a": null, "__typename": "Query" }), json!(["a"])),
        (format!("{{ ...F }} fragment F on Query {{ {nothing} }}"), json!({ "agent": null }), json!(["agent"])),
        (format!("{{ agent(id: {id}, {at}) {{ {fails} }} }}"), json!({ "agent": null }), json!(["agent", "tasks"])),
        (
            format!("{{ node(id: {id}) {{ id ... on Agent {{ list: {fails} }} }} }}"),
            json!({ "node": null }),
            json!(["node", "list"]),
        ),
        (
            format!("{{ a: {nothing} agent(id: {id}) {{ name tasks {{ nodes {{ id }} }} }} }}"),
            json!({ "a": null, "agent": { "name": "ada", "tasks": { "nodes": [] } } }),
            json!(["a"]),
        ),
        ("{ head agents(first: 0) { nodes { id } } }".to_owned(), null.clone(), json!(["agents"])),
    ] {
        assert_eq!(ask(&text).await, (expected, failed), "{text}");
    }
    let of_all = format!("{{ head agents(first: 1, {at}) {{ nodes {{ name {fails} }} }} }}");
    assert_eq!(ask(&of_all).await, (null, json!(["agents", "nodes", 0, "tasks"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_and_media_types_are_negotiated() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let get = async |pairs: &[(&str, &str)]| {
        read(request(&server, Method::GET).header("accept", GRAPHQL).query(pairs).send().await.unwrap()).await
    };
    let (status, _, body) = get(&[
        ("query", "query ($id: ID!) { agent(id: $id) { id } }"),
        ("variables", "{\"id\":\"00000000-0000-0000-0000-000000000000\"}"),
    ])
    .await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "data": { "agent": null } })));
    let (status, _, body) = get(&[("query", "mutation { registerAgent(input: { name: \"x\" }) { outcome } }")]).await;
    assert_eq!((status, code(&body)), (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"));
    assert_eq!(get(&[]).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(get(&[("query", "{ head }"), ("variables", "{")]).await.0, StatusCode::BAD_REQUEST);
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let response = request(&server, method).send().await.unwrap();
        assert_eq!(response.headers()["allow"], "GET, POST");
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    let body = query("{ head }");
    let sent = |accept: Option<&str>, content_type: Option<&str>| {
        let mut request = request(&server, Method::POST).body(body.clone());
        for (name, value) in [("accept", accept), ("content-type", content_type)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        async { read(request.send().await.unwrap()).await }
    };
    for (accept, expected) in [
        (None, JSON),
        (Some("*/*"), JSON),
        (Some("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8"), GRAPHQL),
        (Some("application/json, application/graphql-response+json;q=0.5"), JSON),
    ] {
        let (status, media_type, _) = sent(accept, Some(JSON)).await;
        assert_eq!((status, media_type.as_str()), (StatusCode::OK, expected), "{accept:?}");
    }
    let (status, _, body) = sent(Some("text/html"), Some(JSON)).await;
    assert_eq!((status, code(&body)), (StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE"));
    for content_type in
        [None, Some("text/plain"), Some("application/graphql"), Some("application/json; charset=latin1")]
    {
        let (status, _, body) = sent(Some(GRAPHQL), content_type).await;
        let expected = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE");
        assert_eq!((status, code(&body)), expected, "{content_type:?}");
    }
    let large = query(&format!("{{ head }} # {}", "x".repeat(1024 * 1024)));
    let (status, _, body) = post(&server, GRAPHQL, &large).await;
    assert_eq!((status, code(&body)), (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"));
    let response = testkit::http_get(format!("{}/nothing", server.address)).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_beyond_a_limit_are_refused_with_its_error_code() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let nested = |levels: usize| format!("{}x{}", "{ a ".repeat(levels), "}".repeat(levels));
    let aliases = |count: usize| format!("{{ {} }}", (0..count).map(|n| format!("a{n}: head ")).collect::<String>());
    let real = "{ agents { nodes { tasks { nodes { agent { tasks { nodes { agent { tasks { nodes { agent { tasks { nodes { agent { tasks { nodes { id } } } } } } } } } } } } } } } } }";
    let bomb: String = (0..30).map(|n| format!("fragment F{n} on Query {{ ...F{m} ...F{m} }} ", m = n + 1)).collect();
    for (what, body, refused) in [
        ("100 levels", nested(100), "TOO_DEEP"),
        ("1,000 levels", nested(1_000), "TOO_DEEP"),
        ("100,000 levels", nested(100_000), "TOO_DEEP"),
        ("100,000 levels of lists", format!("{{ a(b: {}) }}", "[".repeat(100_000)), "TOO_DEEP"),
        ("16 levels that exist", real.to_owned(), "TOO_DEEP"),
        ("101 aliases", aliases(101), "TOO_MANY_ALIASES"),
        ("50,000 aliases", aliases(50_000), "TOO_MANY_TOKENS"),
        ("2^30 fields", format!("{{ ...F0 }} {bomb} fragment F30 on Query {{ head }}"), "TOO_COMPLEX"),
        (
            "500 × 500 tasks",
            "{ agents(first: 500) { nodes { tasks(first: 500) { nodes { id } } } } }".into(),
            "TOO_COMPLEX",
        ),
        ("a circle", "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }".into(), "FRAGMENT_CYCLE"),
    ] {
        let (status, _, answer) = post(&server, GRAPHQL, &query(&body)).await;
        assert_eq!((status, code(&answer)), (StatusCode::BAD_REQUEST, refused), "{what}: {answer}");
    }
    let deep =
        json!({ "query": "{ head }", "variables": { "a": null } }).to_string().replace("null", &"[".repeat(100_000));
    assert_eq!(post(&server, GRAPHQL, &deep).await.0, StatusCode::BAD_REQUEST);
    // The server still runs, and the introspection query of common tools is accepted.
    let introspection = include_str!("introspection.graphql");
    let (status, _, answer) = post(&server, GRAPHQL, &query(introspection)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_token_is_required() {
    let database = TestDatabase::new().await;
    let server = database.serve(&["--token", "tea"]).await;
    let ask = async |token: Option<&str>| {
        let mut request = request(&server, Method::POST).json(&json!({ "query": "{ head }" }));
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        request.send().await.unwrap()
    };
    for wrong in [None, Some("Bearer coffee"), Some("tea"), Some("Basic tea")] {
        let response = ask(wrong).await;
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"apex\"");
        let (status, _, body) = read(response).await;
        assert_eq!((status, code(&body)), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"), "{wrong:?}");
    }
    assert_eq!(ask(Some("Bearer tea")).await.status(), StatusCode::OK);
    for open in ["/healthz", "/readyz", "/graphiql", "/", "/agents"] {
        let response = testkit::http_get(format!("{}{open}", server.address)).await.unwrap();
        assert_ne!(response.status(), StatusCode::UNAUTHORIZED, "{open}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mutation_continues_the_clients_trace_and_records_its_actor() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let correlation = uuid::Uuid::new_v4();
    let response = request(&server, Method::POST)
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("x-apex-actor", "ada")
        .header("x-correlation-id", correlation.to_string())
        .json(&json!({ "query": "mutation { registerAgent(input: { name: \"x\" }) { position } }" }));
    let (_, _, body) = read(response.send().await.unwrap()).await;
    let position: u64 = body["data"]["registerAgent"]["position"].as_str().unwrap().parse().unwrap();
    let query = format!("{{ events(after: \"{}\") {{ nodes {{ metadata }} }} }}", position - 1);
    let metadata = server.graphql(&query, json!({})).await["events"]["nodes"][0]["metadata"].take();
    assert_eq!((&metadata["actor"], &metadata["correlation_id"]), (&json!("ada"), &json!(correlation)));
    let traceparent = metadata["traceparent"].as_str().unwrap_or_else(|| panic!("{metadata}"));
    assert!(traceparent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{traceparent}");
    assert!(!traceparent.contains("b7ad6b7169203331"), "the span id must be the server's own: {traceparent}");
    let bad = request(&server, Method::POST).header("x-correlation-id", "x").json(&json!({ "query": "{ head }" }));
    let (status, _, body) = read(bad.send().await.unwrap()).await;
    assert_eq!((status, code(&body)), (StatusCode::BAD_REQUEST, "BAD_HEADER"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_are_streamed_to_clients_that_accept_event_streams() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let stream = async |accept: &str, body: &str| {
        let request = request(&server, Method::POST).header("accept", accept).header("content-type", JSON);
        let response = request.body(query(body)).send().await.unwrap();
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        (response.status().as_u16(), media_type, response)
    };
    let event_stream = "text/event-stream";
    // Refusals are sent in the stream, like results.
    for (body, begins) in [
        ("{ agents { nodes { id } } }", "event: next\ndata: {\"data\":{\"agents\":{\"nodes\":[]}}}\n\n"),
        ("mutation { registerAgent(input: { name: \"x\" }) { outcome } }", "event: next\ndata: {\"data\":"),
        ("{", "event: next\ndata: {\"errors\":[{\"message\":"),
        ("{ nothing }", "event: next\ndata: {\"errors\":[{\"message\":"),
        ("subscription { events(after: \"4000000000\") { id } }", "event: next\ndata: {\"errors\":[{\"message\":"),
    ] {
        let (status, media_type, response) = stream(event_stream, body).await;
        assert_eq!((status, media_type.as_str()), (200, event_stream), "{body}");
        let text = response.text().await.unwrap();
        assert!(text.starts_with(begins) && text.ends_with("\n\nevent: complete\ndata: \n\n"), "{body}: {text}");
        assert_eq!(text.matches("event: ").count(), 2, "{text}");
    }
    // A client that also accepts JSON gets JSON, except for subscriptions.
    let both = "application/json, text/event-stream";
    assert!(stream(both, "{ head }").await.1.starts_with(JSON));
    let (_, media_type, mut response) = stream(both, "subscription { events(after: \"0\") { position } }").await;
    assert_eq!(media_type, event_stream);
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    let first = "event: next\ndata: {\"data\":{\"events\":{\"position\":\"1\"}}}\nid: 1\n\n";
    assert!(text.starts_with(first), "{text}");
    for (path, header, status) in [
        ("/events?after=x", "", 400),
        ("/events?after=99999", "", 400),
        ("/events?nothing=1", "", 400),
        ("/events?streamId=x", "", 400),
        ("/events?after=0", "x", 400),
        ("/events?after=99999", "1", 200),
    ] {
        let request = testkit::http_client().get(format!("{}{path}", server.address)).header("last-event-id", header);
        assert_eq!(request.send().await.unwrap().status(), status, "{path}, {header:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_carry_browser_security_headers() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    for path in [
        "/graphql?query={head}",
        "/graphql",
        "/healthz",
        "/readyz",
        "/metrics",
        "/nowhere",
        "/graphiql",
        "/graphiql/start.js",
        "/",
        "/agents/x",
        "/assets/missing.css",
    ] {
        let response = testkit::http_get(format!("{}{path}", server.address)).await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        let scripts = policy.split(';').find(|part| part.trim().starts_with("script-src"));
        assert_eq!(
            scripts.map(str::trim),
            ["/graphiql", "/", "/agents/x"].contains(&path).then_some("script-src 'self'"),
            "{path}"
        );
    }
    // The policy allows no inline scripts, so the page must have none.
    let page = testkit::http_get(format!("{}/graphiql", server.address)).await.unwrap().text().await.unwrap();
    assert!(page.split("<script").skip(1).all(|script| script.starts_with(" src=\"/graphiql/")), "{page}");
    assert!(!page.contains(" onload=") && !page.contains("javascript:"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_cannot_claim_to_be_a_policy() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let head = server.graphql("{ head }", json!({})).await;
    let register = json!({ "query": "mutation { registerAgent(input: { name: \"x\" }) { position } }" });
    let response = request(&server, Method::POST).header("x-apex-actor", "policy:budget-alerts").json(&register);
    let (status, _, body) = read(response.send().await.unwrap()).await;
    assert_eq!((status, code(&body)), (StatusCode::BAD_REQUEST, "BAD_HEADER"), "{body}");
    assert_eq!(server.graphql("{ head }", json!({})).await, head, "the mutation was executed");
}
