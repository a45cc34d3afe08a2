//! Allocation rules and statements of cost centres: they add up to the cost report, whatever the rules are.

use crate::graphql::{code, command, reason};
use crate::remote::at;
use crate::rollups::report_calls;
use crate::users::{Installation, ask, text};
use domain::Sum;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use testkit::{Server, TestDatabase};

const FROM: &str = "2023-08-31T00:00:00Z";
const TO: &str = "2023-09-03T00:00:00Z";

const STATEMENTS: &str =
    "query ($from: DateTime!, $to: DateTime!, $version: Long, $filter: [UsageFilter!], $tagKey: String,
    $first: Int, $after: String, $costCentre: String, $digits: Int, $position: Position, $knownAt: AsOf) {
    costStatements(from: $from, to: $to, rulesVersion: $version, filter: $filter, tagKey: $tagKey, first: $first,
        after: $after, costCentre: $costCentre, digits: $digits, minPosition: $position, knownAt: $knownAt) {
        nodes {
            costCentre { code name } lines { rule value usage { calls unpricedCalls cost } }
            direct { calls toolCalls unpricedCalls inputTokens cost } shared { base cost } total roundedTotal
        }
        total { calls toolCalls unpricedCalls inputTokens cost } roundedTotal
        shared { usage { calls toolCalls unpricedCalls inputTokens cost } by { kind } inEqualPartsInstead base }
        rulesVersion position summedFrom pageInfo { hasNextPage endCursor }
    } }";
const REPORT: &str = "query ($from: DateTime, $to: DateTime, $filter: [UsageFilter!], $tagKey: String) {
    usageReport(from: $from, to: $to, filter: $filter, tagKey: $tagKey) {
        total { calls toolCalls unpricedCalls inputTokens cost } } }";

fn sum(value: &Value) -> Sum {
    value.as_str().map_or_else(Sum::default, |text| Sum::parse(text).unwrap())
}

fn total<'v>(values: impl IntoIterator<Item = &'v Value>) -> Sum {
    values.into_iter().fold(Sum::default(), |mut total, value| {
        total += &sum(value);
        total
    })
}

/// A known cost, rounded half to even.
fn rounded(cost: &Value, digits: u32) -> Sum {
    let cost = Decimal::from_str_exact(cost.as_str().unwrap()).unwrap();
    let rounded = cost.round_dp_with_strategy(digits, RoundingStrategy::MidpointNearestEven);
    Sum::parse(&rounded.to_string()).unwrap()
}

fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value} is no number"))
}

fn nodes(page: &Value) -> &Vec<Value> {
    page["nodes"].as_array().unwrap()
}

fn centres(codes: &[&str]) -> Value {
    codes.iter().map(|code| json!({ "code": code, "name": format!("Centre {code}") })).collect()
}

fn codes(dimension: &str) -> Value {
    json!({ "codes": { "dimension": dimension } })
}

fn set_of(codes: &[&str], rules: Value, shared_cost: Value) -> Value {
    json!({ "costCentres": centres(codes), "rules": rules, "sharedCost": shared_cost })
}

async fn set(server: &Server, rules: &Value) -> Value {
    let select = "outcome position error { code field message } allocationRules { version position effectiveFrom }";
    command(server, "setAllocationRules", rules.clone(), select).await
}

async fn set_version(server: &Server, rules: &Value) -> i64 {
    let payload = set(server, rules).await;
    assert_eq!(payload["outcome"], "DONE", "{payload}");
    assert_eq!(payload["allocationRules"]["position"], payload["position"], "{payload}");
    number(&payload["allocationRules"]["version"])
}

async fn statements(server: &Server, more: Value) -> Value {
    server.graphql(STATEMENTS, variables(more)).await["costStatements"].take()
}

fn variables(more: Value) -> Value {
    let mut variables = json!({ "from": FROM, "to": TO });
    variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    variables
}

/// Rules of every kind over the values that random calls have.
fn rule_sets() -> Vec<Value> {
    let agent = |n: u32| format!("00000000-0000-0000-0000-{n:012}");
    let by_team = json!([
        { "match": { "when": [{ "dimension": "team", "value": "search" }, { "dimension": "model", "value": "m1" }],
                     "costCentre": "b" } },
        { "values": { "dimension": "provider", "costCentres": [{ "value": "other", "costCentre": "search" }] } },
        codes("team"),
    ]);
    let by_agent = json!([{ "values": { "dimension": "agent", "costCentres": [
        { "value": agent(1), "costCentre": "a" }, { "value": agent(2), "costCentre": "b" } ] } }]);
    let of_tag =
        json!([{ "values": { "dimension": "tag:squad", "costCentres": [{ "value": "red", "costCentre": "a" }] } }]);
    let weights = json!([{ "costCentre": "a", "weight": 7 }, { "costCentre": "b", "weight": 3 }]);
    vec![
        set_of(&["search", "ads", "b"], by_team.clone(), json!({ "inEqualParts": true })),
        set_of(&["search", "ads", "b"], by_team.clone(), json!({ "byDirectCost": true })),
        set_of(&["search", "ads", "b", "rest"], by_team, json!({ "to": "rest" })),
        set_of(&["a", "b", "c"], by_agent.clone(), json!({ "byMeter": "INPUT" })),
        // No call has any: in equal parts.
        set_of(&["a", "b", "c"], by_agent, json!({ "byMeter": "CACHE_WRITE_5_MIN" })),
        set_of(&["a", "b"], of_tag, json!({ "byWeights": weights })),
        set_of(&["a", "b", "c", "d", "e", "f", "g"], json!([]), json!({ "inEqualParts": true })),
        set_of(&["prod", "dev"], json!([codes("tag:stage")]), json!({ "byDirectCost": true })),
    ]
}

/// Asserts that statements add up to a report of the same calls, and their rounded totals to its rounded cost.
fn assert_adds_up(page: &Value, report: &Value, rules: &Value, digits: u32) {
    let (all, shared) = (nodes(page), &page["shared"]["usage"]);
    let rounded = rounded(&report["cost"], digits);
    assert_eq!(&page["total"], report, "{rules}");
    assert_eq!(total(all.iter().map(|of| &of["total"])), sum(&report["cost"]), "{rules}: {page}");
    assert_eq!(total(all.iter().map(|of| &of["roundedTotal"])), rounded, "{rules}: {page}");
    assert_eq!(sum(&page["roundedTotal"]), rounded, "{rules}: {page}");
    assert_eq!(total(all.iter().map(|of| &of["shared"]["cost"])), sum(&shared["cost"]), "{rules}: {page}");
    assert_eq!(total(all.iter().map(|of| &of["shared"]["base"])), sum(&page["shared"]["base"]), "{rules}: {page}");
    for field in ["calls", "toolCalls", "unpricedCalls", "inputTokens"] {
        let direct: i64 = all.iter().map(|of| number(&of["direct"][field])).sum();
        assert_eq!(direct + number(&shared[field]), number(&report[field]), "{field} of {rules}");
    }
    for of in all {
        let lines = of["lines"].as_array().unwrap();
        assert_eq!(total(lines.iter().map(|line| &line["usage"]["cost"])), sum(&of["direct"]["cost"]), "{of}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_of_a_random_log_add_up_to_the_report_under_every_rule() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    command(&server, "declareTagKey", json!({ "key": "squad" }), "outcome").await;
    let position = report_calls(&server, "a", 60, 20_261_130).await;
    let of_provider = json!([{ "dimension": "PROVIDER", "value": "acme" }]);
    let mut sources = BTreeMap::new();
    for rules in rule_sets() {
        let version = set_version(&server, &rules).await;
        // Costs are multiples of 0.0000035: with six digits, a total may be half a unit.
        for (filter, digits) in [(Value::Null, 5), (of_provider.clone(), 6)] {
            let more = json!({ "filter": filter, "position": position, "digits": digits });
            let page = statements(&server, more.clone()).await;
            let report = server.graphql(REPORT, variables(more)).await["usageReport"]["total"].take();
            assert!(number(&report["unpricedCalls"]) > 0 && !sum(&report["cost"]).is_zero(), "{report}");
            assert_adds_up(&page, &report, &rules, digits);
            assert_eq!(number(&page["rulesVersion"]), version);
            *sources.entry(page["summedFrom"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
        let shown = ["report", "chargeback", "--from", FROM, "--to", TO, "--format", "json"];
        let shown = database.run(&shown).await.assert_success().json();
        let cost = ["report", "cost", "--from", FROM, "--to", TO, "--format", "json"];
        let cost = database.run(&cost).await.assert_success().json()["total"]["cost"].take();
        let totals = shown["statements"].as_array().unwrap();
        assert_eq!(total(totals.iter().map(|of| &of["total"])), sum(&cost), "{rules}");
        assert_eq!(shown["total"]["cost"], cost, "{rules}");
    }
    // One tag alone is answered by its sums; beside another dimension, and for one that is not declared, the calls are read.
    let expected = [("calls", 3), ("sums by hour and tag", 1), ("sums by quarter hour", 12)];
    assert_eq!(sources, expected.map(|(source, count)| (source.to_owned(), count)).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn costs_without_any_priced_call_are_unknown_wherever_they_are_shown() {
    let installation = Installation::new().await;
    let open = installation.serve_open().await;
    let report = async |key: &str, team: Value| {
        let record = json!({ "callKey": key, "startedAt": "2023-09-01T00:00:00Z", "model": "m", "team": team,
                             "usage": { "input": 1 } });
        command(&open, "reportCall", record, "position").await["position"].take()
    };
    let figures = |page: &Value| -> Value {
        nodes(page).iter().map(|of| json!([of["shared"]["cost"], of["total"], of["roundedTotal"]])).collect()
    };
    set_version(&open, &set_of(&["A", "B"], json!([codes("team")]), json!({ "inEqualParts": true }))).await;
    report("1", json!("A")).await;
    let position = report("2", json!("A")).await;
    let page = statements(&open, json!({ "position": position })).await;
    assert_eq!(figures(&page), json!([["0", null, null], ["0", "0", "0"]]), "{page}");
    let csv = ["report", "chargeback", "--from", FROM, "--to", TO, "--format", "csv"];
    let shown = installation.database.run(&csv).await.assert_success().stdout;
    assert!(shown.contains("\nA,Centre A,2,0,2,unpriced,1,0,unpriced,unpriced,"), "{shown}");
    assert!(shown.contains("\nB,Centre B,0,0,0,0,1,0,0,0,"), "{shown}");

    let position = report("3", Value::Null).await;
    let page = statements(&open, json!({ "position": position })).await;
    assert_eq!(figures(&page), json!([[null, null, null], [null, null, null]]), "{page}");
    assert_eq!((&page["total"]["cost"], &page["roundedTotal"]), (&Value::Null, &Value::Null), "{page}");
    drop(open.terminate().await);
    let server = installation.serve(&[]).await;
    for format in ["csv", "json"] {
        let arguments = [&csv[..7], &[format]].concat();
        let local = installation.database.run(&arguments).await.assert_success();
        for shown in [local, at(&server, "tea", &arguments).await.assert_success()] {
            if format == "csv" {
                let row = "\nA,Centre A,2,0,2,unpriced,1,unpriced,unpriced,unpriced,";
                assert!(shown.stdout.contains(row), "{}", shown.stdout);
                continue;
            }
            let shown = shown.json();
            let of = &shown["statements"][0];
            assert_eq!((of["shared"]["base"].as_str(), number(&of["direct"]["calls"])), (Some("1"), 2), "{shown}");
            for unknown in [&of["shared"]["cost"], &of["total"], &of["rounded_total"], &shown["rounded_total"]] {
                assert!(unknown.is_null(), "{shown}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_costs_are_those_of_the_calls() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let position = report_calls(&server, "a", 60, 7).await;
    let rules = json!([
        { "match": { "when": [{ "dimension": "team", "value": "search" }, { "dimension": "user", "value": "ada" }],
                     "costCentre": "a" } },
        { "values": { "dimension": "provider", "costCentres": [{ "value": "other", "costCentre": "b" }] } },
        codes("key"),
    ]);
    set_version(&server, &set_of(&["a", "b", "ci"], rules, json!({ "inEqualParts": true }))).await;
    let page = statements(&server, json!({ "position": position })).await;
    // The same rules in the words of the database, over the calls themselves.
    let direct: Vec<(Option<String>, i64, String)> = sqlx::query_as(
        "select case when team = 'search' and user_id = 'ada' then 'a' when provider = 'other' then 'b'
                     when key = 'ci' then 'ci' end, count(*) filter (where kind = 'llm'), coalesce(sum(cost), 0)::text
         from apex.calls where started_at >= $1::timestamptz and started_at < $2::timestamptz group by 1 order by 1",
    )
    .bind(FROM.parse::<chrono::DateTime<chrono::Utc>>().unwrap())
    .bind(TO.parse::<chrono::DateTime<chrono::Utc>>().unwrap())
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let found = nodes(&page).iter().map(|of| (&of["costCentre"]["code"], &of["direct"]));
    let found: Vec<_> = found.chain([(&Value::Null, &page["shared"]["usage"])]).collect();
    assert_eq!(direct.len(), found.len(), "{direct:?}");
    for ((code, calls, cost), (found_code, usage)) in direct.iter().zip(found) {
        assert_eq!(&json!(code), found_code, "{direct:?}");
        assert_eq!((*calls, Sum::parse(cost).unwrap()), (number(&usage["calls"]), sum(&usage["cost"])), "{code:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_are_set_later_change_no_statement_by_an_earlier_version() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    report_calls(&server, "a", 30, 1).await;
    let at_first = set_of(&["search", "ads"], json!([codes("team")]), json!({ "inEqualParts": true }));
    let payload = set(&server, &at_first).await;
    let position = &payload["position"];
    assert_eq!((&payload["outcome"], number(&payload["allocationRules"]["version"])), (&json!("DONE"), 1));
    assert_eq!(set(&server, &at_first).await["outcome"], "ALREADY_DONE");
    let before = statements(&server, json!({ "position": position })).await;
    assert_eq!(number(&before["rulesVersion"]), 1);

    let mut other = set_of(&["one", "two"], json!([]), json!({ "inEqualParts": true }));
    assert_eq!(set_version(&server, &other).await, 2);
    let after = statements(&server, json!({})).await;
    assert_eq!((number(&after["rulesVersion"]), &nodes(&after)[0]["costCentre"]["code"]), (2, &json!("one")));
    let again = statements(&server, json!({ "version": 1 })).await;
    let without_position = |page: &Value| {
        let mut page = page.clone();
        page.as_object_mut().unwrap().remove("position");
        page
    };
    assert_eq!(without_position(&again), without_position(&before));
    let arguments = ["report", "chargeback", "--from", FROM, "--to", TO, "--format", "json"];
    let shown = [&arguments[..], &["--rules-version", "1"]].concat();
    let shown = database.run(&shown).await.assert_success().json();
    assert_eq!(shown["statements"][0]["total"], nodes(&before)[0]["total"]);

    // Rules from a date on are those of periods from then on.
    other["effectiveFrom"] = json!("2023-09-01T00:00:00Z");
    other["reason"] = json!("reorganised");
    assert_eq!(set_version(&server, &other).await, 3);
    let in_force = "{ allocationRules { version reason effectiveFrom inForce { version effectiveFrom } } }";
    let rules = server.graphql(in_force, json!({})).await["allocationRules"].take();
    let expected =
        json!([{ "version": 2, "effectiveFrom": null }, { "version": 3, "effectiveFrom": "2023-09-01T00:00:00Z" }]);
    assert_eq!((&rules["reason"], &rules["inForce"]), (&json!("reorganised"), &expected));
    let used = async |from: &str, to: &str| {
        let answer = server.graphql_response(STATEMENTS, variables(json!({ "from": from, "to": to }))).await;
        let version = answer["data"]["costStatements"]["rulesVersion"].as_i64();
        version.ok_or_else(|| reason(&answer).to_owned())
    };
    assert_eq!(used(FROM, "2023-09-01T00:00:00Z").await, Ok(2));
    assert_eq!(used("2023-09-01T00:00:00Z", TO).await, Ok(3));
    assert_eq!(used(FROM, TO).await, Err("RULES_CHANGE".to_owned()));
    let refused = database.run(&arguments).await;
    assert!(refused.stderr.contains("version 3 of the allocation rules takes effect at"), "{}", refused.stderr);
    // Who set them is in the log, with why.
    let recorded: (String, String) = sqlx::query_as(
        "select metadata ->> 'actor', payload ->> 'reason' from apex.events where type = 'allocation_rules.set'
         order by position desc limit 1",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert!(!recorded.0.is_empty() && recorded.1 == "reorganised", "{recorded:?}");
    database.verify_log().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_made_again_as_they_were_known() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    report_calls(&server, "a", 30, 1).await;
    let rules = set_of(&["search", "ads"], json!([codes("team")]), json!({ "inEqualParts": true }));
    let position = set(&server, &rules).await["position"].take();
    let before = statements(&server, json!({ "position": position })).await;
    set_version(&server, &set_of(&["one"], json!([]), json!({ "to": "one" }))).await;
    let arguments = ["report", "chargeback", "--from", FROM, "--to", TO, "--format", "json"];
    report_calls(&server, "b", 20, 2).await;
    let known_at = before["position"].as_str().unwrap();
    let known = statements(&server, json!({ "knownAt": { "position": known_at } })).await;
    assert_eq!(known["summedFrom"], "events of calls");
    for of in ["nodes", "total", "roundedTotal", "shared", "rulesVersion", "position"] {
        assert_eq!(known[of], before[of], "{of}");
    }
    let shown = [&arguments[..], &["--known-at", known_at]].concat();
    let shown = database.run(&shown).await.assert_success().json();
    assert_eq!(shown["statements"][0]["total"], nodes(&before)[0]["total"]);
    assert_eq!(number(&shown["position"]), number(&before["position"]));
    let now = database.run(&[&arguments[..], &["--rules-version", "1"]].concat()).await.assert_success().json();
    assert_ne!(now["total"]["cost"], shown["total"]["cost"], "nothing was reported since: the test proves nothing");
    let none = json!({ "knownAt": { "position": "1" } });
    assert_eq!(reason(&server.graphql_response(STATEMENTS, variables(none)).await), "NO_RULES");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_read_page_by_page_and_one_alone() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let position = report_calls(&server, "a", 10, 3).await;
    set_version(&server, &set_of(&["c", "a", "b"], json!([]), json!({ "inEqualParts": true }))).await;
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = statements(&server, json!({ "first": 2, "after": after, "position": position })).await;
        found.extend(nodes(&page).iter().map(|of| of["costCentre"]["code"].as_str().unwrap().to_owned()));
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(found, ["a", "b", "c"]);
    let whole = statements(&server, json!({ "digits": 4 })).await;
    let one = statements(&server, json!({ "digits": 4, "costCentre": "b" })).await;
    assert_eq!((nodes(&one).len(), &nodes(&one)[0]), (1, &nodes(&whole)[1]));
    assert_eq!((&one["total"], &one["roundedTotal"]), (&whole["total"], &whole["roundedTotal"]));
}

/// Rules that are rejected, each with the code and a part of the message.
fn bad_rules() -> Vec<(Value, &'static str, &'static str)> {
    let equal = json!({ "inEqualParts": true });
    let weight = |weight: i32| json!({ "byWeights": [{ "costCentre": "a", "weight": weight }] });
    let twice = json!([{ "match": { "when": [{ "dimension": "team", "value": "x" }, { "dimension": "team", "value": "y" }],
                                    "costCentre": "a" } }]);
    let no_values = json!([{ "values": { "dimension": "team", "costCentres": [] } }]);
    let no_id = json!([{ "match": { "when": [{ "dimension": "agent", "value": "ada" }], "costCentre": "a" } }]);
    let to_other = json!([{ "values": { "dimension": "team", "costCentres": [{ "value": "x", "costCentre": "b" }] } }]);
    vec![
        (set_of(&[], json!([]), equal.clone()), "NUMBER", "there are 0 cost centres"),
        (set_of(&["a", "a"], json!([]), equal.clone()), "DUPLICATE_CODE", "two cost centres have the code a"),
        (set_of(&["a"], to_other, equal.clone()), "UNKNOWN_COST_CENTRE", "rule 1 names the cost centre b"),
        (set_of(&["a"], json!([]), json!({ "to": "b" })), "UNKNOWN_COST_CENTRE", "the sharing of costs names"),
        (set_of(&["a"], no_values, equal.clone()), "INEFFECTIVE_RULE", "rule 1 names no value"),
        (set_of(&["a"], no_id, equal.clone()), "INEFFECTIVE_RULE", "write a UUID"),
        (set_of(&["a"], json!([codes("team"), codes("team")]), equal.clone()), "INEFFECTIVE_RULE", "rule 2"),
        (
            set_of(&["a"], json!([codes("team"), codes("tag:x")]), equal.clone()),
            "MIXED_DIMENSIONS",
            "tag:x and at team",
        ),
        (set_of(&["a"], json!([]), weight(0)), "INVALID_WEIGHT", "from 1 to 1000000"),
        (set_of(&["a"], json!([]), json!({ "byWeights": [] })), "INVALID_WEIGHT", "no cost centre has one"),
        (set_of(&["a"], json!([]), weight(-1)), "INVALID_INPUT", "below zero"),
        (
            set_of(&["a"], json!([codes("task")]), equal.clone()),
            "INVALID_INPUT",
            "usage cannot be assigned by \"task\"",
        ),
        (set_of(&["a"], json!([codes("tag:")]), equal.clone()), "INVALID_INPUT", "the key of the tag"),
        (set_of(&["a"], twice, equal.clone()), "INVALID_INPUT", "occurs twice"),
        (set_of(&["a"], json!([]), json!({ "byDirectCost": false })), "INVALID_INPUT", "it must be true"),
        (set_of(&[&"c".repeat(65)], json!([]), equal.clone()), "INVALID_INPUT", "64 bytes"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_with_its_reason_and_changes_nothing() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let ask = async |more: Value| {
        let answer = server.graphql_response(STATEMENTS, variables(more)).await;
        assert_eq!(code(&answer), "BAD_USER_INPUT", "{answer}");
        reason(&answer).to_owned()
    };
    assert_eq!(ask(json!({})).await, "NO_RULES");
    assert_eq!(server.graphql("{ allocationRules { version } }", json!({})).await["allocationRules"], Value::Null);
    for (rules, expected, message) in bad_rules() {
        let payload = set(&server, &rules).await;
        let error = &payload["error"];
        assert_eq!((&payload["outcome"], &error["code"]), (&json!("REJECTED"), &json!(expected)), "{payload}");
        assert!(error["message"].as_str().unwrap().contains(message), "{payload}");
    }
    let events: i64 = sqlx::query_scalar("select count(*) from apex.events where category = 'allocation_rules'")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(events, 0);

    set_version(&server, &set_of(&["a"], json!([codes("tag:x")]), json!({ "inEqualParts": true }))).await;
    for (more, expected) in [
        (json!({ "version": 2 }), "NO_SUCH_VERSION"),
        (json!({ "version": 0 }), "NO_SUCH_VERSION"),
        (json!({ "costCentre": "b" }), "UNKNOWN_COST_CENTRE"),
        (json!({ "costCentre": "" }), "UNKNOWN_COST_CENTRE"),
        (json!({ "digits": 13 }), "BAD_DIGITS"),
        (json!({ "digits": -1 }), "BAD_DIGITS"),
        (json!({ "to": FROM }), "EMPTY_RANGE"),
        (json!({ "from": "2023-08-31T00:01:00Z" }), "NOT_A_QUARTER_HOUR"),
        (json!({ "first": 0 }), "BAD_PAGE_SIZE"),
        (json!({ "after": "?" }), "BAD_CURSOR"),
        (json!({ "tagKey": "y", "filter": [{ "dimension": "TAG", "value": "v" }] }), "OTHER_TAG"),
    ] {
        assert_eq!(ask(more.clone()).await, expected, "{more}");
    }
}

/// A file with rules.
fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const RULES: &str = r#"
    cost_centres = [{ code = "search", name = "Search" }, { code = "ads", name = "=1+1" }, { code = "rest", name = "Rest" }]
    shared_cost = { kind = "by_weights", weights = { search = 3, rest = 1 } }

    [[rules]]
    kind = "match"
    when = { team = "ads", provider = "other" }
    cost_centre = "rest"

    [[rules]]
    kind = "values"
    dimension = "user"
    cost_centres = { bob = "ads" }

    [[rules]]
    kind = "codes"
    dimension = "team"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_sets_and_shows_rules_and_statements_as_a_server_does() {
    let installation = Installation::new().await;
    let (database, folder) = (&installation.database, tempfile::tempdir().unwrap());
    let open = installation.serve_open().await;
    report_calls(&open, "a", 40, 5).await;
    drop(open.terminate().await);
    let server = installation.serve(&[]).await;

    let none = database.run(&["allocation", "show"]).await.assert_success();
    assert!(none.stderr.contains("No allocation rules are set"), "{}", none.stderr);
    let chargeback = ["report", "chargeback", "--from", FROM, "--to", TO];
    let refused = database.run(&chargeback).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("no allocation rules are set"), "{}", refused.stderr);

    let toml = write(folder.path(), "rules.toml", RULES);
    let done = at(&server, "tea", &["allocation", "set", &toml, "--reason", "2023"]).await.assert_success();
    assert!(done.stderr.contains("allocated to 3 cost centres by 3 rules"), "{}", done.stderr);
    let again = database.run(&["allocation", "set", &toml]).await.assert_success();
    assert!(again.stderr.contains("nothing has changed"), "{}", again.stderr);
    // What is shown can be set again; at the server it is the same.
    let shown = database.run(&["allocation", "show", "--format", "json"]).await.assert_success();
    let at_server = at(&server, "tea", &["allocation", "show", "--format", "json"]).await.assert_success();
    assert_eq!(shown.stdout, at_server.stdout);
    let json = write(folder.path(), "rules.json", &shown.stdout);
    let same = at(&server, "tea", &["allocation", "set", &json]).await.assert_success();
    assert!(same.stderr.contains("nothing has changed"), "{}", same.stderr);
    let table = database.run(&["allocation", "show"]).await.assert_success();
    assert!(table.stdout.contains("team=CODE") && table.stdout.contains("rest: 1, search: 3"), "{}", table.stdout);

    for more in [&[][..], &["--cost-centre", "ads"], &["--filter", "provider=acme", "--digits", "5"]] {
        let arguments = [&chargeback[..], more].concat();
        let local = database.run(&arguments).await.assert_success();
        let remote = at(&server, "tea", &arguments).await.assert_success();
        assert_eq!(local.stdout, remote.stdout, "{arguments:?}");
        assert!(local.stdout.contains("total") && remote.stderr.contains("by version 1 of"), "{}", remote.stderr);
        let documents = [
            database.run(&[&arguments[..], &["--format", "json"]].concat()).await.assert_success().json(),
            at(&server, "tea", &[&arguments[..], &["--format", "json"]].concat()).await.assert_success().json(),
        ];
        let [local, remote] = documents.map(|mut document| {
            document.as_object_mut().unwrap().remove("position");
            document
        });
        assert_eq!(local, remote, "{arguments:?}");
    }
    let csv = database.run(&[&chargeback[..], &["--format", "csv"]].concat()).await.assert_success();
    let mut lines = csv.stdout.lines();
    assert!(lines.next().unwrap().starts_with("cost_centre,name,calls,"), "{}", csv.stdout);
    assert!(lines.next().unwrap().starts_with("ads,'=1+1,") && lines.count() == 2, "{}", csv.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_refuses_bad_input_with_its_reason() {
    let installation = Installation::new().await;
    let (database, folder) = (&installation.database, tempfile::tempdir().unwrap());
    let server = installation.serve(&[]).await;
    let toml = write(folder.path(), "rules.toml", RULES);
    database.run(&["allocation", "set", &toml]).await.assert_success();
    let chargeback = ["report", "chargeback", "--from", FROM, "--to", TO];
    let bad = write(folder.path(), "bad.toml", &RULES.replace("kind = \"codes\"", "kind = \"codes\"\nnote = \"x\""));
    let mixed = write(folder.path(), "mixed.toml", &RULES.replace("dimension = \"user\"", "dimension = \"tag:x\""));
    for (arguments, code, message) in [
        (&["allocation", "set", &bad][..], 1, "there is no field rules[3].note"),
        (&["allocation", "set", &mixed], 1, "the rules look at tag:x and at team"),
        (&["allocation", "set", "/nowhere.toml"], 1, "cannot be opened"),
        (&["allocation", "show", "--rules-version", "9"], 1, "there is no version 9"),
        (&[&chargeback[..], &["--cost-centre", "x"]].concat(), 1, "has no cost centre x"),
        (&[&chargeback[..], &["--digits", "13"]].concat(), 2, "13 is not in 0..=12"),
        (&[&chargeback[..], &["--rules-version", "9"]].concat(), 1, "there is no version 9"),
        (&["report", "chargeback", "--from", FROM], 2, "--to"),
    ] {
        let output = database.run(arguments).await;
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(message), "{arguments:?}: {}", output.stderr);
    }
    let refused = at(&server, "tea", &["allocation", "set", &mixed]).await;
    assert!(refused.stderr.contains("the rules look at tag:x and at team"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_set_prices_set_rules_and_those_who_read_reports_read_statements() {
    let installation = Installation::new().await;
    let server = installation.serve(&[]).await;
    let set = "mutation { setAllocationRules(input: { costCentres: [{ code: \"a\", name: \"A\" }], rules: [],
        sharedCost: { inEqualParts: true } }) { outcome } }";
    let read = "{ costStatements(from: \"2023-08-31T00:00:00Z\", to: \"2023-09-03T00:00:00Z\") { nodes { total } } }";
    let rules = "{ allocationRules { version } }";
    for (role, sets, reads) in [
        ("billing", true, true),
        ("operator", true, true),
        ("viewer", false, true),
        ("auditor", false, true),
        ("agent", false, false),
    ] {
        let user = installation.user(&server, &format!("{role}@example.org"), role).await;
        for (query, may) in [(set, sets), (read, reads), (rules, reads)] {
            let (_, answer) = ask(&server, text(&user, "accessToken"), query).await;
            let is_forbidden = answer["errors"][0]["extensions"]["code"] == "FORBIDDEN";
            assert_eq!(!is_forbidden, may, "{role}: {answer}");
            assert!(!may || answer["errors"].is_null(), "{role}: {answer}");
        }
    }
}

/// More statements than a page of the command line has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_cost_centres_as_there_may_be_have_statements_that_add_up() {
    let installation = Installation::new().await;
    let open = installation.serve_open().await;
    report_calls(&open, "a", 10, 9).await;
    let codes: Vec<_> = (0..domain::allocation::MAX_COST_CENTRES).map(|n| format!("CC-{n}")).collect();
    let codes: Vec<_> = codes.iter().map(String::as_str).collect();
    set_version(&open, &set_of(&codes, json!([]), json!({ "inEqualParts": true }))).await;
    drop(open.terminate().await);
    let server = installation.serve(&[]).await;
    let arguments = ["report", "chargeback", "--from", FROM, "--to", TO, "--digits", "6", "--format", "json"];
    let [local, remote] = [installation.database.run(&arguments).await, at(&server, "tea", &arguments).await]
        .map(|output| output.assert_success().json());
    let all = local["statements"].as_array().unwrap();
    assert_eq!((all.len(), &local["statements"]), (codes.len(), &remote["statements"]));
    assert_eq!(total(all.iter().map(|of| &of["total"])), sum(&local["total"]["cost"]));
    let rounded = rounded(&local["total"]["cost"], 6);
    assert_eq!(total(all.iter().map(|of| &of["rounded_total"])), rounded, "{local}");
    assert_eq!(sum(&local["rounded_total"]), rounded, "{local}");
    assert!(!sum(&local["total"]["cost"]).is_zero(), "{local}");
}
