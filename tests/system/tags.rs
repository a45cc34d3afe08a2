//! Sums of usage by declared tag keys: what is counted under a key, what is not, and that both add up.

use crate::graphql::command;
use crate::report_filters::first_of_stream;
use crate::rollups::{Line, assert_rebuilds, expected_of, query, report_calls, reported, sums};
use domain::call::{CallFacts, CallKind, Tags};
use domain::tag_keys::{TagKeys, TagKeysCommand};
use domain::{CallId, TagKey};
use ingest::{ImportOutcome, Importer, Location, Record, prices};
use projections::{Dimension, ReportQuery, ReportTag, UsageSource};
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};
use uuid::Uuid;

/// Calls as the last event of each says, with no tags but those under which it is counted. An independent fold of the log.
const COUNTED: &str =
    "(select c ->> 'kind' as kind, c ->> 'outcome' as outcome, c ->> 'error' as error, c -> 'usage' as usage,
        (c -> 'charge' ->> 'amount')::numeric as cost, (c -> 'reported_cost' ->> 'amount')::numeric as reported_cost,
        (c ->> 'started_at')::timestamptz as started_at,
        (select jsonb_object_agg(key, value) from jsonb_each(c -> 'tags') where c -> 'counted_tags' ? key) as tags
    from (select distinct on (stream_id) type, coalesce(payload::jsonb -> 'after', payload::jsonb) as c
          from apex.events where category = 'call' order by stream_id, version desc) last
    where type <> 'call.voided') counted";

async fn declare(server: &Server, key: &str) {
    let payload = command(server, "declareTagKey", json!({ "key": key }), "outcome").await;
    assert_eq!(payload["outcome"], "DONE", "{key}");
}

async fn withdraw(server: &Server, key: &str) {
    let payload = command(server, "withdrawTagKey", json!({ "key": key }), "outcome").await;
    assert_eq!(payload["outcome"], "DONE", "{key}");
}

async fn wait_for(server: &Server, position: &Value) {
    let wait = "query ($position: Position) { usageReport(minPosition: $position) { position } }";
    server.graphql(wait, json!({ "position": position })).await;
}

/// A report by the key `squad`, which is declared.
fn declared(by: &[Dimension], filters: &[(Dimension, Option<&str>)]) -> ReportQuery {
    let query = query(by, filters);
    ReportQuery { tag: query.tag.map(|tag| ReportTag { is_declared: true, ..tag }), ..query }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_by_a_tag_says_what_the_events_say_while_keys_are_declared_and_withdrawn() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    // Each round reports, amends and corrects the same calls, and some new ones.
    report_calls(&server, "a", 20, 1).await;
    declare(&server, "squad").await;
    report_calls(&server, "a", 30, 2).await;
    declare(&server, "stage").await;
    report_calls(&server, "a", 40, 3).await;
    withdraw(&server, "squad").await;
    report_calls(&server, "a", 50, 4).await;
    declare(&server, "squad").await;
    let position = report_calls(&server, "b", 20, 5).await;
    wait_for(&server, &position).await;

    let total = expected_of(&database, COUNTED, &[], "true").await;
    for by in [
        vec![Dimension::Tag],
        vec![Dimension::Tag, Dimension::Hour],
        vec![Dimension::Day, Dimension::Tag],
        vec![Dimension::Month, Dimension::Tag, Dimension::Day, Dimension::Hour],
    ] {
        let whole = expected_of(&database, COUNTED, &by, "true").await;
        let (source, sum, lines) = reported(&database, &declared(&by, &[])).await;
        assert_eq!((source, &lines), (UsageSource::TagHours, &whole), "{by:?}");
        assert_eq!(vec![(vec![], sums(&sum))], total, "{by:?}");
        // Each row is what a report on its values alone says, that of no value too.
        for (keys, sums_of_row) in &whole {
            let filters: Vec<_> = by.iter().copied().zip(keys.iter().map(Option::as_deref)).collect();
            let (source, sum, _) = reported(&database, &declared(&[], &filters)).await;
            assert_eq!((source, &sums(&sum)), (UsageSource::TagHours, sums_of_row), "{filters:?}");
        }
    }
    let value = |line: &Line| line.0[0].clone();
    let by_value = expected_of(&database, COUNTED, &[Dimension::Tag], "true").await;
    assert_eq!(by_value.iter().map(value).collect::<Vec<_>>(), [None, Some("blue".into()), Some("red".into())]);

    // Whole hours in a zone; the calls answer in another one. They have the tags of all calls, so that the test would fail if
    // either answered for the other.
    let of_day = |from: &str, to: &str, is_declared| {
        let query = query(&[Dimension::Tag], &[]);
        let tag = query.tag.clone().map(|tag| ReportTag { is_declared, ..tag });
        ReportQuery { from: from.parse().ok(), to: to.parse().ok(), tag, ..query }
    };
    let (from, to) = ("2023-09-01T00:00:00-06:00", "2023-09-02T00:00:00-06:00");
    let condition = "started_at >= '2023-09-01T00:00:00-06:00' and started_at < '2023-09-02T00:00:00-06:00'";
    let counted = expected_of(&database, COUNTED, &[Dimension::Tag], condition).await;
    let tagged = expected_of(&database, "apex.calls", &[Dimension::Tag], condition).await;
    assert_ne!(counted, tagged, "all calls are counted: the test proves nothing");
    let (source, _, lines) = reported(&database, &of_day(from, to, true)).await;
    assert_eq!((source, lines), (UsageSource::TagHours, counted));
    let (source, _, lines) = reported(&database, &of_day(from, to, false)).await;
    assert_eq!((source, lines), (UsageSource::Calls, tagged));
    let (from, to) = ("2023-09-01T00:00:00+05:45", "2023-09-02T00:00:00+05:45");
    let condition = "started_at >= '2023-09-01T00:00:00+05:45' and started_at < '2023-09-02T00:00:00+05:45'";
    let tagged = expected_of(&database, "apex.calls", &[Dimension::Tag], condition).await;
    let (source, _, lines) = reported(&database, &of_day(from, to, true)).await;
    assert_eq!((source, lines), (UsageSource::Calls, tagged));
    assert_rebuilds(&database).await;
}

const REPORT: &str = "query ($by: [Dimension!], $filter: [UsageFilter!], $key: String, $position: Position) {
    usageReport(by: $by, filter: $filter, tagKey: $key, minPosition: $position) {
        nodes { keys { dimension value } totals { calls inputTokens } } total { calls inputTokens } summedFrom } }";

/// The values of the first dimension with the number of calls, and what the report was summed from.
async fn by_team(server: &Server, by: &[&str], position: &Value) -> (Vec<(Value, Value)>, Value) {
    let variables = json!({ "by": by, "key": "team", "position": position });
    let report = server.graphql(REPORT, variables).await["usageReport"].take();
    let mut rows = Vec::new();
    let mut calls = 0;
    for node in report["nodes"].as_array().unwrap() {
        assert_eq!(node["keys"][0]["dimension"], "TAG");
        calls += node["totals"]["calls"].as_i64().unwrap();
        rows.push((node["keys"][0]["value"].clone(), node["totals"]["calls"].clone()));
    }
    assert_eq!(report["total"]["calls"], calls, "the rows add up to the total");
    rows.sort_by_key(|(value, _)| value.to_string());
    (rows, report["summedFrom"].clone())
}

/// Reports a call, and returns the position.
async fn report(server: &Server, key: &str, tags: Value) -> Value {
    let call = json!({ "callKey": key, "model": "m", "startedAt": "2023-09-01T07:10:00Z", "usage": { "input": 1 },
                       "tags": tags });
    let payload = command(server, "reportCall", call, "outcome position").await;
    assert_ne!(payload["outcome"], "REJECTED", "{payload}");
    payload["position"].clone()
}

fn team(value: &str) -> Value {
    json!([{ "key": "team", "value": value }])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_counted_under_a_key_when_it_is_reported_while_the_key_is_declared() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    report(&server, "before", team("search")).await;
    let position = report(&server, "again", team("search")).await;
    let rows = |rows: &[(Value, u32)]| rows.iter().map(|(key, calls)| (key.clone(), json!(calls))).collect::<Vec<_>>();
    let (search, ads, none) = (json!("search"), json!("ads"), Value::Null);
    let summed = json!("sums by hour and tag");

    // Without a declaration, the calls are read, by what tags they have.
    let found = by_team(&server, &["TAG"], &position).await;
    assert_eq!(found, (rows(&[(search.clone(), 2)]), json!("calls")));
    declare(&server, "team").await;
    let found = by_team(&server, &["TAG"], &position).await;
    assert_eq!(found, (rows(&[(none.clone(), 2)]), summed.clone()), "nothing was reported since");

    report(&server, "again", team("search")).await;
    report(&server, "other", json!([{ "key": "env", "value": "prod" }])).await;
    let position = report(&server, "since", team("ads")).await;
    let found = by_team(&server, &["TAG"], &position).await;
    assert_eq!(found, (rows(&[(ads.clone(), 1), (search.clone(), 1), (none.clone(), 2)]), summed.clone()));
    // With one more dimension, the calls are read: that of before the declaration has its value.
    let found = by_team(&server, &["TAG", "MODEL"], &position).await;
    assert_eq!(found, (rows(&[(ads.clone(), 1), (search.clone(), 2), (none.clone(), 1)]), json!("calls")));

    withdraw(&server, "team").await;
    let position = report(&server, "late", team("ads")).await;
    let found = by_team(&server, &["TAG"], &position).await;
    assert_eq!(found, (rows(&[(ads.clone(), 2), (search.clone(), 2), (none.clone(), 1)]), json!("calls")));
    // What was counted stays so, also if it is reported again meanwhile; what was not stays so until it is reported again.
    let head = database.head().await;
    report(&server, "since", team("ads")).await;
    assert_eq!(database.head().await, head, "a record that is reported again while the key is withdrawn adds nothing");
    declare(&server, "team").await;
    let found = by_team(&server, &["TAG"], &position).await;
    assert_eq!(found, (rows(&[(ads.clone(), 1), (search.clone(), 1), (none.clone(), 3)]), summed.clone()));
    let position = report(&server, "late", team("ads")).await;
    let found = by_team(&server, &["TAG"], &position).await;
    assert_eq!(found, (rows(&[(ads.clone(), 2), (search, 1), (none, 2)]), summed.clone()));

    let filter = json!([{ "dimension": "TAG", "value": "ads" }]);
    let report = server.graphql(REPORT, json!({ "by": ["HOUR"], "filter": filter, "key": "team" })).await;
    let report = &report["usageReport"];
    assert_eq!((&report["total"]["inputTokens"], &report["summedFrom"]), (&json!("2"), &summed));
    assert_eq!(report["nodes"][0]["keys"][0]["value"], "2023-09-01T07:00Z");
    assert_rebuilds(&database).await;
}

/// As a call without a price is charged when it is imported again after the price was set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_repeated_after_a_declaration_counts_the_calls() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let id = CallId(Uuid::from_u128(7));
    let facts = CallFacts {
        model: Some(testkit::name("m")),
        tags: Some(Tags::new([("team", "search"), ("env", "prod")]).unwrap()),
        ..CallFacts::new(CallKind::Llm, testkit::at(0), testkit::name("test"))
    };
    let import = async || {
        let prices = prices::load_or_init(&rooms.commands, &testkit::operator()).await.unwrap();
        let importer = Importer::new(rooms.commands.clone(), testkit::operator(), prices, Uuid::from_u128(1).into());
        let (agent, task, location) = (None, None, Location::Line(1));
        let record = Record { location, agent, task, call_ids: id.into(), facts: facts.clone(), ignored: None };
        importer.prepare(record).await.unwrap().send().await.unwrap().outcome
    };
    let counted = async || {
        let (_, call) = rooms.commands.load_call(&testkit::operator(), id, None).await.unwrap();
        let counted = &call.state.charged.as_ref().unwrap().counted_tags;
        counted.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!((import().await, import().await), (ImportOutcome::Imported, ImportOutcome::Duplicate));
    assert_eq!(counted().await, [""; 0]);
    let context = testkit::context(testkit::tenant(), "test", Uuid::new_v4());
    let declare = TagKeysCommand::Declare { key: TagKey::new("team").unwrap(), at: testkit::at(1) };
    rooms.commands.execute::<TagKeys>(&context, TagKeys::id(), declare).await.unwrap();
    assert_eq!((import().await, import().await), (ImportOutcome::Amended, ImportOutcome::Duplicate));
    assert_eq!(counted().await, ["team"]);
    rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_eight_tag_keys_are_declared_and_refusals_have_types() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let select = "outcome position error { code field message } tagKeys { key declaredAt }";
    let id = Uuid::now_v7();
    let first = json!({ "key": "k0", "commandId": id, "at": "2023-09-01T07:10:00Z" });
    let done = command(&server, "declareTagKey", first.clone(), select).await;
    assert_eq!(done["outcome"], "DONE");
    assert_eq!(done["tagKeys"], json!([{ "key": "k0", "declaredAt": "2023-09-01T07:10:00Z" }]));
    let retried = command(&server, "declareTagKey", first, select).await;
    assert_eq!((&retried["outcome"], &retried["position"]), (&json!("DUPLICATE"), &done["position"]));
    assert_eq!(command(&server, "declareTagKey", json!({ "key": "k0" }), select).await["outcome"], "ALREADY_DONE");
    for n in 1..8 {
        declare(&server, &format!("k{n}")).await;
    }
    for (field, input, code, message) in [
        ("declareTagKey", json!({ "key": "k8" }), "TOO_MANY", "8 tag keys are declared"),
        ("withdrawTagKey", json!({ "key": "k8" }), "NOT_DECLARED", "the tag key k8 is not declared"),
        ("declareTagKey", json!({ "key": "k".repeat(65) }), "INVALID_INPUT", "key: "),
        ("withdrawTagKey", json!({ "key": "" }), "INVALID_INPUT", "key: "),
        ("declareTagKey", json!({ "key": "k9", "commandId": id }), "COMMAND_ID_REUSED", "another command"),
        ("declareTagKey", json!({ "key": "k9", "expectedVersion": 3 }), "WRONG_VERSION", "has version 8"),
    ] {
        let refused = command(&server, field, input, select).await;
        let error = &refused["error"];
        assert_eq!((&refused["outcome"], &error["code"]), (&json!("REJECTED"), &json!(code)), "{refused}");
        assert!(error["message"].as_str().unwrap().contains(message), "{refused}");
    }
    withdraw(&server, "k3").await;
    declare(&server, "k8").await;
    let keys = server.graphql("{ tagKeys { key } }", json!({})).await["tagKeys"].take();
    let expected: Vec<_> = ["k0", "k1", "k2", "k4", "k5", "k6", "k7", "k8"].map(|key| json!({ "key": key })).into();
    assert_eq!(keys, json!(expected));

    for (by, key, reason) in [
        (json!(["TAG"]), Value::Null, "NO_TAG_KEY"),
        (json!(["MODEL"]), json!("k0"), "UNUSED_TAG_KEY"),
        (json!(["TAG"]), json!("k".repeat(65)), "BAD_TAG_KEY"),
    ] {
        let refused = server.graphql_response(REPORT, json!({ "by": by, "key": key })).await;
        assert_eq!(refused["errors"][0]["extensions"]["reason"], reason, "{refused}");
    }
    let stream = |key: &str| format!("subscription {{ usageTotals(by: [TAG], tagKey: \"{key}\") {{ summedFrom }} }}");
    let streamed = first_of_stream(&server, &stream("k0")).await;
    assert_eq!(streamed["data"]["usageTotals"]["summedFrom"], "sums by hour and tag", "{streamed}");
    let refused = first_of_stream(&server, &stream("k3")).await;
    assert_eq!(refused["errors"][0]["extensions"]["reason"], "NOT_SUMMED", "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_declares_tag_keys_and_reports_by_them() {
    let database = TestDatabase::new().await;
    let declared = database.run(&["tags", "declare", "team"]).await.assert_success();
    assert!(declared.stderr.contains("reported from now on are counted under team"), "{}", declared.stderr);
    let again = database.run(&["tags", "declare", "team"]).await.assert_success();
    assert!(again.stderr.contains("declared already"), "{}", again.stderr);
    let list = async || database.run(&["tags", "list", "--format", "json"]).await.assert_success().json();
    assert_eq!((list().await["tag_keys"][0]["key"].take(), list().await["limit"].take()), (json!("team"), json!(8)));

    let server = database.serve(&[]).await;
    report(&server, "1", team("search")).await;
    report(&server, "2", team("ads")).await;
    report(&server, "3", json!([])).await;
    let cost = async |arguments: &[&str]| {
        let arguments: Vec<_> = ["report", "cost"].iter().chain(arguments).copied().collect();
        database.run(&arguments).await
    };
    let output = cost(&["--by", "tag:team,hour", "--format", "json"]).await.assert_success();
    assert!(output.stderr.contains("The tag key was last declared at "), "{}", output.stderr);
    let json = output.json();
    assert_eq!((&json["summed_from"], &json["total"]["calls"]), (&json!("sums by hour and tag"), &json!(3)));
    let keys: Vec<_> = json["rows"].as_array().unwrap().iter().map(|row| row["tag:team"].clone()).collect();
    assert_eq!(keys, [json!("ads"), json!("search"), Value::Null], "{json}");
    let filtered = cost(&["--filter", "tag:team=ads", "--format", "json"]).await.assert_success().json();
    assert_eq!(filtered["total"]["calls"], 1);
    let csv = cost(&["--by", "tag:team", "--format", "csv"]).await.assert_success();
    assert!(csv.stdout.starts_with("tag:team,calls,"), "{}", csv.stdout);

    let withdrawn = database.run(&["tags", "withdraw", "team"]).await.assert_success();
    assert!(withdrawn.stderr.contains("No more calls are counted under team"), "{}", withdrawn.stderr);
    let read = cost(&["--by", "tag:team", "--format", "json"]).await.assert_success().json();
    assert_eq!(read["summed_from"], "calls");
    for (arguments, code, message) in [
        (&["tags", "withdraw", "team"][..], 1, "the tag key team is not declared"),
        (&["tags", "declare", ""], 2, "invalid value"),
        (&["report", "cost", "--by", "tag"], 2, "a tag is named with its key, such as tag:team"),
        (&["report", "cost", "--by", "tag:team", "--filter", "tag:env=x"], 1, "tag:team and tag:env were given"),
    ] {
        let output = database.run(arguments).await;
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(message), "{arguments:?}: {}", output.stderr);
    }
}
