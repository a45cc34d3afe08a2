//! Roles on teams, and keys that are bound to teams: what they reach follows the agents of the team, at once and in every process,
//! and the access review names the team.

use crate::agent_roles::{Fleet, assert_seen, lists, scoped_account, set, written};
use crate::graphql::{code, is_error};
use crate::identities::{Installation, ask, send, uuids, websocket};
use crate::otlp::{chat, export, post_as, with};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::{Server, TIMEOUT, tenant, wait_until};
use uuid::Uuid;

/// The time within which half of the changes hold in every process, and have closed connections, on a machine that is busy with
/// something else. Single ones may take longer.
const LIMIT: Duration = Duration::from_secs(10);

const AGENTS: &str = "{ agents { nodes { uuid } } }";

/// A team with agents.
async fn team_of(installation: &Installation, agents: &[Uuid]) -> String {
    let team = installation.run(&["teams", "create", "research"]).await;
    for agent in agents {
        installation.run(&["teams", "add", &team, "--agent", &agent.to_string()]).await;
    }
    team
}

/// A service account that has a role on a team, with a key.
async fn account_with_role(installation: &Installation, role: &str, team: &str) -> (String, String) {
    let (account, key) = scoped_account(installation).await;
    installation.run(&["roles", "grant", role, "--account", &account, "--on-team", team]).await;
    (account, key)
}

/// Whether a key lists these agents and no others.
async fn sees(server: &Server, key: &str, agents: &[Uuid]) -> bool {
    let answer = ask(server, key, AGENTS).await.1;
    if agents.is_empty() {
        return is_error(&answer, "FORBIDDEN") || answer["data"]["agents"]["nodes"] == json!([]);
    }
    answer["errors"].is_null() && uuids(&answer, "agents") == set(agents)
}

async fn until_all_see(servers: &[Server], key: &str, agents: &[Uuid]) -> Duration {
    let start = Instant::now();
    for server in servers {
        wait_until("the agents are those of the team", async || sees(server, key, agents).await).await;
    }
    start.elapsed()
}

async fn on_team(server: &Server, admin: &str, field: &str, team: &str, agent: Uuid) -> Value {
    let query = format!(
        "mutation($input: TeamAgentInput!) {{ {field}(input: $input) {{ outcome error {{ code }} team {{ agentCount }} }} }}"
    );
    let mut answer = send(server, admin, &query, json!({ "id": team, "agentId": agent })).await;
    assert!(answer["errors"].is_null(), "{answer}");
    answer["data"][field].take()
}

fn mutation(text: &str) -> String {
    format!("mutation {{ {text} {{ outcome }} }}")
}

#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_on_a_team_reaches_what_belongs_to_its_agents_and_nothing_else() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, admin, own, second, other, calls, position } = &fleet;
    let team = team_of(installation, &[own.agent, second.agent]).await;
    // The third agent is one of another team.
    team_of(installation, &[other.agent]).await;
    let (_, key) = account_with_role(installation, "operator", &team).await;
    wait_until("the role counts", async || sees(server, &key, &[own.agent, second.agent]).await).await;
    let answer = lists(server, &key, position).await;
    assert_eq!(uuids(&answer, "agents"), set(&[own.agent, second.agent]), "{answer}");
    assert_eq!(uuids(&answer, "tasks"), set(&[own.task, second.task]));
    assert_eq!(uuids(&answer, "calls"), set(&calls[..2]));
    assert_eq!(
        uuids(&answer, "memories"),
        set(&[own.private, own.shared, second.private, second.shared, other.shared])
    );
    // Control: an admin sees all.
    let all = lists(server, admin, position).await;
    assert_eq!((uuids(&all, "agents").len(), uuids(&all, "calls").len(), uuids(&all, "memories").len()), (3, 4, 6));
    let (_, found) = ask(server, &key, "{ memories(filter: { search: \"tea\" }) { nodes { uuid } } }").await;
    let found = uuids(&found, "memories");
    assert!(found.contains(&second.private.to_string()) && !found.contains(&other.private.to_string()), "{found:?}");
    for (kind, id, is_seen) in [
        ("agent", second.agent, true),
        ("agent", other.agent, false),
        ("task", second.task, true),
        ("task", other.task, false),
        ("memory", second.private, true),
        ("memory", other.private, false),
        ("call", calls[1], true),
        ("call", calls[2], false),
        ("call", calls[3], false),
    ] {
        assert_seen(&fleet, &key, (kind, id), is_seen).await;
    }
    for refused in [
        "events { nodes { position } }",
        "usageReport { nodes { __typename } }",
        "budgets { nodes { id } }",
        "teams { nodes { id } }",
    ] {
        assert_eq!(code(&ask(server, &key, &format!("{{ {refused} }}")).await.1), "FORBIDDEN", "{refused}");
    }
    let feed = testkit::http_client().get(format!("{}/events", server.address)).bearer_auth(&key);
    assert_eq!(feed.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let before = written(installation).await;
    let pause = |agent: Uuid| mutation(&format!("pauseAgent(input: {{ id: \"{agent}\" }})"));
    let submit = |agent: Uuid| mutation(&format!("submitTask(input: {{ agentId: \"{agent}\", title: \"t\" }})"));
    let report = |agent: Uuid| mutation(&format!("reportCall(input: {{ model: \"m\", agentId: \"{agent}\" }})"));
    for refused in
        [pause(other.agent), submit(other.agent), report(other.agent), mutation("createTeam(input: { name: \"t\" })")]
    {
        assert_eq!(code(&ask(server, &key, &refused).await.1), "FORBIDDEN", "{refused}");
    }
    assert_eq!(written(installation).await, before, "something was written");
    for done in [submit(own.agent), report(second.agent), pause(second.agent)] {
        let answer = ask(server, &key, &done).await.1;
        assert!(answer.to_string().contains("DONE"), "{done}: {answer}");
    }
    drop(fleet.server.terminate().await);
}

/// In two processes, on new requests and on open connections; the members of the team have nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_of_a_team_come_and_go_in_every_process_and_on_every_connection() {
    let Fleet { installation, server, admin, own, second, other, .. } = Fleet::new().await;
    let servers = [server, installation.serve(&[]).await];
    let team = team_of(&installation, &[]).await;
    let (_, key) = account_with_role(&installation, "viewer", &team).await;
    let (member, key_of_member) = scoped_account(&installation).await;
    installation.run(&["teams", "add", &team, "--account", &member]).await;
    until_all_see(&servers, &key, &[]).await;
    let steps: [(&str, Uuid, &[Uuid]); 6] = [
        ("addTeamAgent", own.agent, &[own.agent]),
        ("addTeamAgent", second.agent, &[own.agent, second.agent]),
        ("removeTeamAgent", own.agent, &[second.agent]),
        ("addTeamAgent", own.agent, &[own.agent, second.agent]),
        ("removeTeamAgent", second.agent, &[own.agent]),
        ("removeTeamAgent", own.agent, &[]),
    ];
    let mut times = Vec::new();
    for (field, agent, expected) in steps {
        let mut ends = tokio::task::JoinSet::new();
        for server in &servers {
            ends.spawn(websocket(server, &key).await);
        }
        let unconcerned = tokio::spawn(websocket(&servers[1], &admin).await);
        let changed = on_team(&servers[0], &admin, field, &team, agent).await;
        assert_eq!((&changed["outcome"], &changed["team"]["agentCount"]), (&json!("DONE"), &json!(expected.len())));
        let took = until_all_see(&servers, &key, expected).await;
        let start = Instant::now();
        while let Some(end) = tokio::time::timeout(TIMEOUT, ends.join_next()).await.unwrap() {
            assert_eq!(end.unwrap(), 4403, "{field}");
        }
        times.push(took.max(start.elapsed()));
        assert!(!unconcerned.is_finished(), "{field} closed the connection of another account");
        unconcerned.abort();
        assert!(sees(&servers[0], &key_of_member, &[]).await, "a member has a role on its team");
    }
    times.sort_unstable();
    println!("the changes took {times:?}");
    assert!(times[times.len() / 2] < LIMIT, "{times:?}");
    // A team that is closed gives nothing any more.
    on_team(&servers[0], &admin, "addTeamAgent", &team, other.agent).await;
    until_all_see(&servers, &key, &[other.agent]).await;
    installation.run(&["teams", "close", &team]).await;
    until_all_see(&servers, &key, &[]).await;
    for server in servers {
        drop(server.terminate().await);
    }
}

/// Over GraphQL and at the command line, in the access review, and until it is revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_on_a_team_is_granted_reviewed_and_revoked() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, admin, own, .. } = &fleet;
    let team = team_of(installation, &[own.agent]).await;
    let (account, key) = scoped_account(installation).await;
    let command = |name: &str, on: &str| {
        format!(
            "mutation {{ {name}(input: {{ holder: {{ serviceAccountId: \"{account}\" }}, role: {{ builtIn: VIEWER }}, {on} }}) {{
             outcome error {{ code }} roleAssignment {{ extent agentId teamId }} }} }}"
        )
    };
    let on = format!("teamId: \"{team}\"");
    let (_, unknown) = ask(server, admin, &command("grantRole", &format!("teamId: \"{}\"", Uuid::now_v7()))).await;
    assert_eq!(unknown["data"]["grantRole"]["error"]["code"], "TEAM_NOT_ACTIVE", "{unknown}");
    let both = format!("{on}, agentId: \"{}\"", own.agent);
    assert_eq!(code(&ask(server, admin, &command("grantRole", &both)).await.1), "BAD_USER_INPUT");
    let (_, granted) = ask(server, admin, &command("grantRole", &on)).await;
    let assignment = &granted["data"]["grantRole"]["roleAssignment"];
    assert_eq!((&assignment["extent"], &assignment["agentId"]), (&json!("TEAM"), &Value::Null), "{granted}");
    assert!(assignment["teamId"].is_string());
    let review = "{ accessReview { nodes { extent teamId permissions holder { uuid } grant { role { name } } key { prefix } } } }";
    let rows = async || {
        let (_, reviewed) = ask(server, admin, review).await;
        let rows = reviewed["data"]["accessReview"]["nodes"].as_array().unwrap_or_else(|| panic!("{reviewed}"));
        rows.iter().filter(|row| row["holder"]["uuid"] == account.as_str()).cloned().collect::<Vec<_>>()
    };
    let found = rows().await;
    assert_eq!(found.len(), 2, "{found:?}");
    for row in &found {
        assert_eq!((&row["extent"], &row["teamId"]), (&json!("TEAM"), &assignment["teamId"]), "{row}");
        assert_eq!(row["permissions"], json!(["read:agents", "read:tasks", "read:calls", "read:memories"]), "{row}");
    }
    assert_eq!(found[0]["grant"]["role"]["name"], "viewer");
    let listed = installation.run(&["access", "review", "--format", "csv"]).await;
    let of_grant = listed.lines().find(|line| line.contains(&account) && line.contains("direct")).unwrap();
    assert!(of_grant.contains(&format!("viewer,viewer,team {team},")), "{of_grant}");
    let listed = installation.run(&["roles", "assignments", "--format", "csv"]).await;
    assert!(listed.lines().any(|line| line.contains(&account) && line.contains(&format!("team {team}"))), "{listed}");
    let listed = installation.run(&["teams", "agents", &team, "--format", "csv"]).await;
    assert!(listed.contains(&format!("{},", own.agent)) && listed.contains("command line"), "{listed}");
    // It is none on the tenant, and none on the agent.
    wait_until("the role counts", async || sees(server, &key, &[own.agent]).await).await;
    for other in ["", &format!("agentId: \"{}\"", own.agent)] {
        let (_, refused) = ask(server, admin, &command("revokeRole", other)).await;
        assert_eq!(refused["data"]["revokeRole"]["error"]["code"], "NOT_CREATED", "{refused}");
    }
    let (_, revoked) = ask(server, admin, &command("revokeRole", &on)).await;
    assert_eq!(revoked["data"]["revokeRole"]["outcome"], "DONE", "{revoked}");
    assert_eq!(code(&ask(server, &key, AGENTS).await.1), "FORBIDDEN");
    let found = rows().await;
    assert!(found.iter().all(|row| row["permissions"] == json!([]) && row["grant"].is_null()), "{found:?}");
    drop(fleet.server.terminate().await);
}

/// A key that is bound to a team reads and changes what belongs to the agents of the team, whatever its account may do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_a_team_acts_for_its_agents_only() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, admin, own, second, other, calls, position } = &fleet;
    let team = team_of(installation, &[own.agent]).await;
    let account = installation.run(&["accounts", "create", "of the team", "--role", "operator"]).await;
    let create = ["keys", "create", "--account", &account, "--team", &team];
    let key = installation.run(&[&create[..], &["--all-scopes"]].concat()).await;
    installation.until_known(&key).await;
    let answer = lists(server, &key, position).await;
    assert_eq!(uuids(&answer, "agents"), set(&[own.agent]), "{answer}");
    assert_eq!((uuids(&answer, "tasks"), uuids(&answer, "calls")), (set(&[own.task]), set(&calls[..1])));
    assert_eq!(uuids(&answer, "memories"), set(&[own.private, own.shared, second.shared, other.shared]));
    let report = |agent: Uuid| mutation(&format!("reportCall(input: {{ model: \"m\", agentId: \"{agent}\" }})"));
    let before = written(installation).await;
    for refused in [
        report(second.agent),
        mutation("reportCall(input: { model: \"m\" })"),
        mutation(&format!("startTask(input: {{ id: \"{}\" }})", second.task)),
        mutation("registerAgent(input: { name: \"new\" })"),
        "{ events { nodes { position } } }".to_owned(),
    ] {
        assert_eq!(code(&ask(server, &key, &refused).await.1), "FORBIDDEN", "{refused}");
    }
    assert_eq!(written(installation).await, before, "something was written");
    let reported = async |key: &str| {
        let (_, answer) = ask(server, key, &report(own.agent)).await;
        assert_eq!(answer["data"]["reportCall"]["outcome"], "DONE", "{answer}");
    };
    reported(&key).await;
    // One that reports calls and does nothing else.
    let ingest = installation.run(&[&create[..], &["--scope", "command:calls"]].concat()).await;
    installation.until_known(&ingest).await;
    reported(&ingest).await;
    for refused in [report(second.agent), AGENTS.to_owned(), "{ calls { nodes { id } } }".to_owned()] {
        assert_eq!(code(&ask(server, &ingest, &refused).await.1), "FORBIDDEN", "{refused}");
    }
    // It follows the team.
    on_team(server, admin, "addTeamAgent", &team, second.agent).await;
    wait_until("the second agent is there", async || sees(server, &key, &[own.agent, second.agent]).await).await;
    let socket = websocket(server, &key).await;
    on_team(server, admin, "removeTeamAgent", &team, own.agent).await;
    assert_eq!(tokio::time::timeout(TIMEOUT, socket).await.unwrap(), 4403);
    assert!(sees(server, &key, &[second.agent]).await);
    assert_eq!(code(&ask(server, &key, &report(own.agent)).await.1), "FORBIDDEN");
    let keys = "{ apiKeys(first: 500) { nodes { teamId agentId serviceAccountId } } }";
    let (_, listed) = ask(server, admin, keys).await;
    let of_team = listed["data"]["apiKeys"]["nodes"].as_array().unwrap().iter().filter(|key| key["teamId"].is_string());
    assert_eq!(of_team.count(), 2, "{listed}");
    // A key that replaces it is bound to the team, too.
    let id = Uuid::try_parse(key.split('_').nth(1).unwrap()).unwrap().to_string();
    let rotated = installation.run(&["keys", "rotate", &id, "--never-expires"]).await;
    installation.until_known(&rotated).await;
    assert!(sees(server, &rotated, &[second.agent]).await);
    // What all agents share is read with the agents of the team: not without any.
    let memories = "{ memories { nodes { uuid } } }";
    assert!(!uuids(&ask(server, &rotated, memories).await.1, "memories").is_empty());
    installation.run(&["teams", "close", &team]).await;
    let is_refused = async || is_error(&ask(server, &rotated, memories).await.1, "FORBIDDEN");
    wait_until("a key of a closed team reads nothing of agents", is_refused).await;
    drop(fleet.server.terminate().await);
}

/// A credential of a key of a team with one agent.
async fn bearer_of_team(Fleet { installation, own, .. }: &Fleet) -> String {
    let team = team_of(installation, &[own.agent]).await;
    let account = installation.run(&["accounts", "create", "of the team", "--role", "agent"]).await;
    let key = installation.run(&["keys", "create", "--account", &account, "--team", &team, "--all-scopes"]).await;
    format!("Bearer {key}")
}

async fn post_with(
    server: &Server,
    bearer: &str,
    path: &str,
    content_type: &str,
    body: String,
) -> (StatusCode, String) {
    let headers = [("authorization", bearer), ("content-type", content_type)];
    let (status, response) = post_as(server, path, &headers, body.into_bytes()).await;
    (status, String::from_utf8(response).unwrap())
}

/// What a key of a team states by lines is of the agents of the team that it names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_a_team_sends_lines_of_its_agents_only() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, own, other, .. } = &fleet;
    let bearer = bearer_of_team(&fleet).await;
    let line = |kind: &str, agent: Option<Uuid>, more: &Value| {
        let mut line = with(json!({ "type": kind, "id": Uuid::now_v7().to_string() }), more);
        line["agent"] = agent.map_or(Value::Null, |agent| json!(agent));
        line
    };
    let [call, task, memory] = [json!({ "model": "m" }), json!({ "title": "t" }), json!({ "content": "tea" })];
    let stranger = json!({ "model": "m", "agent": "stranger" });
    let lines = [
        line("call", Some(own.agent), &call),
        line("call", Some(other.agent), &call),
        line("call", None, &call),
        with(line("call", None, &call), &stranger),
        line("task", Some(own.agent), &task),
        line("task", Some(other.agent), &task),
        line("memory", Some(own.agent), &memory),
        line("memory", Some(other.agent), &memory),
    ];
    let before = written(installation).await;
    let sent: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let (status, answer) = post_with(server, &bearer, "/v1/ingest", "application/x-ndjson", sent).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let answers: Vec<Value> = answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = answers.iter().map(|answer| answer["error"]["code"].as_str().unwrap_or("")).collect();
    assert_eq!(found, ["", "FORBIDDEN", "FORBIDDEN", "FORBIDDEN", "", "FORBIDDEN", "", "FORBIDDEN"], "{answer}");
    let message = answers[2]["error"]["message"].as_str().unwrap();
    assert!(message.contains("it is of no agent") && message.contains("name one of them"), "{message}");
    assert_eq!(written(installation).await, before + 3, "{answer}");
    drop(fleet.server.terminate().await);
}

/// Spans and batches of Langfuse belong to a trace, which is of all agents or of the one that a key is bound to; a file of
/// another agent ends at its first record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_a_team_sends_no_spans_and_no_files_of_other_agents() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, .. } = &fleet;
    let bearer = bearer_of_team(&fleet).await;
    let span = crate::otlp::span("00000000000000a1", "", &chat("gpt-4o", 10, 1));
    let payload = |agent: &str| {
        json!({ "id": "chatcmpl-8f14e45f-ceea-467f-a8b9-0b2a3c4d5e6f", "call_type": "acompletion", "model": "gpt-4o",
                "custom_llm_provider": "openai", "startTime": 1_773_136_800.0, "prompt_tokens": 10,
                "completion_tokens": 1, "metadata": { "user_api_key_alias": agent } })
    };
    let observation = json!({ "id": "g", "traceId": "t", "model": "m", "startTime": "2026-03-10T10:00:01.000Z",
                              "usage": { "input": 1, "output": 1 } });
    let event =
        json!({ "id": "e", "type": "generation-create", "timestamp": "2026-03-10T10:00:01.000Z", "body": observation });
    let before = written(installation).await;
    for (path, body) in [
        ("/v1/traces", export("shop", std::slice::from_ref(&span))),
        ("/api/public/otel/v1/traces", export("shop", &[span])),
        ("/api/public/ingestion", json!({ "batch": [event] })),
        ("/v1/ingest/litellm", payload("stranger")),
    ] {
        let (status, answer) = post_with(server, &bearer, path, "application/json", body.to_string()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {answer}");
        assert!(answer.contains("for some agents") || answer.contains("for its agent"), "{path}: {answer}");
    }
    assert_eq!(written(installation).await, before, "something was written");
    drop(fleet.server.terminate().await);
}

/// Agents of teams are the business of admins, and what cannot be done is refused with its cause.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_with_agents_of_teams_is_refused() {
    let fleet = Fleet::new().await;
    let Fleet { installation, server, admin, own, .. } = &fleet;
    let team = team_of(installation, &[]).await;
    let foreign = installation.key("acme", "admin", &[]).await;
    let operator = installation.key(tenant().as_str(), "operator", &[]).await;
    let add =
        format!("mutation {{ addTeamAgent(input: {{ id: \"{team}\", agentId: \"{}\" }}) {{ outcome }} }}", own.agent);
    let before = written(installation).await;
    for refused in [add.clone(), add.replace("add", "remove")] {
        assert_eq!(code(&ask(server, &operator, &refused).await.1), "FORBIDDEN");
    }
    let refusal = async |key: &str, field: &str, team: &str, agent: Uuid| {
        let answer = on_team(server, key, field, team, agent).await;
        assert_eq!(answer["outcome"], "REJECTED", "{answer}");
        answer["error"]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(refusal(admin, "addTeamAgent", &team, Uuid::now_v7()).await, "AGENT_NOT_REGISTERED");
    let unknown = Uuid::now_v7().to_string();
    assert_eq!(refusal(admin, "addTeamAgent", &unknown, own.agent).await, "NOT_CREATED");
    // Of another tenant: neither the agent nor the team exists for it.
    assert_eq!(refusal(&foreign, "addTeamAgent", &team, own.agent).await, "AGENT_NOT_REGISTERED");
    assert_eq!(refusal(&foreign, "removeTeamAgent", &team, own.agent).await, "NOT_CREATED");
    let account = installation.run(&["accounts", "create", "x"]).await;
    let key = |team: &str, more: Value| {
        let mut input =
            json!({ "serviceAccountId": account, "scopes": { "all": true }, "lifetime": { "neverExpires": true } });
        (input["teamId"], input["agentId"]) = (json!(team), more);
        input
    };
    let create = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret error { code } } }";
    for (input, expected) in
        [(key(&team, json!(own.agent)), "AGENT_AND_TEAM"), (key(&unknown, Value::Null), "TEAM_NOT_ACTIVE")]
    {
        let answer = send(server, admin, create, input).await;
        assert_eq!(answer["data"]["createApiKey"]["error"]["code"], expected, "{answer}");
    }
    assert_eq!(written(installation).await, before + 1, "more was written than the account");
    installation.run(&["teams", "close", &team]).await;
    assert_eq!(refusal(admin, "addTeamAgent", &team, own.agent).await, "TEAM_NOT_ACTIVE");
    let answer = send(server, admin, create, key(&team, Value::Null)).await;
    assert_eq!(answer["data"]["createApiKey"]["error"]["code"], "TEAM_NOT_ACTIVE", "{answer}");
    drop(fleet.server.terminate().await);
}
