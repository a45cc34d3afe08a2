//! Fills a tenant with everything that there is, every text of which is found nowhere else.

use super::client::Client;
use super::ingest;
use super::world::{Id, Size, World};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::invoice::{Figure, InvoiceLine, LinesHash};
use domain::{Meter, Name, TenantId};
use serde_json::{Value, json};
use std::time::Instant;
use testkit::{POLL_INTERVAL, TIMEOUT, wait_until};
use uuid::Uuid;

/// The password of the users.
pub(super) const PASSWORD: &str = "green tea, twice a day";

/// Categories of streams that a tenant does not have itself: they are in the reserved tenant of the installation.
const OF_INSTALLATION: [&str; 2] = ["tenant", "rate_limits"];

/// Gives a user, which an admin of its tenant created, a password, and signs it in from a device. Returns the session.
pub(super) async fn sign_in(
    client: &Client,
    admin: &str,
    user: &str,
    (tenant, email): (String, String),
    device: &str,
) -> Value {
    let input = json!({ "query": "mutation ($id: ID!) { createPasswordResetLink(input: { userId: $id }) { token } }",
                        "variables": { "id": user } });
    let answer = client.ask(admin, &input).await;
    let token = answer.json["data"]["createPasswordResetLink"]["token"].as_str().expect(&answer.text).to_owned();
    let reset = json!({ "token": token, "password": PASSWORD });
    client.post("/auth/password-reset", &reset, "setup").await;
    let login = json!({ "tenant": tenant, "email": email, "password": PASSWORD });
    let session = client.post("/auth/login", &login, device).await;
    assert!(session.json["accessToken"].is_string(), "{}", session.text);
    session.json
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

    /// Keeps the id of an object that no command returned, and searches for it.
    fn know(&mut self, kind: &'static str, uuid: &str) {
        let global = URL_SAFE_NO_PAD.encode(format!("{kind}:{uuid}"));
        self.world.canaries.add(kind, &[uuid, &global]);
        self.world.ids.insert(kind, Id { global, uuid: uuid.to_owned() });
    }

    /// Executes a command of the admin, and keeps the id of the object that it returns.
    async fn done(&mut self, field: &str, input: Value, kind: &'static str, object: &str) -> Value {
        self.done_by(self.admin, field, input, (kind, object)).await
    }

    async fn done_by(
        &mut self,
        credential: &str,
        field: &str,
        input: Value,
        (kind, object): (&'static str, &str),
    ) -> Value {
        let named = format!("{}{}Input", field[..1].to_ascii_uppercase(), &field[1..]);
        let query = match object {
            "" => {
                format!("mutation ($input: {named}!) {{ {field}(input: $input) {{ position error {{ message }} }} }}")
            }
            object => format!(
                "mutation ($input: {named}!) {{ {field}(input: $input) {{ position error {{ message }} {object} }} }}"
            ),
        };
        let answer = self.client.ask(credential, &json!({ "query": query, "variables": { "input": input } })).await;
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
        self.know("Dag", &dag);
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
        self.approval(&agent).await;
        self.calls(&agent, &task, &dag, size).await;
        self.watch().await;
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

    /// An endpoint for alerts at which nothing listens.
    async fn alert_endpoint(&mut self) {
        let endpoint = Uuid::now_v7().to_string();
        self.know("AlertEndpoint", &endpoint);
        // The path is sealed, and shown to no tenant.
        let path = format!("{}-endpointpath", self.world.mark);
        self.world.canaries.add_secret(&path);
        let address = json!({ "url": format!("http://127.0.0.1:1/{path}") });
        let alerts = json!({ "endpointId": endpoint, "name": self.text("endpointname"), "kind": "WEBHOOK", "address": address,
                             "reason": self.text("endpointreason") });
        self.done("defineAlertEndpoint", alerts, "AlertEndpoint", "").await;
        self.done("testAlertEndpoint", json!({ "endpointId": endpoint }), "AlertEndpoint", "").await;
    }

    /// Conditions of a budget that are watched.
    async fn watch(&mut self) {
        let watch = json!({ "budgetId": self.world.id("SoftBudget").global, "conditions": ["ASSUMED"],
                            "reason": self.text("watchreason") });
        self.done("setBudgetWatch", watch, "SoftBudget", "").await;
    }

    async fn calls(&mut self, agent: &str, task: &str, dag: &str, size: Size) {
        let (provider, model, tagkey) = (self.text("provider"), self.text("model"), self.text("tagkey"));
        self.done("declareTagKey", json!({ "key": tagkey }), "TagKey", "").await;
        let (code, centre) = (self.text("centrecode"), self.text("centrename"));
        let rules = json!({ "costCentres": [{ "code": code, "name": centre }], "rules": [{ "codes": { "dimension": "team" } }],
                            "sharedCost": { "to": code }, "reason": self.text("allocationreason") });
        self.done("setAllocationRules", rules, "AllocationRules", "").await;
        self.schedule().await;
        self.alert_endpoint().await;
        let price = json!([{ "provider": provider, "model": model, "listPrice": true, "effectiveFrom": "2020-01-01T00:00:00Z",
                             "components": [{ "meter": "INPUT", "rate": "0.000001", "per": 1 }] }]);
        let discount =
            json!([{ "name": self.text("discountname"), "percent": "1", "effectiveFrom": "2100-01-01T00:00:00Z" }]);
        self.done("setDiscounts", json!({ "discounts": discount }), "PriceBook", "").await;
        let source = self.text("pricesource");
        self.done("setPrices", json!({ "prices": price, "source": source }), "PriceBook", "").await;
        self.budgets(agent, &provider, &model, size).await;
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
        self.crossing(agent).await;
        self.invoice(&provider).await;
        for beginning in size.beginnings {
            self.world.canaries.add(beginning, &[beginning]);
        }
    }

    /// Budgets of each kind, a reservation that one refuses, and one that is granted.
    async fn budgets(&mut self, agent: &str, provider: &str, model: &str, size: Size) {
        let terms = json!({ "name": self.text("budgetname"), "scope": { "tenant": true }, "limit": size.limit });
        self.done("defineBudget", json!({ "terms": terms }), "Budget", "budget { id uuid }").await;
        // A budget of one model, which has no price, refuses.
        let refused_model = self.text("refusedmodel");
        let terms = json!({ "name": self.text("hardbudgetname"), "scope": { "model": refused_model },
                            "limit": size.limit, "enforcement": "HARD" });
        self.done("defineBudget", json!({ "terms": terms }), "HardBudget", "budget { id uuid }").await;
        let refused =
            json!({ "agentId": agent, "provider": provider, "model": refused_model, "usage": { "input": 1 } });
        self.done("reserveSpend", refused, "HardBudget", "").await;
        // It is in the catalogue of budgets, has a period, and is charged.
        let terms = json!({ "name": self.text("softbudgetname"), "scope": { "tenant": true }, "limit": size.limit,
                            "enforcement": "SOFT", "period": "YEAR", "thresholds": [1] });
        self.done("defineBudget", json!({ "terms": terms }), "SoftBudget", "budget { id uuid }").await;
        let reservation = Uuid::now_v7().to_string();
        self.know("Reservation", &reservation);
        let reserve = json!({ "uuid": reservation, "agentId": agent, "provider": provider, "model": model,
                              "usage": { "input": 1 } });
        self.done("reserveSpend", reserve, "Reservation", "").await;
    }

    /// A schedule, which users and service accounts may define.
    async fn schedule(&mut self) {
        let account = json!({ "name": self.text("schedulername"), "roles": ["OPERATOR"] });
        self.done("createServiceAccount", account, "Scheduler", "serviceAccount { id uuid }").await;
        let key = json!({ "serviceAccountId": self.world.id("Scheduler").global, "scopes": { "all": true },
                          "lifetime": { "neverExpires": true } });
        let key = self.done("createApiKey", key, "SchedulerKey", "secret apiKey { id uuid }").await;
        let secret = key["secret"].as_str().unwrap().to_owned();
        self.world.canaries.add_secret(&secret);
        wait_until("the key is known", async || {
            self.client.ask(&secret, &json!({ "query": "{ __typename }" })).await.json["data"].is_object()
        })
        .await;
        let definition = json!({ "name": self.text("schedulename"), "content": "CALLS", "format": "CSV", "every": "DAY",
                                 "time": "06:30", "period": "DAY", "file": format!("{{period}}-{}", self.text("file")) });
        let schedule = json!({ "definition": definition, "reason": self.text("schedulereason") });
        self.done_by(&secret, "defineSchedule", schedule, ("Schedule", "schedule { id uuid }")).await;
    }

    /// A budget that has no room for a call, and a request for approval, which is denied.
    async fn approval(&mut self, agent: &str) {
        let model = self.text("approvalmodel");
        let terms = json!({ "name": self.text("approvalbudgetname"), "scope": { "model": model }, "limit": "0.5",
                            "measure": { "calls": true }, "enforcement": "HARD", "onRefusal": { "askForApproval": 60 } });
        self.done("defineBudget", json!({ "terms": terms }), "ApprovalBudget", "budget { id uuid }").await;
        let query = "mutation ($input: ReserveSpendInput!) { reserveSpend(input: $input) {
            reservation { refusal { reason approval { uuid } } } } }";
        let input = json!({ "agentId": agent, "model": model, "usage": { "input": 1 } });
        let deadline = Instant::now() + TIMEOUT;
        // Until it is counted, it refuses for that.
        let approval = loop {
            let answer = self.client.ask(self.admin, &json!({ "query": query, "variables": { "input": input } })).await;
            let refusal = &answer.json["data"]["reserveSpend"]["reservation"]["refusal"];
            if let Some(approval) = refusal["approval"]["uuid"].as_str() {
                break approval.to_owned();
            }
            assert!(Instant::now() < deadline, "no approval is requested: {}", answer.text);
            tokio::time::sleep(POLL_INTERVAL).await;
        };
        self.know("Approval", &approval);
        let denied = json!({ "approvalId": approval, "answer": "DENY", "reason": self.text("approvalreason") });
        self.done("answerApproval", denied, "Approval", "").await;
    }

    /// A budget of calls whose threshold a call crosses, and an answer to the alert.
    async fn crossing(&mut self, agent: &str) {
        let terms = json!({ "name": self.text("callsbudgetname"), "scope": { "tenant": true }, "limit": "1",
                            "measure": { "calls": true }, "enforcement": "SOFT", "period": "YEAR", "thresholds": [100] });
        self.done("defineBudget", json!({ "terms": terms }), "CallsBudget", "budget { id uuid }").await;
        let call = json!({ "kind": "TOOL", "agentId": agent, "tool": self.text("tool"), "outcome": "OK" });
        self.done("reportCall", call, "CountedCall", "call { id uuid }").await;
        // The cursor is the position.
        let position = self.cursor("budgetThresholds").await;
        // Its input is that of two mutations, and not named after one.
        let query = "mutation ($input: AnswerAlertInput!) { acknowledgeAlert(input: $input) { error { message } } }";
        let input = json!({ "position": position, "reason": self.text("alertreason") });
        let answer = self.client.ask(self.admin, &json!({ "query": query, "variables": { "input": input } })).await;
        let payload = &answer.json["data"]["acknowledgeAlert"];
        assert!(payload.is_object() && payload["error"].is_null(), "{}", answer.text);
    }

    /// An invoice with a line that no call was recorded for.
    async fn invoice(&mut self, provider: &str) {
        let line = InvoiceLine {
            line: 1,
            day: "2023-11-14".parse().unwrap(),
            model: Name::new(self.text("invoicemodel")).ok(),
            meter: Some(Meter::Input),
            quantity: None,
            amount: Figure::parse("1.5").ok(),
            tier: None,
            reference: Name::new(self.text("invoicereference")).ok(),
        };
        let lines = json!([{ "line": 1, "day": line.day, "model": line.model, "meter": "INPUT", "amount": line.amount,
                             "reference": line.reference }]);
        let record = json!({ "provider": provider, "account": self.text("invoiceaccount"),
                             "number": self.text("invoicenumber"), "file": self.text("invoicefile"), "from": "2023-11-01",
                             "to": "2023-12-01", "format": "CSV", "lineCount": 1, "amount": "1.5", "amountPlaces": 1,
                             "content": LinesHash::of(&[line]).id(), "lines": lines });
        self.done("recordInvoice", record, "Invoice", "invoice { id uuid }").await;
        let invoice = self.world.id("Invoice").global;
        self.done("reconcileInvoice", json!({ "id": invoice }), "Invoice", "").await;
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

    /// The user signs in, from a device that is named after the tenant.
    pub(super) async fn session(&mut self) {
        let (user, device) = (self.world.id("User").global, self.text("device"));
        let person = (self.world.tenant.clone(), format!("{}-user@example.org", self.world.mark));
        let session = sign_in(self.client, self.admin, &user, person, &device).await;
        let text = |name: &str| session[name].as_str().unwrap_or_else(|| panic!("{session}")).to_owned();
        let uuid = text("sessionId");
        self.know("Session", &uuid);
        self.world.canaries.add_secret(&text("refreshToken"));
        // Its first use is in the access log.
        self.client.ask(&text("accessToken"), &json!({ "query": "{ head }" })).await;
    }

    /// An agent exports a trace: a route by which data comes in, and which makes an agent and a trace.
    pub(super) async fn export(&mut self) {
        for what in ingest::TEXTS {
            self.text(what);
        }
        let (body, trace) = ingest::trace(&self.world);
        self.world.canaries.add("trace", &[&trace]);
        self.world.trace = trace;
        let answer = self.client.send_body(Some(self.admin), "/v1/traces", &body, &[]).await;
        assert_eq!((answer.status.as_u16(), &answer.json), (200, &json!({})), "{}", answer.text);
    }

    /// The stream and the id of an event of a category. Those of what policies and followers write come in a moment.
    async fn event(&self, category: &str) -> Value {
        let query = format!(
            "{{ events(last: 100, filter: {{ category: \"{category}\" }}) {{ nodes {{ streamId id position payload }} }} }}"
        );
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let answer = self.client.ask(self.admin, &json!({ "query": query })).await;
            let nodes = answer.json["data"]["events"]["nodes"].as_array().expect(&answer.text);
            let is_found = |node: &&Value| category != "access_log" || node["payload"]["origin_id"].is_string();
            if let Some(found) = nodes.iter().rev().find(is_found) {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "no event of {category}: let seeding.rs cause one");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// The cursor of the first object of a list. Read models follow in a moment, and alerts are raised in one.
    async fn cursor(&self, list: &str) -> String {
        // A report has cursors if it is grouped.
        let by = if list == "usageReport" { "by: [MODEL], " } else { "" };
        let first = json!({ "query": format!("{{ {list}({by}first: 1) {{ pageInfo {{ endCursor }} }} }}") });
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let answer = self.client.ask(self.admin, &first).await;
            if let Some(cursor) = answer.json["data"][list]["pageInfo"]["endCursor"].as_str() {
                return cursor.to_owned();
            }
            assert!(Instant::now() < deadline, "the list {list} stays empty: {}", answer.text);
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Reads what only the log and lists say: streams of every category, the origin in the access log, and cursors.
    pub(super) async fn finish(mut self, lists: &[String]) -> World {
        for category in domain::Event::CATEGORIES.iter().copied() {
            let stream = if OF_INSTALLATION.contains(&category) {
                let tenant: TenantId = self.world.tenant.parse().unwrap();
                tenant.stream_id().to_string()
            } else {
                let event = self.event(category).await;
                let text = |name: &str| event[name].as_str().unwrap_or_else(|| panic!("{event}")).to_owned();
                if category == "access_log" {
                    let origin = event["payload"]["origin_id"].as_str().unwrap_or_default().to_owned();
                    self.world.canaries.add("Origin", &[&origin]);
                    self.world.ids.insert("Origin", Id { global: origin.clone(), uuid: origin });
                }
                self.world.ids.insert("Event", Id { global: text("id"), uuid: text("position") });
                text("streamId")
            };
            self.world.streams.insert(category.to_owned(), stream);
        }
        for list in lists {
            let cursor = self.cursor(list).await;
            self.world.cursors.insert(list.clone(), cursor);
        }
        self.world
    }
}
