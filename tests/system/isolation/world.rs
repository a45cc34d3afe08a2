//! A tenant that is full of values that are found nowhere else, and the values by which requests name its objects.

use super::canaries::Canaries;
use super::client::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;
use testkit::{POLL_INTERVAL, TIMEOUT};
use uuid::Uuid;

/// A stream of each kind that `streamEvents` is asked for: the category, and the kind of object whose id it has.
pub(super) const STREAMS: [(&str, &str); 12] = [
    ("agent", "Agent"),
    ("task", "Task"),
    ("call", "Call"),
    ("memory", "Memory"),
    ("budget", "Budget"),
    ("service_account", "ServiceAccount"),
    ("api_key", "ApiKey"),
    ("team", "Team"),
    ("role", "CustomRole"),
    ("user", "User"),
    ("invitation", "Invitation"),
    ("price_book", "PriceBook"),
];

/// The id of an object.
#[derive(Debug, Clone)]
pub(super) struct Id {
    pub(super) global: String,
    pub(super) uuid: String,
}

/// What is known of a tenant.
pub(super) struct World {
    pub(super) tenant: String,
    /// Text that is a part of every text of the tenant.
    pub(super) mark: String,
    pub(super) ids: BTreeMap<&'static str, Id>,
    /// The cursor of the first object of each list.
    pub(super) cursors: BTreeMap<String, String>,
    /// The last position with an event of the tenant.
    pub(super) position: String,
    /// The id of a command that the tenant executed.
    pub(super) command: Uuid,
    pub(super) canaries: Canaries,
}

/// How large the numbers of a tenant are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) tokens: u64,
    pub(super) latency_ms: u64,
    pub(super) reported_cost: &'static str,
    pub(super) limit: &'static str,
    /// The beginnings of these numbers, and of sums in which they are.
    pub(super) beginnings: &'static [&'static str],
}

/// The numbers of a tenant that is not to be seen: sums with some small numbers begin as they do.
pub(super) const STRIKING: Size = Size {
    tokens: 7_317_171_900_017,
    latency_ms: 1_371_173_100,
    reported_cost: "83838477.25",
    limit: "6193993.75",
    // Of tokens, latency, charged cost, reported cost and limit.
    beginnings: &["7317171900", "137117310", "7317171.90", "83838477.", "6193993.75"],
};
/// The numbers of the tenant that sends the requests.
pub(super) const SMALL: Size =
    Size { tokens: 1, latency_ms: 1, reported_cost: "0.01", limit: "0.000001", beginnings: &[] };

impl World {
    pub(super) fn id(&self, kind: &str) -> Id {
        self.ids.get(kind).unwrap_or_else(|| panic!("no {kind} was created in {}", self.tenant)).clone()
    }

    /// The value of an argument that is a UUID.
    pub(super) fn uuid(&self, name: &str) -> String {
        match name {
            "commandId" => self.command.to_string(),
            "uuids" => self.id("Origin").uuid,
            "userId" => self.id("User").uuid,
            _ => panic!("no UUID for {name}: add it to tests/system/isolation/world.rs"),
        }
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        match name {
            "first" | "last" => 20,
            "intervalMs" => 100,
            _ => 1,
        }
    }

    pub(super) fn time(&self, name: &str) -> &'static str {
        match name {
            "from" | "effectiveFrom" => "2000-01-01T00:00:00Z",
            _ => "2100-01-01T00:00:00Z",
        }
    }

    /// A text that finds objects of the tenant.
    ///
    /// # Panics
    /// If it is not known what a text of a query is. Commands have any text.
    pub(super) fn text(&self, name: &str, owner: &str, is_thorough: bool) -> String {
        match name {
            "before" => self.position.clone(),
            "after" => self.cursors.get(owner).cloned().unwrap_or_else(|| self.position.clone()),
            "category" => "agent".to_owned(),
            "types" => "agent.registered".to_owned(),
            "projection" => "tasks".to_owned(),
            "name" if owner.ends_with("Projection") || owner.ends_with("ProjectionVersion") => "tasks".to_owned(),
            "permissions" | "only" => "read:agents".to_owned(),
            "email" => format!("{}-user@example.org", self.mark),
            "tenantId" => self.tenant.clone(),
            "tagKey" | "key" => format!("{}-tagkey", self.mark),
            "tag" | "search" | "provider" | "model" | "tool" => format!("{}-{name}", self.mark),
            // It depends on the dimension, see `complete_filter`.
            "value" if owner == "UsageFilter" => String::new(),
            _ if is_thorough => panic!("what is {name} of {owner}? say so in tests/system/isolation/world.rs"),
            _ => "text".to_owned(),
        }
    }

    /// The values of optional fields without which an input is refused.
    pub(super) fn base(&self, input: &str) -> Value {
        match input {
            "ReportCallInput" => json!({ "model": "gpt-4o", "usage": { "input": 1 }, "source": "test" }),
            "CallCorrection" => json!({ "latencyMs": 1 }),
            _ => json!({}),
        }
    }

    /// Gives a condition of a report the value that calls of the tenant have.
    pub(super) fn complete_filter(&self, input: &str, condition: &mut Value) {
        if input != "UsageFilter" {
            return;
        }
        let marked = |name: &str| format!("{}-{name}", self.mark);
        condition["value"] = match condition["dimension"].as_str().unwrap() {
            "AGENT" => json!(self.id("Agent").uuid),
            "TASK" => json!(self.id("Task").uuid),
            "DAG" => json!(self.id("Dag").uuid),
            "OUTCOME" => json!("ok"),
            "TAG" => json!(marked("tagvalue")),
            "QUARTER_HOUR" => json!("2023-11-14T22:00Z"),
            "HOUR" => json!("2023-11-14T22:00Z"),
            "DAY" => json!("2023-11-14"),
            "MONTH" => json!("2023-11"),
            other => json!(marked(&other.to_lowercase())),
        };
    }
}

/// Fills a tenant.
pub(super) struct Seeding<'a> {
    pub(super) client: &'a Client,
    /// The credential of an admin of the tenant.
    pub(super) admin: &'a str,
    pub(super) world: World,
}

impl Seeding<'_> {
    /// Text of the tenant, which is searched for.
    fn text(&mut self, what: &str) -> String {
        let text = format!("{}-{what}", self.world.mark);
        self.world.canaries.add(what, &[&text]);
        text
    }

    /// Executes a command, and keeps the id of the object that it returns.
    async fn done(&mut self, field: &str, input: Value, kind: &'static str, object: &str) -> Value {
        let named = format!("{}{}Input", field[..1].to_ascii_uppercase(), &field[1..]);
        let query = match object {
            "" => {
                format!("mutation ($input: {named}!) {{ {field}(input: $input) {{ position error {{ message }} }} }}")
            }
            object => format!(
                "mutation ($input: {named}!) {{ {field}(input: $input) {{ position error {{ message }} {object} }} }}"
            ),
        };
        let answer = self.client.ask(self.admin, &json!({ "query": query, "variables": { "input": input } })).await;
        let payload = answer.json["data"][field].clone();
        assert!(payload["error"].is_null() && payload.is_object(), "{field}: {}", answer.text);
        if let Some(position) = payload["position"].as_str() {
            self.world.position = position.to_owned();
        }
        let found = payload.as_object().unwrap().values().find(|value| value["id"].is_string());
        if let Some(found) = found {
            let text = |name: &str| found[name].as_str().unwrap_or_else(|| panic!("{field}: {payload}")).to_owned();
            let id = Id { global: text("id"), uuid: text("uuid") };
            self.world.canaries.add(kind, &[&id.uuid, &id.global]);
            self.world.ids.entry(kind).or_insert(id);
        }
        payload
    }

    /// Agents, tasks, calls, memories and budgets, one of which alerts.
    pub(super) async fn objects(&mut self, size: Size) {
        let dag = Uuid::now_v7().to_string();
        self.world.canaries.add("Dag", &[&dag]);
        self.world.ids.insert("Dag", Id { global: dag.clone(), uuid: dag.clone() });
        let command = self.world.command;
        let (name, kind, model) = (self.text("agentname"), self.text("agentkind"), self.text("agentmodel"));
        let label = json!([{ "key": self.text("labelkey"), "value": self.text("labelvalue") }]);
        let register = json!({ "name": name, "kind": kind, "model": model, "labels": label, "commandId": command });
        self.done("registerAgent", register, "Agent", "agent { id uuid }").await;
        let agent = self.world.id("Agent").global;
        self.done("activateAgent", json!({ "id": agent }), "Agent", "").await;
        let title = self.text("title");
        self.done("submitTask", json!({ "agentId": agent, "title": title, "dagId": dag }), "Task", "task { id uuid }")
            .await;
        let task = self.world.id("Task").global;
        self.done("startTask", json!({ "id": task }), "Task", "").await;
        let note = self.text("progressnote");
        self.done("reportTaskProgress", json!({ "id": task, "percent": 50, "note": note }), "Task", "").await;
        let result = self.text("taskresult");
        self.done("completeTask", json!({ "id": task, "result": result }), "Task", "").await;
        self.calls(&agent, &task, &dag, size).await;
        let (content, tag) = (self.text("search"), self.text("tag"));
        let memory = json!({ "agentId": agent, "content": content, "tags": [tag] });
        self.done("storeMemory", memory, "Memory", "memory { id uuid }").await;
        let shared = json!({ "agentId": agent, "content": format!("{} shared", self.text("search")) });
        let shared = self.done("storeMemory", shared, "SharedMemory", "memory { id uuid }").await;
        let share = json!({ "id": shared["memory"]["id"], "realm": "BRIDGE" });
        self.done("shareMemory", share, "SharedMemory", "").await;
        let reason = self.text("pausereason");
        self.done("pauseAgent", json!({ "id": agent, "reason": reason }), "Agent", "").await;
        self.done("resumeAgent", json!({ "id": agent }), "Agent", "").await;
    }

    async fn calls(&mut self, agent: &str, task: &str, dag: &str, size: Size) {
        let (provider, model, tagkey) = (self.text("provider"), self.text("model"), self.text("tagkey"));
        self.done("declareTagKey", json!({ "key": tagkey }), "TagKey", "").await;
        let price = json!([{ "provider": provider, "model": model, "listPrice": true, "effectiveFrom": "2020-01-01T00:00:00Z",
                             "components": [{ "meter": "INPUT", "rate": "0.000001", "per": 1 }] }]);
        let source = self.text("pricesource");
        self.done("setPrices", json!({ "prices": price, "source": source }), "PriceBook", "").await;
        let terms = json!({ "name": self.text("budgetname"), "scope": { "tenant": true }, "limit": size.limit });
        self.done("defineBudget", json!({ "terms": terms }), "Budget", "budget { id uuid }").await;
        let mut call = json!({
            "kind": "LLM", "agentId": agent, "taskId": task, "dagId": dag, "outcome": "OK",
            "startedAt": "2023-11-14T22:01:00Z", "latencyMs": size.latency_ms, "reportedCost": size.reported_cost,
            "provider": provider, "model": model, "usage": { "input": size.tokens },
            "tags": [{ "key": tagkey, "value": self.text("tagvalue") }],
        });
        for name in [
            "conversation",
            "user",
            "team",
            "key",
            "tool",
            "serviceTier",
            "speed",
            "region",
            "source",
            "recordId",
            "error",
            "responseId",
            "requestId",
        ] {
            // A call of a language model has no tool.
            if name != "tool" {
                call[name] = json!(self.text(&name.to_lowercase()));
            }
        }
        self.done("reportCall", call, "Call", "call { id uuid }").await;
        let tool = json!({ "kind": "TOOL", "agentId": agent, "tool": self.text("tool"), "outcome": "OK" });
        self.done("reportCall", tool, "ToolCall", "call { id uuid }").await;
        for beginning in size.beginnings {
            self.world.canaries.add(beginning, &[beginning]);
        }
    }

    /// Service accounts, keys, teams, roles, users and invitations.
    pub(super) async fn identities(&mut self) {
        let account = json!({ "name": self.text("accountname"), "roles": ["VIEWER"] });
        self.done("createServiceAccount", account, "ServiceAccount", "serviceAccount { id uuid }").await;
        let account = self.world.id("ServiceAccount").global;
        let key =
            json!({ "serviceAccountId": account, "scopes": { "all": true }, "lifetime": { "neverExpires": true } });
        let key = self.done("createApiKey", key, "ApiKey", "secret apiKey { id uuid }").await;
        self.world.canaries.add_secret(key["secret"].as_str().unwrap());
        let team = json!({ "name": self.text("teamname") });
        self.done("createTeam", team, "Team", "team { id uuid }").await;
        let role = json!({ "name": self.text("rolename"), "permissions": ["read:agents"] });
        self.done("defineRole", role, "CustomRole", "role { id uuid }").await;
        let user = json!({ "email": self.text("user@example.org"), "displayName": self.text("displayname"),
                           "roles": ["VIEWER"] });
        self.done("createUser", user, "User", "user { id uuid }").await;
        let (team, user) = (self.world.id("Team").global, self.world.id("User").global);
        self.done("addTeamMember", json!({ "id": team, "member": { "userId": user } }), "Team", "").await;
        let role = json!({ "customId": self.world.id("CustomRole").global });
        self.done("grantRole", json!({ "holder": { "teamId": team }, "role": role }), "CustomRole", "").await;
        let invite = json!({ "email": self.text("invited@example.org") });
        let invited = self.done("inviteUser", invite, "Invitation", "token invitation { id uuid }").await;
        self.world.canaries.add_secret(invited["token"].as_str().unwrap());
    }

    /// The user sets a password and signs in, from a device that is named after the tenant. Returns its access token.
    pub(super) async fn session(&mut self) -> String {
        let user = self.world.id("User").global;
        let input = json!({ "query": "mutation ($id: ID!) { createPasswordResetLink(input: { userId: $id }) { token } }",
                            "variables": { "id": user } });
        let answer = self.client.ask(self.admin, &input).await;
        let token = answer.json["data"]["createPasswordResetLink"]["token"].as_str().expect(&answer.text).to_owned();
        let reset = json!({ "token": token, "password": super::PASSWORD });
        self.client.post("/auth/password-reset", &reset, "setup").await;
        let device = self.text("device");
        let email = format!("{}-user@example.org", self.world.mark);
        let login = json!({ "tenant": self.world.tenant, "email": email, "password": super::PASSWORD });
        let session = self.client.post("/auth/login", &login, &device).await;
        let text = |name: &str| session.json[name].as_str().unwrap_or_else(|| panic!("{}", session.text)).to_owned();
        let uuid = text("sessionId");
        self.world.canaries.add("Session", &[&uuid]);
        self.world.canaries.add_secret(&text("refreshToken"));
        self.world.ids.insert("Session", Id { global: uuid.clone(), uuid });
        // Its first use is in the access log.
        self.client.ask(&text("accessToken"), &json!({ "query": "{ head }" })).await;
        text("accessToken")
    }

    /// Reads what only the log and lists say: the origin in the access log, the price book, and cursors.
    pub(super) async fn finish(mut self, lists: &[String]) -> World {
        let log =
            json!({ "query": "{ events(last: 100, filter: { category: \"access_log\" }) { nodes { payload } } }" });
        let deadline = Instant::now() + TIMEOUT;
        let origin = loop {
            assert!(Instant::now() < deadline, "the access log has no origin");
            let answer = self.client.ask(self.admin, &log).await;
            let nodes = answer.json["data"]["events"]["nodes"].as_array().expect(&answer.text).clone();
            let mut origins = nodes.iter().filter_map(|node| node["payload"]["origin_id"].as_str());
            if let Some(origin) = origins.next_back() {
                break origin.to_owned();
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        };
        self.world.canaries.add("Origin", &[&origin]);
        self.world.ids.insert("Origin", Id { global: origin.clone(), uuid: origin });
        let book = json!({ "query": "{ events(last: 1, filter: { category: \"price_book\" }) { nodes { streamId id position } } }" });
        let answer = self.client.ask(self.admin, &book).await;
        let event = &answer.json["data"]["events"]["nodes"][0];
        let text = |name: &str| event[name].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned();
        // The id of the stream is derived, and the same in every tenant.
        self.world.ids.insert("PriceBook", Id { global: text("streamId"), uuid: text("streamId") });
        self.world.ids.insert("Event", Id { global: text("id"), uuid: text("position") });
        for list in lists {
            // A report has cursors if it is grouped.
            let by = if list == "usageReport" { "by: [MODEL], " } else { "" };
            let first = json!({ "query": format!("{{ {list}({by}first: 1) {{ pageInfo {{ endCursor }} }} }}") });
            let deadline = Instant::now() + TIMEOUT;
            let cursor = loop {
                // Alerts are raised, and read models follow, in a moment.
                let answer = self.client.ask(self.admin, &first).await;
                if let Some(cursor) = answer.json["data"][list]["pageInfo"]["endCursor"].as_str() {
                    break cursor.to_owned();
                }
                assert!(Instant::now() < deadline, "the list {list} stays empty: {}", answer.text);
                tokio::time::sleep(POLL_INTERVAL).await;
            };
            self.world.cursors.insert(list.clone(), cursor);
        }
        self.world
    }
}
