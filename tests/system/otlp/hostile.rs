//! Bodies that are made to harm: bombs, absurd sizes, nesting, counts and times, on every route of exporters. Each gets a
//! specific error or a partial success with a reason; nothing that is refused is recorded; the memory of the server is
//! bounded; and it goes on answering.

use super::{chat, export, post_as, span, total};
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::Write;
use testkit::protobuf::{attribute, field, fixed64, integer};
use testkit::{Server, TestDatabase, memory_kb};

const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const HTTP: [&str; 3] = ["/v1/traces", "/v1/logs", "/v1/metrics"];
const GRPC: [&str; 3] = [
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
];

/// The most memory of the server at any time of a test, in MiB: a body of 16 MiB and the spans of one are held for as many
/// requests as are decoded at once.
const MAX_SERVER_MB: u64 = 400;

/// An export with the fields of one scope, which hold spans, records of logs, or metrics.
fn in_scope(fields: &[u8]) -> Vec<u8> {
    field(1, &field(2, fields))
}

/// A span with fields behind its ids and its start.
fn protobuf_span(id: u8, more: &[u8]) -> Vec<u8> {
    let start = fixed64(7, 1_773_136_800_000_000_000);
    field(2, &[&field(1, &[7; 16])[..], &field(2, &[id; 8]), &start, more].concat())
}

/// Attributes that make a span a call.
fn protobuf_call() -> Vec<u8> {
    let model = attribute(9, "gen_ai.response.model", &field(1, b"gpt-4o"));
    [model, attribute(9, "gen_ai.usage.input_tokens", &integer(3, 10))].concat()
}

/// A value of `levels` lists of keys inside of each other.
fn nested(levels: usize) -> Vec<u8> {
    let mut value = field(1, b"x");
    for _ in 0..levels {
        value = field(6, &field(1, &[field(1, b"k"), field(2, &value)].concat()));
    }
    value
}

fn nested_json(levels: usize) -> String {
    let (open, close) = (r#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}");
    format!("{}{{\"stringValue\":\"x\"}}{}", open.repeat(levels), close.repeat(levels))
}

/// A member of gzip that is a MiB of zeros, as often as it takes.
fn gzip_bomb(mebibytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 1024 * 1024]).unwrap();
    encoder.finish().unwrap().repeat(mebibytes)
}

/// One member of gzip, as gRPC reads only one.
fn gzip_member(mebibytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1024 * 1024];
    (0..mebibytes).for_each(|_| encoder.write_all(&zeros).unwrap());
    encoder.finish().unwrap()
}

/// A frame of zstd whose blocks of four bytes are each 128 KiB of zeros; `window` is the byte that describes its window.
fn zstd_bomb(mebibytes: usize, window: u8) -> Vec<u8> {
    let block = |last: u32| (last | 1 << 1 | (128 * 1024) << 3).to_le_bytes()[..3].to_vec();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
    let count = mebibytes * 8;
    for number in 1..=count {
        frame.extend(block(u32::from(number == count)));
        frame.push(0);
    }
    frame
}

/// The windows of 128 KiB and of 2 GiB.
const WINDOW_128_KIB: u8 = 7 << 3;
const WINDOW_2_GIB: u8 = 21 << 3;

async fn assert_alive(server: &Server) {
    let response = testkit::http_get(format!("{}/healthz", server.address)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let peak = memory_kb(server.child.id().unwrap(), "VmHWM") / 1024;
    assert!(peak < MAX_SERVER_MB, "the server took {peak} MiB");
}

/// Posts a message of gRPC that is compressed, and returns the status of gRPC.
async fn post_grpc(server: &Server, path: &str, encoding: &str, message: &[u8]) -> String {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[1][..], &length, message].concat();
    let request = testkit::http_client().post(format!("{}{path}", server.address)).body(body);
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    let response = request.header("grpc-encoding", encoding).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_are_refused_at_the_limit_on_every_route() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let bombs = [
        ("gzip", gzip_bomb(1024), StatusCode::PAYLOAD_TOO_LARGE),
        ("zstd", zstd_bomb(1024, WINDOW_128_KIB), StatusCode::PAYLOAD_TOO_LARGE),
        ("zstd", zstd_bomb(1, WINDOW_2_GIB), StatusCode::BAD_REQUEST),
    ];
    let mut attacks = Vec::new();
    for path in HTTP {
        for (encoding, bomb, expected) in &bombs {
            assert!(bomb.len() < 2 * 1024 * 1024, "{} bytes", bomb.len());
            for media_type in [JSON, PROTOBUF] {
                let headers = [media_type, ("content-encoding", encoding)];
                let (server, bomb) = (&server, bomb.clone());
                attacks.push(async move {
                    let (status, body) = post_as(server, path, &headers, bomb).await;
                    assert_eq!(status, *expected, "{path} {headers:?}: {}", String::from_utf8_lossy(&body));
                });
            }
        }
    }
    futures::future::join_all(attacks).await;
    let (gzip, zstd) = (gzip_member(64), zstd_bomb(1024, WINDOW_128_KIB));
    for path in GRPC {
        for (encoding, bomb) in [("gzip", &gzip), ("zstd", &zstd)] {
            // Resource exhausted, or out of range.
            let status = post_grpc(&server, path, encoding, bomb).await;
            assert!(["8", "11"].contains(&status.as_str()), "{path} {encoding}: {status}");
        }
    }
    assert_alive(&server).await;
    assert_eq!(total(&database, &server).await.0, 0);
    server.kill().await;
}

/// A million of what takes two bytes each, in a body within the limit of bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_of_anything_is_bounded() {
    const MILLION: usize = 1_000_000;
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let json_list = |around: &str, item: &str| {
        let items = format!("{item},").repeat(MILLION);
        around.replace('@', items.trim_end_matches(',')).into_bytes()
    };
    let message = |number: u8| [number << 3 | 2, 0].repeat(MILLION);
    let too_large = (StatusCode::PAYLOAD_TOO_LARGE, "spans");
    let nothing = (StatusCode::OK, "");
    let cases = [
        (HTTP[0], PROTOBUF, in_scope(&message(2)), too_large),
        (HTTP[0], PROTOBUF, field(1, &message(2)), nothing),
        (HTTP[0], PROTOBUF, message(1), nothing),
        (HTTP[0], JSON, json_list(r#"{"resourceSpans":[{"scopeSpans":[{"spans":[@]}]}]}"#, "{}"), too_large),
        (HTTP[0], JSON, json_list(r#"{"resourceSpans":[{"scopeSpans":[@]}]}"#, "{}"), nothing),
        (HTTP[0], JSON, json_list(r#"{"resourceSpans":[@]}"#, "{}"), nothing),
        (HTTP[1], PROTOBUF, in_scope(&message(2)), nothing),
        (HTTP[1], JSON, json_list(r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[@]}]}]}"#, "{}"), nothing),
        (HTTP[2], PROTOBUF, in_scope(&message(2)), nothing),
        (HTTP[2], JSON, json_list(r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[@]}]}]}"#, "{}"), nothing),
    ];
    for (path, media_type, body, (status, reason)) in cases {
        let (found, response) = post_as(&server, path, &[media_type], body).await;
        let response = String::from_utf8_lossy(&response);
        assert_eq!(found, status, "{path} {media_type:?}: {response}");
        assert!(response.contains(reason), "{path} {media_type:?}: {response}");
    }
    assert_alive(&server).await;
    assert_eq!(total(&database, &server).await.0, 0);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_with_a_million_attributes_is_rejected_alone() {
    const MILLION: usize = 1_000_000;
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let reason = "1000000 attributes, which is more than the limit of 4096";
    let many = field(9, &field(1, b"a")).repeat(MILLION);
    let body = in_scope(&[protobuf_span(1, &protobuf_call()), protobuf_span(2, &many)].concat());
    let (status, response) = post_as(&server, HTTP[0], &[PROTOBUF], body).await;
    assert_eq!(status, StatusCode::OK);
    assert!(String::from_utf8_lossy(&response).contains(&format!("span 2: {reason}")), "{response:?}");
    let attributes = r#"{"key":"a"},"#.repeat(MILLION);
    let ids = r#""traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00000000000000a2""#;
    let of_span = format!(r#"{{{ids},"attributes":[{}]}}"#, attributes.trim_end_matches(','));
    let valid = span("00000000000000a1", "", &chat("gpt-4o", 10, 1));
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{of_span},{valid}]}}]}}]}}"#).into_bytes();
    let (status, response) = post_as(&server, HTTP[0], &[JSON], body).await;
    let response: Value = serde_json::from_slice(&response).unwrap();
    assert_eq!((status, &response["partialSuccess"]["rejectedSpans"]), (StatusCode::OK, &json!("1")));
    let message = response["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.contains(&format!("span 1: {reason}")), "{message}");
    // A resource with too many names no service, and costs no span.
    let of_resource = field(1, &field(1, &field(1, b"a")).repeat(MILLION));
    let scope = field(2, &protobuf_span(3, &protobuf_call()));
    let (status, response) = post_as(&server, HTTP[0], &[PROTOBUF], field(1, &[of_resource, scope].concat())).await;
    assert_eq!((status, response), (StatusCode::OK, vec![]));
    assert_alive(&server).await;
    assert_eq!(total(&database, &server).await.0, 3);
    server.kill().await;
}

/// The most memory that reading the texts of a body takes beside what reading the body without them takes, in MiB.
const MAX_TEXTS_MB: u64 = 48;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_take_no_memory_for_each_element_or_letter() {
    const ELEMENTS: usize = 5_000_000;
    let database = TestDatabase::new().await;
    let server = database.serve(&["--span-contents", "true"]).await;
    let list = "0,".repeat(ELEMENTS);
    let json = |name: &str| {
        let ids = r#""traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00000000000000a1""#;
        let span = format!(r#"{{{ids},"{name}":[{list}0]}}"#);
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#).into_bytes()
    };
    // Each letter takes six in JSON.
    let letters = field(5, &field(1, &field(1, &vec![1; 12_000_000])));
    let protobuf = |name: &str| in_scope(&protobuf_span(1, &attribute(9, name, &letters)));
    let peak_mb = async |bodies: Vec<((&'static str, &'static str), Vec<u8>)>| {
        for (media_type, body) in bodies {
            let (status, response) = post_as(&server, HTTP[0], &[media_type], body).await;
            assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&response));
        }
        memory_kb(server.child.id().unwrap(), "VmHWM") / 1024
    };
    let without = peak_mb(vec![(JSON, json("other")), (PROTOBUF, protobuf("other"))]).await;
    let bodies = [(JSON, json("events")), (JSON, json("attributes")), (PROTOBUF, protobuf("input.value"))];
    for (media_type, body) in bodies {
        let with = peak_mb(vec![(media_type, body)]).await;
        assert!(with < without + MAX_TEXTS_MB, "{media_type:?}: {with} MiB rather than {without}");
    }
    server.kill().await;
}

/// What is not read may be of any depth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_any_depth_are_skipped() {
    const LEVELS: usize = 10_000;
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let deep = nested(LEVELS);
    let of_span = [attribute(9, "deep", &deep), protobuf_call()].concat();
    let of_resource = field(1, &attribute(1, "deep", &deep));
    let body = field(1, &[of_resource, field(2, &protobuf_span(1, &of_span))].concat());
    let record = field(2, &[field(5, &deep), attribute(6, "deep", &deep)].concat());
    for (path, body) in [(HTTP[0], body), (HTTP[1], in_scope(&record))] {
        assert_eq!(post_as(&server, path, &[PROTOBUF], body).await, (StatusCode::OK, vec![]), "{path}");
    }
    let deep = nested_json(LEVELS);
    let placeholder = json!({ "key": "deep", "value": "@" });
    let mut span = span("00000000000000a1", "", &chat("gpt-4o", 10, 1));
    span["attributes"].as_array_mut().unwrap().insert(0, placeholder.clone());
    let record = json!({ "body": "@", "attributes": [placeholder] });
    let logs = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] });
    for (path, body) in [(HTTP[0], export("shop", &[span])), (HTTP[1], logs)] {
        let body = body.to_string().replace("\"@\"", &deep).into_bytes();
        let (status, response) = post_as(&server, path, &[JSON], body).await;
        assert_eq!((status, String::from_utf8_lossy(&response).as_ref()), (StatusCode::OK, "{}"), "{path}");
    }
    assert_alive(&server).await;
    assert_eq!(total(&database, &server).await.0, 2);
    server.kill().await;
}

/// Posts spans, and returns the number of those that were rejected and the reasons.
async fn rejected(server: &Server, spans: &[Value]) -> (u64, String) {
    let body = export("shop", spans).to_string().into_bytes();
    let (status, response) = post_as(server, HTTP[0], &[JSON], body).await;
    let response: Value = serde_json::from_slice(&response).unwrap();
    assert_eq!(status, StatusCode::OK, "{response}");
    let partial = &response["partialSuccess"];
    let count = partial["rejectedSpans"].as_str().map_or(0, |count| count.parse().unwrap());
    (count, partial["errorMessage"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_that_no_call_can_have_are_rejected_with_their_value() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let input = "gen_ai.usage.input_tokens";
    for (value, reason) in [
        (json!({ "intValue": "9223372036854775808" }), "is \"9223372036854775808\""),
        (json!({ "intValue": 9_223_372_036_854_775_808_u64 }), "is \"9.223372036854776e18\""),
        (json!({ "intValue": "9223372036854775807" }), ": 9223372036854775807 is too large for a quantity"),
        (json!({ "intValue": "9007199254740992" }), ": 9007199254740992 is too large for a quantity"),
        (json!({ "intValue": "-1" }), ": -1 is negative"),
        (json!({ "intValue": "-9223372036854775808" }), ": -9223372036854775808 is negative"),
        (json!({ "stringValue": "1e308" }), "is \"1e308\""),
        (json!({ "stringValue": "NaN" }), "is \"NaN\""),
        (json!({ "doubleValue": "NaN" }), "is \"NaN\""),
        (json!({ "doubleValue": "-Infinity" }), "is \"-Infinity\""),
        (json!({ "doubleValue": 1e308 }), "is \"1e308\""),
        (json!({ "doubleValue": 1.5 }), "is \"1.5\""),
        (json!({ "doubleValue": -1.0 }), ": -1 is negative"),
    ] {
        let mut span = span("00000000000000a1", "", &chat("gpt-4o", 10, 1));
        let attributes = span["attributes"].as_array_mut().unwrap();
        attributes.iter_mut().find(|attribute| attribute["key"] == input).unwrap()["value"] = value.clone();
        let (count, message) = rejected(&server, &[span]).await;
        assert_eq!(count, 1, "{value}: {message}");
        let separator = if reason.starts_with(':') { "" } else { " " };
        assert!(message.contains(&format!("span 1: {input}{separator}{reason}")), "{value}: {message}");
    }
    // The same in protobuf: the largest number without a sign is -1, and a float has all bits.
    for (value, reason) in [
        ([&[3 << 3][..], &[0xff; 9], &[1]].concat(), "-1 is negative"),
        ([&[3 << 3][..], &[0x80; 9], &[1]].concat(), "-9223372036854775808 is negative"),
        ([&[4 << 3 | 1][..], &f64::NAN.to_le_bytes()].concat(), "is \"NaN\""),
        ([&[4 << 3 | 1][..], &1e308_f64.to_le_bytes()].concat(), "is \"1e308\""),
        ([&[4 << 3 | 1][..], &f64::NEG_INFINITY.to_le_bytes()].concat(), "is \"-inf\""),
    ] {
        let model = attribute(9, "gen_ai.response.model", &field(1, b"gpt-4o"));
        let body = in_scope(&protobuf_span(1, &[model, attribute(9, input, &value)].concat()));
        let (status, response) = post_as(&server, HTTP[0], &[PROTOBUF], body).await;
        let message = String::from_utf8_lossy(&response);
        assert!(status == StatusCode::OK && message.contains(reason), "{reason}: {message}");
    }
    assert_alive(&server).await;
    let events: i64 = sqlx::query_scalar("select count(*) from apex.events where type like 'call.%'")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(events, 0, "something that was rejected is in the log");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_wrong_clocks_are_rejected_or_have_no_duration() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let at = |id: u8, start: &str, end: &str| {
        let mut span = span(&format!("{id:016x}"), "", &chat("gpt-4o", 10, 1));
        (span["startTimeUnixNano"], span["endTimeUnixNano"]) = (json!(start), json!(end));
        span
    };
    let now = "1773136800000000000";
    for (start, end, reason) in [
        ("1000000000", "2000000000", "the call would have started at 1970-01-01"),
        // 2262-04-11, the last time that fits; 2500 and 9999, which do not.
        ("9223372036854775807", "9223372036854775807", "the call started at 2262-04-11"),
        ("16725225600000000000", "16725225600000000000", "startTimeUnixNano is \"16725225600000000000\""),
        ("253402300799000000000", "253402300799000000000", "startTimeUnixNano is \"253402300799000000000\""),
        ("-1", now, "startTimeUnixNano is \"-1\""),
        ("0", now, "startTimeUnixNano is \"0\""),
        ("yesterday", now, "startTimeUnixNano is \"yesterday\""),
        // A duration of years.
        (now, "9223372036854775807", "latency"),
    ] {
        let (count, message) = rejected(&server, &[at(1, start, end)]).await;
        assert_eq!(count, 1, "{start} to {end}: {message}");
        assert!(message.contains(reason), "{start} to {end}: {message}");
    }
    assert_eq!(total(&database, &server).await.0, 0);
    // An end before the start, far in the past or the future, or unreadable: the call counts, and has no latency.
    let ends = ["1773136799000000000", "1", "18446744073709551615", "0", "never"];
    let spans: Vec<_> = (1..).zip(ends).map(|(id, end)| at(id, now, end)).collect();
    assert_eq!(rejected(&server, &spans).await, (0, String::new()));
    assert_eq!(total(&database, &server).await.0, 5);
    let latencies: Vec<Option<i64>> =
        sqlx::query_scalar("select (payload ->> 'latency_ms')::bigint from apex.events where type = 'call.recorded'")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(latencies, [None; 5]);
    assert_alive(&server).await;
    server.kill().await;
}
