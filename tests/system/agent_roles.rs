//! Roles on single agents: what their holders reach by commands, queries, node look-ups, subscriptions and exports, and that it
//! ends with the role.

use crate::graphql::code;
use crate::identities::{Installation, Possessions, ask, uuids};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use testkit::{Server, tenant, wait_until};
use uuid::Uuid;

/// A service account without roles, with a key.
pub(crate) async fn scoped_account(installation: &Installation) -> (String, String) {
    let account = installation.run(&["accounts", "create", "scoped"]).await;
    let key = installation.run(&["keys", "create", "--account", &account, "--all-scopes"]).await;
    (account, key)
}

async fn grant(installation: &Installation, role: &str, account: &str, agent: Uuid) {
    installation.run(&["roles", "grant", role, "--account", account, "--agent", &agent.to_string()]).await;
}

/// The number of events, without those of access logs.
pub(crate) async fn written(installation: &Installation) -> i64 {
    let events = sqlx::query_scalar("select count(*) from apex.events where category <> 'access_log'");
    events.fetch_one(&mut installation.database.owner().await).await.unwrap()
}

pub(crate) fn set(ids: &[Uuid]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// Lists with a position, so that the read models have everything.
pub(crate) async fn lists(server: &Server, key: &str, position: &str) -> Value {
    let list = |name: &str| format!("{name}(minPosition: \"{position}\") {{ nodes {{ uuid }} }}");
    let query = ["agents", "tasks", "memories", "calls"].map(list).join(" ");
    ask(server, key, &format!("{{ {query} }}")).await.1
}

async fn call_of(server: &Server, admin: &str, agent: Option<Uuid>) -> (Uuid, String) {
    let id = Uuid::now_v7();
    let agent = agent.map(|agent| format!(", agentId: \"{agent}\"")).unwrap_or_default();
    let query = format!("mutation {{ reportCall(input: {{ id: \"{id}\", model: \"m\"{agent} }}) {{ position }} }}");
    let (_, answer) = ask(server, admin, &query).await;
    (id, answer["data"]["reportCall"]["position"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned())
}

pub(crate) struct Fleet {
    pub(crate) installation: Installation,
    pub(crate) server: Server,
    pub(crate) admin: String,
    pub(crate) own: Possessions,
    pub(crate) second: Possessions,
    pub(crate) other: Possessions,
    /// A call of each agent, and one of none.
    pub(crate) calls: [Uuid; 4],
    pub(crate) position: String,
}

impl Fleet {
    pub(crate) async fn new() -> Self {
        let installation = Installation::new().await;
        let admin = installation.key(tenant().as_str(), "admin", &[]).await;
        let server = installation.serve(&[]).await;
        let (own, _) = Possessions::create(&server, &admin).await;
        let (second, _) = Possessions::create(&server, &admin).await;
        let (other, _) = Possessions::create(&server, &admin).await;
        let mut calls = Vec::new();
        let mut last = String::new();
        for agent in [Some(own.agent), Some(second.agent), Some(other.agent), None] {
            let (id, position) = call_of(&server, &admin, agent).await;
            calls.push(id);
            last = position;
        }
        let calls = calls.try_into().unwrap();
        Self { installation, server, admin, own, second, other, calls, position: last }
    }
}

/// Checks whether a key sees an object: by its id, at a position, and by its global id, as an administrator knows it.
pub(crate) async fn assert_seen(fleet: &Fleet, key: &str, (kind, id): (&str, Uuid), is_seen: bool) {
    let Fleet { server, admin, position, .. } = fleet;
    let as_of = format!("asOf: {{ position: \"{position}\" }}");
    let query = format!("{{ now: {kind}(id: \"{id}\") {{ uuid id }} then: {kind}(id: \"{id}\", {as_of}) {{ uuid }} }}");
    let (_, found) = ask(server, key, &query).await;
    for field in ["now", "then"] {
        assert_eq!(found["data"][field]["uuid"].is_string(), is_seen, "{kind} {field}: {found}");
    }
    let (_, known) = ask(server, admin, &query).await;
    let node = format!("{{ node(id: \"{}\") {{ id }} }}", known["data"]["now"]["id"].as_str().unwrap());
    let (_, found) = ask(server, key, &node).await;
    assert_eq!(found["data"]["node"]["id"].is_string(), is_seen, "node of {kind}: {found}");
}

#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_on_agents_reaches_what_belongs_to_them_and_nothing_else() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, admin, own, second, other, calls, position } = &fleet;
    let (account, key) = scoped_account(installation).await;
    assert_eq!(code(&lists(server, &key, position).await), "FORBIDDEN");
    grant(installation, "operator", &account, own.agent).await;
    grant(installation, "viewer", &account, second.agent).await;
    let has = |count| {
        let key = &key;
        async move || {
            let answer = lists(server, key, position).await;
            answer["data"]["agents"]["nodes"].as_array().is_some_and(|nodes| nodes.len() == count)
        }
    };
    wait_until("both roles count", has(2)).await;
    let answer = lists(server, &key, position).await;
    assert_eq!(uuids(&answer, "agents"), set(&[own.agent, second.agent]), "{answer}");
    assert_eq!(uuids(&answer, "tasks"), set(&[own.task, second.task]));
    assert_eq!(uuids(&answer, "calls"), set(&calls[..2]));
    let shared = [own.private, own.shared, second.private, second.shared, other.shared];
    assert_eq!(uuids(&answer, "memories"), set(&shared));
    // Controls: an admin sees all.
    let all = lists(server, admin, position).await;
    assert_eq!((uuids(&all, "tasks").len(), uuids(&all, "calls").len(), uuids(&all, "memories").len()), (3, 4, 6));
    // A page has as many rows as it may have: rows of others are not read.
    let (_, page) = ask(server, &key, "{ tasks(first: 2) { nodes { uuid } pageInfo { hasNextPage } } }").await;
    assert_eq!(uuids(&page, "tasks").len(), 2);
    assert_eq!(page["data"]["tasks"]["pageInfo"]["hasNextPage"], false);
    for (kind, id, is_seen) in [
        ("agent", own.agent, true),
        ("agent", second.agent, true),
        ("agent", other.agent, false),
        ("task", own.task, true),
        ("task", other.task, false),
        ("memory", second.private, true),
        ("memory", other.private, false),
        ("call", calls[1], true),
        ("call", calls[2], false),
        ("call", calls[3], false),
    ] {
        assert_seen(&fleet, &key, (kind, id), is_seen).await;
    }
    // What all agents share, and what is not known to be of one, is not given by a role on an agent.
    for refused in [
        "events { nodes { position } }",
        "usageReport { nodes { __typename } }",
        "budgets { nodes { id } }",
        "prices { nodes { __typename } }",
        "serviceAccounts { nodes { id } }",
        "accessReview { nodes { permissions } }",
    ] {
        assert_eq!(code(&ask(server, &key, &format!("{{ {refused} }}")).await.1), "FORBIDDEN", "{refused}");
    }
    for route in ["/events", "/metrics"] {
        let request = testkit::http_client().get(format!("{}{route}", server.address)).bearer_auth(&key);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{route}");
    }
    drop(fleet.server.terminate().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_on_an_agent_gives_commands_on_what_belongs_to_it() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, own, second, other, calls, .. } = &fleet;
    let (account, key) = scoped_account(installation).await;
    grant(installation, "operator", &account, own.agent).await;
    grant(installation, "viewer", &account, second.agent).await;
    wait_until("the role counts", async || {
        ask(server, &key, "{ agents { nodes { id } } }").await.1["errors"].is_null()
    })
    .await;
    let mutation = |text: String| format!("mutation {{ {text} {{ outcome }} }}");
    let pause = |agent: Uuid| mutation(format!("pauseAgent(input: {{ id: \"{agent}\" }})"));
    let start = |task: Uuid| mutation(format!("startTask(input: {{ id: \"{task}\" }})"));
    let submit = |agent: Uuid| mutation(format!("submitTask(input: {{ agentId: \"{agent}\", title: \"t\" }})"));
    let store = |agent: Uuid| mutation(format!("storeMemory(input: {{ agentId: \"{agent}\", content: \"x\" }})"));
    let forget = |memory: Uuid| mutation(format!("forgetMemory(input: {{ id: \"{memory}\" }})"));
    let report = |agent: Uuid| mutation(format!("reportCall(input: {{ model: \"m\", agentId: \"{agent}\" }})"));
    let correct = |call: Uuid| {
        let values = format!("{{ agentId: \"{}\" }}", own.agent);
        mutation(format!("correctCall(input: {{ id: \"{call}\", reason: \"test\", values: {values} }})"))
    };
    let before = written(installation).await;
    let refused = [
        pause(other.agent),
        pause(second.agent),
        start(other.task),
        submit(second.agent),
        store(other.agent),
        forget(second.private),
        report(other.agent),
        // A call that is nobody's is not taken, nor one of another agent.
        correct(calls[3]),
        correct(calls[2]),
        mutation("registerAgent(input: { name: \"new\" })".to_owned()),
        mutation("createTeam(input: { name: \"t\" })".to_owned()),
        mutation("declareTagKey(input: { key: \"t\" })".to_owned()),
    ];
    for refused in refused {
        assert_eq!(code(&ask(server, &key, &refused).await.1), "FORBIDDEN", "{refused}");
    }
    assert_eq!(written(installation).await, before, "something was written");
    for done in
        [start(own.task), submit(own.agent), store(own.agent), forget(own.private), report(own.agent), pause(own.agent)]
    {
        let answer = ask(server, &key, &done).await.1;
        assert!(answer.to_string().contains("DONE"), "{done}: {answer}");
    }
    drop(fleet.server.terminate().await);
}

/// Also a key that is bound to an agent does not take a call that is nobody's by correcting it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_key_does_not_take_a_call_that_is_nobodys() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, own, calls, .. } = &fleet;
    let bound = installation.key(tenant().as_str(), "operator", &["--agent", &own.agent.to_string()]).await;
    let correct = |call: Uuid| {
        format!(
            "mutation {{ correctCall(input: {{ id: \"{call}\", reason: \"test\", values: {{ agentId: \"{}\" }} }}) {{ outcome }} }}",
            own.agent
        )
    };
    assert_eq!(code(&ask(server, &bound, &correct(calls[3])).await.1), "FORBIDDEN");
    // Control: it corrects its own.
    let answer = ask(server, &bound, &correct(calls[0])).await.1;
    assert!(answer.to_string().contains("DONE"), "{answer}");
    drop(fleet.server.terminate().await);
}

/// A key that is bound to an agent reserves and settles for it within the budgets of all agents, and sees no reservation of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_key_reserves_and_settles_for_its_agent() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, admin, own, other, .. } = &fleet;
    let bound = installation.key(tenant().as_str(), "agent", &["--agent", &own.agent.to_string()]).await;
    let define = "mutation { defineBudget(input: { terms: { name: \"calls\", scope: { tenant: true }, limit: \"100\",
        enforcement: HARD, measure: { calls: true }, period: TOTAL } }) { budget { id } } }";
    let defined = ask(server, admin, define).await.1;
    let budget = defined["data"]["defineBudget"]["budget"]["id"].as_str().unwrap_or_else(|| panic!("{defined}"));
    let query = format!("{{ budgetPeriod(id: \"{budget}\") {{ charged reserved counted }} }}");
    let period = async |key: &str| ask(server, key, &query).await.1["data"]["budgetPeriod"].take();
    wait_until("the budget is counted", async || period(admin).await["counted"] == true).await;
    let reserve = |id: Uuid, more: &str| {
        format!(
            "mutation {{ reserveSpend(input: {{ uuid: \"{id}\", model: \"m\", usage: {{ output: 1 }}{more} }}) {{
                reservation {{ status }} }} }}"
        )
    };
    let (of_own, of_other) = (Uuid::now_v7(), Uuid::now_v7());
    let stated = format!(", agentId: \"{}\"", other.agent);
    for (key, query) in [(&bound, reserve(of_own, "")), (admin, reserve(of_other, &stated))] {
        let reserved = ask(server, key, &query).await.1;
        assert_eq!(reserved["data"]["reserveSpend"]["reservation"]["status"], "HELD", "{reserved}");
    }
    let release = format!("mutation {{ releaseReservation(input: {{ uuid: \"{of_other}\" }}) {{ outcome }} }}");
    for refused in [reserve(of_other, ""), release] {
        let answer = ask(server, &bound, &refused).await.1;
        assert_eq!(code(&answer), "FORBIDDEN", "{refused}: {answer}");
    }
    let report = format!(
        "mutation {{ reportCall(input: {{ model: \"m\", agentId: \"{}\", reservation: \"{of_own}\" }}) {{ outcome }} }}",
        own.agent
    );
    let settled = ask(server, &bound, &report).await.1;
    assert_eq!(settled["data"]["reportCall"]["outcome"], "DONE", "{settled}");
    // Of the calls of the fleet, four were charged when the budget opened.
    assert_eq!(period(&bound).await, json!({ "charged": "5", "reserved": "1", "counted": true }));
    drop(fleet.server.terminate().await);
}

/// Texts are read of the agents that a role which allows it is for, whatever else the holder reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_read_of_the_agents_of_the_role() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, own, other, .. } = &fleet;
    let (account, key) = scoped_account(installation).await;
    installation.run(&["roles", "grant", "viewer", "--account", &account]).await;
    grant(installation, "auditor", &account, own.agent).await;
    let content = |memory: Uuid| format!("{{ memory(id: \"{memory}\") {{ uuid content }} }}");
    wait_until("the roles count", async || {
        ask(server, &key, &content(own.private)).await.1["data"]["memory"]["content"] == "tea"
    })
    .await;
    let (_, answer) = ask(server, &key, &content(other.private)).await;
    assert_eq!(code(&answer), "FORBIDDEN", "{answer}");
    // A viewer sees that it is there.
    let (_, answer) = ask(server, &key, &format!("{{ memory(id: \"{}\") {{ uuid }} }}", other.private)).await;
    assert!(answer["data"]["memory"]["uuid"].is_string(), "{answer}");
    // What a search finds tells the content.
    let (_, found) = ask(server, &key, "{ memories(filter: { search: \"tea\" }) { nodes { uuid } } }").await;
    let found = uuids(&found, "memories");
    assert!(found.contains(&own.private.to_string()) && !found.contains(&other.private.to_string()), "{found:?}");
    // The payloads of events have the texts of all agents.
    let (_, answer) = ask(server, &key, "{ events(first: 1) { nodes { payload } } }").await;
    assert_eq!(code(&answer), "FORBIDDEN");
    assert!(ask(server, &key, "{ events(first: 1) { nodes { position } } }").await.1["errors"].is_null());
    let state = |memory: Uuid| {
        format!(
            "{{ aggregateState(category: \"memory\", id: \"{memory}\", asOf: {{ position: \"1000000\" }}) {{ state }} }}"
        )
    };
    let (_, answer) = ask(server, &key, &state(other.private)).await;
    assert_eq!(code(&answer), "FORBIDDEN", "{answer}");
    assert!(!answer.to_string().contains("tea"), "{answer}");
    let request = testkit::http_client().get(format!("{}/events", server.address)).bearer_auth(&key);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    drop(fleet.server.terminate().await);
}

/// Over GraphQL, in the access review, and until it is revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_on_an_agent_is_granted_reviewed_and_revoked() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, admin, own, .. } = &fleet;
    let (account, key) = scoped_account(installation).await;
    let command = |name: &str, agent: Uuid| {
        format!(
            "mutation {{ {name}(input: {{ holder: {{ serviceAccountId: \"{account}\" }}, role: {{ builtIn: VIEWER }},
             agentId: \"{agent}\" }}) {{ outcome error {{ code }} roleAssignment {{ extent agentId }} }} }}"
        )
    };
    let (_, unknown) = ask(server, admin, &command("grantRole", Uuid::now_v7())).await;
    assert_eq!(unknown["data"]["grantRole"]["error"]["code"], "AGENT_NOT_REGISTERED", "{unknown}");
    let (_, granted) = ask(server, admin, &command("grantRole", own.agent)).await;
    let assignment = &granted["data"]["grantRole"]["roleAssignment"];
    assert_eq!(assignment["extent"], "AGENT", "{granted}");
    assert!(assignment["agentId"].is_string());
    let review = "{ accessReview { nodes { extent agentId permissions holder { uuid } grant { role { name } } key { prefix } } } }";
    let (_, reviewed) = ask(server, admin, review).await;
    let rows = reviewed["data"]["accessReview"]["nodes"].as_array().unwrap_or_else(|| panic!("{reviewed}"));
    let rows: Vec<_> = rows.iter().filter(|row| row["holder"]["uuid"] == account.as_str()).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    for row in rows {
        assert_eq!((&row["extent"], &row["agentId"]), (&json!("AGENT"), &assignment["agentId"]), "{row}");
        assert_eq!(row["permissions"], json!(["read:agents", "read:tasks", "read:calls", "read:memories"]), "{row}");
    }
    // It is not listed as a role on the tenant, and is not one.
    let (_, listed) = ask(server, admin, "{ serviceAccounts { nodes { uuid roles } } }").await;
    let nodes = listed["data"]["serviceAccounts"]["nodes"].as_array().unwrap();
    let roles = nodes.iter().find(|node| node["uuid"] == account.as_str()).unwrap();
    assert_eq!(roles["roles"], json!([]));
    let agents = "{ agents { nodes { uuid } } }";
    wait_until("the role counts", async || ask(server, &key, agents).await.1["errors"].is_null()).await;
    let on_tenant = command("revokeRole", own.agent).replace(&format!("agentId: \"{}\"", own.agent), "");
    let (_, other) = ask(server, admin, &on_tenant).await;
    assert_eq!(other["data"]["revokeRole"]["error"]["code"], "NOT_CREATED", "{other}");
    let (_, revoked) = ask(server, admin, &command("revokeRole", own.agent)).await;
    assert_eq!(revoked["data"]["revokeRole"]["outcome"], "DONE", "{revoked}");
    assert_eq!(code(&ask(server, &key, agents).await.1), "FORBIDDEN");
    drop(fleet.server.terminate().await);
}

/// A connection is closed when what its principal reaches changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_end_with_a_role_on_an_agent() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, own, .. } = &fleet;
    let (account, key) = scoped_account(installation).await;
    installation.run(&["roles", "grant", "viewer", "--account", &account]).await;
    wait_until("the role counts", async || ask(server, &key, "{ head }").await.1["errors"].is_null()).await;
    let socket = crate::identities::websocket(server, &key).await;
    grant(installation, "operator", &account, own.agent).await;
    assert_eq!(tokio::time::timeout(testkit::TIMEOUT, socket).await.unwrap(), 4403);
    drop(fleet.server.terminate().await);
}
