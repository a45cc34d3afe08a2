//! Costs by meter: they are those of the receipts, and add up to the report, wherever they are asked for.

use crate::exports::{decimal, filled, write_calls};
use crate::graphql::reason;
use crate::remote::{assert_same, at};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use testkit::{Server, TestDatabase};

/// The calls, billed units and cost of each meter.
type Billed = BTreeMap<String, (i64, Decimal, Decimal)>;

/// What the receipts of all calls bill, of those that a condition selects.
async fn receipts(server: &Server, is_selected: impl Fn(&Value) -> bool) -> Billed {
    let query = "query ($after: String) { calls(first: 20, after: $after) { nodes { model receipt { charge { lines { meter units cost } } } }
        pageInfo { hasNextPage endCursor } } }";
    let (mut calls, mut after) = (Vec::new(), json!(null));
    while after != json!(false) {
        let mut page = server.graphql(query, json!({ "after": after })).await["calls"].take();
        calls.append(page["nodes"].as_array_mut().unwrap());
        after =
            if page["pageInfo"]["hasNextPage"] == true { page["pageInfo"]["endCursor"].take() } else { json!(false) };
    }
    let mut billed = Billed::new();
    for call in calls.iter().filter(|call| is_selected(call)) {
        let mut of_call = BTreeMap::new();
        for line in call["receipt"]["charge"]["lines"].as_array().into_iter().flatten() {
            let (units, cost): &mut (Decimal, Decimal) = of_call.entry(line["meter"].as_str().unwrap()).or_default();
            *units += decimal(&line["units"]);
            *cost += decimal(&line["cost"]);
        }
        for (meter, (units, cost)) in of_call {
            let sums = billed.entry(meter.to_owned()).or_default();
            *sums = (sums.0 + 1, sums.1 + units, sums.2 + cost);
        }
    }
    billed.values_mut().for_each(|sums| *sums = (sums.0, sums.1.normalize(), sums.2.normalize()));
    billed
}

const METERS: &str = "query ($by: [Dimension!], $filter: [UsageFilter!], $tagKey: String, $timeZone: String, $from: DateTime,
        $to: DateTime) {
    meterCosts(by: $by, filter: $filter, tagKey: $tagKey, timeZone: $timeZone, from: $from, to: $to) {
        groups { keys { value name } calls unpricedCalls cost meters { ...of } } meters { ...of } calls unpricedCalls cost
        timeZone position eventsBehind secondsBehind } }
    fragment of on MeterCost { meter quantity billedQuantity calls cost }";

/// What costs by meter say of the same.
fn billed(meters: &Value) -> Billed {
    let charged = meters.as_array().unwrap().iter().filter(|of| !of["cost"].is_null());
    let sums = |of: &Value| (of["calls"].as_i64().unwrap(), decimal(&of["billedQuantity"]), decimal(&of["cost"]));
    charged.map(|of| (of["meter"].as_str().unwrap().to_owned(), sums(of))).collect()
}

/// The report with the same arguments: its rows and its total.
async fn report(server: &Server, variables: &Value) -> Value {
    let query =
        "query ($by: [Dimension!], $filter: [UsageFilter!], $tagKey: String, $timeZone: String, $from: DateTime,
            $to: DateTime) {
        usageReport(by: $by, filter: $filter, tagKey: $tagKey, timeZone: $timeZone, from: $from, to: $to, first: 500) {
            nodes { keys { value name } totals { calls unpricedCalls cost inputTokens reasoningTokens } }
            total { calls unpricedCalls cost inputTokens reasoningTokens } } }";
    server.graphql(query, variables.clone()).await["usageReport"].take()
}

fn sum(meters: &Value) -> Decimal {
    let costs = meters.as_array().unwrap().iter().filter(|of| !of["cost"].is_null());
    costs.map(|of| decimal(&of["cost"])).sum::<Decimal>().normalize()
}

fn quantity(meters: &Value, name: &str) -> String {
    let of = meters.as_array().unwrap().iter().find(|of| of["meter"] == name);
    of.map_or("0".to_owned(), |of| of["quantity"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn costs_by_meter_are_those_of_the_receipts_and_add_up_to_the_report() {
    let installation = filled(120).await;
    let server = installation.serve_open().await;
    let wait = "query ($p: Position) { usageReport(minPosition: $p) { position } }";
    server.graphql(wait, json!({ "p": installation.database.head().await.to_string() })).await;
    let all = server.graphql(METERS, json!({})).await["meterCosts"].take();
    assert_eq!(billed(&all["meters"]), receipts(&server, |_| true).await);
    assert_eq!((&all["groups"], &all["eventsBehind"], &all["secondsBehind"]), (&json!([]), &json!(0), &Value::Null));
    let of_large = json!({ "filter": [{ "dimension": "MODEL", "value": "large" }] });
    let large = server.graphql(METERS, of_large).await["meterCosts"].take();
    assert_eq!(billed(&large["meters"]), receipts(&server, |call| call["model"] == "large").await);
    assert!(billed(&large["meters"]).len() > 4 && billed(&large["meters"]) != billed(&all["meters"]));
    for variables in [
        json!({ "by": ["MODEL"] }),
        json!({ "by": ["AGENT", "OUTCOME"] }),
        json!({ "by": ["TEAM"], "from": "2026-03-05T00:00:00Z", "to": "2026-03-20T00:00:00Z" }),
        json!({ "by": ["DAY", "MODEL"], "timeZone": "Europe/Berlin" }),
        json!({ "by": ["WEEK"], "timeZone": "Asia/Kathmandu" }),
        json!({ "by": ["TAG"], "tagKey": "number", "filter": [{ "dimension": "TEAM", "value": null }] }),
        json!({ "by": ["USER", "SOURCE", "KEY", "PROVIDER"], "tagKey": "number", "filter": [{ "dimension": "TAG", "value": "1" }] }),
        json!({ "by": ["CONVERSATION"], "filter": [{ "dimension": "MODEL", "value": "large" }, { "dimension": "MODEL", "value": "unknown" }] }),
        json!({ "by": ["TASK", "DAG", "TOOL"], "from": "2030-01-01T00:00:00Z" }),
    ] {
        let found = server.graphql(METERS, variables.clone()).await["meterCosts"].take();
        let expected = report(&server, &variables).await;
        let groups = found["groups"].as_array().unwrap();
        let rows = expected["nodes"].as_array().unwrap();
        assert_eq!(groups.len(), rows.len(), "{variables}");
        for (group, row) in groups.iter().zip(rows).chain([(&found, &json!({ "totals": expected["total"] }))]) {
            assert_eq!(group.get("keys"), row.get("keys"), "{variables}");
            let totals = &row["totals"];
            for field in ["calls", "unpricedCalls", "cost"] {
                assert_eq!(group[field], totals[field], "{field} of {variables}: {group}");
            }
            if !totals["cost"].is_null() {
                assert_eq!(sum(&group["meters"]), decimal(&totals["cost"]), "{variables}");
            }
            for (meter, field) in [("INPUT", "inputTokens"), ("REASONING", "reasoningTokens")] {
                assert_eq!(json!(quantity(&group["meters"], meter)), totals[field], "{meter} of {variables}");
            }
        }
    }
    let meters: Vec<_> = all["meters"].as_array().unwrap().iter().map(|of| of["meter"].as_str().unwrap()).collect();
    assert_eq!(meters[..2], ["INPUT", "OUTPUT"], "in the order of the table");
    let reasoning = all["meters"].as_array().unwrap().iter().find(|of| of["meter"] == "REASONING").unwrap();
    assert_eq!(
        (&reasoning["cost"], &reasoning["billedQuantity"]),
        (&Value::Null, &json!("0")),
        "it is billed as output"
    );
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn costs_by_meter_are_the_same_on_the_database_and_at_a_server() {
    let installation = filled(60).await;
    let server = installation.serve(&[]).await;
    for arguments in [
        &[][..],
        &["--by", "model"],
        &["--by", "agent,day", "--time-zone", "Europe/Berlin", "--from", "2026-03", "--to", "2026-03-20"],
        &["--by", "tag:number", "--filter", "team=research", "--filter", "tag:number=1", "--filter", "tag:number="],
    ] {
        for format in ["table", "csv"] {
            assert_same(&installation, &server, &[&["report", "meters", "--format", format], arguments].concat()).await;
        }
        let json = [&["report", "meters", "--format", "json"], arguments].concat();
        let without_positions = |mut printed: Value| {
            for name in ["position", "head", "events_behind", "seconds_behind"] {
                printed.as_object_mut().unwrap().remove(name).unwrap();
            }
            printed
        };
        let local = installation.database.run(&json).await.assert_success();
        assert!(local.stderr.contains("Report as of position "), "{}", local.stderr);
        let remote = at(&server, "tea", &json).await.assert_success();
        assert_eq!(without_positions(local.json()), without_positions(remote.json()), "{arguments:?}");
    }
    let csv =
        installation.database.run(&["report", "meters", "--by", "model", "--format", "csv"]).await.assert_success();
    assert!(csv.stdout.starts_with("model,meter,quantity,billed_quantity,calls,cost\n"), "{}", csv.stdout);
    for (arguments, code, message) in [
        (&["--filter", "day=2026-03-10"][..], 1, "name the time range by its limits"),
        (&["--by", "model,model"], 1, "by model more than once"),
        (&["--by", "tag:a", "--filter", "tag:b=1"], 1, "tag:a and tag:b"),
        (&["--from", "2026-03-02", "--to", "2026-03-01"], 1, "not after its start"),
        (&["--by", "shoe"], 2, "there is no dimension"),
    ] {
        let arguments = [&["report", "meters"], arguments].concat();
        for run in [installation.database.run(&arguments).await, at(&server, "tea", &arguments).await] {
            assert!(run.code == Some(code) && run.stdout.is_empty(), "{arguments:?}: {}", run.stderr);
            assert!(run.stderr.contains(message), "{arguments:?}: {}", run.stderr);
        }
    }
    for (variables, expected) in [
        (json!({ "filter": [{ "dimension": "DAY", "value": "2026-03-10" }] }), "BAD_FILTER"),
        (json!({ "by": ["TAG"] }), "NO_TAG_KEY"),
        (json!({ "filter": [{ "dimension": "TAG", "value": "1" }] }), "NO_TAG_KEY"),
        (json!({ "tagKey": "number" }), "UNUSED_TAG_KEY"),
        (json!({ "by": ["MODEL", "MODEL"] }), "DIMENSION_TWICE"),
        (json!({ "timeZone": "Berlin" }), "UNKNOWN_TIME_ZONE"),
        (json!({ "from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z" }), "EMPTY_RANGE"),
    ] {
        let answer =
            crate::users::post(&server, "/graphql", Some("tea"), json!({ "query": METERS, "variables": variables }))
                .await
                .1;
        assert_eq!(reason(&answer), expected, "{variables}: {answer}");
    }
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_the_price_book_does_not_give_again_has_no_meter_and_wrong_sums_are_refused() {
    let mut installation = filled(24).await;
    installation.database = installation.database.unverified();
    let database = &installation.database;
    database.run(&["report", "cost"]).await.assert_success();
    let run = async || database.run(&["report", "meters", "--format", "json", "--no-wait"]).await;
    let before = run().await.assert_success().json();
    assert!(before["meters"].as_array().unwrap().iter().all(|of| !of["meter"].is_null()), "{before}");
    // The book has no such version.
    let one = "(select call_id from apex.calls where cost > 0 order by started_at limit 1)";
    let other = format!("update apex.calls set price_book_version = 0 where call_id = {one} returning cost::text");
    let cost: String = sqlx::query_scalar(sqlx::AssertSqlSafe(other)).fetch_one(&database.pool).await.unwrap();
    let after = run().await.assert_success().json();
    let unknown = after["meters"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&unknown["meter"], &unknown["calls"]), (&Value::Null, &json!(1)));
    assert_eq!(
        (decimal(&unknown["cost"]), &after["cost"]),
        (cost.parse::<Decimal>().unwrap().normalize(), &before["cost"])
    );
    // A cost that is not in the sums.
    let more = format!("update apex.calls set cost = cost + 1 where call_id = {one}");
    sqlx::query(sqlx::AssertSqlSafe(more)).execute(&database.pool).await.unwrap();
    let refused = run().await;
    assert!(refused.code == Some(1) && refused.stdout.is_empty(), "{}", refused.stdout);
    assert!(refused.stderr.contains("the costs of the meters add up to"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_reads_as_many_calls_as_it_may_and_the_database_any_number() {
    const CALLS: i64 = 100_001;
    let database = TestDatabase::new().await.unverified();
    write_calls(&database, CALLS).await;
    let server = database.serve(&[]).await;
    let refused = server.graphql_response(METERS, json!({})).await;
    assert_eq!(reason(&refused), "TOO_MANY_CALLS", "{refused}");
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("at most 100000 in one request"), "{refused}");
    let fewer = json!({ "to": "2026-03-02T00:00:00Z", "by": ["MODEL"] });
    let found = server.graphql(METERS, fewer).await["meterCosts"].take();
    assert_eq!((&found["calls"], found["groups"].as_array().unwrap().len()), (&json!(86_399), 7), "{found}");
    // Each call has an agent of its own, and two meters.
    let by_agent = json!({ "to": "2026-03-02T00:00:00Z", "by": ["AGENT"] });
    assert_eq!(reason(&server.graphql_response(METERS, by_agent).await), "TOO_MANY_ROWS");
    server.kill().await;
    let printed = database.run(&["report", "meters", "--no-wait", "--format", "json"]).await.assert_success().json();
    assert_eq!(
        (&printed["calls"], decimal(&printed["cost"])),
        (&json!(CALLS), "125.00125".parse::<Decimal>().unwrap())
    );
    assert_eq!(
        printed["meters"][0],
        json!({ "meter": "input_tokens", "quantity": "120001200", "billed_quantity": "0", "calls": 0, "cost": null })
    );
}
