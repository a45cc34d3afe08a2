//! Every field of the API, every route and every command of the executor refuses a principal that may do nothing.
//!
//! The operations are generated from the schema, and the routes are those of the router's table, so that additions are
//! covered. The subcommands of the program are tested beside them, in `src/cli/mod.rs`.

use crate::extreme_values::{Operation, Schema};
use api::{Authenticator, EndReason, Presented, ROUTES, RouteAccess, Unauthenticated};
use commands::{AsOf, Error, Position, Principal, States, Undecided};
use domain::agent::{Agent, AgentCommand};
use domain::permissions::{Permission, PermissionSet, Role, Scopes};
use domain::task::{Task, TaskCommand, TaskError, TaskSpec};
use domain::{AgentId, Aggregate as _, ApiKeyId, ServiceAccountId, TenantId};
use futures::future::BoxFuture;
use futures::{SinkExt, StreamExt};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use testkit::{TIMEOUT, TestDatabase, tenant, with_roles};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use uuid::Uuid;

/// An authenticator that gives every request the same permissions.
struct FixedPermissions {
    permissions: PermissionSet,
    /// The agent that every credential is bound to.
    agent: Option<AgentId>,
    /// Why every credential ends as soon as it is accepted, if it does.
    end: Option<EndReason>,
}

impl FixedPermissions {
    fn of_roles(roles: &[Role]) -> Self {
        Self { permissions: PermissionSet::of_roles(roles), agent: None, end: None }
    }
}

impl Authenticator for FixedPermissions {
    fn admits_anonymous(&self) -> bool {
        true
    }

    fn home_tenant(&self) -> TenantId {
        tenant()
    }

    fn authenticate<'a>(&'a self, _: Presented<'a>) -> BoxFuture<'a, Result<Principal, Unauthenticated>> {
        let (account, key) = (ServiceAccountId(Uuid::nil()), ApiKeyId(Uuid::nil()));
        let principal = Principal::service_account(tenant(), account, key, self.permissions, Scopes::All, self.agent);
        Box::pin(std::future::ready(Ok(principal)))
    }

    fn ended(&self, _: Arc<Principal>) -> BoxFuture<'static, EndReason> {
        match self.end {
            Some(reason) => Box::pin(std::future::ready(reason)),
            None => Box::pin(std::future::pending()),
        }
    }
}

/// The operations that are asked for at the same time.
const AT_ONCE: usize = 8;

struct NoChecks;

impl api::ReadyChecks for NoChecks {
    fn check(&self) -> BoxFuture<'_, Vec<api::ReadyCheck>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// Serves the API in this process, to clients that have these roles. Returns its address.
async fn serve(rooms: &mut apex::rooms::Rooms, roles: Vec<Role>) -> String {
    serve_with(rooms, FixedPermissions::of_roles(&roles)).await
}

async fn serve_with(rooms: &mut apex::rooms::Rooms, authenticator: FixedPermissions) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let key_file = std::env::temp_dir().join(Uuid::now_v7().to_string());
    let identities = identity::Identities::open(rooms.pool.clone(), rooms.commands.clone(), key_file).await.unwrap();
    let deps = api::Deps {
        commands: rooms.commands.clone(),
        identities,
        authenticator: Arc::new(authenticator),
        pool: rooms.pool.clone(),
        reads: rooms.reads.clone(),
        span_store: None,
        gateway: None,
        metrics: Arc::new(String::new),
        ready: Arc::new(NoChecks),
    };
    let stop = rooms.stop_signal();
    // A subscription that was accepted shows it soon.
    let limits = api::Limits { keepalive: std::time::Duration::from_millis(200), ..api::Limits::default() };
    let config = api::ApiConfig { limits, ..api::ApiConfig::default() };
    rooms.spawn("api", async move { Ok(api::serve(listener, config, deps, stop).await?) });
    format!("http://{address}")
}

/// The first response to an operation.
async fn first_response(address: &str, operation: &Operation) -> String {
    let is_stream = operation.root == "Subscription";
    let accept = if is_stream { "text/event-stream" } else { "application/json" };
    let request = testkit::http_client().post(format!("{address}/graphql")).header("accept", accept);
    let mut response = request.json(&operation.body).send().await.unwrap();
    if !is_stream {
        return response.text().await.unwrap();
    }
    let mut text = String::new();
    // The first data, or the first heartbeat of a subscription that was accepted.
    while let Some(chunk) = tokio::time::timeout(TIMEOUT, response.chunk()).await.unwrap().unwrap() {
        text += &String::from_utf8_lossy(&chunk);
        if text.contains("data:") || text.contains("id:") {
            break;
        }
    }
    text
}

/// Whether a response refuses the field of an operation, and contains nothing of it.
fn is_refused(operation: &Operation, response: &str) -> bool {
    let data = response.lines().find_map(|line| line.strip_prefix("data:")).unwrap_or(response);
    let Ok(response) = serde_json::from_str::<Value>(data) else { return false };
    let Some(errors) = response["errors"].as_array() else { return false };
    let forbidden = |error: &Value| error["extensions"]["code"] == "FORBIDDEN";
    !errors.is_empty() && errors.iter().all(forbidden) && response["data"][&operation.field].is_null()
}

/// The fields that do not refuse clients with these roles.
async fn accepted(address: &str, operations: &[Operation]) -> BTreeSet<String> {
    let mut accepted = BTreeSet::new();
    for operation in operations {
        let response = first_response(address, operation).await;
        if !is_refused(operation, &response) {
            accepted.insert(format!("{}.{}: {response}", operation.root, operation.field));
        }
    }
    accepted
}

async fn operations(database: &TestDatabase) -> Vec<Operation> {
    let server = database.serve(&[]).await;
    let operations = Schema::of(&server).await.operations();
    drop(server.terminate().await);
    check_count(&operations);
    operations
}

fn check_count(operations: &[Operation]) {
    for (root, at_least) in [("Query", 15), ("Mutation", 20), ("Subscription", 3)] {
        let count = operations.iter().filter(|operation| operation.root == root).count();
        assert!(count >= at_least, "only {count} fields of {root}: the test proves nothing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_refuses_a_principal_that_may_do_nothing() {
    let database = TestDatabase::new().await;
    let operations = operations(&database).await;
    let mut rooms = database.rooms().await;
    let head = rooms.log.head().await.unwrap();
    let address = serve(&mut rooms, Vec::new()).await;
    assert_eq!(accepted(&address, &operations).await, BTreeSet::new());
    assert_eq!(rooms.log.head().await.unwrap(), head, "a mutation was executed");
    rooms.close().await.unwrap();
}

/// Input that is not valid is not looked at: a principal that may do nothing does not learn what is valid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_refuses_such_a_principal_before_it_looks_at_the_input() {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let operations = Schema::of(&server).await.with_invalid_values().operations();
    drop(server.terminate().await);
    check_count(&operations);
    let mut rooms = database.rooms().await;
    let address = serve(&mut rooms, Vec::new()).await;
    assert_eq!(accepted(&address, &operations).await, BTreeSet::new());
    // Control: a user is told that these values are not valid.
    let address = serve(&mut rooms, vec![Role::Operator, Role::InstallationViewer]).await;
    for field in ["registerAgent", "pauseAgent", "submitTask", "agent", "streamEvents"] {
        let operation = operations.iter().find(|operation| operation.field == field).unwrap();
        let response = first_response(&address, operation).await;
        let is_looked_at = response.contains("BAD_USER_INPUT") || response.contains("REJECTED");
        assert!(is_looked_at, "{field}: {response}");
    }
    rooms.close().await.unwrap();
}

/// Control: the same check finds every field that does not refuse. A user is refused what operators may do, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_that_does_not_refuse_is_found() {
    let database = TestDatabase::new().await;
    let operations = operations(&database).await;
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    let address = serve(&mut rooms, vec![Role::Operator, Role::InstallationViewer]).await;
    let found = accepted(&address, &operations).await;
    let names: BTreeSet<_> = found.iter().map(|found| found.split(':').next().unwrap().to_owned()).collect();
    let of_operators = [
        // Admins and auditors read access logs.
        "Query.accessOrigins",
        "Mutation.createServiceAccount",
        "Mutation.createApiKey",
        "Mutation.rotateApiKey",
        "Mutation.revokeApiKey",
        "Mutation.setRateLimits",
        "Mutation.disableServiceAccount",
        "Mutation.enableServiceAccount",
        "Mutation.createTeam",
        "Mutation.renameTeam",
        "Mutation.addTeamMember",
        "Mutation.removeTeamMember",
        "Mutation.addTeamAgent",
        "Mutation.removeTeamAgent",
        "Mutation.closeTeam",
        "Mutation.defineRole",
        "Mutation.changeRole",
        "Mutation.withdrawRole",
        "Mutation.grantRole",
        "Mutation.revokeRole",
        "Mutation.createUser",
        "Mutation.inviteUser",
        "Mutation.revokeInvitation",
        "Mutation.disableUser",
        "Mutation.enableUser",
        "Mutation.eraseUser",
        "Mutation.disableOneTimeCodes",
        "Mutation.createPasswordResetLink",
        "Mutation.revokeSession",
        "Mutation.resumeParkedEvent",
        "Mutation.rebuildProjection",
        "Mutation.compareProjection",
        "Mutation.switchProjection",
        "Mutation.dropProjectionVersion",
    ];
    let all = operations.iter().map(|operation| format!("{}.{}", operation.root, operation.field));
    let expected: BTreeSet<_> = all.filter(|name| !of_operators.contains(&name.as_str())).collect();
    assert_eq!(names, expected);
    rooms.close().await.unwrap();
}

/// Whether a route is opened in a browser.
fn is_page(route: &str) -> bool {
    ROUTES.iter().any(|(path, access)| *path == route && matches!(access, RouteAccess::Page | RouteAccess::Public))
}

/// The status of a route, or the code of the operation that it executes, for a principal without roles.
async fn answer(address: &str, route: &str) -> (StatusCode, String) {
    let client = reqwest::Client::new();
    if route == "/graphql/ws" {
        return (StatusCode::FORBIDDEN, over_websocket(address, route).await);
    }
    let path = route.replace("{asset}", "start.js").replace("{file}", "missing.css");
    let request = match route {
        "/graphql" => client.post(format!("{address}{path}")).json(&json!({ "query": "{ head }" })),
        "/auth/session" | "/auth/callback" | "/auth/login/{provider}" => client.get(format!("{address}{path}")),
        _ if is_page(route) => client.get(format!("{address}{path}")),
        _ if route.starts_with("/v1/exports/") => client.get(format!("{address}{path}")),
        _ if ["/v1/", "/api/public/", "/gateway/"].iter().any(|start| route.starts_with(start)) => {
            client.post(format!("{address}{path}")).json(&json!({}))
        }
        // An empty message.
        _ if route.starts_with("/opentelemetry.") => {
            client.post(format!("{address}{path}")).header("content-type", "application/grpc").body(vec![0; 5])
        }
        _ if route.starts_with("/auth/") => client.post(format!("{address}{path}")).json(&json!({})),
        _ => client.get(format!("{address}{path}")),
    };
    let response = request.send().await.unwrap();
    let (status, grpc_status) = (response.status(), response.headers().get("grpc-status").cloned());
    // Exporters and SDKs of providers get their errors in another form.
    let is_of_others = ["/v1/", "/api/public/", "/gateway/"].iter().any(|start| route.starts_with(start));
    if status == StatusCode::FORBIDDEN && is_of_others || grpc_status.is_some_and(|status| status == "7") {
        return (status, "\"FORBIDDEN\"".to_owned());
    }
    (status, response.text().await.unwrap())
}

async fn over_websocket(address: &str, route: &str) -> String {
    let url = format!("{address}{route}").replace("http://", "ws://");
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let mut socket = connect_async(request).await.unwrap().0;
    let subscribe = json!({ "type": "subscribe", "id": "a", "payload": { "query": "subscription { events { id } }" } });
    for message in [json!({ "type": "connection_init" }), subscribe] {
        socket.send(Message::Text(message.to_string().into())).await.unwrap();
    }
    let received = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message
                && (text.contains("\"error\"") || text.contains("\"next\"") || text.contains("positions"))
            {
                return text.to_string();
            }
        }
        String::new()
    };
    tokio::time::timeout(TIMEOUT, received).await.unwrap()
}

/// The routes whose answers do not fit what the table says about them.
async fn wrong_routes(address: &str, routes: &[(&'static str, RouteAccess)]) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    for &(route, access) in routes {
        let (status, body) = answer(address, route).await;
        let is_refused = body.contains("\"FORBIDDEN\"");
        let is_right = match access {
            RouteAccess::Authorised => is_refused,
            RouteAccess::Public => status.is_success() && !is_refused,
            // A principal is of no use: nothing in the body says who the person is.
            RouteAccess::SignIn => status.is_client_error() && !is_refused,
            // Without a session of a person, there is a form, or a word on what is missing in the address.
            RouteAccess::Page => !status.is_server_error() && !is_refused && !body.contains("\"data\""),
        };
        if !is_right {
            wrong.push(route);
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_public_or_refuses_a_principal_that_may_do_nothing() {
    let database = TestDatabase::new().await;
    let mut rooms = database.rooms().await;
    let address = serve(&mut rooms, Vec::new()).await;
    assert_eq!(wrong_routes(&address, &ROUTES).await, Vec::<&str>::new());
    // Control: a route that answers without authorisation is found, and one that refuses although it is public.
    let planted = [
        ("/healthz", RouteAccess::Authorised),
        ("/metrics", RouteAccess::Public),
        ("/auth/password", RouteAccess::SignIn),
        ("/healthz", RouteAccess::SignIn),
        ("/auth/login", RouteAccess::Authorised),
    ];
    let wrong = wrong_routes(&address, &planted).await;
    assert_eq!(wrong, ["/healthz", "/metrics", "/auth/password", "/healthz", "/auth/login"]);
    rooms.close().await.unwrap();
}

#[tokio::test]
async fn the_executor_refuses_below_every_transport() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let nobody = || with_roles(tenant(), "nobody", Vec::new());
    let register = || AgentCommand::Register {
        profile: serde_json::from_value(json!({ "name": "ada" })).unwrap(),
        at: testkit::at(0),
    };
    let id = Uuid::now_v7();
    let context = |principal| commands::Context::new(principal, Uuid::now_v7());
    let executed = rooms.commands.execute::<Agent>(&context(nobody()), id, register()).await;
    assert!(matches!(executed, Err(Error::Forbidden(_))), "{executed:?}");
    let executed = rooms.commands.execute_on_new::<Agent>(&context(nobody()), id, register()).await;
    assert!(matches!(executed, Err(Error::Forbidden(_))), "{executed:?}");
    let loaded = rooms.commands.load::<Agent>(&nobody(), id).await;
    assert!(matches!(loaded, Err(Error::Forbidden(_))), "{loaded:?}");
    let loaded = rooms.commands.load_as_of::<Agent>(&nobody(), id, AsOf::Position(Position::from(1))).await;
    assert!(matches!(loaded, Err(Error::Forbidden(_))), "{loaded:?}");
    assert_eq!(rooms.log.head().await.unwrap(), Position::ZERO);
    // Control: with a role the same command is executed.
    let user = with_roles(tenant(), "ada", vec![Role::Operator, Role::InstallationViewer]);
    rooms.commands.execute::<Agent>(&context(user), id, register()).await.unwrap();
    assert_eq!(rooms.log.head().await.unwrap(), Position::from(1));
    rooms.close().await.unwrap();
}

/// The right to the target of a command gives none to what else the command changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_changed_aggregate_is_authorised() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let context = |roles| commands::Context::new(with_roles(tenant(), "ada", roles), Uuid::now_v7());
    let (task, agent) = (Uuid::now_v7(), Uuid::now_v7());
    let spec = TaskSpec { title: testkit::name("brew"), agent_id: AgentId(agent), dag_id: None };
    let submit = |states: &mut States<'_>| {
        let submit = TaskCommand::Submit { spec: spec.clone(), at: testkit::at(0) };
        let submitted = states.get::<Task>(task)?.decide(submit).map_err(Undecided::Rejected)?;
        states.append::<Task, TaskError>(task, submitted)
    };
    let submit_and_register = |states: &mut States<'_>| {
        let profile = serde_json::from_value(json!({ "name": "ada" })).unwrap();
        let register = AgentCommand::Register { profile, at: testkit::at(0) };
        let registered = states.get::<Agent>(agent)?.decide(register).unwrap();
        submit(states)?;
        states.append::<Agent, TaskError>(agent, registered)
    };
    let (of_agent, commands) = (vec![Role::Agent], &rooms.commands);
    let both = commands.decide::<Task, TaskError>(&context(of_agent.clone()), task, submit_and_register).await;
    assert!(matches!(both, Err(Error::Forbidden(_))), "{both:?}");
    assert_eq!(rooms.log.head().await.unwrap(), Position::ZERO, "something was written");
    // Controls: the role may change the target alone, and another role may change both.
    commands.decide::<Task, TaskError>(&context(of_agent), task, submit).await.unwrap();
    assert_eq!(rooms.log.head().await.unwrap(), Position::from(1));
    let register_only = |states: &mut States<'_>| {
        let profile = serde_json::from_value(json!({ "name": "ada" })).unwrap();
        let register = AgentCommand::Register { profile, at: testkit::at(0) };
        let registered = states.get::<Agent>(agent)?.decide(register).unwrap();
        states.append::<Agent, TaskError>(agent, registered)
    };
    let operator = context(vec![Role::Operator]);
    commands.decide::<Task, TaskError>(&operator, task, register_only).await.unwrap();
    assert_eq!(rooms.log.head().await.unwrap(), Position::from(2));
    rooms.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_says_whether_its_credential_ended_or_cannot_be_checked() {
    let database = TestDatabase::new().await;
    let mut rooms = database.rooms().await;
    for (reason, expected) in [(EndReason::Ended, 4403), (EndReason::Unavailable, 1013)] {
        let address = serve_with(
            &mut rooms,
            FixedPermissions { end: Some(reason), ..FixedPermissions::of_roles(&[Role::Operator]) },
        )
        .await;
        let url = format!("{}/graphql/ws", address.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        let mut socket = connect_async(request).await.unwrap().0;
        let closed = tokio::time::timeout(TIMEOUT, socket.next()).await.unwrap().unwrap().unwrap();
        let Message::Close(Some(frame)) = closed else { panic!("{closed:?}") };
        assert_eq!(u16::from(frame.code), expected, "{reason:?}");
    }
    rooms.close().await.unwrap();
}

/// The kind of data that each type of object is of. A field that returns an object takes the permission to read its kind.
/// The types of values that are parts of these objects are not listed: who reads the object reads them.
const KINDS: [(&str, &str); 57] = [
    ("Agent", "agents"),
    ("AgentStatusCount", "agents"),
    ("Task", "tasks"),
    ("TaskStatusCount", "tasks"),
    ("Call", "calls"),
    ("Charge", "calls"),
    ("Trace", "calls"),
    ("TraceSpan", "calls"),
    ("Memory", "memories"),
    ("Budget", "budgets"),
    ("BudgetMonth", "budgets"),
    ("BudgetControl", "budgets"),
    ("BudgetPeriodStatus", "spending"),
    ("Reservation", "calls"),
    ("Approval", "spending"),
    ("BudgetAlert", "budgets"),
    ("BudgetCrossing", "budgets"),
    ("BudgetThreshold", "spending"),
    ("BudgetRefusalCount", "spending"),
    ("BudgetHistory", "spending"),
    ("BudgetPreview", "reports"),
    ("BudgetWatch", "spending"),
    ("Invoice", "invoices"),
    ("InvoiceVariance", "invoices"),
    ("Price", "prices"),
    ("Discount", "prices"),
    // And prices: see `checked`.
    ("Repricing", "calls"),
    ("DeclaredTagKey", "tag_keys"),
    ("AllocationRules", "allocation"),
    // And allocation rules: see `checked`.
    ("CostStatement", "reports"),
    ("UsageRow", "reports"),
    ("CostChanges", "reports"),
    ("AggregateChanges", "events"),
    ("Schedule", "schedules"),
    ("ScheduleRun", "schedules"),
    ("AlertEndpoint", "alert_endpoints"),
    ("AlertDelivery", "alert_endpoints"),
    ("CompletedTaskCosts", "reports"),
    ("MeterCosts", "reports"),
    ("CostForecast", "reports"),
    ("CostAnomaly", "reports"),
    ("Event", "events"),
    ("ServiceAccount", "identities"),
    ("ApiKey", "identities"),
    ("Team", "identities"),
    ("CustomRole", "identities"),
    ("RoleDefinition", "identities"),
    ("RoleAssignment", "identities"),
    ("AccessReviewRow", "identities"),
    ("User", "identities"),
    ("Invitation", "identities"),
    ("Session", "identities"),
    ("AccessOrigin", "access_log"),
    // It shows a principal what it is itself.
    ("Viewer", "any"),
    ("Projection", "installation"),
    ("ParkedEvent", "installation"),
    ("ParkingDecision", "installation"),
];
/// The fields with texts that agents work with.
const CONTENTS: [(&str, &str); 5] = [
    ("Memory", "content"),
    ("Task", "outcome"),
    ("Task", "progressNote"),
    ("Event", "payload"),
    ("Event", "payloadText"),
];

/// An operation, and the kinds of data that it takes the permission to read.
struct Checked {
    name: String,
    kinds: BTreeSet<&'static str>,
    operation: Operation,
}

fn kind_of(returned: &str) -> Option<&'static str> {
    KINDS.iter().find(|(name, _)| *name == returned).map(|(_, kind)| *kind)
}

/// Every query and subscription, and every field of every object that can be listed.
fn checked(schema: &Schema) -> Vec<Checked> {
    let roots = schema.bare_operations().into_iter().filter(|operation| operation.root != "Mutation");
    let roots = roots.map(|operation| {
        let (root, field) = (operation.root, operation.field.as_str());
        let kind = match (field, schema.returned(root, field)) {
            // A reader of any kind of data may read the position of the log, and its own limits.
            ("head" | "rateLimits", _) => "any",
            // When events were recorded, and what they add up to.
            ("positionAt" | "aggregateState" | "aggregateChanges", _) => "events",
            // The id in the operation is that of an agent.
            ("node", _) => "agents",
            (_, returned) => {
                kind_of(&returned).unwrap_or_else(|| panic!("{field} returns {returned}: add it to KINDS"))
            }
        };
        let besides = match field {
            "aggregateState" | "aggregateChanges" => Some("contents"),
            "repricing" => Some("prices"),
            "costStatements" => Some("allocation"),
            _ => None,
        };
        let kinds = [kind].into_iter().chain(besides).collect();
        Checked { name: format!("{root}.{field}"), kinds, operation }
    });
    let fields = schema.operations_on_listed().into_iter().map(|(list, listed, operation)| {
        let field = operation.field.as_str();
        let of_field = kind_of(&schema.returned(&listed, field));
        let contents = CONTENTS.contains(&(listed.as_str(), field)).then_some("contents");
        let kinds = [kind_of(&listed), of_field, contents].into_iter().flatten().collect();
        Checked { name: format!("{list}.{field}"), kinds, operation }
    });
    roots.chain(fields).collect()
}

/// Asks for each operation, several at the same time. Returns the responses in the order of the operations.
async fn responses<'a>(address: &str, checked: impl IntoIterator<Item = &'a Checked>) -> Vec<(&'a Checked, String)> {
    let asked = checked.into_iter().map(async |one| (one, first_response(address, &one.operation).await));
    futures::stream::iter(asked).buffered(AT_ONCE).collect().await
}

/// The operations that are refused, or that are not refused, against what the permissions say.
fn wrongly_answered(responses: &[(&Checked, String)], may_read: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let is_wrong = |(one, response): &&(&Checked, String)| {
        response.contains("\"FORBIDDEN\"") == one.kinds.iter().all(|kind| may_read(kind))
    };
    let wrong = responses.iter().filter(is_wrong);
    wrong.map(|(one, response)| format!("{} ({:?}): {response}", one.name, one.kinds)).collect()
}

fn has(permissions: PermissionSet, name: &str) -> bool {
    name.parse::<Permission>().is_ok_and(|permission| permissions.contains(permission))
}

fn reads(permissions: PermissionSet, kind: &str) -> bool {
    match kind {
        "any" => permissions
            .iter()
            .any(|permission| permission.to_string().starts_with("read:") && permission.is_of_tenant()),
        "installation" => has(permissions, "read_projections:installation"),
        kind => has(permissions, &format!("read:{kind}")),
    }
}

/// What an agent reads with a key that is bound to it.
pub(crate) fn reads_when_bound(permissions: PermissionSet, kind: &str) -> bool {
    match kind {
        "agents" | "tasks" | "memories" => reads(permissions, kind) || has(permissions, &format!("read_own:{kind}")),
        "any" | "calls" | "prices" | "tag_keys" | "budgets" | "spending" | "contents" => reads(permissions, kind),
        _ => false,
    }
}

/// A database with an object of each type, and what can be asked of it.
async fn readable_objects() -> (TestDatabase, apex::rooms::Rooms, Vec<Checked>) {
    let database = TestDatabase::new().await;
    let server = database.serve(&[]).await;
    let checked = checked(&Schema::of(&server).await);
    drop(server.terminate().await);
    assert!(checked.len() > 100, "only {} operations: the test proves nothing", checked.len());
    for (owner, field) in CONTENTS {
        let has_contents = |checked: &&Checked| checked.operation.field == field && checked.kinds.contains("contents");
        assert!(checked.iter().any(|one| has_contents(&one)), "{owner}.{field} is not asked for");
    }
    let mut rooms = database.rooms().await;
    rooms.start_projections();
    rooms.wait_for_read_models(TIMEOUT).await.unwrap();
    (database, rooms, checked)
}

/// The matrix of every query, subscription and field against every role.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_reads_what_the_permission_table_says() {
    let (_database, mut rooms, checked) = readable_objects().await;
    let agent = Some(AgentId(Uuid::now_v7()));
    let of_tenant = Role::ALL.into_iter().filter(|role| role.is_of_tenant());
    for (role, agent) in of_tenant.map(|role| (role, None)).chain([(Role::Agent, agent), (Role::Admin, agent)]) {
        let permissions = PermissionSet::of_roles(&[role]);
        let address = serve_with(&mut rooms, FixedPermissions { permissions, agent, end: None }).await;
        // A bound credential lists nothing of this database: no agent has its id. So only lists are compared.
        let is_compared =
            |one: &&Checked| agent.is_none() || one.name.starts_with("Query.") || one.name.starts_with("Sub");
        let responses = responses(&address, checked.iter().filter(is_compared)).await;
        let wrong = wrongly_answered(&responses, |kind| match agent {
            Some(_) => reads_when_bound(permissions, kind),
            None => reads(permissions, kind),
        });
        assert_eq!(wrong, BTreeSet::new(), "{role}, bound: {}", agent.is_some());
    }
    rooms.close().await.unwrap();
}

/// Each permission is checked where it is needed: without it, exactly what takes it is refused. The control is a server that
/// leaves that one check out, which is found for each of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_is_left_out_is_found() {
    let (_database, mut rooms, checked) = readable_objects().await;
    let all = PermissionSet::of_roles(&[Role::Admin, Role::InstallationOperator]);
    let without_check = serve_with(&mut rooms, FixedPermissions { permissions: all, agent: None, end: None }).await;
    let reads_of_tenant = all.iter().filter(|one| one.to_string().starts_with("read:") && one.is_of_tenant());
    let unchecked = responses(&without_check, &checked).await;
    let mut kinds = 0;
    for left_out in reads_of_tenant {
        let permissions: PermissionSet = all.iter().filter(|permission| *permission != left_out).collect();
        let address = serve_with(&mut rooms, FixedPermissions { permissions, agent: None, end: None }).await;
        let wrong = wrongly_answered(&responses(&address, &checked).await, |kind| reads(permissions, kind));
        assert_eq!(wrong, BTreeSet::new(), "without {left_out}");
        let taking_it: Vec<_> = checked.iter().filter(|one| one.kinds.contains(left_out.kind().key())).collect();
        let found = wrongly_answered(&unchecked, |kind| reads(permissions, kind));
        assert_eq!(found.len(), taking_it.len(), "{left_out}: {found:?}");
        assert!(!found.is_empty(), "nothing takes {left_out}");
        kinds += 1;
    }
    assert_eq!(kinds, 17);
    rooms.close().await.unwrap();
}
