//! The telemetry of coding agents beside the logs of their sessions: one call, whichever way it comes, and whatever is wrong with
//! an attribute of it.

use super::{TRACE, post_as, span, total, with};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::Write as _;
use tempfile::NamedTempFile;
use testkit::{Server, TestDatabase};

const SONNET: &str = "claude-sonnet-4-5-20250929";

/// A request of Claude Code in its three forms.
#[derive(Clone, Copy)]
enum Form {
    /// The event that it exports.
    Event,
    /// The span that it exports if tracing is on.
    Span,
    /// The lines of its session.
    Session,
}

use Form::{Event, Session, Span};

const ORDERS: [[Form; 3]; 6] = [
    [Event, Span, Session],
    [Event, Session, Span],
    [Span, Event, Session],
    [Span, Session, Event],
    [Session, Event, Span],
    [Session, Span, Event],
];

/// The id that Anthropic gave the request with a number.
fn request_id(number: usize) -> String {
    format!("req_011CStqPRADRX9fx9ReRN{number}")
}

/// What both the event and the span of a request say.
fn usage(number: usize) -> Value {
    json!({
        "session.id": format!("session {number}"), "model": format!("{SONNET}[1m]"), "input_tokens": 4, "output_tokens": 10,
        "cache_read_tokens": 40, "cache_creation_tokens": 25, "request_id": request_id(number), "speed": "normal",
        "duration_ms": 1500,
    })
}

fn of_service(lists: [&str; 3], item: Value) -> Vec<u8> {
    let [of_resources, of_scopes, items] = lists;
    let name = json!({ "key": "service.name", "value": { "stringValue": "claude-code" } });
    let scope = json!({ "scope": { "name": "com.anthropic.claude_code" }, (items): [item] });
    json!({ (of_resources): [{ "resource": { "attributes": [name] }, (of_scopes): [scope] }] }).to_string().into_bytes()
}

fn attributes(values: &Value) -> Value {
    span("01", "", values)["attributes"].take()
}

/// The body of an export of the event of a request.
fn event(values: &Value) -> Vec<u8> {
    let values = with(values.clone(), &json!({ "event.name": "api_request", "cost_usd": 0.0003 }));
    let record = json!({ "timeUnixNano": "1773136801500000000", "body": { "stringValue": "claude_code.api_request" },
        "attributes": attributes(&values) });
    of_service(["resourceLogs", "scopeLogs", "logRecords"], record)
}

/// Two lines of a session, of which the second has all of the output.
fn session(number: usize) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    for output in [1, 10] {
        let usage = json!({ "input_tokens": 4, "output_tokens": output, "cache_read_input_tokens": 40,
            "cache_creation_input_tokens": 25, "cache_creation": { "ephemeral_1h_input_tokens": 25 } });
        let line = json!({
            "type": "assistant", "sessionId": format!("session {number}"), "requestId": request_id(number),
            "uuid": format!("{number}-{output}"), "timestamp": "2026-03-10T10:00:01Z",
            "message": { "id": format!("msg_01XFDUDYJgAACzvnptvVo{number}"), "model": SONNET, "usage": usage },
        });
        writeln!(file, "{line}").unwrap();
    }
    file
}

/// Reports a form of a request. A session is imported by a process of its own.
async fn report(database: &TestDatabase, server: &Server, form: Form, number: usize) {
    let (path, body) = match form {
        Event => ("/v1/logs", event(&usage(number))),
        Span => {
            let mut span = span(&format!("{:016x}", 0x100 + number), "", &usage(number));
            span["name"] = json!("claude_code.llm_request");
            ("/v1/traces", of_service(["resourceSpans", "scopeSpans", "spans"], span))
        }
        Session => {
            let file = session(number);
            database.run(&["import", "claude-code", file.path().to_str().unwrap()]).await.assert_success();
            return;
        }
    };
    let (status, response) = post_as(server, path, &[("content-type", "application/json")], body).await;
    assert_eq!((status, response.as_slice()), (StatusCode::OK, &b"{}"[..]), "{}", String::from_utf8_lossy(&response));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_claude_code_is_charged_once_from_its_event_its_span_and_its_session() {
    let database = TestDatabase::new().await;
    let servers = [database.serve(&[]).await, database.serve(&[]).await];
    for (number, order) in ORDERS.into_iter().enumerate() {
        for (at, form) in order.into_iter().enumerate() {
            report(&database, &servers[at % 2], form, number).await;
        }
    }
    // At once, at both servers and in a process of its own.
    let number = ORDERS.len();
    tokio::join!(
        report(&database, &servers[0], Event, number),
        report(&database, &servers[1], Span, number),
        report(&database, &servers[0], Session, number),
    );
    let right = |calls: u64| {
        // The lines of the session say that the cache was written for an hour.
        let cost = domain::Money::parse("0.000324").unwrap();
        let cost = (0..calls).try_fold(domain::Money::ZERO, |sum, _| sum.checked_add(cost)).unwrap();
        (calls.cast_signed(), 4 * calls, 10 * calls, 40 * calls, 0, cost.to_string())
    };
    assert_eq!(total(&database, &servers[0]).await, right(7));
    // Another request of a session is another call, and so is one whose id anyone counts.
    let other = |id: &str| with(usage(0), &json!({ "request_id": id, "cost_usd": 0.1 }));
    for id in ["req_011CStqNyDzx4398RCLb6XyN", "req_7", ""] {
        let body = event(&other(id));
        for _ in 0..2 {
            let (status, _) =
                post_as(&servers[0], "/v1/logs", &[("content-type", "application/json")], body.clone()).await;
            assert_eq!(status, StatusCode::OK);
        }
    }
    assert_eq!(total(&database, &servers[1]).await.0, 10);
    for server in servers {
        server.kill().await;
    }
}

/// A cost that is none costs its record neither its tokens nor its place, and is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_understood_of_an_event_or_a_span_is_named_and_the_rest_is_charged() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let costs = [json!(-1), json!("NaN"), json!("free"), json!(1e300)];
    for (number, cost) in costs.iter().enumerate() {
        let values = with(usage(number), &json!({ "image_tokens": 9 }));
        let values = with(values, &json!({ "gen_ai.usage.cost": cost }));
        let genai = json!({
            "gen_ai.response.model": SONNET, "gen_ai.usage.input_tokens": 4, "gen_ai.usage.output_tokens": 10,
            "gen_ai.usage.cost": cost, "gen_ai.usage.image_tokens": 9,
        });
        let span = span(&format!("{:016x}", 0x200 + number), "", &genai);
        let record = json!({ "timeUnixNano": "1773136801500000000", "eventName": "claude_code.api_request",
            "attributes": attributes(&values) });
        for (path, body, unread, items) in [
            ("/v1/logs", of_service(["resourceLogs", "scopeLogs", "logRecords"], record), "image_tokens", "records"),
            (
                "/v1/traces",
                of_service(["resourceSpans", "scopeSpans", "spans"], span),
                "gen_ai.usage.image_tokens",
                "spans",
            ),
        ] {
            let (status, response) = post_as(&server, path, &[("content-type", "application/json")], body).await;
            let response: Value = serde_json::from_slice(&response).unwrap();
            let partial = &response["partialSuccess"];
            let message = partial["errorMessage"].as_str().unwrap_or_default();
            assert_eq!(status, StatusCode::OK);
            assert!(
                partial.as_object().unwrap().iter().all(|(name, value)| !name.starts_with("rejected") || value == "0"),
                "{response}"
            );
            let of_cost =
                format!("the attribute \"gen_ai.usage.cost\" of 1 {items} is not an amount of money, such as ");
            let of_unread = format!("the attribute \"{unread}\" of 1 {items} is not understood, and was not counted");
            assert!(message.contains(&of_cost) && message.contains(&of_unread), "{cost}: {response}");
        }
    }
    // The cost of the span and the event of a call are of two calls here: they name no request in common.
    let (calls, input, output, ..) = total(&database, &server).await;
    assert_eq!((calls, input, output), (8, 8 * 4, 8 * 10), "{TRACE}");
    server.kill().await;
}
