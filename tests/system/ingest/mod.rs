//! Ingest over the network: lines of Apex's own form, files, responses of providers, and batches of other tools' SDKs.

mod command_line;
mod formats;
mod hostile;
mod langfuse;
mod lines;
mod outage;

use crate::otlp::post_as;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::Write;
use testkit::{Server, TestDatabase};

pub(super) const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A line that states a call.
pub(super) fn call(id: &str, input: u64, output: u64) -> Value {
    json!({
        "type": "call", "id": id, "provider": "openai", "model": "gpt-4o", "agent": "shop",
        "usage": { "input": input, "output": output }, "started_at": "2026-03-10T10:00:00Z",
    })
}

pub(super) fn body(lines: &[Value]) -> Vec<u8> {
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

/// The number of events, without those that only note that another import reports a call or a span, too.
pub(super) async fn changes(database: &TestDatabase) -> i64 {
    let count = "select count(*) from apex.events where type not in ('call.confirmed', 'trace.spans_recorded')";
    sqlx::query_scalar(count).fetch_one(&database.pool).await.unwrap()
}

/// The lines of an answer.
pub(super) fn answers(response: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(response).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Posts lines, and returns the answers.
pub(super) async fn post_lines(server: &Server, lines: Vec<u8>) -> Vec<Value> {
    let (status, response) = post_as(server, "/v1/ingest", &[NDJSON], lines).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&response));
    answers(&response)
}

/// The code of the error of a response.
pub(super) fn code(response: &[u8]) -> String {
    let response: Value = serde_json::from_slice(response).unwrap();
    response["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{response}")).to_owned()
}

pub(super) fn statuses(answers: &[Value]) -> Vec<&str> {
    answers.iter().map(|answer| answer["status"].as_str().unwrap_or_else(|| panic!("{answer}"))).collect()
}
