//! Usage and cost as they were known at an earlier time: over GraphQL, at a server and on the database.

use crate::graphql::{code, command, reason};
use crate::identities::ask;
use crate::remote::{assert_same_report, at};
use crate::repricing::{price, report, set};
use crate::users::Installation;
use projections::{KnownAt, KnownLimits, KnownReport, ReportError, ReportQuery};
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};
use uuid::Uuid;

/// What changed the costs, each with the position of the log after it and the cost that was known then.
struct History {
    installation: Installation,
    server: Server,
    known: Vec<(String, &'static str)>,
}

impl History {
    /// Four calls, of which one is corrected, and then all are charged again by other prices, and one is taken out.
    async fn new() -> Self {
        let installation = Installation::new().await;
        let server = installation.serve_open().await;
        set(&server, price("m", "3", json!({}))).await;
        let mut known = Vec::new();
        let agent = Uuid::now_v7();
        let agent =
            command(&server, "registerAgent", json!({ "id": agent, "name": "ada" }), "position agent { id }").await;
        known.push((position(&agent), "0"));
        let tags = |team: &str| json!([{ "key": "team", "value": team }]);
        let of_ada = json!({ "agentId": agent["agent"]["id"], "tags": tags("search"), "reportedCost": "3.5" });
        report(&server, "m", "a", 1, of_ada).await;
        let second = report(&server, "m", "b", 1, json!({ "tags": tags("ads"), "outcome": "OK" })).await;
        known.push((position(&second), "6"));
        report(&server, "unknown", "u", 2, json!({})).await;
        let last = report(&server, "m", "c", 3, json!({ "outcome": "ERROR" })).await;
        known.push((position(&last), "9"));
        let usage = json!({ "usage": { "input": 2_000_000 } });
        let correction = json!({ "id": last["call"]["id"], "reason": "twice as many", "values": usage });
        let corrected = command(&server, "correctCall", correction, "position error { message }").await;
        known.push((position(&corrected), "12"));
        set(&server, price("m", "2.5", json!({}))).await;
        set(&server, price("unknown", "1", json!({}))).await;
        let input = json!({ "reason": "the rate was wrong", "minPosition": corrected["position"] });
        let repriced = command(&server, "repriceCalls", input, "outcome position error { message }").await;
        assert_eq!(repriced["outcome"], "DONE", "{repriced}");
        known.push((position(&repriced), "11"));
        let void = json!({ "id": second["call"]["id"], "reason": "a test" });
        let voided = command(&server, "voidCall", void, "position").await;
        known.push((position(&voided), "8.5"));
        Self { installation, server, known }
    }
}

fn position(payload: &Value) -> String {
    payload["position"].as_str().unwrap_or_else(|| panic!("{payload}")).to_owned()
}

/// The report with these arguments: the keys and costs of its rows, its total cost and its position.
async fn known(server: &Server, arguments: &str) -> Value {
    let query = format!(
        "{{ usageReport({arguments}) {{ nodes {{ keys {{ value name }} totals {{ ...sums }} }} total {{ ...sums }} rest {{ ...sums }}
             position summedFrom pageInfo {{ hasNextPage endCursor }} }} }}
         fragment sums on UsageTotals {{ calls toolCalls failedCalls unpricedCalls inputTokens outputTokens cost reportedCost
             reportedDifference costPreferringReported }}"
    );
    server.graphql(&query, json!({})).await["usageReport"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_shows_the_costs_that_were_known_at_a_position() {
    let History { installation, server, known: history } = History::new().await;
    for (position, cost) in &history {
        let report = known(&server, &format!("by: [MODEL], knownAt: {{ position: \"{position}\" }}")).await;
        assert_eq!((&report["total"]["cost"], &report["position"]), (&json!(cost), &json!(position)), "{report}");
        assert_eq!(report["summedFrom"], "events of calls");
        let local = ["report", "cost", "--known-at", position, "--format", "json"];
        let local = installation.database.run(&local).await.assert_success().json();
        assert_eq!(
            (&local["total"]["cost"], &local["position"]),
            (&json!(cost), &json!(position.parse::<u64>().unwrap()))
        );
        assert_eq!(local["head"], local["position"], "what is known then has no later head");
        let by_time = "select to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from apex.events where \
                       position = $1";
        let recorded_at: String = sqlx::query_scalar(by_time)
            .bind(position.parse::<i64>().unwrap())
            .fetch_one(&mut installation.database.owner().await)
            .await
            .unwrap();
        let then = known(&server, &format!("by: [MODEL], knownAt: {{ time: \"{recorded_at}\" }}")).await;
        assert_eq!(then["total"], report["total"], "the event that was recorded at the time is included");
    }
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_at_the_end_of_the_log_is_what_is_known_now() {
    let History { server, known: history, .. } = History::new().await;
    let last = &history.last().unwrap().0;
    for arguments in [
        "",
        "by: [MODEL]",
        "by: [MODEL, OUTCOME]",
        "by: [DAY, MODEL]",
        "by: [AGENT]",
        "by: [AGENT, SOURCE], filter: [{ dimension: AGENT, value: null }]",
        "by: [QUARTER_HOUR]",
        "by: [TASK, CONVERSATION]",
        "by: [TAG, MODEL], tagKey: \"team\"",
        "by: [MODEL], from: \"2026-03-01T12:00:00Z\", to: \"2026-03-03T12:00:00Z\"",
        "by: [DAY], filter: [{ dimension: DAY, value: \"2026-03-03\" }, { dimension: DAY, value: \"2026-03-01\" }]",
    ] {
        let separator = if arguments.is_empty() { "" } else { ", " };
        let now = known(&server, &format!("{arguments}{separator}minPosition: \"{last}\"")).await;
        let then = known(&server, &format!("{arguments}{separator}knownAt: {{ position: \"{last}\" }}")).await;
        for field in ["nodes", "total", "rest"] {
            assert_eq!(then[field], now[field], "{field} of {arguments}");
        }
        // A position that the log does not have yet is its end, so that it means the same later.
        let beyond =
            known(&server, &format!("{arguments}{separator}knownAt: {{ position: \"9007199254740991\" }}")).await;
        assert_eq!(beyond["total"], now["total"], "{arguments}");
        assert!(beyond["position"].as_str().unwrap().parse::<u64>().unwrap() < 10_000);
    }
    // Page by page the rows are the same, and what follows a page is its rest.
    let by = "by: [DAY, MODEL, TAG], tagKey: \"team\"";
    let at = format!("knownAt: {{ position: \"{last}\" }}");
    let whole = known(&server, &format!("{by}, {at}")).await;
    assert_eq!(whole["pageInfo"]["hasNextPage"], false);
    let (mut rows, mut after, mut calls) = (Vec::new(), String::new(), Vec::new());
    loop {
        let page = known(&server, &format!("{by}, {at}, first: 1{after}")).await;
        rows.extend(page["nodes"].as_array().unwrap().clone());
        calls.push(page["rest"]["calls"].as_i64().unwrap());
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
    assert_eq!((json!(rows), calls), (whole["nodes"].clone(), vec![2, 1, 0]));
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_costs_are_the_same_at_a_server_and_on_the_database() {
    let History { installation, server: open, known: history } = History::new().await;
    open.kill().await;
    let server = installation.serve(&[]).await;
    for (position, _) in &history {
        for by in ["model", "day,agent", "tag:team"] {
            for format in ["table", "csv", "json"] {
                let arguments = ["--by", by, "--known-at", position, "--cost", "prefer-reported"];
                assert_same_report(&installation, &server, &arguments, format).await;
            }
        }
    }
    let said = at(&server, "tea", &["report", "cost", "--known-at", &history[2].0]).await.assert_success().stderr;
    assert!(said.contains(&format!("as they were known at position {}", history[2].0)), "{said}");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_costs_are_for_those_who_read_reports() {
    let History { installation, server, known: history } = History::new().await;
    let query = format!("{{ usageReport(knownAt: {{ position: \"{}\" }}) {{ total {{ cost }} }} }}", history[2].0);
    server.kill().await;
    let mut keys = Vec::new();
    for (role, is_allowed) in [("viewer", true), ("billing", true), ("agent", false)] {
        let account = installation.run(&["accounts", "create", role, "--role", role]).await;
        let key = installation.run(&["keys", "create", "--account", &account, "--all-scopes"]).await;
        keys.push((role, is_allowed, key));
    }
    let server = installation.serve(&[]).await;
    for (role, is_allowed, key) in keys {
        let answer = ask(&server, &key, &query).await.1;
        match is_allowed {
            true => assert_eq!(answer["data"]["usageReport"]["total"]["cost"], "9", "{role}: {answer}"),
            false => assert_eq!(code(&answer), "FORBIDDEN", "{role}"),
        }
    }
    // A bad argument is refused as it is without a point of the log.
    let bad = query.replace("knownAt", "from: \"2026-03-01T00:01:00Z\", knownAt");
    assert_eq!(reason(&ask(&server, "tea", &bad).await.1), "NOT_A_QUARTER_HOUR");
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_would_read_too_many_events_is_refused_and_names_the_alternative() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set(&server, price("m", "3", json!({}))).await;
    let mut last = Value::Null;
    for key in ["a", "b", "c"] {
        last = report(&server, &format!("m{key}"), key, 1, json!({})).await;
    }
    server.kill().await;
    let rooms = database.rooms().await;
    let mut query = ReportQuery::new(rooms.principal.authorise().unwrap());
    query.by = vec![projections::Dimension::Model];
    let events = rooms.log.of_tenants(rooms.reads.clone());
    let end = position(&last).parse::<u64>().unwrap();
    let read = async |position: u64, max_events, max_rows| {
        let limits = KnownLimits { max_events: Some(max_events), max_rows };
        KnownReport::read(&rooms.log, &events, &query, KnownAt::Position(position.into()), limits).await
    };
    assert_eq!(read(end, 3, 3).await.unwrap().total.calls, 3);
    assert_eq!(read(end - 1, 2, 3).await.unwrap().total.calls, 2, "later events do not count");
    let refused = read(end, 2, 3).await.unwrap_err();
    assert!(matches!(refused, ReportError::TooManyEvents { limit: 2, .. }), "{refused}");
    assert!(refused.to_string().contains(&format!("apex report cost --known-at {end}")), "{refused}");
    let refused = read(end, 3, 2).await.unwrap_err();
    assert!(matches!(refused, ReportError::TooManyRows { limit: 2 }), "{refused}");
    rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_periods_are_compared_as_they_were_known() {
    let History { installation, server, known: history } = History::new().await;
    let fields = "nodes { keys { value } isRest totals { calls cost unpricedCalls } base { calls cost } change { calls cost costPercent } }
        total { calls cost } base { calls cost } change { cost } baseFrom baseTo rest { calls } pageInfo { hasNextPage endCursor }";
    let compared = async |arguments: &str| {
        let range = "from: \"2026-03-02T00:00:00Z\", to: \"2026-03-04T00:00:00Z\", compare: { previous: true }";
        let query = format!("{{ usageReport({range}, {arguments}) {{ {fields} }} }}");
        server.graphql(&query, json!({})).await["usageReport"].take()
    };
    // The first two calls are of the period before; the third is corrected, and then all are charged again.
    for (index, cost, base) in [(1, "0", "6"), (2, "3", "6"), (3, "6", "6"), (4, "6", "5"), (5, "6", "2.5")] {
        let found = compared(&format!("knownAt: {{ position: \"{}\" }}", history[index].0)).await;
        assert_eq!((&found["total"]["cost"], &found["base"]["cost"]), (&json!(cost), &json!(base)), "{index}: {found}");
        assert_eq!(
            (&found["baseFrom"], &found["baseTo"]),
            (&json!("2026-02-28T00:00:00Z"), &json!("2026-03-02T00:00:00Z"))
        );
    }
    let last = &history.last().unwrap().0;
    for arguments in [
        "by: [MODEL]",
        "by: [OUTCOME, MODEL], top: 1",
        "by: [TAG], tagKey: \"team\"",
        "by: [AGENT], filter: [{ dimension: MODEL, value: \"m\" }]",
    ] {
        let now = compared(&format!("{arguments}, minPosition: \"{last}\"")).await;
        let then = compared(&format!("{arguments}, knownAt: {{ position: \"{last}\" }}")).await;
        for field in ["nodes", "total", "base", "change", "baseFrom", "baseTo", "rest"] {
            assert_eq!(then[field], now[field], "{field} of {arguments}");
        }
    }
    let first = compared(&format!("by: [MODEL], first: 1, knownAt: {{ position: \"{last}\" }}")).await;
    let next = format!(
        "by: [MODEL], first: 1, after: {}, knownAt: {{ position: \"{last}\" }}",
        first["pageInfo"]["endCursor"]
    );
    let pages = [first["nodes"][0].clone(), compared(&next).await["nodes"][0].clone()];
    assert_eq!(json!(pages), compared(&format!("by: [MODEL], knownAt: {{ position: \"{last}\" }}")).await["nodes"]);
    server.kill().await;
    let server = installation.serve(&[]).await;
    for (position, _) in &history {
        for format in ["table", "csv", "json"] {
            let arguments = [
                "--by",
                "model",
                "--from",
                "2026-03-02",
                "--to",
                "2026-03-04",
                "--compare",
                "previous",
                "--known-at",
                position,
            ];
            assert_same_report(&installation, &server, &arguments, format).await;
        }
    }
    server.kill().await;
}
