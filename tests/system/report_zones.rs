//! Reports in time zones, with the rest of their rows, and compared with another period, by GraphQL.

use crate::graphql::command;
use crate::identities::Installation;
use crate::remote::at;
use crate::report_filters::first_of_stream;
use projections::MAX_COMPLETED_TASKS;
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};

/// The sums of a row are those of its calls: input tokens are powers of two.
async fn report_calls(server: &Server, calls: &[(&str, &str, u64)]) -> Value {
    let prices = ["a", "b", "c", "d"].map(|model| {
        json!({ "provider": "acme", "model": model, "effectiveFrom": "2010-01-01T00:00:00Z",
                "components": [{ "meter": "INPUT", "rate": "3000000" }, { "meter": "OUTPUT", "rate": "0" }] })
    });
    command(server, "setPrices", json!({ "prices": prices }), "outcome").await;
    let mut position = Value::Null;
    for (started_at, model, input) in calls {
        let call = json!({ "provider": "acme", "model": model, "startedAt": started_at, "usage": { "input": input } });
        position = command(server, "reportCall", call, "position").await["position"].take();
    }
    position
}

const REPORT: &str = "query ($by: [Dimension!], $filter: [UsageFilter!], $timeZone: String, $from: DateTime,
        $to: DateTime, $top: Int, $compare: ComparedPeriod, $knownAt: AsOf, $first: Int, $after: String,
        $minPosition: Position) {
    usageReport(by: $by, filter: $filter, timeZone: $timeZone, from: $from, to: $to, top: $top, compare: $compare,
            knownAt: $knownAt, first: $first, after: $after, minPosition: $minPosition) {
        nodes { keys { value } isRest totals { calls inputTokens cost } base { inputTokens cost }
                change { calls callsPercent tokens tokensPercent cost costPercent } }
        total { calls inputTokens cost costPerCall costPerMillionTokens unpricedCalls assumedCalls }
        base { inputTokens } change { tokens costPercent } baseFrom baseTo
        rest { inputTokens } position head eventsBehind timeZone summedFrom pageInfo { hasNextPage endCursor }
    }
}";

async fn report(server: &Server, variables: &Value) -> Value {
    server.graphql(REPORT, variables.clone()).await["usageReport"].take()
}

/// The keys and input tokens of rows.
fn rows(report: &Value) -> Vec<(String, String)> {
    let key = |node: &Value| {
        let keys = node["keys"].as_array().unwrap().iter();
        keys.map(|key| key["value"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>().join(" ")
    };
    let nodes = report["nodes"].as_array().unwrap().iter();
    nodes.map(|node| (key(node), node["totals"]["inputTokens"].as_str().unwrap().to_owned())).collect()
}

fn expected(rows: &[(&str, u64)]) -> Vec<(String, String)> {
    rows.iter().map(|(key, tokens)| ((*key).to_owned(), tokens.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_of_daylight_saving_time_have_23_and_25_hours_and_hours_of_one_name_are_two() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let calls = [
        ("2026-10-24T21:59:59.999999Z", "a", 1),
        ("2026-10-24T22:00:00Z", "a", 2),
        ("2026-10-25T00:59:59Z", "a", 4),
        ("2026-10-25T01:00:00Z", "a", 8),
        ("2026-10-25T22:59:59Z", "a", 16),
        ("2026-10-25T23:00:00Z", "a", 32),
        ("2026-03-28T23:00:00Z", "a", 64),
        ("2026-03-29T00:59:59Z", "a", 128),
        ("2026-03-29T01:00:00Z", "a", 256),
        ("2026-03-29T22:00:00Z", "a", 512),
    ];
    let position = report_calls(&server, &calls).await;
    let of = |by: &str, members: Value| {
        let mut variables = json!({ "by": [by], "timeZone": "Europe/Berlin", "minPosition": position });
        variables.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        variables
    };
    let days = report(&server, &of("DAY", json!({}))).await;
    assert_eq!(
        rows(&days),
        expected(&[
            ("2026-03-29", 64 + 128 + 256),
            ("2026-03-30", 512),
            ("2026-10-24", 1),
            ("2026-10-25", 2 + 4 + 8 + 16),
            ("2026-10-26", 32),
        ])
    );
    assert_eq!((&days["summedFrom"], &days["timeZone"]), (&json!("sums by quarter hour"), &json!("Europe/Berlin")));
    // The report is as far as the log, or says how far it is behind.
    let number = |name: &str| days[name].as_str().unwrap().parse::<i64>().unwrap();
    assert_eq!(days["eventsBehind"].as_i64().unwrap(), number("head") - number("position"));
    let day = |day: &str| json!({ "filter": [{ "dimension": "DAY", "value": day }] });
    assert_eq!(
        rows(&report(&server, &of("HOUR", day("2026-10-25"))).await),
        expected(&[
            ("2026-10-25T00:00+02:00", 2),
            ("2026-10-25T02:00+02:00", 4),
            ("2026-10-25T02:00+01:00", 8),
            ("2026-10-25T23:00+01:00", 16),
        ])
    );
    assert_eq!(
        rows(&report(&server, &of("HOUR", day("2026-03-29"))).await),
        expected(&[("2026-03-29T00:00+01:00", 64), ("2026-03-29T01:00+01:00", 128), ("2026-03-29T03:00+02:00", 256)])
    );
    let week = |value: &str| json!({ "filter": [{ "dimension": "WEEK", "value": value }] });
    let sunday = report(&server, &of("WEEK", week("2026-W43"))).await;
    assert_eq!(rows(&sunday), expected(&[("2026-W43", 31)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minutes_known_reports_and_streams_have_the_hours_of_the_zone() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let calls = [("2026-10-25T00:59:59Z", "a", 4), ("2026-10-25T01:00:00Z", "a", 8), ("2026-10-25T23:00:00Z", "a", 32)];
    let position = report_calls(&server, &calls).await;
    let of = |by: &str, members: Value| {
        let mut variables = json!({ "by": [by], "timeZone": "Europe/Berlin", "minPosition": position });
        variables.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        variables
    };
    // Minutes are summed from the calls, in a time range of minutes.
    let minutes = of("MINUTE", json!({ "from": "2026-10-25T00:59:00Z", "to": "2026-10-25T01:01:00Z" }));
    let minutes = report(&server, &minutes).await;
    assert_eq!(rows(&minutes), expected(&[("2026-10-25T02:59+02:00", 4), ("2026-10-25T02:00+01:00", 8)]));
    assert_eq!(minutes["summedFrom"], "calls");
    let known = report(&server, &of("HOUR", json!({ "knownAt": { "position": position } }))).await;
    assert_eq!(rows(&known), rows(&report(&server, &of("HOUR", json!({}))).await));
    assert_eq!(known["eventsBehind"], Value::Null);

    let streamed = first_of_stream(
        &server,
        "subscription { usageTotals(by: [HOUR], timeZone: \"Europe/Berlin\", top: 1, from: \"2026-10-25T00:00:00Z\",
             to: \"2026-10-25T02:00:00Z\") { nodes { keys { value } totals { inputTokens } } eventsBehind } }",
    )
    .await;
    assert_eq!(
        rows(&streamed["data"]["usageTotals"]),
        expected(&[("2026-10-25T02:00+02:00", 4), ("2026-10-25T02:00+01:00", 8)])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_go_on_after_the_day_before_the_first_year() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let calls = [("1970-01-01T00:00:00Z", "a", 1), ("1970-01-02T12:00:00Z", "a", 2)];
    let position = report_calls(&server, &calls).await;
    for (by, first, second) in [("DAY", "1969-12-31", "1970-01-02"), ("YEAR", "1969", "1970")] {
        let page = async |after: Value| {
            let page = json!({ "by": [by], "timeZone": "America/New_York", "first": 1, "after": after,
                               "minPosition": position });
            report(&server, &page).await
        };
        let one = page(Value::Null).await;
        assert_eq!(rows(&one), expected(&[(first, 1)]));
        let two = page(one["pageInfo"]["endCursor"].clone()).await;
        assert_eq!(rows(&two), expected(&[(second, 2)]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_is_a_row_on_every_page_and_rows_add_up() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let calls = [
        ("2026-10-01T00:00:00Z", "a", 1),
        ("2026-10-01T00:00:00Z", "b", 2),
        ("2026-10-01T00:00:00Z", "c", 4),
        ("2026-10-01T00:00:00Z", "d", 8),
        ("2026-10-02T00:00:00Z", "a", 16),
        ("2026-10-02T00:00:00Z", "b", 32),
        ("2026-10-02T00:00:00Z", "c", 64),
        ("2026-10-03T00:00:00Z", "d", 128),
    ];
    let position = report_calls(&server, &calls).await;
    let whole = json!({ "by": ["MODEL"], "top": 2, "minPosition": position });
    let found = report(&server, &whole).await;
    assert_eq!(rows(&found), expected(&[("d", 136), ("c", 68), ("-", 51)]));
    let is_rest: Vec<_> = found["nodes"].as_array().unwrap().iter().map(|node| node["isRest"].as_bool()).collect();
    assert_eq!(is_rest, [Some(false), Some(false), Some(true)]);
    // As many rows as there are leave no rest.
    assert_eq!(rows(&report(&server, &json!({ "by": ["MODEL"], "top": 4 })).await).len(), 4);

    let by_day = [
        ("2026-10-01 d", 8),
        ("2026-10-01 c", 4),
        ("2026-10-01 -", 3),
        ("2026-10-02 c", 64),
        ("2026-10-02 b", 32),
        ("2026-10-02 -", 16),
        ("2026-10-03 d", 128),
    ];
    for known_at in [Value::Null, json!({ "position": position })] {
        for size in 1..8 {
            let (mut joined, mut seen, mut after) = (Vec::new(), 0, Value::Null);
            loop {
                let page =
                    json!({ "by": ["DAY", "MODEL"], "top": 2, "first": size, "after": after, "knownAt": known_at });
                let page = report(&server, &page).await;
                seen += rows(&page).iter().map(|(_, tokens)| tokens.parse::<u64>().unwrap()).sum::<u64>();
                joined.extend(rows(&page));
                let rest: u64 = page["rest"]["inputTokens"].as_str().unwrap().parse().unwrap();
                assert_eq!(seen + rest, 255, "pages of {size}");
                if page["pageInfo"]["hasNextPage"] == false {
                    break;
                }
                after = page["pageInfo"]["endCursor"].clone();
            }
            assert_eq!(joined, expected(&by_day), "pages of {size}");
        }
    }
    // A cursor belongs to a number of rows.
    let cursor =
        report(&server, &json!({ "by": ["MODEL"], "top": 2, "first": 1 })).await["pageInfo"]["endCursor"].take();
    let other = server.graphql_response(REPORT, json!({ "by": ["MODEL"], "top": 3, "after": cursor })).await;
    assert_eq!(other["errors"][0]["extensions"]["reason"], "BAD_CURSOR", "{other}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_periods_are_compared_row_by_row() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let calls = [
        ("2026-09-10T00:00:00Z", "a", 8),
        ("2026-09-10T00:00:00Z", "b", 3),
        // In Berlin, it is the last day of September and the first of October.
        ("2026-09-30T21:59:59Z", "c", 1),
        ("2026-09-30T22:00:00Z", "c", 2),
        ("2026-10-10T00:00:00Z", "a", 6),
        ("2026-10-10T00:00:00Z", "d", 5),
        ("2026-10-11T00:00:00Z", "d", 5),
    ];
    let position = report_calls(&server, &calls).await;
    let october = json!({ "by": ["MODEL"], "timeZone": "Europe/Berlin", "from": "2026-10-01T00:00:00+02:00",
                          "to": "2026-11-01T00:00:00+01:00", "compare": { "previous": true }, "minPosition": position });
    let found = report(&server, &october).await;
    assert_eq!(
        (&found["baseFrom"], &found["baseTo"]),
        (&json!("2026-08-31T22:00:00Z"), &json!("2026-09-30T22:00:00Z"))
    );
    let row = |model: &str, after: u64, before: u64, calls: [Value; 2], percent: Value| {
        let change = after.cast_signed() - before.cast_signed();
        json!({ "keys": [{ "value": model }], "isRest": false,
                "totals": { "calls": if model == "d" { 2 } else { u64::from(after > 0) },
                            "inputTokens": after.to_string(), "cost": (3 * after).to_string() },
                "base": { "inputTokens": before.to_string(), "cost": (3 * before).to_string() },
                "change": { "calls": calls[0], "callsPercent": calls[1], "tokens": change.to_string(),
                            "tokensPercent": percent, "cost": (3 * change).to_string(), "costPercent": percent } })
    };
    assert_eq!(
        found["nodes"],
        json!([
            row("d", 10, 0, [json!("2"), Value::Null], Value::Null),
            row("a", 6, 8, [json!("0"), json!("0")], json!("-25")),
            row("c", 2, 1, [json!("0"), json!("0")], json!("100")),
            row("b", 0, 3, [json!("-1"), json!("-100")], json!("-100")),
        ])
    );
    assert_eq!(found["total"]["inputTokens"], "18");
    // 6 more than 12 tokens.
    assert_eq!(
        (&found["base"]["inputTokens"], &found["change"]),
        (&json!("12"), &json!({ "tokens": "6", "costPercent": "50" }))
    );
    assert_eq!(
        (&found["total"]["costPerCall"], &found["total"]["costPerMillionTokens"]),
        (&json!("13.5"), &json!("3000000"))
    );
    // With the rest, and with a period of its own.
    let mut other = october.clone();
    other["top"] = json!(1);
    other["compare"] = json!({ "from": "2026-09-10T00:00:00Z", "to": "2026-10-11T00:00:00Z" });
    let found = report(&server, &other).await;
    assert_eq!(rows(&found), expected(&[("d", 10), ("-", 8)]));
    let bases: Vec<_> = found["nodes"].as_array().unwrap().iter().map(|node| &node["base"]["inputTokens"]).collect();
    assert_eq!(bases, ["5", "20"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_zones_rests_and_comparisons_are_refused_with_their_reason() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let range = |mut members: Value| {
        members["from"] = json!("2026-10-01T00:00:00Z");
        members["to"] = json!("2026-11-01T00:00:00Z");
        members
    };
    let previous = json!({ "previous": true });
    let hour = json!([{ "dimension": "HOUR", "value": "2026-10-25T02:00Z" }]);
    for (variables, reason, message) in [
        (json!({ "timeZone": "Europe/Atlantis" }), "UNKNOWN_TIME_ZONE", "\"Europe/Atlantis\" is not a time zone"),
        (json!({ "timeZone": "" }), "UNKNOWN_TIME_ZONE", "\"\" is not a time zone"),
        (json!({ "timeZone": "Asia/Kathmandu", "filter": hour }), "BAD_FILTER", "in the time zone Asia/Kathmandu"),
        (json!({ "top": 0 }), "BAD_TOP", "requested 0"),
        (json!({ "top": -5 }), "BAD_TOP", "1 to 1000 rows"),
        (json!({ "top": 1001 }), "BAD_TOP", "requested 1001"),
        (json!({ "compare": previous }), "COMPARED_WITHOUT_RANGE", "a start and an end"),
        (range(json!({ "compare": previous, "by": ["DAY"] })), "COMPARED_BY_TIME", "day is one of time"),
        (range(json!({ "compare": previous, "filter": hour })), "COMPARED_BY_TIME", "hour is one of time"),
        (range(json!({ "compare": {} })), "BAD_COMPARISON", "either the previous one"),
        (range(json!({ "compare": { "previous": true, "from": "2026-10-01T00:00:00Z" } })), "BAD_COMPARISON", "either"),
        (
            range(json!({ "compare": { "from": "2026-10-01T00:00:00Z", "to": "2026-10-01T00:00:00Z" } })),
            "EMPTY_RANGE",
            "ends at",
        ),
        // The range itself is the wrong one, not that before it.
        (
            json!({ "compare": previous, "from": "2026-11-01T00:00:00Z", "to": "2026-10-01T00:00:00Z" }),
            "EMPTY_RANGE",
            "ends at 2026-10-01 00:00:00 UTC, which is not after its start at 2026-11-01 00:00:00 UTC",
        ),
        (
            range(json!({ "compare": { "from": "2026-10-01T00:01:00Z", "to": "2026-10-02T00:00:00Z" } })),
            "NOT_A_QUARTER_HOUR",
            "00:01:00",
        ),
        (json!({ "by": ["MINUTE"], "from": "2026-10-01T00:00:01Z" }), "NOT_A_MINUTE", "whole minutes"),
    ] {
        let answer = server.graphql_response(REPORT, variables.clone()).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["reason"], reason, "{variables} {answer}");
        assert!(error["message"].as_str().unwrap().contains(message), "{variables} {answer}");
    }
    for (arguments, message) in [
        (&["--time-zone", "Berlin"][..], "\"Berlin\" is not a time zone of the IANA database"),
        (&["--from", "2026-13"], "expected a day such as 2023-09-24, a month such as 2023-09"),
        (&["--compare", "next"], "expected previous, or two times"),
    ] {
        let output = database.run(&[&["report", "cost"], arguments].concat()).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{}", output.stderr);
        assert!(output.stderr.contains(message), "{}", output.stderr);
    }
    let output = database.run(&["report", "cost", "--time-zone", "local", "--format", "json"]).await;
    let zone = output.assert_success().json()["time_zone"].take();
    assert!(zone.as_str().unwrap().parse::<chrono_tz::Tz>().is_ok(), "{zone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completed_task_has_the_cost_of_all_its_calls() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    report_calls(&server, &[]).await;
    let agent = crate::graphql::agent(&server, "ada").await;
    // Powers of two of tokens, at 3 dollars each: two calls of each task, one of them long before.
    let mut position = Value::Null;
    for (n, end) in ["completeTask", "completeTask", "failTask", "none"].into_iter().enumerate() {
        let submitted =
            command(&server, "submitTask", json!({ "agentId": agent, "title": "t" }), "task { id uuid } position")
                .await;
        let task = &submitted["task"];
        command(&server, "startTask", json!({ "id": task["id"] }), "outcome").await;
        for (call, started_at) in ["2020-01-01T00:00:00Z", "2026-10-10T00:00:00Z"].into_iter().enumerate() {
            let call = json!({ "provider": "acme", "model": "a", "taskId": task["uuid"], "startedAt": started_at,
                               "usage": { "input": 1 << (2 * n + call) } });
            position = command(&server, "reportCall", call, "position").await["position"].take();
        }
        if end != "none" {
            let input = match end {
                "failTask" => json!({ "id": task["id"], "error": "x" }),
                _ => json!({ "id": task["id"] }),
            };
            position = command(&server, end, input, "position").await["position"].take();
        }
    }
    let query = "query ($from: DateTime!, $to: DateTime!, $position: Position) {
        completedTaskCosts(from: $from, to: $to, minPosition: $position) {
            tasks costPerTask totals { calls inputTokens cost } eventsBehind } }";
    let variables = json!({ "from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "position": position });
    let costs = server.graphql(query, variables.clone()).await["completedTaskCosts"].take();
    assert_eq!((&costs["tasks"], &costs["costPerTask"]), (&json!(2), &json!("22.5")), "{costs}");
    assert_eq!(costs["totals"], json!({ "calls": 4, "inputTokens": "15", "cost": "45" }));
    let printed = database.run(&["report", "tasks", "--from", "2000-01", "--to", "2100-01", "--format", "json"]).await;
    let printed = printed.assert_success().json();
    assert_eq!((&printed["tasks"], &printed["cost_per_task"]), (&json!(2), &json!("22.5")));
    assert_eq!((&printed["total"]["cost"], &printed["events_behind"]), (&json!("45"), &json!(0)));
    // None was completed then, so that there is no cost of one.
    let mut before = variables.clone();
    before["to"] = json!("2001-01-01T00:00:00Z");
    let costs = server.graphql(query, before).await["completedTaskCosts"].take();
    assert_eq!((&costs["tasks"], &costs["costPerTask"]), (&json!(0), &Value::Null));
    let mut empty = variables;
    empty["to"] = empty["from"].clone();
    let refused = server.graphql_response(query, empty).await;
    assert_eq!(refused["errors"][0]["extensions"]["reason"], "EMPTY_RANGE", "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_completed_tasks_than_may_be_read_are_refused() {
    let database = TestDatabase::new().await.unverified();
    // One in each second from 00:00:01 on.
    sqlx::query(
        "insert into apex.tasks (tenant_id, task_id, agent_id, title, status, percent, submitted_at, ended_at, version, position)
         select 'default', gen_random_uuid(), gen_random_uuid(), 't', 'completed', 100, timestamptz '2026-10-01T00:00:00Z',
                timestamptz '2026-10-01T00:00:00Z' + n * interval '1 second', 1, n
         from generate_series(1, $1) n",
    )
    .bind(MAX_COMPLETED_TASKS + 1)
    .execute(&database.pool)
    .await
    .unwrap();
    let server = database.serve(&[]).await;
    let query = "query ($from: DateTime!, $to: DateTime!) { completedTaskCosts(from: $from, to: $to) { tasks } }";
    let whole = json!({ "from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z" });
    let refused = server.graphql_response(query, whole).await;
    let error = &refused["errors"][0];
    assert_eq!(error["extensions"]["reason"], "TOO_MANY_TASKS", "{refused}");
    assert!(error["message"].as_str().unwrap().contains("at most 100000 completed tasks"), "{refused}");
    // Without the 59 of the first minute, they are within the limit.
    let shorter = json!({ "from": "2026-10-01T00:01:00Z", "to": "2026-11-01T00:00:00Z" });
    let costs = server.graphql(query, shorter).await["completedTaskCosts"].take();
    assert_eq!(costs["tasks"], json!(MAX_COMPLETED_TASKS + 1 - 59), "{costs}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_warn_of_events_that_could_not_be_applied() {
    let installation = Installation::of(TestDatabase::new().await.unverified());
    let server = installation.serve(&[]).await;
    let parked = |name: &str, count: u32| {
        format!("{count} events could not be applied and are not in the report: see `apex projections parked {name}`.")
    };
    let range = ["--from", "2026-10", "--to", "2026-11"];
    let (cost, tasks) = ([&["report", "cost"][..], &range].concat(), [&["report", "tasks"][..], &range].concat());
    let printed = async |arguments: &[&str]| {
        let on_database = installation.database.run(arguments).await.assert_success().stderr;
        [on_database, at(&server, "tea", arguments).await.assert_success().stderr]
    };
    for said in printed(&tasks[..]).await {
        assert!(!said.contains("could not be applied"), "{said}");
    }
    sqlx::query(
        "insert into apex.parked_events (projection, position, tenant_id, category, stream_id, cause)
         select name, n, 'default', category, gen_random_uuid(), 'x'
         from (values ('calls', 'call', 2), ('tasks', 'task', 3)) as parked (name, category, count), generate_series(1, count) n",
    )
    .execute(&installation.database.pool)
    .await
    .unwrap();
    for said in printed(&tasks[..]).await {
        assert!(said.contains(&parked("calls", 2)) && said.contains(&parked("tasks", 3)), "{said}");
    }
    for said in printed(&cost[..]).await {
        assert!(said.contains(&parked("calls", 2)) && !said.contains("parked tasks"), "{said}");
    }
}
