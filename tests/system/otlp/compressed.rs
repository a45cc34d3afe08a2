//! Bodies that are compressed as exporters compress them: each is read as it is without compression.

use super::{chat, export, of_agent, post_as, report, span};
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::Write as _;
use testkit::TestDatabase;
use testkit::protobuf::{attribute, field, fixed64, integer};

/// Compresses a body.
type Encode = fn(&[u8]) -> Vec<u8>;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    // In two blocks, as of a stream.
    let (first, second) = content.split_at(content.len() / 2);
    encoder.write_all(first).unwrap();
    encoder.flush().unwrap();
    encoder.write_all(second).unwrap();
    encoder.finish().unwrap()
}

/// An `ExportTraceServiceRequest` with a call of a service.
fn protobuf(service: &str, id: u8) -> Vec<u8> {
    let text = |text: &str| field(1, text.as_bytes());
    let span = [
        field(1, &[7; 16]),
        field(2, &[0, 0, 0, 0, 0, 0, 7, id]),
        field(5, b"chat"),
        fixed64(7, 1_773_136_800_000_000_000),
        fixed64(8, 1_773_136_800_000_000_000),
        attribute(9, "gen_ai.response.model", &text("gpt-4o")),
        attribute(9, "gen_ai.usage.input_tokens", &integer(3, 100)),
        attribute(9, "gen_ai.usage.output_tokens", &integer(3, 10)),
    ];
    let name = attribute(1, "service.name", &text(service));
    let of_scope = field(2, &field(2, &span.concat()));
    field(1, &[field(1, &name), of_scope].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_read_as_the_one_without_over_every_route() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let codings: [(&str, Encode); 3] = [("identity", <[u8]>::to_vec), ("gzip", gzip), ("zstd", zstd)];
    for (number, (coding, encode)) in codings.into_iter().enumerate() {
        let number = u8::try_from(number).unwrap();
        let call = |of: &str| {
            span(
                &format!("000000000000{:04x}", 0x100 * u16::from(of.as_bytes()[0]) + u16::from(number)),
                "",
                &chat("gpt-4o", 100, 10),
            )
        };
        let json = export(&format!("json {coding}"), &[call("j")]).to_string().into_bytes();
        let line = json!({ "type": "call", "id": format!("call {coding}"), "agent": format!("line {coding}"), "model": "gpt-4o",
                           "usage": { "input": 100, "output": 10 } });
        let of_file = export(&format!("file {coding}"), &[call("f")]).to_string().into_bytes();
        let lines = format!("{line}\n").into_bytes();
        for (path, media_type, body) in [
            ("/v1/traces", "application/json", json),
            ("/v1/traces", "application/x-protobuf", protobuf(&format!("proto {coding}"), number)),
            ("/v1/ingest", "application/x-ndjson", lines),
            ("/v1/ingest/otlp", "application/octet-stream", of_file),
        ] {
            let encoded = encode(&body);
            assert_eq!(encoded == body, coding == "identity");
            let headers = [("content-type", media_type), ("content-encoding", coding)];
            let headers = if coding == "identity" { &headers[..1] } else { &headers };
            let (status, response) = post_as(&server, path, headers, encoded).await;
            let response = String::from_utf8_lossy(&response).into_owned();
            assert_eq!(status, StatusCode::OK, "{path} {coding}: {response}");
        }
        // A message of gRPC says that it is compressed, and its header how.
        let message = encode(&protobuf(&format!("grpc {coding}"), 0x10 + number));
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let frame = [&[u8::from(coding != "identity")][..], &length, &message].concat();
        let headers = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-encoding", coding)];
        let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let (status, response) = post_as(&server, path, &headers, frame).await;
        assert_eq!((status, response.as_slice()), (StatusCode::OK, &[0; 5][..]), "grpc {coding}");
    }
    let report = report(&database, &server, &["AGENT"]).await;
    for (coding, _) in codings {
        for route in ["json", "proto", "line", "file", "grpc"] {
            let agent = format!("{route} {coding}");
            let totals = of_agent(&report, &agent).map(|(calls, input, output, ..)| (calls, input, output));
            assert_eq!(totals, Some((1, 100, 10)), "{agent}");
        }
    }
    // Another coding than the header says, and a body that is cut off, change nothing.
    let head = database.head().await;
    let body = export("shop", &[span("00000000000000a1", "", &chat("gpt-4o", 1, 1))]).to_string().into_bytes();
    let cut = zstd(&body);
    for (coding, body) in
        [("gzip", zstd(&body)), ("zstd", gzip(&body)), ("zstd", cut[..cut.len() - 4].to_vec()), ("zstd", body.clone())]
    {
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        let (status, response) = post_as(&server, "/v1/traces", &headers, body).await;
        let response: Value = serde_json::from_slice(&response).unwrap();
        assert_eq!((status, &response["code"]), (StatusCode::BAD_REQUEST, &json!(3)), "{coding}: {response}");
    }
    assert_eq!(database.head().await, head);
    server.kill().await;
}
