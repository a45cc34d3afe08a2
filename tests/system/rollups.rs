//! The sums that reports read, and the choice between them: whatever answers a report, it says what the calls say.

use crate::graphql::command;
use futures::TryStreamExt;
use projections::{
    Dimension, MAX_REPORT_CALLS, ReportError, ReportFilter, ReportQuery, ReportRow, ReportTag, Totals, UsageSource,
    WholeReport,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, Row};
use testkit::{Server, TestDatabase};
use uuid::Uuid;

/// Statements that fill two of the tables of sums from the calls, as an independent description of what they contain.
const QUARTERS: &str =
    "select tenant_id, date_trunc('hour', started_at, 'UTC'), date_bin('15 minutes', started_at, 'epoch'),
    agent_id, user_id, team, key, provider, model, tool, outcome, source, {sums}
    from apex.calls group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12";
const DAYS: &str = "select tenant_id, 'task', date_trunc('day', started_at, 'UTC'), task_id, null::uuid, null, {sums}
    from apex.calls group by 1, 2, 3, 4
    union all select tenant_id, 'dag', date_trunc('day', started_at, 'UTC'), null, dag_id, null, {sums}
    from apex.calls group by 1, 2, 3, dag_id
    union all select tenant_id, 'conversation', date_trunc('day', started_at, 'UTC'), null, null, conversation, {sums}
    from apex.calls group by 1, 2, 3, conversation";
const SUMS: &str = "count(*) filter (where kind = 'llm') as calls, count(*) filter (where kind = 'tool') as tool_calls,
    count(*) filter (where outcome in ('error', 'timeout', 'refused') or (outcome is null and error is not null))
        as failed_calls,
    count(*) filter (where kind = 'llm' and cost is null) as unpriced_calls,
    count(*) filter (where usage_assumed) as assumed_calls,
    coalesce(sum(latency_ms), 0) as latency_ms, coalesce(sum(cost), 0) as cost,
    coalesce(sum(reported_cost), 0) as reported_cost,
    nullif(sum(cost) filter (where reported_cost is not null), 0) as compared_cost,
    nullif(sum(reported_cost) filter (where cost is not null), 0) as compared_reported_cost,
    sum((usage ->> 'input')::numeric) as input_tokens, sum((usage ->> 'output')::numeric) as output_tokens,
    sum((usage ->> 'cache_read')::numeric) as cache_read_tokens";
const COLUMNS: &str =
    "calls, tool_calls, failed_calls, unpriced_calls, assumed_calls, latency_ms, cost, reported_cost, compared_cost,
    compared_reported_cost, input_tokens, output_tokens, cache_read_tokens";
const QUARTER_KEYS: &str =
    "tenant_id, hour, quarter, agent_id, user_id, team, key, provider, model, tool, outcome, source";
const DAY_KEYS: &str = "tenant_id, dimension, day, task_id, dag_id, conversation";

/// Fills the tables of sums from rows that a test wrote to the table of calls.
pub(crate) async fn sum_up_calls(database: &TestDatabase) {
    let (quarters, days) = (QUARTERS.replace("{sums}", SUMS), DAYS.replace("{sums}", SUMS));
    for statement in [
        format!(
            "insert into apex.usage_quarter_hourly ({QUARTER_KEYS}, {COLUMNS}, cell)
                 select q.*, gen_random_uuid() from ({quarters}) q"
        ),
        format!("insert into apex.usage_daily ({DAY_KEYS}, {COLUMNS}) {days}"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&database.pool).await.unwrap();
    }
}

/// Asserts that the tables of sums have exactly the sums over the calls, and zeros where amendments took every call away.
async fn assert_sums_are_those_of_the_calls(database: &TestDatabase) {
    for (table, keys, expected) in [("usage_quarter_hourly", QUARTER_KEYS, QUARTERS), ("usage_daily", DAY_KEYS, DAYS)] {
        let expected = expected.replace("{sums}", SUMS);
        let found = format!("select {keys}, {COLUMNS} from apex.{table} where calls <> 0 or tool_calls <> 0");
        let differences = format!(
            "select (select count(*) from (({found}) except all ({expected})) d),
                    (select count(*) from (({expected}) except all ({found})) d),
                    (select count(*) from apex.{table} where calls = 0 and tool_calls = 0 and (failed_calls, unpriced_calls, assumed_calls,
                         latency_ms, cost, reported_cost, coalesce(input_tokens, output_tokens, cache_read_tokens, 0))
                         <> (0, 0, 0, 0, 0, 0, 0)),
                    (select count(*) from ({expected}) e)"
        );
        let row: (i64, i64, i64, i64) =
            sqlx::query_as(AssertSqlSafe(differences)).fetch_one(&database.pool).await.unwrap();
        assert_eq!((row.0, row.1, row.2), (0, 0, 0), "{table}");
        assert!(row.3 > 20, "{table} has {} rows: the test proves nothing", row.3);
    }
}

/// Adds some of the texts, each with one of two values, and some of the ids that a record may name.
pub(crate) fn add_fields(record: &mut Map<String, Value>, texts: &[(&str, [&str; 2])], random: &mut StdRng) {
    for (field, values) in texts {
        if random.random_bool(0.6) {
            record.insert((*field).into(), json!(values.choose(random).unwrap()));
        }
    }
    for field in ["agentId", "taskId", "dagId"] {
        if random.random_bool(0.6) {
            record.insert(field.into(), json!(Uuid::from_u128(random.random_range(1..4))));
        }
    }
}

/// A record of a call with random facts, of which none is also possible.
fn record(random: &mut StdRng) -> Map<String, Value> {
    // Times on both sides of the midnights of UTC and of Kathmandu (+05:45), and of a quarter of an hour.
    let times = [
        "2023-08-31T18:14:59.999999Z",
        "2023-08-31T18:15:00Z",
        "2023-08-31T23:59:59Z",
        "2023-09-01T00:00:00Z",
        "2023-09-01T07:14:59Z",
        "2023-09-01T07:15:00Z",
        "2023-09-01T18:14:59.999999Z",
        "2023-09-01T18:15:00Z",
        "2023-09-02T03:30:00Z",
    ];
    let mut record = Map::new();
    record.insert("startedAt".into(), json!(times.choose(random).unwrap()));
    record.insert("usage".into(), json!({ "input": random.random_range(0..50), "output": random.random_range(0..3) }));
    record.insert("usageAssumed".into(), json!(random.random_bool(0.3)));
    let texts = [
        ("user", ["ada", "bob"]),
        ("team", ["search", "ads"]),
        ("key", ["ci", "prod"]),
        ("provider", ["acme", "other"]),
        ("conversation", ["c1", "c2"]),
        ("outcome", ["OK", "TIMEOUT"]),
        ("source", ["proxy", "trace"]),
        ("error", ["no answer", "x"]),
        ("reportedCost", ["0.25", "1.125"]),
    ];
    add_fields(&mut record, &texts, random);
    if random.random_bool(0.7) {
        let tag =
            |key: &str, values: [&str; 2], random: &mut StdRng| json!({ "key": key, "value": values.choose(random) });
        let tags = [tag("squad", ["red", "blue"], random), tag("stage", ["prod", "dev"], random)];
        record.insert("tags".into(), json!(tags[..random.random_range(1..3)]));
    }
    record
}

/// Reports calls over all dimensions, each in up to two records, and corrects some of them. Later records and corrections
/// move calls between the sums. The calls of one series are the same whatever the seed.
pub(crate) async fn report_calls(server: &Server, series: &str, calls: u64, seed: u64) -> Value {
    let mut random = StdRng::seed_from_u64(seed);
    let price = json!({ "provider": "acme", "model": "m1", "effectiveFrom": "2020-01-01T00:00:00Z",
                        "components": [{ "meter": "INPUT", "rate": "3.5" }, { "meter": "OUTPUT", "rate": "7" }] });
    command(server, "setPrices", json!({ "prices": [price] }), "outcome").await;
    let mut position = Value::Null;
    for n in 0..calls {
        // The kind of a call and the provider of its key do not change; a correction may change the provider.
        let mut of_call = StdRng::seed_from_u64(n);
        let (field, values) =
            if of_call.random_bool(0.2) { ("tool", ["grep", "find"]) } else { ("model", ["m1", "m2"]) };
        let provider = ["acme", "other"].choose(&mut of_call).filter(|_| n % 3 > 0);
        let mut id = Value::Null;
        for _ in 0..random.random_range(1..3) {
            let mut record = record(&mut random);
            record.insert("callKey".into(), json!(format!("call-{series}-{n}")));
            record.insert("provider".into(), json!(provider));
            record.insert(field.into(), json!(values.choose(&mut random).unwrap()));
            let reported = command(server, "reportCall", json!(record), "outcome position call { id }").await;
            assert_ne!(reported["outcome"], "REJECTED", "{record:?}");
            (id, position) = (reported["call"]["id"].clone(), reported["position"].clone());
        }
        if random.random_bool(0.5) {
            let mut values = record(&mut random);
            values.retain(|field, _| !["source", "error", "usageAssumed"].contains(&field.as_str()));
            let input = json!({ "id": id, "reason": "test", "values": values });
            let corrected = command(server, "correctCall", input, "outcome position").await;
            assert_ne!(corrected["outcome"], "REJECTED", "{values:?}");
            position = corrected["position"].clone();
        }
    }
    position
}

/// The value of a dimension as an expression over a call.
fn over_calls(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Agent => "agent_id::text",
        Dimension::User => "user_id",
        Dimension::Team => "team",
        Dimension::Key => "key",
        Dimension::Provider => "provider",
        Dimension::Model => "model",
        Dimension::Tool => "tool",
        Dimension::Outcome => "outcome",
        Dimension::Source => "source",
        Dimension::Task => "task_id::text",
        Dimension::Dag => "dag_id::text",
        Dimension::Conversation => "conversation",
        Dimension::Tag => "tags ->> 'squad'",
        Dimension::QuarterHour => {
            "to_char(to_timestamp(floor(extract(epoch from started_at) / 900) * 900) at time zone 'UTC',
                     'YYYY-MM-DD\"T\"HH24:MI\"Z\"')"
        }
        Dimension::Minute => "to_char(started_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI\"Z\"')",
        Dimension::Hour => "to_char(started_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:00\"Z\"')",
        Dimension::Day => "to_char(started_at at time zone 'UTC', 'YYYY-MM-DD')",
        Dimension::Week => "to_char(started_at at time zone 'UTC', 'IYYY-\"W\"IW')",
        Dimension::Month => "to_char(started_at at time zone 'UTC', 'YYYY-MM')",
        Dimension::Quarter => "to_char(started_at at time zone 'UTC', 'YYYY-\"Q\"Q')",
        Dimension::Year => "to_char(started_at at time zone 'UTC', 'YYYY')",
    }
}

/// The keys of a row, and its sums as text.
pub(crate) type Line = (Vec<Option<String>>, [String; 6]);

/// The rows of a report as the calls that meet a condition give them.
async fn expected(database: &TestDatabase, by: &[Dimension], condition: &str) -> Vec<Line> {
    expected_of(database, "apex.calls", by, condition).await
}

/// The rows of a report as the calls give them that another relation has, with the columns of the table of calls.
pub(crate) async fn expected_of(database: &TestDatabase, calls: &str, by: &[Dimension], condition: &str) -> Vec<Line> {
    let keys: Vec<_> = by.iter().map(|by| over_calls(*by)).collect();
    let statement = format!(
        "select array[{}]::text[] as keys, array[(count(*) filter (where kind = 'llm'))::text,
             (count(*) filter (where kind = 'tool'))::text,
             (count(*) filter (where outcome in ('error', 'timeout', 'refused')
                  or (outcome is null and error is not null)))::text,
             coalesce(sum((usage ->> 'input')::numeric), 0)::text, trim_scale(coalesce(sum(cost), 0))::text,
             trim_scale(coalesce(sum(reported_cost), 0))::text] as sums
         from {calls} where {condition} group by 1",
        keys.join(", ")
    );
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(&database.pool).await.unwrap();
    let line = |row: &sqlx::postgres::PgRow| {
        (row.get::<Vec<Option<String>>, _>("keys"), row.get::<Vec<String>, _>("sums").try_into().unwrap())
    };
    let mut lines: Vec<Line> = rows.iter().map(line).collect();
    lines.sort();
    lines
}

pub(crate) fn sums(totals: &Totals) -> [String; 6] {
    let tokens = totals.quantity(domain::Meter::Input);
    let counts = [totals.calls, totals.tool_calls, totals.failed_calls].map(|count| count.to_string());
    let [calls, tool_calls, failed] = counts;
    [calls, tool_calls, failed, tokens.to_string(), totals.cost.to_string(), totals.reported_cost.to_string()]
}

pub(crate) async fn reported(database: &TestDatabase, query: &ReportQuery) -> (UsageSource, Totals, Vec<Line>) {
    let mut report = WholeReport::open(&database.reads, query).await.unwrap();
    let line = |row: ReportRow| (row.keys, sums(&row.totals));
    let mut lines: Vec<Line> = report.rows().map_ok(line).try_collect().await.unwrap();
    lines.sort();
    (report.source(), report.total, lines)
}

/// A report; one by a tag is about the key `squad`, which is not declared.
pub(crate) fn query(by: &[Dimension], filters: &[(Dimension, Option<&str>)]) -> ReportQuery {
    let dimensions = || by.iter().chain(filters.iter().map(|(dimension, _)| dimension));
    let tag = || ReportTag { key: "squad".to_owned().try_into().unwrap(), is_declared: false };
    let tag = dimensions().any(|dimension| *dimension == Dimension::Tag).then(tag);
    let filters = filters.iter().map(|(dimension, value)| ReportFilter::new(*dimension, *value).unwrap());
    ReportQuery { by: by.to_vec(), filters: filters.collect(), tag, ..ReportQuery::new(testkit::access()) }
}

pub(crate) async fn assert_rebuilds(database: &TestDatabase) {
    for comparison in database.assert_equals_rebuild(&["calls"], &[1, 1000]).await {
        assert_eq!(comparison.live.len(), 4, "{comparison:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_by_any_dimensions_says_what_the_calls_say() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    for (series, seed) in [("a", 7), ("b", 11)] {
        let position = report_calls(&server, series, 80, seed).await;
        let wait = "query ($position: Position) { usageReport(minPosition: $position) { summedFrom } }";
        let report = server.graphql(wait, json!({ "position": position })).await["usageReport"].take();
        assert_eq!(report["summedFrom"], "sums by quarter hour");
    }
    assert_sums_are_those_of_the_calls(&database).await;

    let alone = Dimension::ALL.iter().map(|dimension| vec![*dimension]);
    let together = [
        vec![Dimension::Task, Dimension::Day],
        vec![Dimension::Month, Dimension::Conversation],
        vec![Dimension::Agent, Dimension::Hour, Dimension::Outcome],
        vec![Dimension::Task, Dimension::Model],
        vec![Dimension::Dag, Dimension::QuarterHour],
        Dimension::ALL.to_vec(),
    ];
    for by in alone.chain(together) {
        let whole = expected(&database, &by, "true").await;
        let is_long = matches!(by[..], [Dimension::Month | Dimension::Week | Dimension::Quarter | Dimension::Year]);
        assert!(whole.len() > 1 || is_long, "{by:?}");
        let (source, total, lines) = reported(&database, &query(&by, &[])).await;
        assert_eq!(lines, whole, "{by:?} from {source}");
        assert_eq!([(vec![], sums(&total))], *expected(&database, &[], "true").await, "{by:?} from {source}");
        // Each row is what a report on its values alone says.
        for (keys, sums_of_row) in whole.iter().take(4) {
            let filters: Vec<_> = by.iter().copied().zip(keys.iter().map(Option::as_deref)).collect();
            let (filtered, total, _) = reported(&database, &query(&[], &filters)).await;
            assert_eq!((filtered, &sums(&total)), (source, sums_of_row), "{filters:?}");
        }
    }
    assert_rebuilds(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_a_zone_with_quarter_hours_is_summed_exactly() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let position = report_calls(&server, "a", 80, 3).await;
    let variables =
        json!({ "from": "2023-09-01T00:00:00+05:45", "to": "2023-09-02T00:00:00+05:45", "position": position });
    let report = "query ($from: DateTime, $to: DateTime, $position: Position) {
        usageReport(by: [QUARTER_HOUR], from: $from, to: $to, minPosition: $position) {
            nodes { keys { value } totals { calls inputTokens } } total { calls toolCalls inputTokens cost } summedFrom } }";
    let report = server.graphql(report, variables).await["usageReport"].take();
    let day = "(started_at at time zone 'Asia/Kathmandu')::date = '2023-09-01'";
    let [(_, [calls, tool_calls, _, tokens, cost, _])] = &*expected(&database, &[], day).await else {
        panic!("one row")
    };
    let total = &report["total"];
    assert_eq!(
        [total["calls"].to_string(), total["toolCalls"].to_string()].each_ref().map(String::as_str),
        [calls.as_str(), tool_calls.as_str()]
    );
    assert_eq!([&total["inputTokens"], &total["cost"]], [tokens.as_str(), cost.as_str()]);
    assert_eq!(report["summedFrom"], "sums by quarter hour");
    let keys: Vec<_> = report["nodes"].as_array().unwrap().iter().map(|node| &node["keys"][0]["value"]).collect();
    assert_eq!((keys.first(), keys.last()), (Some(&&json!("2023-08-31T18:15Z")), Some(&&json!("2023-09-01T18:00Z"))));

    // A day of UTC differs, so that the test distinguishes them.
    let utc = "(started_at at time zone 'UTC')::date = '2023-09-01'";
    assert_ne!(expected(&database, &[], day).await, expected(&database, &[], utc).await);
    let json = database.run(&[
        "report",
        "cost",
        "--from",
        "2023-08-31T18:15:00Z",
        "--to",
        "2023-09-01T18:15:00Z",
        "--format",
        "json",
    ]);
    let json = json.await.assert_success().json();
    assert_eq!([&json["total"]["cost"], &json["summed_from"]], [cost.as_str(), "sums by quarter hour"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_range_of_other_steps_is_refused() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let query = "query ($to: DateTime) { usageReport(to: $to) { total { calls } } }";
    let refused = server.graphql_response(query, json!({ "to": "2023-09-01T13:10:00Z" })).await;
    let error = &refused["errors"][0];
    assert_eq!(error["extensions"]["reason"], "NOT_A_QUARTER_HOUR", "{refused}");
    assert!(
        error["message"].as_str().unwrap().contains("2023-09-01 13:10:00 UTC is not the start of one"),
        "{refused}"
    );
    server.graphql(query, json!({ "to": "2023-09-01T13:15:00Z" })).await;
    let output = database.run(&["report", "cost", "--from", "2023-09-01T13:14:59Z"]).await;
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(output.stderr.contains("usage is stored by the quarter of an hour"), "{}", output.stderr);
}

/// Writes calls of one agent, a minute apart, of alternating models and of two tasks, of which the second has ten calls.
async fn insert_calls(database: &TestDatabase, calls: i64) {
    let insert = "insert into apex.calls (tenant_id, call_id, kind, agent_id, task_id, model, usage, usage_assumed,
            started_at, source, version, position)
        select 'default', gen_random_uuid(), 'llm', $2, case when n <= 10 then $3 else $2 end, 'm' || n % 2, '{\"input\": 1}',
            false, timestamptz '2023-01-01T00:00:00Z' + n * interval '1 minute', 'test', 1, n
        from generate_series(1, $1) n";
    let insert = sqlx::query(insert).bind(calls).bind(Uuid::from_u128(1)).bind(Uuid::from_u128(2));
    insert.execute(&database.pool).await.unwrap();
    sqlx::query("analyze apex.calls").execute(&database.pool).await.unwrap();
    sum_up_calls(database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_no_sums_answer_reads_a_bounded_number_of_calls() {
    let database = TestDatabase::new().await.unverified();
    insert_calls(&database, MAX_REPORT_CALLS + 1).await;
    let (task, small) = (Uuid::from_u128(1).to_string(), Uuid::from_u128(2).to_string());
    let by = [Dimension::Task, Dimension::Model];
    let refused = WholeReport::open(&database.reads, &query(&by, &[])).await.unwrap_err();
    assert!(matches!(&refused, ReportError::TooManyCalls { nearest, .. } if nearest == "model"), "{refused}");

    // What an index finds is not counted with the rest; a shorter time range is below the limit; the sums have none.
    let calls = async |query: ReportQuery| {
        let (source, total, _) = reported(&database, &query).await;
        (source, total.calls)
    };
    let all = MAX_REPORT_CALLS + 1;
    assert_eq!(calls(query(&[Dimension::Model], &[(Dimension::Task, Some(&small))])).await, (UsageSource::Calls, 10));
    let shorter = ReportQuery { from: "2023-01-01T00:15:00Z".parse().ok(), ..query(&by, &[]) };
    assert_eq!(calls(shorter).await, (UsageSource::Calls, all - 14));
    assert_eq!(calls(query(&[Dimension::Task], &[])).await, (UsageSource::Days(Dimension::Task), all));
    assert_eq!(calls(query(&[Dimension::Model], &[])).await, (UsageSource::QuarterHours, all));

    let server = database.serve(&[]).await;
    let report = "query ($filter: [UsageFilter!]) { usageReport(by: [HOUR], filter: $filter) { summedFrom } }";
    let of_conversation = |value: Value| {
        let filters = json!([{ "dimension": "AGENT", "value": task }, { "dimension": "CONVERSATION", "value": value }]);
        json!({ "filter": filters })
    };
    // An index finds the calls of a conversation, but not those without one.
    let answer = server.graphql_response(report, of_conversation(json!("c"))).await;
    assert_eq!(answer["data"]["usageReport"]["summedFrom"], "calls", "{answer}");
    let answer = server.graphql_response(report, of_conversation(Value::Null)).await;
    assert_eq!(answer["errors"][0]["extensions"]["reason"], "TOO_MANY_CALLS", "{answer}");
    assert_eq!(
        answer["errors"][0]["message"],
        "no sums are kept by agent, conversation, hour and this time range, so that the report reads the calls themselves, \
         at most 100000, and there are more: choose a shorter time range, or report by agent, hour, by which sums are kept"
    );
    let output = database.run(&["report", "cost", "--by", "task,model", "--no-wait"]).await;
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(output.stderr.contains("report by model, by which sums are kept"), "{}", output.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_quantities_are_summed_exactly_by_every_source() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let largest = (1_u64 << 53) - 1;
    let mut position = Value::Null;
    for _ in 0..2 {
        let call = json!({ "model": "m", "taskId": Uuid::from_u128(1), "startedAt": "2023-11-14T22:13:20Z",
                           "usage": { "input": largest }, "reportedCost": "999999999999999.999999999999" });
        position = command(&server, "reportCall", call, "outcome position").await["position"].take();
    }
    for (by, source) in [
        (json!(["MODEL"]), "sums by quarter hour"),
        (json!(["TASK"]), "sums by day and task"),
        (json!(["DAG"]), "sums by day and dag"),
        (json!(["TASK", "MODEL"]), "calls"),
    ] {
        let query = "query ($by: [Dimension!], $position: Position) { usageReport(by: $by, minPosition: $position) {
            nodes { totals { inputTokens reportedCost } } total { inputTokens reportedCost } summedFrom } }";
        let report = server.graphql(query, json!({ "by": by, "position": position })).await["usageReport"].take();
        let totals = json!({ "inputTokens": (2 * u128::from(largest)).to_string(),
                             "reportedCost": "1999999999999999.999999999998" });
        assert_eq!(report, json!({ "nodes": [{ "totals": totals }], "total": totals, "summedFrom": source }), "{by}");
    }
    assert_rebuilds(&database).await;
}
