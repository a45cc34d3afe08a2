//! Which spans are charged, across requests: the order in which they arrive does not matter.

use super::{chat, export, post, post_as, span, total, with};
use serde_json::{Value, json};
use testkit::TestDatabase;

const CHILD: &str = "00000000000000c1";
const OTHER: &str = "00000000000000c2";
const PARENT: &str = "00000000000000a1";

/// Sends each span in a request of its own.
async fn charged(spans: &[Value]) -> (i64, u64, u64) {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    for span in spans {
        post(&server, &export("shop", std::slice::from_ref(span))).await;
    }
    // What is sent again changes nothing.
    let before = database.head().await;
    for span in spans {
        post(&server, &export("shop", std::slice::from_ref(span))).await;
    }
    assert_eq!(database.head().await, before, "a repetition wrote events");
    let (calls, input, output, ..) = total(&database, &server).await;
    database.assert_equals_rebuild(&["calls", "budgets"], &[1, 1000]).await;
    server.kill().await;
    (calls, input, output)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_is_not_charged_whichever_span_arrives_first() {
    let spans = [
        span(PARENT, "", &chat("gpt-4o", 30, 5)),
        span(CHILD, PARENT, &chat("gpt-4o", 10, 2)),
        span(OTHER, PARENT, &chat("gpt-4o", 20, 3)),
    ];
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0]] {
        let spans = order.map(|at: usize| spans[at].clone());
        assert_eq!(charged(&spans).await, (2, 30, 5), "{order:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_over_an_embedding_and_a_sum_over_chats() {
    let embedding = with(chat("text-embedding-3-small", 9, 0), &json!({ "gen_ai.operation.name": "embeddings" }));
    let agent = json!({
        "gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 109, "gen_ai.usage.output_tokens": 7,
    });
    let spans =
        [span(PARENT, "", &agent), span(CHILD, PARENT, &chat("gpt-4o", 100, 7)), span(OTHER, CHILD, &embedding)];
    assert_eq!(charged(&spans).await, (2, 109, 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_that_grows_is_one_call_with_its_end() {
    let running = span(CHILD, "", &chat("gpt-4o", 10, 1));
    let ended = span(CHILD, "", &chat("gpt-4o", 10, 20));
    assert_eq!(charged(&[running.clone(), ended.clone()]).await, (1, 10, 20));
    assert_eq!(charged(&[ended, running]).await, (1, 10, 20));
}

/// While it runs, the outer span has the amounts of the inner one. At its end it has more: it is a call of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_that_grows_is_charged() {
    let spans = [
        span(PARENT, "", &chat("gpt-4o", 10, 2)),
        span(CHILD, PARENT, &chat("gpt-4o", 10, 2)),
        span(PARENT, "", &chat("gpt-4o", 50, 9)),
    ];
    assert_eq!(charged(&spans).await, (2, 60, 11));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sum_that_is_none_is_told() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let agent = json!({
        "gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 500, "gen_ai.usage.output_tokens": 7,
    });
    let spans = [span(PARENT, "", &agent), span(CHILD, PARENT, &chat("gpt-4o", 100, 7))];
    let response = post(&server, &export("shop", &spans)).await;
    let message = response["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.contains(PARENT) && message.contains("sums up to input 500, output 7"), "{message}");
    assert_eq!(response["partialSuccess"]["rejectedSpans"], "0");
    server.kill().await;
}

/// Many spans of one trace: they take several appends, and the sum over them is reversed if it came first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_of_many_calls_takes_several_appends() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let children: Vec<_> = (1..=100).map(|n| span(&format!("{n:016x}"), PARENT, &chat("gpt-4o", n, 1))).collect();
    let sum = span(PARENT, "", &chat("gpt-4o", 5050, 100));
    post(&server, &export("shop", &[sum])).await;
    assert_eq!(total(&database, &server).await.0, 1);
    post(&server, &export("shop", &children)).await;
    let (calls, input, output, ..) = total(&database, &server).await;
    assert_eq!((calls, input, output), (100, 5050, 100));
    server.kill().await;
}

/// Two processes receive parts of one trace at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_may_be_spread_over_processes() {
    let database = TestDatabase::new().await;
    let (one, other) = (database.serve(&[]).await, database.serve(&[]).await);
    let sums: Vec<_> =
        (0..20_i64).map(|n| (format!("{:016x}", 0xa00 + n), format!("{:016x}", 0xc00 + n), n + 1)).collect();
    let parents = sums.iter().map(|(parent, _, n)| span(parent, "", &chat("gpt-4o", *n, 1))).collect::<Vec<_>>();
    let children =
        sums.iter().map(|(parent, child, n)| span(child, parent, &chat("gpt-4o", *n, 1))).collect::<Vec<_>>();
    let (parents, children) = (export("shop", &parents), export("shop", &children));
    tokio::join!(post(&one, &parents), post(&other, &children));
    let (calls, input, ..) = total(&database, &one).await;
    assert_eq!((calls, input), (20, 210));
    one.kill().await;
    other.kill().await;
}

/// A GenAI event says what its span does: with the span, before it or after it, it is one call. Without a span, it is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_and_its_span_are_one_call_and_an_event_without_a_span_is_refused() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let events = async |of: &[(&str, Value)]| {
        let record = |(span_id, attributes): &(&str, Value)| {
            let mut record = json!({
                "timeUnixNano": "1773136801000000000", "eventName": "gen_ai.client.inference.operation.details",
                "attributes": span(CHILD, "", attributes)["attributes"],
            });
            if !span_id.is_empty() {
                record = with(record, &json!({ "traceId": super::TRACE, "spanId": span_id }));
            }
            record
        };
        let records: Vec<_> = of.iter().map(record).collect();
        let body = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] }).to_string();
        let sent = post_as(&server, "/v1/logs", &[("content-type", "application/json")], body.into_bytes()).await;
        serde_json::from_slice::<Value>(&sent.1).unwrap()
    };
    let (before, after) = (chat("gpt-4o", 10, 2), chat("gpt-4o", 20, 4));
    assert_eq!(events(&[(CHILD, before.clone())]).await, json!({}));
    let spans = [span(CHILD, "", &before), span(OTHER, "", &after)];
    assert_eq!(post(&server, &export("shop", &spans)).await, json!({}));
    assert_eq!(events(&[(OTHER, after)]).await, json!({}));
    let (calls, input, output, ..) = total(&database, &server).await;
    assert_eq!((calls, input, output), (2, 30, 6));
    let refused = events(&[("", chat("gpt-4o", 1, 1)), ("", json!({ "event.name": "other" }))]).await;
    assert_eq!(refused["partialSuccess"]["rejectedLogRecords"], "1", "{refused}");
    let message = refused["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.contains("log record 1") && message.contains("traceId"), "{message}");
    assert_eq!(total(&database, &server).await.0, 2);
    server.kill().await;
}
