//! Filters of the usage report: which calls they select, over GraphQL, in subscriptions and on the command line.

use serde_json::{Value, json};
use testkit::{Server, TIMEOUT, TestDatabase};
use uuid::Uuid;

const ADA: Uuid = Uuid::from_u128(0xADA << 112);
const BOB: Uuid = Uuid::from_u128(0xB0B << 112);
const TASK: Uuid = Uuid::from_u128(0x7A5C << 112);

/// Calls whose input tokens are powers of two, so that a sum of tokens says which calls it is about. The last one is the
/// call of a tool, which has no model.
fn calls() -> [Value; 6] {
    let call = |agent: Uuid, provider: &str, model: &str, started_at: &str, input: u64| {
        json!({ "agentId": agent, "provider": provider, "model": model, "startedAt": started_at,
                "usage": { "input": input } })
    };
    let mut of_task = call(ADA, "acme", "m1", "2023-09-01T07:10:00Z", 1);
    of_task["taskId"] = json!(TASK);
    [
        of_task,
        call(ADA, "acme", "m1", "2023-09-01T08:10:00Z", 2),
        call(BOB, "acme", "m1", "2023-09-02T07:10:00Z", 4),
        call(BOB, "acme", "m2", "2023-09-30T23:59:59Z", 8),
        call(ADA, "other", "m2", "2023-10-01T00:00:00Z", 16),
        json!({ "kind": "TOOL", "tool": "search", "agentId": ADA, "startedAt": "2023-09-01T07:20:00Z" }),
    ]
}

/// Reports the calls, at 3 dollars a token of `acme`'s models, and returns the last position.
async fn report_calls(server: &Server) -> Value {
    let prices = ["m1", "m2"].map(|model| {
        json!({ "provider": "acme", "model": model, "effectiveFrom": "2010-01-01T00:00:00Z",
                "components": [{ "meter": "INPUT", "rate": "3000000" }, { "meter": "OUTPUT", "rate": "0" }] })
    });
    let set = "mutation ($input: SetPricesInput!) { setPrices(input: $input) { outcome } }";
    server.graphql(set, json!({ "input": { "prices": prices } })).await;
    let report = "mutation ($input: ReportCallInput!) { reportCall(input: $input) { outcome position } }";
    let mut position = Value::Null;
    for call in calls() {
        let reported = server.graphql(report, json!({ "input": call })).await["reportCall"].take();
        assert_eq!(reported["outcome"], "DONE", "{call}");
        position = reported["position"].clone();
    }
    position
}

const REPORT: &str = "query ($by: [Dimension!], $filter: [UsageFilter!], $from: DateTime, $to: DateTime, $first: Int,
    $after: String, $position: Position) {
    usageReport(by: $by, filter: $filter, from: $from, to: $to, first: $first, after: $after, minPosition: $position) {
        nodes { keys { value } totals { calls toolCalls inputTokens cost } } pageInfo { endCursor hasNextPage }
        total { calls toolCalls inputTokens cost } rest { inputTokens }
    }
}";

/// A dimension and the value that calls must have.
type Condition<'a> = (&'a str, Option<&'a str>);

fn filter(conditions: &[Condition<'_>]) -> Value {
    conditions.iter().map(|(dimension, value)| json!({ "dimension": dimension, "value": value })).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_select_calls_by_any_dimension() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let position = report_calls(&server).await;
    let (ada, task) = (ADA.to_string().to_uppercase(), TASK.to_string());
    // The conditions, with the sum of the tokens, the number of calls of models, and that of calls of tools.
    let cases: &[(&[Condition<'_>], u32, u32, u32)] = &[
        (&[], 31, 5, 1),
        (&[("MODEL", Some("m1"))], 7, 3, 0),
        (&[("MODEL", Some("m1")), ("MODEL", Some("m2"))], 31, 5, 0),
        (&[("MODEL", None)], 0, 0, 1),
        (&[("MODEL", Some("m2")), ("MODEL", None)], 24, 2, 1),
        (&[("MODEL", Some("m3"))], 0, 0, 0),
        (&[("PROVIDER", Some("acme")), ("MODEL", Some("m2"))], 8, 1, 0),
        (&[("AGENT", Some(&ada))], 19, 3, 1),
        (&[("AGENT", Some(&ada)), ("MODEL", Some("m1"))], 3, 2, 0),
        (&[("TASK", Some(&task))], 1, 1, 0),
        (&[("TASK", None)], 30, 4, 1),
        (&[("HOUR", Some("2023-09-01T07:00Z"))], 1, 1, 1),
        (&[("DAY", Some("2023-09-01"))], 3, 2, 1),
        (&[("DAY", Some("2023-09-01")), ("DAY", Some("2023-09-30"))], 11, 3, 1),
        (&[("MONTH", Some("2023-09"))], 15, 4, 1),
        (&[("MONTH", Some("2023-09")), ("DAY", Some("2023-10-01"))], 0, 0, 0),
    ];
    for (conditions, tokens, calls, tool_calls) in cases {
        let variables = json!({ "filter": filter(conditions), "position": position });
        let total = server.graphql(REPORT, variables).await["usageReport"]["total"].take();
        assert_eq!(
            (&total["inputTokens"], &total["calls"], &total["toolCalls"]),
            (&json!(tokens.to_string()), &json!(calls), &json!(tool_calls)),
            "{conditions:?}"
        );
    }
    // The time range and the filters must both be met.
    let variables = json!({ "filter": filter(&[("MONTH", Some("2023-09"))]), "from": "2023-09-01T08:00:00Z",
                            "to": "2023-09-30T00:00:00Z" });
    assert_eq!(server.graphql(REPORT, variables).await["usageReport"]["total"]["inputTokens"], "6");
}

/// The first response of a subscription over server-sent events.
pub(crate) async fn first_of_stream(server: &Server, subscription: &str) -> Value {
    let request = testkit::http_client().post(format!("{}/graphql", server.address));
    let request = request.header("accept", "text/event-stream").json(&json!({ "query": subscription }));
    let mut response = request.send().await.unwrap();
    let mut text = String::new();
    while !text.contains("\n\n") {
        let chunk = tokio::time::timeout(TIMEOUT, response.chunk()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let data = text.lines().find_map(|line| line.strip_prefix("data:")).unwrap();
    serde_json::from_str(data).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filtered_report_has_rows_pages_and_a_stream() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let position = report_calls(&server).await;
    let mut variables = json!({ "by": ["MODEL", "DAY"], "filter": filter(&[("PROVIDER", Some("acme"))]), "first": 2,
                                "position": position });
    let row = |keys: [&str; 2], calls: u32, tokens: u32| {
        json!({ "keys": [{ "value": keys[0] }, { "value": keys[1] }],
                "totals": { "calls": calls, "toolCalls": 0, "inputTokens": tokens.to_string(),
                            "cost": (3 * tokens).to_string() } })
    };
    let total = json!({ "calls": 4, "toolCalls": 0, "inputTokens": "15", "cost": "45" });
    let first = server.graphql(REPORT, variables.clone()).await["usageReport"].take();
    assert_eq!(first["nodes"], json!([row(["m1", "2023-09-01"], 2, 3), row(["m1", "2023-09-02"], 1, 4)]));
    assert_eq!((&first["total"], &first["rest"]), (&total, &json!({ "inputTokens": "8" })));
    variables["after"] = first["pageInfo"]["endCursor"].clone();
    let second = server.graphql(REPORT, variables).await["usageReport"].take();
    assert_eq!(second["nodes"], json!([row(["m2", "2023-09-30"], 1, 8)]));
    assert_eq!((&second["total"], &second["rest"]), (&total, &json!({ "inputTokens": "0" })));
    assert_eq!(second["pageInfo"]["hasNextPage"], false);

    let subscription =
        "subscription { usageTotals(filter: [{ dimension: MODEL, value: \"m2\" }]) { total { inputTokens cost } } }";
    let streamed = first_of_stream(&server, subscription).await;
    assert_eq!(streamed["data"]["usageTotals"]["total"], json!({ "inputTokens": "24", "cost": "24" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_no_call_can_meet_is_refused_with_its_reason() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let refused = async |filter: Value| {
        let answer = server.graphql_response(REPORT, json!({ "filter": filter })).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
        (error["extensions"]["reason"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
    };
    let register = "mutation { registerAgent(input: { name: \"ada\" }) { agent { id } } }";
    let agent = server.graphql(register, json!({})).await["registerAgent"]["agent"]["id"].take();
    for (dimension, value, reason, message) in [
        ("AGENT", json!("ada"), "NOT_AN_ID", "\"ada\" is not an id"),
        ("TASK", agent.clone(), "WRONG_ID_TYPE", "is the id of type Agent, expected Task"),
        ("DAY", json!("2023-02-29"), "BAD_FILTER", "expected a day, such as 2023-11-14"),
        ("HOUR", json!("2023-09-01T07:30Z"), "BAD_FILTER", "expected an hour, such as 2023-11-14T22:00Z"),
        ("MONTH", Value::Null, "BAD_FILTER", "expected a month, such as 2023-11"),
        ("MODEL", json!(""), "BAD_FILTER", "expected a name"),
        ("MODEL", json!("a\u{0}b"), "BAD_FILTER", "expected a name"),
    ] {
        let (found, text) = refused(json!([{ "dimension": dimension, "value": value }])).await;
        assert_eq!(found, reason, "{dimension} {value}: {text}");
        assert!(text.contains(message), "{dimension} {value}: {text}");
    }
    let (reason, message) = refused(json!([{ "dimension": "MODEL" }])).await;
    assert_eq!((&*reason, &*message), ("BAD_FILTER", "a filter needs a value; null selects the calls that have none"));
    let many = |count: usize| filter(&vec![("MODEL", Some("m1")); count]);
    let (reason, message) = refused(many(51)).await;
    assert_eq!((&*reason, &*message), ("TOO_MANY_FILTERS", "the report has 51 filters, at most 50 are allowed"));
    let total = server.graphql(REPORT, json!({ "filter": many(50) })).await["usageReport"]["total"].take();
    assert_eq!(total["calls"], 0);
    // The agent's id as the API returned it.
    let of_agent = json!({ "filter": [{ "dimension": "AGENT", "value": agent }] });
    assert_eq!(server.graphql(REPORT, of_agent).await["usageReport"]["total"]["calls"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_filters_reports() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    report_calls(&server).await;
    let report = async |filters: &[&str]| {
        let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
        let arguments: Vec<_> =
            ["report", "cost", "--by", "model", "--format", "json"].into_iter().chain(filters).collect();
        database.run(&arguments).await
    };
    let filtered = report(&["model=m1", "model=m2", "day=2023-09-30", "provider=acme"]).await.assert_success().json();
    assert_eq!(filtered["total"]["input_tokens"], 8);
    assert_eq!(filtered["rows"].as_array().unwrap().len(), 1);
    assert_eq!((&filtered["rows"][0]["model"], &filtered["rows"][0]["cost"]), (&json!("m2"), &json!("24")));
    let without_model = report(&["model="]).await.assert_success().json();
    assert_eq!(
        (&without_model["total"]["calls"], &without_model["total"]["tool_calls"]),
        (&json!(0), &json!(1)),
        "{without_model}"
    );
    for (filter, message) in [
        (
            "flavour=sweet",
            "there is no dimension \"flavour\"; the dimensions are agent, user, team, key, provider, model, tool, outcome, \
             source, task, dag, conversation, tag, minute, quarter_hour, hour, day, week, month, quarter, year",
        ),
        ("model", "expected DIMENSION=VALUE, such as model=gpt-4o"),
        ("agent=ada", "the filter agent=ada cannot be met: expected a UUID"),
        ("day=", "the filter day= cannot be met: expected a day, such as 2023-11-14"),
    ] {
        let output = report(&[filter]).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{filter}: {}", output.stderr);
        assert!(output.stderr.contains(message), "{filter}: {}", output.stderr);
    }
}
