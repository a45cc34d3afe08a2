//! The packages for clients in `clients/`: programs in Python and in JavaScript that reserve and settle calls at a real server, and what
//! budgets hold afterwards.

mod faults;
mod litellm;
mod programs;
mod proxy;
mod race;
mod types;

use crate::identities::Installation;
use crate::reservations::{audit, audited, define, period, set_price};
use chrono::{DateTime, Utc};
use programs::{LANGUAGES, Language, run};
use serde_json::{Value, json};
use testkit::{Server, TestDatabase};
use uuid::Uuid;

const CALLS: &str = "query ($position: Position) { calls(first: 500, minPosition: $position) { nodes {
    id provider model outcome usageAssumed cost error tags { key value } } } }";

/// A hard budget of the calls that have a tag.
fn terms(tag: &str, limit: &str) -> Value {
    json!({ "name": tag, "scope": { "conditions": [{ "dimension": "tag:client", "value": tag }] }, "limit": limit,
            "enforcement": "HARD", "period": "TOTAL" })
}

/// A database, and a server with a model that costs a dollar for a million tokens.
async fn serve() -> (TestDatabase, Server) {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    set_price(&server).await;
    (database, server)
}

/// The name of a budget and of its tag.
fn tag(language: Language) -> String {
    format!("{language:?}")
}

/// Defines the budget of a language, and returns its id with the arguments of a scenario.
async fn budget(server: &Server, language: Language, limit: &str) -> (String, Value) {
    let tag = tag(language);
    let id = define(server, terms(&tag, limit)).await;
    (id, json!({ "tags": { "client": tag } }))
}

/// The calls in the log, once the read models have them.
async fn calls(database: &TestDatabase, server: &Server) -> Vec<Value> {
    let position = database.head().await.to_string();
    let mut found = server.graphql(CALLS, json!({ "position": position })).await;
    serde_json::from_value(found["calls"]["nodes"].take()).unwrap()
}

/// The value of a tag of a call.
fn tag_of<'a>(call: &'a Value, key: &str) -> Option<&'a str> {
    call["tags"].as_array()?.iter().find(|tag| tag["key"] == key)?["value"].as_str()
}

/// What is charged in a period is known, and nothing is held there.
fn assert_charged(period: &Value, charged: &str) {
    let found = ["charged", "reserved", "assumed", "excess"].map(|name| period[name].as_str().unwrap());
    assert_eq!(found, [charged, "0", "0", "0"], "{period}");
}

/// Nothing in the log was granted beyond a limit.
async fn assert_not_overspent(database: &TestDatabase) {
    assert_eq!(audit(&audited(database).await).1, []);
}

/// Starts a server that takes clients without a credential, too, and returns the API key of an agent.
async fn serve_with_key(installation: &Installation) -> (Server, String) {
    let server = installation.serve_open(&[]).await;
    set_price(&server).await;
    let key = installation.key(&testkit::tenant().to_string(), "agent", &[]).await;
    (server, key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_settled_at_what_it_used_by_the_key_of_an_agent() {
    let installation = Installation::new().await;
    let (server, key) = serve_with_key(&installation).await;
    for language in LANGUAGES {
        let (id, mut arguments) = budget(&server, language, "4.5").await;
        arguments["token"] = key.as_str().into();
        let seen = run(language, &server.address, "granted", &arguments).await;
        // The role of the key may report calls, and read none.
        let expected =
            json!({ "partly": false, "outputLimit": 1_000_000, "cost": "1.001", "settled": null, "callId": null });
        assert_eq!(seen, expected, "{language:?}");
        assert_charged(&period(&server, &id).await, "0.5");
        let found = calls(&installation.database, &server).await;
        let is_its = |call: &&Value| tag_of(call, "client") == Some(tag(language).as_str());
        let call = found.iter().find(is_its).unwrap_or_else(|| panic!("{found:?}"));
        assert_eq!((&call["outcome"], &call["usageAssumed"]), (&json!("OK"), &json!(false)), "{call}");
        let errors = run(language, &server.address, "errors", &arguments).await;
        let expected = json!({ "unauthenticated": "Unauthenticated UNAUTHENTICATED", "fixed": "Rejected FIXED",
                               "badMinimum": "Rejected BAD_MINIMUM", "insecure": "ConfigurationError" });
        assert_eq!(errors, expected, "{language:?}");
        assert_charged(&period(&server, &id).await, "0.5");
    }
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn less_output_is_granted_to_clients_for_which_less_would_do() {
    let (_database, server) = serve().await;
    for language in LANGUAGES {
        let (id, arguments) = budget(&server, language, "4.5").await;
        let seen = run(language, &server.address, "partly", &arguments).await;
        let expected = json!({ "partly": true, "outputLimit": 4_500_000, "extended": "BudgetExceeded" });
        assert_eq!(seen, expected, "{language:?}");
        assert_charged(&period(&server, &id).await, "0");
    }
    server.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_tells_clients_the_budget_what_is_left_and_when_it_renews() {
    let (_database, server) = serve().await;
    // The start of the year 2200, in seconds: a budget of all time does not renew before it.
    let renews_at = 7_258_118_400_u64;
    for language in LANGUAGES {
        let (id, arguments) = budget(&server, language, "4.5").await;
        let seen = run(language, &server.address, "refusals", &arguments).await;
        let exceeded =
            json!({ "name": "BudgetExceeded", "budget": id, "left": "4.5", "dimension": null, "renewsAt": renews_at });
        assert_eq!(seen["exceeded"], exceeded, "{language:?}");
        let unpriced =
            json!({ "name": "Unpriced", "budget": id, "left": null, "dimension": null, "renewsAt": renews_at });
        assert_eq!(seen["unpriced"], unpriced, "{language:?}");
        let undeclared = &seen["undeclared"];
        assert_eq!((&undeclared["name"], &undeclared["dimension"]), (&json!("Undeclared"), &json!("tag:client")));
        assert_charged(&period(&server, &id).await, "0");
    }
    server.kill().await;
}

/// What follows a refusal, by the policy of the budget, is in the error that clients raise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_tells_clients_what_follows() {
    let (database, server) = serve().await;
    for (model, on_refusal) in [
        ("degraded", json!({ "degrade": ["m"] })),
        ("asking", json!({ "askForApproval": 30 })),
        ("pausing", json!({ "pauseAgent": true })),
    ] {
        let terms = json!({ "name": model, "scope": { "model": model }, "limit": "0.5", "measure": { "calls": true },
                            "enforcement": "HARD", "period": "TOTAL", "onRefusal": on_refusal });
        define(&server, terms).await;
    }
    let arguments = json!({ "models": ["degraded", "asking", "pausing", "m"], "agent": Uuid::now_v7() });
    for language in LANGUAGES {
        let seen = run(language, &server.address, "followed_up", &arguments).await;
        let approvals = "{ approvals(first: 1) { nodes { uuid agentId model expiresAt } } }";
        let asked = server.graphql(approvals, json!({})).await["approvals"]["nodes"][0].take();
        let expires_at: DateTime<Utc> = asked["expiresAt"].as_str().unwrap().parse().unwrap();
        // The budget of another model does not count this one.
        let degraded = json!({ "degrade": ["m", "0"], "approval": null, "pausedAgent": null });
        let asking =
            json!({ "degrade": null, "approval": [asked["uuid"], expires_at.timestamp()], "pausedAgent": null });
        let pausing = json!({ "degrade": null, "approval": null, "pausedAgent": asked["agentId"] });
        let expected = json!({ "degraded": degraded, "asking": asking, "pausing": pausing, "m": "granted" });
        assert_eq!(seen, expected, "{language:?}");
    }
    assert_not_overspent(&database).await;
    server.kill().await;
}

/// What providers state is read as Apex itself reads it: cached tokens are counted once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_read_the_usage_of_each_provider_alike() {
    let details = json!({ "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
        "prompt_tokens_details": { "cached_tokens": 30, "audio_tokens": 5 },
        "completion_tokens_details": { "reasoning_tokens": 20, "audio_tokens": 2 } });
    let responses = json!({ "input_tokens": 100, "output_tokens": 50, "total_tokens": 150,
        "input_tokens_details": { "cached_tokens": 30 }, "output_tokens_details": { "reasoning_tokens": 20 } });
    let anthropic = json!({ "input_tokens": 100, "output_tokens": 50, "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 40, "server_tool_use": { "web_search_requests": 2 },
        "cache_creation": { "ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 30 } });
    let undivided = json!({ "input_tokens": 100, "output_tokens": 50, "cache_creation_input_tokens": 40 });
    let embeddings = json!({ "prompt_tokens": 8, "total_tokens": 8 });
    let beside = json!({ "prompt_tokens": 9, "completion_tokens": 10,
                         "completion_tokens_details": { "reasoning_tokens": 30 } });
    let usages = [details, responses, anthropic, undivided, embeddings, beside];
    let mut given: Vec<_> = usages.iter().map(|usage| json!({ "id": "r", "usage": usage })).collect();
    given.push(json!({ "id": "r" }));
    let expected = json!([
        { "input": 70, "output": 50, "cacheRead": 30, "reasoning": 20, "audioInput": 5, "audioOutput": 2 },
        { "input": 70, "output": 50, "cacheRead": 30, "reasoning": 20 },
        { "input": 100, "output": 50, "cacheRead": 30, "cacheWrite5Min": 10, "cacheWrite1Hour": 30, "searches": 2 },
        { "input": 100, "output": 50, "cacheWrite5Min": 40 },
        { "input": 8 },
        { "input": 9, "output": 40, "reasoning": 30 },
        null
    ]);
    for language in LANGUAGES {
        let arguments = json!({ "responses": given });
        let seen = run(language, "http://127.0.0.1:9", "usages", &arguments).await;
        assert_eq!(seen["usages"], expected, "{language:?}");
        // The bytes of the text, and what providers add; the languages put white space differently.
        let bound = seen["bound"].as_u64().unwrap();
        assert!((1024 + 36..1024 + 44).contains(&bound), "{language:?}: {bound}");
    }
}
