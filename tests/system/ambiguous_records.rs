//! Records of which it is not obvious which of them are one call, imported in each order: the totals of the calls at the
//! prices of the included price book, worked out by hand.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use testkit::TestDatabase;

/// Calls, tokens of input and of output, and the cost in US dollars.
type Total = (u64, u64, u64, &'static str);

const SESSIONS: [&str; 2] = ["11111111-aaaa-4bbb-8ccc-000000000001", "22222222-aaaa-4bbb-8ccc-000000000002"];

/// A response in the log of a session of Claude Code.
struct Line {
    session: usize,
    message_id: &'static str,
    /// The JSON value of the request id; none if the line has no such field.
    request_id: Option<Value>,
    at: &'static str,
    usage: (u64, u64),
    model: &'static str,
}

impl Line {
    const fn new(message_id: &'static str, at: &'static str, usage: (u64, u64)) -> Self {
        Self { session: 0, message_id, request_id: None, at, usage, model: "claude-sonnet-4-5-20250929" }
    }

    /// The line in a log, with an id that no other line of the case has.
    fn json(&self, uuid: &str) -> String {
        let usage = json!({ "input_tokens": self.usage.0, "output_tokens": self.usage.1 });
        let message = json!({ "id": self.message_id, "role": "assistant", "model": self.model, "usage": usage });
        let mut line = json!({ "type": "assistant", "sessionId": SESSIONS[self.session], "uuid": uuid,
                               "timestamp": self.at, "message": message });
        if let Some(request_id) = &self.request_id {
            line["requestId"] = request_id.clone();
        }
        line.to_string()
    }
}

/// A span of a chat in an export, in a trace of its own or in that of the span before it.
struct Span {
    is_in_same_trace: bool,
    provider: &'static str,
    model: &'static str,
    response_id: &'static str,
    usage: (u64, u64),
}

fn spans(spans: &[Span]) -> String {
    let mut trace = 0;
    let spans = spans.iter().zip(1_u64..).map(|(span, number)| {
        trace += u64::from(!span.is_in_same_trace);
        let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
        let count = |key: &str, value: u64| json!({ "key": key, "value": { "intValue": value.to_string() } });
        json!({ "traceId": format!("{trace:032x}"), "spanId": format!("{number:016x}"), "name": "chat",
                "startTimeUnixNano": "1773136800000000000", "endTimeUnixNano": "1773136801000000000",
                "attributes": [
                    text("gen_ai.operation.name", "chat"), text("gen_ai.provider.name", span.provider),
                    text("gen_ai.request.model", span.model), text("gen_ai.response.model", span.model),
                    text("gen_ai.response.id", span.response_id),
                    count("gen_ai.usage.input_tokens", span.usage.0), count("gen_ai.usage.output_tokens", span.usage.1),
                ] })
    });
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans.collect::<Vec<_>>() }] }] }).to_string()
}

/// What the calls of each conversation cost.
async fn cost_by_conversation(database: &TestDatabase) -> BTreeMap<String, String> {
    let sql =
        "select conversation, trim_scale(sum(cost))::text from apex.calls where conversation is not null group by 1";
    let rows: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&database.pool).await.unwrap();
    rows.into_iter().collect()
}

/// Imports files, each with its format, in both orders and then again, and asserts the total each time. Returns what each
/// conversation costs, which is the same in both orders.
async fn assert_total(case: &str, files: &[(&str, String)], expected: Total) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = |at: usize| folder.path().join(format!("{at}"));
    for (at, (_, content)) in files.iter().enumerate() {
        std::fs::write(path(at), content).unwrap();
    }
    let ahead: Vec<_> = (0..files.len()).collect();
    let back: Vec<_> = ahead.iter().rev().copied().collect();
    let mut found = Vec::new();
    for order in [ahead, back] {
        let database = TestDatabase::new().await;
        for at in order.iter().chain(&order) {
            import(&database, files[*at].0, &path(*at)).await;
        }
        let total = database.total().await;
        let (calls, input, output, cost) = expected;
        let expected = json!([calls, input, output, cost, 0]);
        let total = json!([
            total["calls"],
            total["input_tokens"],
            total["output_tokens"],
            total["cost"],
            total["unpriced_calls"]
        ]);
        assert_eq!(total, expected, "{case}, {order:?}");
        database.assert_equals_rebuild(&["calls"], &[1, 1000]).await;
        found.push(cost_by_conversation(&database).await);
    }
    assert_eq!(found[0], found[1], "{case}: the owners in both orders");
    found.remove(0)
}

async fn import(database: &TestDatabase, format: &str, file: &Path) {
    database.run(&["import", format, file.to_str().unwrap()]).await.assert_success();
}

fn log(lines: &[Line]) -> (&'static str, String) {
    let line = |(at, line): (usize, &Line)| line.json(&format!("u-{}-{at}", line.session)) + "\n";
    ("claude-code", lines.iter().enumerate().map(line).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_request_id_is_not_another_request() {
    for other in [None, Some(Value::Null), Some(json!(""))] {
        let first = Line { request_id: Some(json!("req_r")), ..Line::new("msg_r", "2026-03-10T10:00:00Z", (100, 50)) };
        let case = format!("{other:?}");
        let copy = Line { request_id: other, ..Line::new("msg_r", "2026-03-10T10:00:01Z", (100, 50)) };
        assert_total(&case, &[log(&[first, copy])], (1, 100, 50, "0.00105")).await;
    }
    let lines =
        [Line::new("msg_z", "2026-03-10T10:00:00Z", (100, 5)), Line::new("msg_z", "2026-03-10T10:00:01Z", (100, 50))];
    assert_total("none has one", &[log(&lines)], (1, 100, 50, "0.00105")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_id_that_a_relay_gives_to_all_responses_identifies_none() {
    let a = |id| {
        [
            Line::new(id, "2026-03-10T10:00:00Z", (1000, 100)),
            Line::new(id, "2026-03-10T10:01:00Z", (1001, 101)),
            Line::new(id, "2026-03-10T10:02:00Z", (1002, 102)),
        ]
    };
    let b = [
        Line { session: 1, ..Line::new("ocrelay", "2026-03-11T10:00:00Z", (2000, 200)) },
        Line { session: 1, ..Line::new("ocrelay", "2026-03-11T10:01:00Z", (2001, 201)) },
    ];
    let files = [log(&a("ocrelay")), log(&b)];
    assert_total("the id of a relay", &files, (5, 7004, 704, "0.031572")).await;
    assert_total("an empty id", &[log(&a(""))], (3, 3003, 303, "0.013554")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_a_resumed_session_copied_is_that_of_the_first_session() {
    let line = |session, id, at, output| Line {
        session,
        request_id: Some(json!(format!("req_{id}"))),
        ..Line::new(id, at, (100, output))
    };
    let first = [
        line(0, "msg_c1", "2026-03-10T10:00:00Z", 1),
        line(0, "msg_c1", "2026-03-10T10:00:01Z", 1),
        line(0, "msg_c1", "2026-03-10T10:00:02Z", 159),
    ];
    let resumed = [
        line(1, "msg_c1", "2026-03-10T10:00:00Z", 1),
        line(1, "msg_c1", "2026-03-10T10:00:02Z", 159),
        line(1, "msg_c2", "2026-03-12T10:00:02Z", 41),
    ];
    let files = [log(&first), log(&resumed)];
    let costs = assert_total("two files", &files, (2, 200, 200, "0.0036")).await;
    let expected = [(SESSIONS[0], "0.002685"), (SESSIONS[1], "0.000915")];
    assert_eq!(costs, expected.map(|(session, cost)| (session.to_owned(), cost.to_owned())).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_id_identifies_a_call_only_where_its_form_is_unique() {
    let span =
        |provider, model, response_id, usage| Span { is_in_same_trace: false, provider, model, response_id, usage };
    let local = [("llama3.2", (900, 90)), ("llama3.2", (700, 50))];
    let priced = |usage: (u64, u64)| span("openai", "gpt-4o", "chatcmpl-Abc123uniq", usage);

    // A counter that a server restarts at 0: two calls, also of two models.
    let counters = local.map(|(_, usage)| span("openai", "gpt-4o", "chatcmpl-373", usage));
    assert_total("a counter", &[("otlp", spans(&counters))], (2, 1600, 140, "0.0054")).await;
    let models = [span("openai", "gpt-4o", "0", (900, 90)), span("openai", "gpt-4o-mini", "0", (700_000, 50))];
    assert_total("two models", &[("otlp", spans(&models))], (2, 700_900, 140, "0.10818")).await;

    // Two instrumentations of one call, which may name the provider in two ways.
    for other in ["openai", "azure.ai.openai"] {
        let one = priced((900, 90));
        let sibling = Span { is_in_same_trace: true, provider: other, ..priced((900, 90)) };
        assert_total(other, &[("otlp", spans(&[one, sibling]))], (1, 900, 90, "0.00315")).await;
    }
}

/// A counter under which two models answer at the same time: no total depends on which of them was read first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_of_two_models_under_one_counter_have_the_same_total_in_any_order() {
    let models = ["claude-haiku-4-5-20251001", "claude-opus-4-1-20250805"];
    let line = |second: u64, model| {
        let at = format!("2026-03-10T10:00:{second:02}Z").leak();
        Line { model, ..Line::new("chatcmpl-0", at, (1000, 100)) }
    };
    let of = |first: usize| log(&[line(0, models[first]), line(1, models[1 - first]), line(2, models[first])]);
    let haiku_twice = assert_total("haiku first", &[of(0)], (3, 3000, 300, "0.0255")).await;
    assert_eq!(haiku_twice.len(), 1);
    assert_total("opus first", &[of(1)], (3, 3000, 300, "0.0465")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_between_two_prices_is_charged_by_the_time_it_began() {
    let line = |at, output| Line {
        request_id: Some(json!("r1")),
        model: "claude-3-5-haiku-20241022",
        ..Line::new("m1", at, (100_000, output))
    };
    let (before, after) = (line("2024-12-02T23:59:59Z", 1), line("2024-12-03T00:00:01Z", 1000));
    let after = ("claude-code", after.json("b"));
    let before = ("claude-code", before.json("a"));
    assert_total("the price rises in between", &[before, after], (1, 100_000, 1000, "0.105")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_response_in_two_formats_is_one_call() {
    let at = "2026-03-10T10:00:00Z";
    let line = Line { request_id: Some(json!("req_9")), ..Line::new("msg_9", at, (1000, 100)) };
    let span = Span {
        is_in_same_trace: false,
        provider: "anthropic",
        model: line.model,
        response_id: "msg_9",
        usage: line.usage,
    };
    let files = [log(&[line]), ("otlp", spans(&[span]))];
    assert_total("a line and a span", &files, (1, 1000, 100, "0.0045")).await;
}

/// As above, from files that several processes import at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_of_two_models_under_one_counter_have_the_same_total_in_racing_processes() {
    let models = ["gpt-4o", "gpt-4o-mini"];
    let lines = (0..40).flat_map(|counter| {
        models.map(|model| {
            json!({ "run": "r", "challenge": "c", "id": format!("chatcmpl-{counter}"), "created": 1_773_136_800, "model": model,
                "usage": { "prompt_tokens": 1000, "completion_tokens": 100 } })
            .to_string()
        })
    });
    let mut lines: Vec<_> = lines.collect();
    for _ in 0..3 {
        let files = [lines.clone(), lines.iter().rev().cloned().collect()].map(|lines: Vec<String>| {
            let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
            std::io::Write::write_all(&mut file, lines.join("\n").as_bytes()).unwrap();
            file
        });
        let [one, other] = files.each_ref().map(|file| file.path().to_str().unwrap());
        let database = TestDatabase::new().await;
        let import = async |file| database.run(&["import", "autogpt", file]).await.assert_success();
        tokio::join!(import(one), import(other), import(one));
        // 40 calls at 2.5 and 10, and 40 at 0.15 and 0.6 dollars per million tokens.
        let total = database.total().await;
        let right = json!({ "calls": 80, "input_tokens": 80_000, "output_tokens": 8000, "cost": "0.1484" });
        for (field, value) in right.as_object().unwrap() {
            assert_eq!(&total[field], value, "{field} of {total}");
        }
        lines.rotate_left(7);
    }
}
