//! What no client should send: specific errors, bounded memory, and never an error of the server.

use super::{NDJSON, answers, body, call, code, gzip, post_lines, statuses};
use crate::otlp::{post_as, total};
use reqwest::StatusCode;
use serde_json::json;
use testkit::TestDatabase;

/// The path, the headers and the body of a request, and the status and the code of the answer.
type Refused<'a> = (&'a str, &'a [(&'a str, &'a str)], Vec<u8>, StatusCode, &'a str);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_cannot_be_read_get_their_own_errors() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let lines = body(&[call("a", 1, 1)]);
    let packed: (&str, &str) = ("content-encoding", "gzip");
    let bomb = gzip(&vec![0; 300 * 1024 * 1024]);
    assert!(bomb.len() < 512 * 1024);
    let small_bomb = gzip(&vec![b' '; 17 * 1024 * 1024]);
    let truncated = gzip(&lines)[..20].to_vec();
    let cases: [Refused; 13] = [
        ("/v1/ingest", &[NDJSON, packed], bomb, StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"),
        ("/v1/ingest", &[NDJSON, packed], truncated.clone(), StatusCode::BAD_REQUEST, "BODY_DAMAGED"),
        ("/v1/ingest", &[NDJSON, packed], lines.clone(), StatusCode::BAD_REQUEST, "BODY_DAMAGED"),
        ("/v1/ingest", &[NDJSON, ("content-encoding", "zstd")], lines.clone(), StatusCode::BAD_REQUEST, "BODY_DAMAGED"),
        (
            "/v1/ingest",
            &[NDJSON, ("content-encoding", "br")],
            lines.clone(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            "/v1/ingest",
            &[("content-type", "text/csv")],
            lines.clone(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        ("/v1/ingest/autogpt", &[packed], small_bomb.clone(), StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"),
        ("/v1/ingest/autogpt", &[packed], truncated, StatusCode::BAD_REQUEST, "BODY_DAMAGED"),
        ("/v1/ingest/excel", &[], lines.clone(), StatusCode::NOT_FOUND, "UNKNOWN_FORMAT"),
        ("/v1/ingest/csv?modle=x", &[], lines.clone(), StatusCode::BAD_REQUEST, "BAD_USER_INPUT"),
        ("/v1/ingest/file", &[], b"hello".to_vec(), StatusCode::BAD_REQUEST, "UNREADABLE"),
        ("/api/public/ingestion", &[packed], small_bomb, StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"),
        ("/api/public/ingestion", &[], b"{}".to_vec(), StatusCode::BAD_REQUEST, "UNREADABLE"),
    ];
    for (path, headers, body, status, expected) in cases {
        let (found, response) = post_as(&server, path, headers, body).await;
        assert_eq!((found, code(&response).as_str()), (status, expected), "{path} {headers:?}");
    }
    let response = testkit::http_get(format!("{}/v1/ingest", server.address)).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(total(&database, &server).await.0, 0);
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_not_valid_costs_no_other_line() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let many: String = (0..1_000_000).map(|n| format!("\"{n}\":0,")).collect();
    let mut absurd = call("absurd", 0, 0);
    absurd["usage"] = json!({ "input": u64::MAX });
    let mut late = call("late", 1, 1);
    late["started_at"] = json!("9999-12-31T23:59:59Z");
    let deep = format!("{{\"type\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let mut text = body(&[call("first", 1, 1)]);
    for line in [
        format!("{{{many}\"type\":\"call\"}}").into_bytes(),
        absurd.to_string().into_bytes(),
        late.to_string().into_bytes(),
        deep.into_bytes(),
        b"{\"type\":\"call\",\"id\":\"\xff\"}".to_vec(),
        b"{\"type\":\"call\",\"id\":\"a\0b\",\"model\":\"m\"}".to_vec(),
        br#"{"type":"call","id":"a\u0000b","model":"m"}"#.to_vec(),
        br#"{"type":"memory","id":"n","agent":"a","content":"a\u0000b"}"#.to_vec(),
        b"\0\0\0".to_vec(),
        call("last", 1, 1).to_string().into_bytes(),
        br#"{"type":"call","id":"cut","#.to_vec(),
    ] {
        text.extend(line);
        text.push(b'\n');
    }
    text.pop();
    let found = post_lines(&server, text).await;
    let codes: Vec<_> = found.iter().map(|answer| answer["error"]["code"].as_str().unwrap_or("")).collect();
    let expected = [
        "",
        "LINE_TOO_LONG",
        "INVALID_FIELD",
        "REJECTED",
        "INVALID_FIELD",
        "NOT_UTF8",
        "NOT_JSON",
        "INVALID_FIELD",
        "INVALID_FIELD",
        "NOT_JSON",
        "",
        "NOT_JSON",
    ];
    assert_eq!(codes, expected, "{found:?}");
    assert_eq!(total(&database, &server).await.0, 2);
    server.kill().await;
}

/// What arrived whole before the body broke off is recorded and answered, and the answer says that there was more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_keeps_what_was_whole() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let lines = body(&(0..4_000).map(|n| call(&format!("call-{n:x}-{}", n * 7919 % 10_007), 1, 1)).collect::<Vec<_>>());
    let packed = gzip(&lines);
    let (status, response) =
        post_as(&server, "/v1/ingest", &[NDJSON, ("content-encoding", "gzip")], packed[..packed.len() / 2].to_vec())
            .await;
    assert_eq!(status, StatusCode::OK);
    let mut found = answers(&response);
    let last = found.pop().unwrap();
    assert_eq!(last["error"]["code"], "BODY_DAMAGED", "{last}");
    assert!(found.len() > 500 && statuses(&found).iter().all(|status| *status == "created"), "{}", found.len());
    let recorded = total(&database, &server).await.0;
    assert!(recorded >= i64::try_from(found.len()).unwrap());
    server.kill().await;
}
