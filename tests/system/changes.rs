//! Two moments compared: what changed between them adds up, row by row and event by event, whatever was recorded between.

use crate::graphql::{code, command, reason};
use crate::remote::at;
use crate::repricing::{price, report, set};
use crate::users::Installation;
use domain::Sum;
use serde_json::{Value, json};
use sqlx::types::BigDecimal;
use testkit::Server;

/// What changes costs: the position after each step.
struct History {
    installation: Installation,
    server: Server,
    positions: Vec<u64>,
}

fn position(payload: &Value) -> u64 {
    payload["position"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{payload}"))
}

impl History {
    /// Calls that are reported, corrected, reported late, charged again and taken out.
    async fn new() -> Self {
        let installation = Installation::new().await;
        let server = installation.serve_open().await;
        let mut positions = vec![0];
        set(&server, price("m", "3", json!({}))).await;
        set(&server, price("n", "0.1", json!({}))).await;
        let first = report(&server, "m", "a", 1, json!({ "team": "search" })).await;
        positions.push(position(&first));
        let second = report(&server, "n", "b", 2, json!({ "team": "ads" })).await;
        let unpriced = report(&server, "unknown", "u", 2, json!({})).await;
        positions.push(position(&unpriced));
        let correct =
            |call: &Value, values: Value| json!({ "id": call["call"]["id"], "reason": "a test", "values": values });
        // The cost moves from one team to another one, and the total stays.
        let moved = correct(&first, json!({ "team": "ads" }));
        positions.push(position(&command(&server, "correctCall", moved, "position error { message }").await));
        let doubled = correct(&second, json!({ "usage": { "input": 2_000_000 } }));
        positions.push(position(&command(&server, "correctCall", doubled, "position error { message }").await));
        // Reported late: it started before the others.
        let late =
            report(&server, "m", "late", 1, json!({ "team": "late", "startedAt": "2026-02-01T12:00:00Z" })).await;
        positions.push(position(&late));
        set(&server, price("m", "2.999999999999", json!({}))).await;
        set(&server, price("unknown", "1", json!({}))).await;
        let input = json!({ "reason": "the rate was wrong", "minPosition": late["position"] });
        let repriced = command(&server, "repriceCalls", input, "outcome position error { message }").await;
        positions.push(position(&repriced));
        let void = json!({ "id": first["call"]["id"], "reason": "a test" });
        positions.push(position(&command(&server, "voidCall", void, "position error { message }").await));
        Self { installation, server, positions }
    }

    /// The amounts by which events changed the charged cost, by SQL over their payloads: nothing of what is tested is used.
    async fn independent(&self, from: u64, to: u64) -> Vec<(u64, Sum)> {
        let rows: Vec<(i64, BigDecimal)> = sqlx::query_as(
            "select position,
                    coalesce((case type when 'call.recorded' then p else p -> 'after' end #>> '{charge,amount}')::numeric, 0)
                    - coalesce((p #>> '{before,charge,amount}')::numeric, 0)
                    - coalesce((select sum((a #>> '{before,charge,amount}')::numeric)
                                from jsonb_array_elements(p -> 'absorbed') a), 0)
             from (select position, type, payload::jsonb as p from apex.events
                   where category = 'call' and position > $1 and position <= $2) e
             order by position",
        )
        .bind(i64::try_from(from).unwrap())
        .bind(i64::try_from(to).unwrap())
        .fetch_all(&mut self.installation.database.owner().await)
        .await
        .unwrap();
        rows.into_iter().map(|(position, amount)| (position.try_into().unwrap(), Sum::from(amount))).collect()
    }
}

const CHANGES: &str = "query($from: AsOf!, $to: AsOf!, $by: [Dimension!], $filter: [UsageFilter!], $first: Int,
        $rowsAfter: String, $eventsAfter: String) {
    costChanges(from: $from, to: $to, by: $by, filter: $filter) {
        from to before { cost calls } after { cost calls } costDifference
        rows(first: $first, after: $rowsAfter) {
            nodes { keys { value } before { cost calls } after { cost calls } costDifference }
            pageInfo { hasNextPage endCursor } }
        events(first: $first, after: $eventsAfter) {
            nodes { position type recordedAt callId actor costDifference callsDifference }
            pageInfo { hasNextPage endCursor } } } }";

fn between(from: u64, to: u64, more: Value) -> Value {
    let moment = |position: u64| json!({ "position": position.to_string() });
    let mut variables = json!({ "from": moment(from), "to": moment(to), "first": 500 });
    variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    variables
}

async fn changes(server: &Server, variables: Value) -> Value {
    server.graphql(CHANGES, variables).await["costChanges"].take()
}

fn sum<'v>(values: impl IntoIterator<Item = &'v Value>) -> Sum {
    values.into_iter().fold(Sum::default(), |mut sum, value| {
        sum += &Sum::parse(value.as_str().unwrap_or_else(|| panic!("{value}"))).unwrap();
        sum
    })
}

fn nodes(list: &Value) -> &Vec<Value> {
    list["nodes"].as_array().unwrap()
}

/// What is wrong with the changes between two moments; nothing if they add up to the last digit.
fn faults(changes: &Value, independent: &[(u64, Sum)]) -> Vec<String> {
    let mut faults = Vec::new();
    let total = sum([&changes["costDifference"]]);
    let of_events = sum(nodes(&changes["events"]).iter().map(|event| &event["costDifference"]));
    if of_events != total {
        faults.push(format!("the events add up to {of_events}, and the total changed by {total}"));
    }
    let of_rows = sum(nodes(&changes["rows"]).iter().map(|row| &row["costDifference"]));
    if of_rows != total {
        faults.push(format!("the rows add up to {of_rows}, and the total changed by {total}"));
    }
    let listed: Vec<_> = nodes(&changes["events"])
        .iter()
        .map(|event| (position(event), sum([&event["costDifference"]])))
        .filter(|(_, amount)| !amount.is_zero())
        .collect();
    let expected: Vec<_> = independent.iter().filter(|(_, amount)| !amount.is_zero()).cloned().collect();
    if listed != expected {
        faults.push(format!("the events are {listed:?}, and by SQL {expected:?}"));
    }
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_between_two_moments_adds_up_by_rows_and_by_events() {
    let history = History::new().await;
    let (server, positions) = (&history.server, &history.positions);
    for (index, &from) in positions.iter().enumerate() {
        for &to in &positions[index..] {
            let independent = history.independent(from, to).await;
            for by in [json!(["TEAM"]), json!(["MODEL", "MONTH"])] {
                let found = changes(server, between(from, to, json!({ "by": by }))).await;
                assert_eq!(faults(&found, &independent), [""; 0], "{from}..{to} {by}: {found}");
                assert_eq!((position_of(&found, "from"), position_of(&found, "to")), (from, to));
            }
        }
    }
    let (first, last) = (positions[0], *positions.last().unwrap());
    let whole = changes(server, between(first, last, json!({ "by": ["TEAM"] }))).await;
    let types: std::collections::BTreeSet<_> =
        nodes(&whole["events"]).iter().map(|event| event["type"].as_str().unwrap()).collect();
    for expected in ["call.recorded", "call.corrected", "call.repriced"] {
        assert!(types.contains(expected), "{types:?}");
    }
    // A correction that moves a cost changes rows and no total, and is listed.
    let moved = changes(server, between(positions[2], positions[3], json!({ "by": ["TEAM"] }))).await;
    assert_eq!(
        (moved["costDifference"].as_str(), nodes(&moved["rows"]).len(), nodes(&moved["events"]).len()),
        (Some("0"), 2, 1)
    );
    // A filter limits both sides: for the team, the cost went away.
    let filter = json!([{ "dimension": "TEAM", "value": "search" }]);
    let of_team = changes(server, between(positions[2], positions[3], json!({ "filter": filter }))).await;
    assert_eq!(of_team["costDifference"], "-3", "{of_team}");
    drop(history.server.terminate().await);
}

fn position_of(changes: &Value, field: &str) -> u64 {
    changes[field].as_str().unwrap().parse().unwrap()
}

/// The control of [`faults`]: an event that is left out, a row that is left out, and an amount that differs in its last digit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_omissions_are_found() {
    let history = History::new().await;
    let (from, to) = (history.positions[0], *history.positions.last().unwrap());
    let independent = history.independent(from, to).await;
    let found = changes(&history.server, between(from, to, json!({ "by": ["TEAM"] }))).await;
    assert_eq!(faults(&found, &independent), [""; 0]);
    let planted = |change: fn(&mut Value)| {
        let mut planted = found.clone();
        change(&mut planted);
        faults(&planted, &independent)
    };
    assert!(!planted(|found| drop(found["events"]["nodes"].as_array_mut().unwrap().remove(0))).is_empty());
    assert!(!planted(|found| drop(found["rows"]["nodes"].as_array_mut().unwrap().remove(0))).is_empty());
    let last_digit = planted(|found| {
        let amount = sum([&found["events"]["nodes"][0]["costDifference"]]);
        let mut other = Sum::parse("0.000000000001").unwrap();
        other += &amount;
        found["events"]["nodes"][0]["costDifference"] = other.to_string().into();
    });
    assert_eq!(last_digit.len(), 2, "{last_digit:?}");
    drop(history.server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_read_in_pages_and_refused_in_the_wrong_order() {
    let history = History::new().await;
    let (server, from, to) = (&history.server, history.positions[0], *history.positions.last().unwrap());
    let whole = changes(server, between(from, to, json!({ "by": ["TEAM", "MODEL"] }))).await;
    for (list, cursor) in [("rows", "rowsAfter"), ("events", "eventsAfter")] {
        let (mut read, mut after) = (Vec::new(), Value::Null);
        loop {
            let page = json!({ "by": ["TEAM", "MODEL"], "first": 2, cursor: after });
            let mut page = changes(server, between(from, to, page)).await[list].take();
            read.extend(nodes(&page).clone());
            after = page["pageInfo"]["endCursor"].take();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        assert_eq!(&read, nodes(&whole[list]), "{list}");
    }
    let refused = async |variables: Value| server.graphql_response(CHANGES, variables).await;
    let reversed = refused(between(to, from, json!({}))).await;
    assert_eq!((code(&reversed), reason(&reversed)), ("BAD_USER_INPUT", "NOT_IN_ORDER"), "{reversed}");
    for wrong in [json!({ "rowsAfter": "x" }), json!({ "eventsAfter": "x" })] {
        let refused = refused(between(from, to, wrong)).await;
        assert_eq!(reason(&refused), "BAD_CURSOR", "{refused}");
    }
    // A cursor of a row belongs to its two positions.
    let cursor = changes(server, between(from, to, json!({ "by": ["TEAM"], "first": 1 }))).await["rows"]["pageInfo"]
        ["endCursor"]
        .take();
    let other = between(history.positions[1], to, json!({ "by": ["TEAM"], "rowsAfter": cursor }));
    assert_eq!(reason(&refused(other).await), "BAD_CURSOR");
    drop(history.server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_shows_the_same_changes_at_a_server_and_on_the_database() {
    let history = History::new().await;
    let (from, to) = (history.positions[1], *history.positions.last().unwrap());
    let moments = format!("{from}..{to}");
    // One that takes tokens.
    drop(history.server.terminate().await);
    let server = history.installation.serve(&[]).await;
    let run = async |more: &[&str]| {
        let arguments = [&["report", "changes", "--between", &moments], more].concat();
        let local = history.installation.database.run(&arguments).await.assert_success().stdout;
        let remote = at(&server, "tea", &arguments).await.assert_success().stdout;
        assert_eq!(local, remote, "{arguments:?}");
        local
    };
    for format in ["table", "csv", "json"] {
        run(&["--by", "team,model", "--format", format]).await;
        run(&["--events", "--format", format]).await;
    }
    let rows: Value = serde_json::from_str(&run(&["--by", "team", "--format", "json"]).await).unwrap();
    let events: Value = serde_json::from_str(&run(&["--events", "--format", "json"]).await).unwrap();
    let total = sum([&rows["cost_difference"]]);
    assert_eq!(sum(rows["rows"].as_array().unwrap().iter().map(|row| &row["cost_difference"])), total);
    assert_eq!(sum(events["events"].as_array().unwrap().iter().map(|event| &event["cost_difference"])), total);
    let reversed = format!("{to}..{from}");
    let refused = history.installation.database.run(&["report", "changes", "--between", &reversed]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    drop(server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aggregate_is_compared_at_two_moments_with_the_events_between() {
    let installation = Installation::new().await;
    let server = installation.serve_open().await;
    let registered =
        command(&server, "registerAgent", json!({ "name": "ada", "model": "m" }), "position agent { id uuid }").await;
    let id = registered["agent"]["id"].clone();
    command(&server, "activateAgent", json!({ "id": id }), "position").await;
    let paused = command(&server, "pauseAgent", json!({ "id": id, "reason": "a test" }), "position").await;
    let (first, last) = (position(&registered), position(&paused));
    const QUERY: &str = "query($id: ID!, $from: AsOf!, $to: AsOf!, $first: Int, $after: String) {
        aggregateChanges(category: \"agent\", id: $id, from: $from, to: $to) {
            before { version position } after { version position } isCut
            fields { path before after }
            events(first: $first, after: $after) { nodes { type version } pageInfo { hasNextPage endCursor } } } }";
    let ask = async |from: u64, to: u64, more: Value| {
        let mut variables = between(from, to, more);
        variables["id"] = id.clone();
        server.graphql_response(QUERY, variables).await
    };
    let mut found = ask(first, last, json!({})).await;
    let found = found["data"]["aggregateChanges"].take();
    assert_eq!((&found["before"]["version"], &found["after"]["version"]), (&json!(1), &json!(3)), "{found}");
    let types: Vec<_> = nodes(&found["events"]).iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["agent.activated", "agent.paused"]);
    let paths: Vec<_> = found["fields"].as_array().unwrap().iter().map(|field| field["path"].clone()).collect();
    assert!(!paths.is_empty() && !paths.iter().any(|path| path.as_str().unwrap().contains("name")), "{found}");
    let page = ask(first, last, json!({ "first": 1 })).await;
    assert_eq!(page["data"]["aggregateChanges"]["events"]["pageInfo"]["hasNextPage"], true, "{page}");
    // Before its first event there is nothing: the whole state is new.
    let whole = ask(first - 1, last, json!({})).await;
    assert_eq!(whole["data"]["aggregateChanges"]["before"], Value::Null, "{whole}");
    assert_eq!(whole["data"]["aggregateChanges"]["fields"][0]["path"], "", "{whole}");
    assert_eq!(reason(&ask(last, first, json!({})).await), "NOT_IN_ORDER");
    assert_eq!(ask(0, first - 1, json!({})).await["data"]["aggregateChanges"], Value::Null);

    let stream = format!("agent/{}", registered["agent"]["uuid"].as_str().unwrap());
    let moments = format!("{first}..{last}");
    let arguments = ["replay", "--stream", &stream, "--between", &moments];
    drop(server.terminate().await);
    let server = installation.serve(&[]).await;
    let local = installation.database.run(&arguments).await.assert_success();
    let remote = at(&server, "tea", &arguments).await.assert_success();
    assert_eq!(local.stdout, remote.stdout);
    let printed = local.json();
    assert_eq!(printed["events"].as_array().unwrap().len(), 2, "{printed}");
    assert_eq!(printed["fields"].as_array().unwrap().len(), paths.len());
    drop(server.terminate().await);
}
