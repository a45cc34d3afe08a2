//! Forecasts and anomalies of cost: the same by GraphQL, on the database and at a server, and with the agent that caused a burst.

use crate::graphql::{command, reason};
use crate::remote::at;
use crate::users::{Installation, ask, text};
use domain::Sum;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{Server, http_client};

/// A Monday, and the number of days with calls from it on.
const FIRST: &str = "2025-03-03T00:00:00Z";
const DAYS: i64 = 38;
/// When the history ends.
const AT: &str = "2025-04-10T00:00:00Z";

pub(crate) const FORECAST: &str = "query ($at: DateTime, $until: DateTime, $filter: [UsageFilter!], $timeZone: String, $percent: Int,
        $tagKey: String, $position: Position) {
    costForecast(at: $at, until: $until, filter: $filter, timeZone: $timeZone, percent: $percent, tagKey: $tagKey,
            minPosition: $position) {
        from at until spent expected lower upper percent method methods { method isNaive error } historyFrom historyHours
        forecastHours testedHours spans independentSpans unpricedCalls currency timeZone position head eventsBehind summedFrom
    } }";
const ANOMALIES: &str = "query ($from: DateTime!, $to: DateTime!, $step: AnomalyStep, $by: Dimension, $causes: Int,
        $filter: [UsageFilter!], $timeZone: String, $tagKey: String, $first: Int, $after: String, $position: Position) {
    costAnomalies(from: $from, to: $to, step: $step, by: $by, causes: $causes, filter: $filter, timeZone: $timeZone,
            tagKey: $tagKey, first: $first, after: $after, minPosition: $position) {
        nodes {
            key from to deviation { ...d } lower upper causes { key { value name id } deviation { ...d } } rest { ...d }
        }
        count endedAt band bands { band isNaive score } testedSteps unpricedCalls position eventsBehind summedFrom
        pageInfo { hasNextPage endCursor }
    } }
    fragment d on CostDeviation { actual expected excess }";

fn sum(value: &Value) -> Sum {
    Sum::parse(value.as_str().unwrap_or_else(|| panic!("{value} is no amount"))).unwrap()
}

fn total(sums: impl IntoIterator<Item = Sum>) -> Sum {
    sums.into_iter().fold(Sum::default(), |mut total, sum| {
        total += &sum;
        total
    })
}

/// The cost of an hour of the first days, in US dollars. It has no rhythm.
pub(crate) fn cost(hour: i64) -> i64 {
    1_000 + (hour * 7_919).rem_euclid(101)
}

pub(crate) fn line(id: &str, agent: &str, started_at: &str, dollars: i64) -> Value {
    json!({
        "type": "call", "id": id, "provider": "acme", "model": "m", "agent": agent, "usage": { "input": dollars },
        "started_at": started_at,
    })
}

/// Sends calls, and returns the position of the one that was recorded last. They are recorded at the same time.
pub(crate) async fn send(server: &Server, lines: &[Value]) -> Value {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let request = http_client().post(format!("{}/v1/ingest", server.address));
    let request = request.header("content-type", "application/x-ndjson").body(body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let answers = response.text().await.unwrap();
    let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(answers.len() == lines.len() && answers.iter().all(|of| of["status"] == "created"), "{answers:?}");
    let position = |of: &Value| of["position"].as_str().unwrap().parse::<u64>().unwrap();
    json!(answers.iter().map(position).max().unwrap().to_string())
}

/// An installation with a call of one of two agents in each hour, at a dollar a token. Returns the position of the last one.
async fn filled() -> (Installation, Server, Value) {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2010-01-01T00:00:00Z",
        "components": [{ "meter": "INPUT", "rate": "1000000" }, { "meter": "OUTPUT", "rate": "0" }] });
    command(&server, "setPrices", json!({ "prices": [price] }), "outcome").await;
    let first: chrono::DateTime<chrono::Utc> = FIRST.parse().unwrap();
    let call = |hour: i64| {
        let agent = if hour % 3 == 0 { "walker" } else { "runner" };
        let started_at = (first + chrono::TimeDelta::hours(hour) + chrono::TimeDelta::minutes(7)).to_rfc3339();
        line(&format!("call-{hour}"), agent, &started_at, cost(hour))
    };
    let position = send(&server, &(0..DAYS * 24).map(call).collect::<Vec<_>>()).await;
    (installation, server, position)
}

fn variables(of: Value, more: Value) -> Value {
    let (Value::Object(mut of), Value::Object(more)) = (of, more) else { panic!("no objects") };
    of.extend(more);
    Value::Object(of)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forecast_is_the_same_by_graphql_on_the_database_and_at_a_server() {
    let (installation, server, position) = filled().await;
    let made = server.graphql(FORECAST, json!({ "at": AT, "position": position })).await["costForecast"].take();
    // What was spent is what the report says.
    let report = "{ usageReport(from: \"2025-04-01T00:00:00Z\", to: \"2025-04-10T00:00:00Z\") { total { cost } } }";
    let spent = server.graphql(report, json!({})).await["usageReport"]["total"]["cost"].take();
    assert_eq!(sum(&made["spent"]), sum(&spent), "{made}");
    let from = (29 * 24..DAYS * 24).map(cost).sum::<i64>();
    assert_eq!(sum(&spent), Sum::from_integer(from.into()));
    assert_eq!((&made["from"], &made["until"]), (&json!("2025-04-01T00:00:00Z"), &json!("2025-05-01T00:00:00Z")));
    assert_eq!((&made["historyHours"], &made["forecastHours"]), (&json!(DAYS * 24), &json!(21 * 24)));
    // Six days: the longest of which four lie beside each other after two weeks.
    assert_eq!((&made["testedHours"], &made["independentSpans"]), (&json!(144), &json!(4)));
    assert_eq!((&made["summedFrom"], &made["unpricedCalls"]), (&json!("sums by quarter hour"), &json!(0)));
    // Without a rhythm a naive method is as good as any other, and what it says can be computed by hand.
    let last = |hours: i64| (DAYS * 24 - hours..DAYS * 24).map(cost);
    let rest = match made["method"].as_str().unwrap() {
        "MOVING_AVERAGE" => last(672).sum::<i64>() * 504 / 672,
        "LAST_MONTH" => last(672).take(504).sum::<i64>(),
        other => panic!("{other} is not naive: {made}"),
    };
    let expected = sum(&made["expected"]);
    assert!(expected >= Sum::from_integer((from + rest).into()), "{expected} {from} {rest}");
    assert!(expected <= Sum::from_integer((from + rest + 1).into()), "{expected} {from} {rest}");
    let (lower, upper) = (sum(&made["lower"]), sum(&made["upper"]));
    assert!(sum(&spent) < lower && lower <= expected && expected <= upper, "{made}");
    // What comes is between them, were it as before.
    let comes = total((0..DAYS * 24 + 504).skip(29 * 24).map(|hour| Sum::from_integer(cost(hour).into())));
    assert!(lower <= comes && comes <= upper, "{comes}: {made}");
    drop(server.terminate().await);
    let server = installation.serve(&[]).await;
    for zone in ["UTC", "Europe/Berlin"] {
        let variables = json!({ "query": FORECAST, "variables": { "at": AT, "timeZone": zone, "percent": 70 } });
        let request = http_client().post(format!("{}/graphql", server.address)).bearer_auth("tea").json(&variables);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let made = &answer["data"]["costForecast"];
        let arguments = ["report", "forecast", "--at", AT, "--time-zone", zone, "--percent", "70", "--format", "json"];
        for output in [installation.database.run(&arguments).await, at(&server, "tea", &arguments).await] {
            let printed = output.assert_success().json();
            for name in ["from", "at", "until", "spent", "expected", "lower", "upper"] {
                assert_eq!(printed[name], made[name], "{name} in {zone}: {printed}");
            }
            assert_eq!(printed["method"], made["method"].as_str().unwrap().to_lowercase());
            let errors = |of: &Value| -> Vec<Value> {
                of["methods"].as_array().unwrap().iter().map(|method| method["error"].clone()).collect()
            };
            assert_eq!(errors(&printed), errors(made));
            assert_eq!(printed["time_zone"], zone);
        }
    }
    // The month of Berlin began two hours before.
    let berlin = ["report", "forecast", "--at", AT, "--time-zone", "Europe/Berlin", "--format", "csv"];
    let output = installation.database.run(&berlin).await.assert_success();
    assert!(output.stdout.contains("2025-03-31T22:00:00+00:00"), "{}", output.stdout);
    assert!(output.stderr.contains("naive: error 0."), "{}", output.stderr);
    let table = installation.database.run(&["report", "forecast", "--at", "2025-04-10"]).await.assert_success();
    assert!(table.stdout.contains("expected") && table.stdout.contains("2025-05-01"), "{}", table.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::too_many_lines, reason = "one installation for all of it")]
async fn a_burst_is_an_anomaly_of_the_agent_that_caused_it_and_without_it_there_is_none() {
    let (installation, server, position) = filled().await;
    let range = json!({ "from": "2025-04-05T00:00:00Z", "to": AT });
    let find = async |server: &Server, more: Value| {
        server.graphql(ANOMALIES, variables(range.clone(), more)).await["costAnomalies"].take()
    };
    // Control: without the burst there is none.
    for step in ["HOUR", "DAY"] {
        let quiet = find(&server, json!({ "step": step, "position": position })).await;
        assert_eq!((&quiet["count"], &quiet["nodes"]), (&json!(0), &json!([])), "{step}: {quiet}");
    }
    let burst: Vec<_> = (0..4)
        .map(|n| line(&format!("burst-{n}"), "runaway", &format!("2025-04-08T05:{n}0:00Z"), 2_500))
        .chain([line("small", "walker", "2025-04-08T05:50:00Z", 30)])
        .collect();
    let position = send(&server, &burst).await;
    let agents = server.graphql("{ agents(first: 10) { nodes { id name } } }", json!({})).await;
    let agents = agents["agents"]["nodes"].as_array().unwrap().clone();
    let runaway = agents.iter().find(|agent| agent["name"] == "runaway").unwrap();
    for (step, key) in [("HOUR", "2025-04-08T05:00Z"), ("DAY", "2025-04-08")] {
        let found = find(&server, json!({ "step": step, "position": position, "causes": 1 })).await;
        let nodes = found["nodes"].as_array().unwrap();
        assert_eq!((nodes.len(), &found["count"]), (1, &json!(1)), "{step}: {found}");
        let (anomaly, causes) = (&nodes[0], nodes[0]["causes"].as_array().unwrap());
        assert_eq!(anomaly["key"], key);
        assert!(sum(&anomaly["deviation"]["actual"]) > sum(&anomaly["upper"]), "{anomaly}");
        assert_eq!((causes.len(), &causes[0]["key"]["name"]), (1, &json!("runaway")), "{anomaly}");
        assert_eq!(causes[0]["key"]["id"], runaway["id"]);
        assert_eq!(causes[0]["deviation"], json!({ "actual": "10000", "expected": "0", "excess": "10000" }));
        for field in ["actual", "expected", "excess"] {
            let parts = [&causes[0]["deviation"][field], &anomaly["rest"][field]].map(sum);
            assert_eq!(total(parts), sum(&anomaly["deviation"][field]), "{field}: {anomaly}");
        }
    }
    // The burst is not one of another agent, nor one of another range.
    let walker = json!({ "filter": [{ "dimension": "AGENT", "value": agents.iter().find(|a| a["name"] == "walker").unwrap()["id"] }] });
    assert_eq!(find(&server, walker).await["count"], 0);
    assert_eq!(find(&server, json!({ "to": "2025-04-08T05:00:00Z" })).await["count"], 0);
    let hour = find(&server, json!({ "from": "2025-04-08T05:00:00Z", "to": "2025-04-08T06:00:00Z" })).await;
    assert_eq!(hour["count"], 1, "{hour}");
    // A cursor is that of the anomaly before.
    let after = find(&server, json!({ "after": hour["pageInfo"]["endCursor"] })).await;
    assert_eq!((&after["count"], &after["nodes"]), (&json!(1), &json!([])));
    let by_graphql = find(&server, json!({})).await;
    drop(server.terminate().await);
    let server = installation.serve(&[]).await;
    let arguments = ["report", "anomalies", "--from", "2025-04-05", "--to", "2025-04-10", "--format"];
    let json = [&arguments[..], &["json"]].concat();
    for output in [installation.database.run(&json).await, at(&server, "tea", &json).await] {
        let printed = output.assert_success().json();
        let (shown, found) = (&printed["anomalies"][0], &by_graphql["nodes"][0]);
        assert_eq!((&printed["count"], &printed["by"]), (&json!(1), &json!("agent")));
        for name in ["key", "from", "to", "deviation", "lower", "upper", "rest"] {
            assert_eq!(shown[name], found[name], "{name}: {printed}");
        }
        for (shown, found) in shown["causes"].as_array().unwrap().iter().zip(found["causes"].as_array().unwrap()) {
            assert_eq!((&shown["name"], &shown["value"]), (&found["key"]["name"], &found["key"]["value"]));
            assert_eq!(shown["deviation"], found["deviation"]);
        }
    }
    let csv = installation.database.run(&[&arguments[..], &["csv"]].concat()).await.assert_success().stdout;
    assert!(csv.lines().nth(1).unwrap().starts_with("2025-04-08T05:00Z,anomaly,,,"), "{csv}");
    assert!(csv.lines().nth(2).unwrap().contains(",agent,") && csv.contains("runaway"), "{csv}");
    let table = installation.database.run(&[&arguments[..], &["table"]].concat()).await.assert_success();
    assert!(table.stdout.contains("runaway") && table.stderr.contains(", used"), "{} {}", table.stdout, table.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::too_many_lines, reason = "one installation for all of it")]
async fn what_cannot_be_forecast_is_refused_with_its_reason() {
    let (installation, server, position) = filled().await;
    server.graphql(FORECAST, json!({ "at": AT, "position": position })).await;
    let filter =
        |dimension: &str, value: &str| json!({ "at": AT, "filter": [{ "dimension": dimension, "value": value }] });
    let task = "018bd12c-58b0-7683-8a5b-8752d0e86651";
    for (variables, expected) in [
        (json!({ "at": AT, "timeZone": "Berlin" }), "UNKNOWN_TIME_ZONE"),
        (json!({ "at": "2025-04-10T00:30:00Z" }), "NOT_AN_HOUR"),
        (json!({ "at": AT, "until": "2025-04-10T00:00:00Z" }), "EMPTY_RANGE"),
        (json!({ "at": AT, "until": "2025-07-15T00:00:00Z" }), "RANGE_TOO_LONG"),
        (json!({ "at": "2190-01-01T00:00:00Z" }), "IN_FUTURE"),
        (json!({ "at": "2025-03-20T23:00:00Z" }), "HISTORY_TOO_SHORT"),
        (json!({ "at": "2024-01-01T00:00:00Z" }), "HISTORY_TOO_SHORT"),
        (json!({ "at": AT, "percent": 96 }), "BAD_PERCENT"),
        (json!({ "at": AT, "percent": -1 }), "BAD_PERCENT"),
        (json!({ "at": AT, "tagKey": "team" }), "UNUSED_TAG_KEY"),
        (variables(filter("TAG", "a"), json!({ "tagKey": "team" })), "NOT_SUMMED"),
        (filter("TASK", task), "NOT_SUMMED"),
        (filter("DAY", "2025-04-01"), "OF_TIME"),
        (
            json!({ "at": AT, "filter": (0..21).map(|n| json!({ "dimension": "MODEL", "value": format!("m{n}") })).collect::<Vec<_>>() }),
            "TOO_MANY_FILTERS",
        ),
    ] {
        let answer = server.graphql_response(FORECAST, variables.clone()).await;
        assert_eq!(reason(&answer), expected, "{variables}: {answer}");
    }
    let range = |from: &str, to: &str| json!({ "from": from, "to": to });
    let april = || range("2025-04-05T00:00:00Z", AT);
    for (variables, expected) in [
        (range("2025-04-05T00:10:00Z", AT), "NOT_AN_HOUR"),
        (variables(range("2025-04-05T01:00:00Z", AT), json!({ "step": "DAY" })), "NOT_A_DAY"),
        (range(AT, AT), "EMPTY_RANGE"),
        (range("2025-04-05T00:00:00Z", "2025-05-07T00:00:00Z"), "RANGE_TOO_LONG"),
        (range("2025-03-30T00:00:00Z", AT), "HISTORY_TOO_SHORT"),
        (range("2190-01-01T00:00:00Z", "2190-01-02T00:00:00Z"), "IN_FUTURE"),
        (variables(april(), json!({ "by": "DAY" })), "OF_TIME"),
        (variables(april(), json!({ "by": "TASK" })), "NOT_SUMMED"),
        (variables(april(), json!({ "by": "TAG" })), "NO_TAG_KEY"),
        (variables(april(), json!({ "causes": 0 })), "BAD_CAUSES"),
        (variables(april(), json!({ "causes": 21 })), "BAD_CAUSES"),
        (variables(april(), json!({ "first": 0 })), "BAD_PAGE_SIZE"),
        (variables(april(), json!({ "after": "x" })), "BAD_CURSOR"),
        (variables(april(), json!({ "timeZone": "x" })), "UNKNOWN_TIME_ZONE"),
    ] {
        let answer = server.graphql_response(ANOMALIES, variables.clone()).await;
        assert_eq!(reason(&answer), expected, "{variables}: {answer}");
    }
    // The shortest history that is enough.
    let shortest = server.graphql(FORECAST, json!({ "at": "2025-03-21T00:00:00Z" })).await["costForecast"].take();
    assert_eq!((&shortest["testedHours"], &shortest["independentSpans"]), (&json!(24), &json!(4)));
    for (arguments, code, message) in [
        (&["report", "forecast", "--time-zone", "Berlin"][..], 2, "is not a time zone"),
        (&["report", "forecast", "--percent", "99"], 2, "99 is not in 50..=95"),
        (&["report", "forecast", "--at", "2025-03-20"], 1, "432 hours of history are needed, and there are 408"),
        (&["report", "anomalies", "--from", "2025-04-05"], 2, "--to"),
        (&["report", "anomalies", "--from", "2025-03-10", "--to", "2025-03-12"], 1, "672 hours of history are needed"),
        (
            &["report", "anomalies", "--from", "2025-04-05", "--to", "2025-04-06", "--by", "week"],
            1,
            "week is a period of time",
        ),
    ] {
        let output = installation.database.run(arguments).await;
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(message), "{arguments:?}: {}", output.stderr);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_read_reports_read_forecasts_of_their_own_tenant() {
    let (installation, open, position) = filled().await;
    open.graphql(FORECAST, json!({ "at": AT, "position": position })).await;
    drop(open.terminate().await);
    let server = installation.serve(&[]).await;
    let forecast = format!("{{ costForecast(at: \"{AT}\") {{ expected }} }}");
    let anomalies = format!("{{ costAnomalies(from: \"2025-04-05T00:00:00Z\", to: \"{AT}\") {{ count }} }}");
    for (role, may) in [("viewer", true), ("billing", true), ("agent", false)] {
        let user = installation.user(&server, &format!("{role}@example.org"), role).await;
        for query in [&forecast, &anomalies] {
            let (_, answer) = ask(&server, text(&user, "accessToken"), query).await;
            let is_forbidden = answer["errors"][0]["extensions"]["code"] == "FORBIDDEN";
            assert_eq!(!is_forbidden, may, "{role}: {answer}");
            assert!(!may || answer["errors"].is_null(), "{role}: {answer}");
        }
    }
    // Another tenant has no history.
    installation.run(&["tenants", "create", "other"]).await;
    let of_other = ["report", "forecast", "--at", AT, "--tenant", "other"];
    let refused = installation.database.run(&of_other).await;
    assert!(refused.stderr.contains("432 hours of history are needed, and there are 0"), "{}", refused.stderr);
}
