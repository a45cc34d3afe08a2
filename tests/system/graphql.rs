//! GraphQL: commands, refusals, pagination, reads as of an earlier time, and operator mutations.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::{Server, TIMEOUT, TestDatabase};
use uuid::Uuid;

/// Runs a mutation with one input and returns its payload.
pub(crate) async fn command(server: &Server, field: &str, input: Value, select: &str) -> Value {
    // The input type is named after the mutation.
    let kind = format!("{}{}", field[..1].to_ascii_uppercase(), &field[1..]);
    let query = format!("mutation ($input: {kind}Input!) {{ {field}(input: $input) {{ {select} }} }}");
    server.graphql(&query, json!({ "input": input })).await[field].take()
}

const RESULT_FIELDS: &str = "outcome position error { code message field currentVersion }";

/// Registers and activates an agent and returns its global id.
pub(crate) async fn agent(server: &Server, name: &str) -> String {
    let payload = command(server, "registerAgent", json!({ "name": name }), "agent { id }").await;
    let id = payload["agent"]["id"].as_str().unwrap().to_owned();
    command(server, "activateAgent", json!({ "id": id }), "outcome").await;
    id
}

/// Runs a mutation, asserts that it is refused, and returns the error code.
async fn refusal(server: &Server, field: &str, input: Value) -> String {
    let payload = command(server, field, input, RESULT_FIELDS).await;
    assert_eq!(payload["outcome"], "REJECTED", "{field}: {payload}");
    assert_eq!(payload["position"], Value::Null, "{field}: {payload}");
    payload["error"]["code"].as_str().unwrap_or_else(|| panic!("{field}: {payload}")).to_owned()
}

/// Whether an answer is an error with this code. To wait for one, since [`code`] fails the test without one.
pub(crate) fn is_error(answer: &Value, code: &str) -> bool {
    answer["errors"][0]["extensions"]["code"] == code
}

/// The code of an answer that is an error.
pub(crate) fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

pub(crate) fn reason(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["reason"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_goes_through_its_lifecycle() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let input = json!({ "name": "ada", "kind": "coder", "model": "gpt-4o", "labels": [{ "key": "team", "value": "a" }],
                        "at": "2023-11-15T00:13:20+02:00" });
    let select = "commandId outcome position error { code }
        agent { id uuid name kind model labels { key value } status reason registeredAt statusChangedAt version position }";
    let registered = command(&server, "registerAgent", input, select).await;
    let known = &registered["agent"];
    assert_eq!(registered["outcome"], "DONE");
    let position: u64 = registered["position"].as_str().unwrap().parse().unwrap();
    let last = (position + 4).to_string();
    assert_eq!(known["labels"], json!([{ "key": "team", "value": "a" }]));
    assert_eq!(known["registeredAt"], "2023-11-14T22:13:20Z");
    assert_eq!((&known["status"], &known["version"]), (&json!("REGISTERED"), &json!(1)));
    let id = known["id"].clone();
    let steps = [
        ("activateAgent", json!({ "id": id }), "DONE", "ACTIVE"),
        ("activateAgent", json!({ "id": id }), "ALREADY_DONE", "ACTIVE"),
        ("pauseAgent", json!({ "id": id, "reason": "too dear" }), "DONE", "PAUSED"),
        ("resumeAgent", json!({ "id": known["uuid"] }), "DONE", "ACTIVE"),
        ("retireAgent", json!({ "id": id, "reason": "done" }), "DONE", "RETIRED"),
    ];
    for (field, input, outcome, status) in steps {
        let payload = command(&server, field, input, "outcome agent { status }").await;
        assert_eq!(payload, json!({ "outcome": outcome, "agent": { "status": status } }), "{field}");
    }
    // A query returns the state that the payload of the last command showed.
    let query = "query ($id: ID!, $last: Position) { agent(id: $id, minPosition: $last) {
        name status reason version position } }";
    let seen = server.graphql(query, json!({ "id": id, "last": last })).await;
    let expected = json!({ "name": "ada", "status": "RETIRED", "reason": "done", "version": 5, "position": last });
    assert_eq!(seen["agent"], expected);
    let node = server.graphql("query ($id: ID!) { node(id: $id) { __typename id } }", json!({ "id": id })).await;
    assert_eq!(node["node"], json!({ "__typename": "Agent", "id": id }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_completes_and_its_calls_are_priced() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let components = json!([{ "meter": "INPUT", "rate": "3" }, { "meter": "OUTPUT", "rate": 4 }]);
    let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2023-01-01T00:00:00Z",
                        "components": components });
    let priced =
        command(&server, "setPrices", json!({ "prices": [price] }), "outcome error { message } bookVersion").await;
    assert_eq!(priced["outcome"], "DONE", "{priced}");
    let ada = agent(&server, "ada").await;
    let task = command(&server, "submitTask", json!({ "title": "fix it", "agentId": ada }), "task { id status }").await;
    let id = task["task"]["id"].clone();
    for (field, input, status) in [
        ("startTask", json!({ "id": id }), "RUNNING"),
        ("reportTaskProgress", json!({ "id": id, "percent": 40, "note": "half of it" }), "RUNNING"),
        ("completeTask", json!({ "id": id, "result": "fixed" }), "COMPLETED"),
    ] {
        let payload = command(&server, field, input, "outcome task { status }").await;
        assert_eq!(payload, json!({ "outcome": "DONE", "task": { "status": status } }), "{field}");
    }
    for (field, input) in [("failTask", json!({ "error": "lost" })), ("cancelTask", json!({ "reason": "moot" }))] {
        let other = command(&server, "submitTask", json!({ "title": "other", "agentId": ada }), "task { id }").await;
        let mut input = input;
        input["id"] = other["task"]["id"].clone();
        assert_eq!(command(&server, field, input, "outcome").await["outcome"], "DONE", "{field}");
    }
    let report = json!({
        "callKey": "answer-1", "provider": "acme", "model": "m", "agentId": ada, "taskId": id, "latencyMs": 1200,
        "usage": { "input": 1000, "output": 250 }, "startedAt": "2023-09-26T02:34:18Z", "reportedCost": "0.005",
    });
    let select = "outcome position call { id cost reportedCost usage { input output } price { tier bookVersion } }";
    let call = command(&server, "reportCall", report.clone(), select).await;
    let book_version = price_book_version(&server).await;
    assert_eq!(call["call"]["cost"], "0.004", "{call}");
    assert_eq!(call["call"]["reportedCost"], "0.005");
    assert_eq!(call["call"]["price"], json!({ "tier": "standard", "bookVersion": book_version }));
    assert_eq!(command(&server, "reportCall", report, "outcome").await["outcome"], "ALREADY_DONE");
    let tool = json!({ "tool": "grep", "agentId": ada, "taskId": id });
    let last = command(&server, "reportCall", tool, "position call { kind cost }").await;
    assert_eq!(last["call"], json!({ "kind": "TOOL", "cost": null }));

    let query = "query ($id: ID!, $position: Position) {
        tasks(minPosition: $position) { nodes { title agent { name } } }
        task(id: $id, minPosition: $position) { title status progressPercent outcome progressNote calls { nodes { kind task { title } agent { name } } } }
        usageReport(by: [AGENT, MODEL], minPosition: $position) {
            nodes { keys { dimension value id name } totals { calls toolCalls cost } } total { cost calls } position
        }
    }";
    let seen = server.graphql(query, json!({ "id": id, "position": last["position"] })).await;
    let names: Vec<_> = seen["tasks"]["nodes"].as_array().unwrap().iter().map(|node| &node["agent"]["name"]).collect();
    assert_eq!(names, ["ada", "ada", "ada"]);
    assert_eq!(seen["task"]["calls"]["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(seen["task"]["calls"]["nodes"][0]["task"]["title"], "fix it");
    assert_eq!((&seen["task"]["progressPercent"], &seen["task"]["outcome"]), (&json!(100), &json!("fixed")));
    assert_eq!(seen["usageReport"]["total"], json!({ "cost": "0.004", "calls": 1 }));
    let row = &seen["usageReport"]["nodes"][0];
    assert_eq!(row["keys"][0]["name"], "ada");
    assert_eq!(row["keys"][0]["id"], ada);
    assert_eq!(row["keys"][1], json!({ "dimension": "MODEL", "value": "m", "id": null, "name": null }));
}

/// The version of the price book, which also contains the shipped prices.
async fn price_book_version(server: &Server) -> Value {
    let payload = command(server, "setPrices", json!({ "prices": [] }), "bookVersion").await;
    payload["bookVersion"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memories_are_stored_shared_searched_and_forgotten() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let (ada, bob) = (agent(&server, "ada").await, agent(&server, "bob").await);
    let store = json!({ "agentId": ada, "content": "the build needs green tea", "tags": ["build"] });
    let stored = command(&server, "storeMemory", store, "outcome memory { id realm }").await;
    let id = stored["memory"]["id"].clone();
    let recall = |who: &str| json!({ "id": id, "agentId": who });
    assert_eq!(refusal(&server, "recallMemory", recall(&bob)).await, "NOT_VISIBLE");
    command(&server, "shareMemory", json!({ "id": id, "realm": "VILLAGE" }), "outcome").await;
    let recalled = command(&server, "recallMemory", recall(&bob), "position memory { recalls realm }").await;
    assert_eq!(recalled["memory"], json!({ "recalls": 1, "realm": "VILLAGE" }));
    let query = "query ($filter: MemoryFilter, $position: Position) {
        memories(filter: $filter, minPosition: $position) { nodes { content agent { name } } }
    }";
    let mut found = Vec::new();
    for filter in [
        json!({ "search": "green tea" }),
        json!({ "search": "\"tea green\"" }),
        json!({ "search": "coffee or tea", "tag": "build", "visibleTo": bob }),
        json!({ "realm": "PRIVATE" }),
    ] {
        let seen = server.graphql(query, json!({ "filter": filter, "position": recalled["position"] })).await;
        found.push(seen["memories"]["nodes"].as_array().unwrap().len());
    }
    assert_eq!(found, [1, 0, 1, 0]);
    let forgotten = command(&server, "forgetMemory", json!({ "id": id }), "position memory { content }").await;
    assert_eq!(forgotten["memory"]["content"], "");
    let seen = server.graphql(query, json!({ "filter": {}, "position": forgotten["position"] })).await;
    assert_eq!(seen["memories"]["nodes"], json!([]));
    assert_eq!(refusal(&server, "recallMemory", recall(&ada)).await, "FORGOTTEN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_counts_spending_and_raises_alerts() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2023-01-01T00:00:00Z",
                        "components": [{ "meter": "INPUT", "rate": "1" }, { "meter": "OUTPUT", "rate": "1" }] });
    command(&server, "setPrices", json!({ "prices": [price] }), "outcome").await;
    let terms = json!({ "name": "all of it", "scope": { "tenant": true }, "limit": "10", "timeZone": "Europe/Berlin" });
    let select = "outcome error { code message } budget { id limit thresholds timeZone scope { kind } }";
    let defined = command(&server, "defineBudget", json!({ "terms": terms }), select).await;
    assert_eq!(defined["budget"]["thresholds"], json!([50, 80, 100]), "{defined}");
    let id = defined["budget"]["id"].clone();
    let report = json!({ "callKey": "1", "provider": "acme", "model": "m", "usage": { "input": 8_500_000 },
                         "startedAt": "2023-09-30T22:30:00Z" });
    let reported = command(&server, "reportCall", report, "position").await;
    let query = "query ($id: ID!, $position: Position) { budget(id: $id, minPosition: $position) {
        months { month startsAt endsAt spent remaining } alerts { month thresholdPercent spent limit currency position }
    } budgetAlerts(budgetId: $id) { nodes { thresholdPercent budgetId } } }";
    let seen = tokio::time::timeout(TIMEOUT, async {
        loop {
            let seen = server.graphql(query, json!({ "id": id, "position": reported["position"] })).await;
            // The two fields are read one after the other: an alert may be raised in between.
            let alerts_found = [&seen["budget"]["alerts"], &seen["budgetAlerts"]["nodes"]];
            if alerts_found.iter().all(|alerts| alerts.as_array().unwrap().len() == 2) {
                return seen;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let seen = seen.await.unwrap();
    // The call is half past midnight in Berlin, so it is in October.
    let month = json!({ "month": "2023-10", "startsAt": "2023-09-30T22:00:00Z", "endsAt": "2023-10-31T23:00:00Z",
                        "spent": "8.5", "remaining": "1.5" });
    assert_eq!(seen["budget"]["months"], json!([month]));
    let alerts = json!([{ "thresholdPercent": 50, "budgetId": id }, { "thresholdPercent": 80, "budgetId": id }]);
    assert_eq!(seen["budgetAlerts"]["nodes"], alerts);
    let mut revised = terms.clone();
    revised["limit"] = json!("20");
    let payload = command(&server, "reviseBudget", json!({ "id": id, "terms": revised }), "budget { limit }").await;
    assert_eq!(payload["budget"]["limit"], "20");
    let payload = command(&server, "closeBudget", json!({ "id": id }), "budget { closed }").await;
    assert_eq!(payload["budget"]["closed"], true);
    assert_eq!(refusal(&server, "reviseBudget", json!({ "id": id, "terms": terms })).await, "CLOSED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_typed_and_write_nothing() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let ada = agent(&server, "ada").await;
    let task = command(&server, "submitTask", json!({ "title": "t", "agentId": ada }), "task { id }").await;
    let task = task["task"]["id"].clone();
    let unknown = Uuid::new_v4();
    let head = server.graphql("{ head }", json!({})).await;
    let long = "x".repeat(257);
    let scope = json!({ "tenant": true });
    for (field, input, code) in [
        ("registerAgent", json!({ "name": " " }), "INVALID_INPUT"),
        ("registerAgent", json!({ "name": long }), "INVALID_INPUT"),
        ("registerAgent", json!({ "name": "bob", "id": ada }), "ALREADY_REGISTERED"),
        ("activateAgent", json!({ "id": unknown }), "NOT_REGISTERED"),
        ("resumeAgent", json!({ "id": ada, "expectedVersion": 7 }), "WRONG_VERSION"),
        ("submitTask", json!({ "title": "t", "agentId": unknown }), "UNKNOWN_AGENT"),
        ("submitTask", json!({ "title": "a\nb", "agentId": ada }), "INVALID_INPUT"),
        ("submitTask", json!({ "title": "other", "agentId": ada, "id": task }), "ALREADY_SUBMITTED"),
        ("startTask", json!({ "id": unknown }), "NOT_SUBMITTED"),
        ("completeTask", json!({ "id": task }), "NOT_POSSIBLE"),
        ("reportTaskProgress", json!({ "id": task, "percent": 1000 }), "BAD_PERCENT"),
        ("reportTaskProgress", json!({ "id": task, "percent": 101 }), "BAD_PERCENT"),
        ("reportCall", json!({}), "NO_MODEL"),
        ("reportCall", json!({ "kind": "TOOL" }), "NO_TOOL"),
        ("reportCall", json!({ "model": "m", "reportedCost": "-1" }), "NEGATIVE_COST"),
        ("reportCall", json!({ "model": "m", "latencyMs": 9_000_000_000_i64 }), "LATENCY_TOO_LONG"),
        ("reportCall", json!({ "model": "m", "usage": { "reasoning": 1 } }), "PARTS_EXCEED_WHOLE"),
        ("setPrices", json!({ "prices": [] }), "EMPTY"),
        ("storeMemory", json!({ "agentId": ada, "content": "" }), "INVALID_INPUT"),
        ("storeMemory", json!({ "agentId": ada, "content": "x", "tags": vec!["t"; 33] }), "TOO_MANY_TAGS"),
        ("forgetMemory", json!({ "id": unknown }), "NOT_STORED"),
        ("defineBudget", json!({ "terms": { "name": "b", "scope": scope, "limit": 0 } }), "LIMIT_NOT_POSITIVE"),
        (
            "defineBudget",
            json!({ "terms": { "name": "b", "scope": scope, "limit": 1, "thresholds": [0] } }),
            "BAD_THRESHOLD",
        ),
        (
            "defineBudget",
            json!({ "terms": { "name": "b", "scope": scope, "limit": 1, "timeZone": "X" } }),
            "UNKNOWN_TIME_ZONE",
        ),
        ("closeBudget", json!({ "id": unknown }), "NOT_DEFINED"),
    ] {
        assert_eq!(refusal(&server, field, input.clone()).await, code, "{field}({input})");
    }
    command(&server, "pauseAgent", json!({ "id": ada }), "outcome").await;
    assert_eq!(refusal(&server, "startTask", json!({ "id": task })).await, "AGENT_STOPPED");
    let after: i64 = server.graphql("{ head }", json!({})).await["head"].as_str().unwrap().parse().unwrap();
    let before: i64 = head["head"].as_str().unwrap().parse().unwrap();
    assert_eq!(after, before + 1, "the pause is the only event that was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_command_is_executed_once() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let input = json!({ "commandId": Uuid::new_v4(), "name": "ada" });
    let select = "commandId outcome position agent { id name }";
    let first = command(&server, "registerAgent", input.clone(), select).await;
    let again = command(&server, "registerAgent", input, select).await;
    assert_eq!((&first["outcome"], &again["outcome"]), (&json!("DONE"), &json!("DUPLICATE")));
    for same in ["commandId", "position", "agent"] {
        assert_eq!(first[same], again[same], "{same}");
    }
    // The expected version is stale at the retry, which is still the same command.
    let id = first["agent"]["id"].clone();
    let activate = json!({ "commandId": Uuid::new_v4(), "id": id, "expectedVersion": 1 });
    let mut positions = BTreeSet::new();
    for outcome in ["DONE", "DUPLICATE"] {
        let payload = command(&server, "activateAgent", activate.clone(), RESULT_FIELDS).await;
        assert_eq!(payload["outcome"], outcome, "{payload}");
        positions.insert(payload["position"].to_string());
    }
    assert_eq!(positions.len(), 1);
    let stale = json!({ "id": id, "expectedVersion": 1, "reason": "x" });
    let payload = command(&server, "pauseAgent", stale, RESULT_FIELDS).await;
    assert_eq!(payload["error"]["code"], "WRONG_VERSION");
    assert_eq!(payload["error"]["currentVersion"], 2);
    let fresh = json!({ "id": id, "expectedVersion": 2 });
    assert_eq!(command(&server, "pauseAgent", fresh, "outcome").await["outcome"], "DONE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeating_a_command_with_a_different_text_is_refused() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let ada = agent(&server, "ada").await;
    let submit = async || {
        let payload = command(&server, "submitTask", json!({ "title": "t", "agentId": ada }), "task { id }").await;
        payload["task"]["id"].clone()
    };
    let task = submit().await;
    let start = json!({ "id": task, "commandId": Uuid::new_v4() });
    for outcome in ["DONE", "DUPLICATE"] {
        assert_eq!(command(&server, "startTask", start.clone(), RESULT_FIELDS).await["outcome"], outcome);
    }
    assert_eq!(
        refusal(&server, "startTask", json!({ "id": task })).await,
        "ALREADY_STARTED",
        "another command id is another worker"
    );

    let run = async |field: &str, word: &str, id: &Value, text: &str| {
        command(&server, field, json!({ "id": id, word: text }), RESULT_FIELDS).await
    };
    let other = submit().await;
    let third = submit().await;
    for (field, word, id, code) in [
        ("completeTask", "result", &task, "ALREADY_ENDED"),
        ("failTask", "error", &other, "ALREADY_ENDED"),
        ("cancelTask", "reason", &third, "ALREADY_ENDED"),
        ("pauseAgent", "reason", &json!(ada), "ALREADY_STOPPED"),
        ("retireAgent", "reason", &json!(ada), "ALREADY_STOPPED"),
    ] {
        assert_eq!(run(field, word, id, "this").await["outcome"], "DONE", "{field}");
        let again = run(field, word, id, "this").await;
        assert_eq!(again["outcome"], "ALREADY_DONE", "{field}: {again}");
        let payload = run(field, word, id, "that").await;
        assert_eq!(payload["error"]["code"], code, "{field}: {payload}");
    }
    let outcome =
        server.graphql("query ($id: ID!) { task(id: $id, minPosition: \"8\") { outcome } }", json!({ "id": task }));
    assert_eq!(outcome.await["task"]["outcome"], "this");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_of_an_unknown_agent_is_refused() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let define = |agent: &Value| json!({ "terms": { "name": "b", "limit": 1, "scope": { "agentId": agent } } });
    assert_eq!(refusal(&server, "defineBudget", define(&json!(Uuid::new_v4()))).await, "UNKNOWN_AGENT");
    let ada = json!(agent(&server, "ada").await);
    assert_eq!(command(&server, "defineBudget", define(&ada), RESULT_FIELDS).await["outcome"], "DONE");
    command(&server, "retireAgent", json!({ "id": ada }), "outcome").await;
    let payload = command(&server, "defineBudget", define(&ada), RESULT_FIELDS).await;
    assert_eq!(payload["outcome"], "DONE", "a retired agent may still incur costs");
}

/// A blank key would merge all calls that have it into one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blank_or_invalid_call_key_is_refused() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let head = server.graphql("{ head }", json!({})).await;
    for bad in ["", " ", "\t", "a\nb", &"x".repeat(257)] {
        let payload = command(&server, "reportCall", json!({ "model": "m", "callKey": bad }), RESULT_FIELDS).await;
        let error = &payload["error"];
        assert_eq!(
            (&error["code"], &error["field"]),
            (&json!("INVALID_INPUT"), &json!("callKey")),
            "{bad:?}: {payload}"
        );
    }
    assert_eq!(server.graphql("{ head }", json!({})).await, head);
}

/// The price book version that a charge names is in the log before the charge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_records_the_committed_price_book_version() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    for rate in ["1", "2"] {
        let price = json!({ "provider": "acme", "model": "m", "effectiveFrom": "2023-01-01T00:00:00Z",
                            "components": [{ "meter": "INPUT", "rate": rate }, { "meter": "OUTPUT", "rate": rate }] });
        command(&server, "setPrices", json!({ "prices": [price] }), "outcome").await;
        let report = json!({ "callKey": rate, "provider": "acme", "model": "m", "usage": { "input": 1_000_000 } });
        command(&server, "reportCall", report, "outcome").await;
        let charge: Value = sqlx::query_scalar(
            "select (payload -> 'charge')::text from apex.events where category = 'call' order by position desc limit 1",
        )
        .fetch_one(&database.pool)
        .await
        .map(|text: String| serde_json::from_str(&text).unwrap())
        .unwrap();
        let version: i64 = sqlx::query_scalar("select version from apex.streams where category = 'price_book'")
            .fetch_one(&database.pool)
            .await
            .unwrap();
        assert_eq!((&charge["book_version"], &charge["amount"]), (&json!(version), &json!(rate)), "{charge}");
    }
}
