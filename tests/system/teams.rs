//! Teams, custom roles and role assignments: what they give, that it ends in every process when it is taken away, that nothing
//! of it reaches another tenant, and that the access review says what keys are allowed.

use crate::graphql::code;
use crate::identities::{Installation, ask, secret_of, send, websocket};
use chrono::Utc;
use commands::{Context, OutcomeKind};
use domain::permissions::Role;
use domain::role_assignment::{AssignedRole, Assignment, Holder, RoleAssignment, RoleAssignmentCommand};
use domain::tenant::{Tenant, TenantCommand};
use domain::{ServiceAccountId, TenantId};
use identity::{GrantRejection, Identities, IdentityError};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use testkit::{Server, TIMEOUT, name, operator, tenant, with_roles};
use uuid::Uuid;

/// The time within which half of the changes hold in every process, and have closed connections: ten times what is promised, since
/// other tests run at the same time. Single ones may take longer.
const LIMIT: Duration = Duration::from_secs(10);

const REGISTER: &str = "mutation { registerAgent(input: { name: \"ada\" }) { position } }";

/// Sends a mutation, and returns its payload.
async fn mutate(server: &Server, key: &str, field: &str, input: Value, select: &str) -> Value {
    let kind = format!("{}{}Input", field[..1].to_ascii_uppercase(), &field[1..]);
    let query = format!(
        "mutation($input: {kind}!) {{ {field}(input: $input) {{ outcome position error {{ code field }} {select} }} }}"
    );
    let mut answer = send(server, key, &query, input).await;
    assert!(answer["errors"].is_null(), "{field}: {answer}");
    answer["data"][field].take()
}

/// As [`mutate`], for a command that has to be executed.
async fn done(server: &Server, key: &str, field: &str, input: Value, select: &str) -> Value {
    let payload = mutate(server, key, field, input, select).await;
    assert_eq!(payload["outcome"], "DONE", "{field}: {payload}");
    payload
}

async fn query(server: &Server, key: &str, query: &str) -> Value {
    let mut answer = ask(server, key, query).await.1;
    assert!(answer["errors"].is_null(), "{query}: {answer}");
    answer["data"].take()
}

fn id_of(payload: &Value, object: &str) -> String {
    payload[object]["id"].as_str().unwrap_or_else(|| panic!("{payload}")).to_owned()
}

async fn new_account(server: &Server, admin: &str) -> String {
    let input = json!({ "name": "importer" });
    id_of(&done(server, admin, "createServiceAccount", input, "serviceAccount { id }").await, "serviceAccount")
}

async fn new_key(server: &Server, admin: &str, account: &str) -> String {
    let input = json!({ "serviceAccountId": account, "scopes": { "all": true }, "lifetime": { "neverExpires": true } });
    let create = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret error { code } } }";
    secret_of(&send(server, admin, create, input).await, "createApiKey")
}

/// The UUID of a user, who has no password.
async fn new_user(server: &Server, admin: &str) -> String {
    let input = json!({ "email": format!("{}@example.org", Uuid::now_v7().simple()) });
    let created = done(server, admin, "createUser", input, "user { uuid }").await;
    created["user"]["uuid"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned()
}

async fn new_team(server: &Server, admin: &str) -> String {
    id_of(&done(server, admin, "createTeam", json!({ "name": "research" }), "team { id }").await, "team")
}

async fn new_role(server: &Server, admin: &str, permissions: &[&str]) -> String {
    let input = json!({ "name": "of agents", "permissions": permissions });
    id_of(&done(server, admin, "defineRole", input, "role { id }").await, "role")
}

/// Waits until a key may register agents at every server, or may not at any. Returns how long that took.
async fn until(servers: &[Server], key: &str, may_register: bool) -> Duration {
    let start = Instant::now();
    for server in servers {
        loop {
            let answer = ask(server, key, REGISTER).await;
            assert_eq!(answer.0, StatusCode::OK, "{answer:?}");
            if answer.1["data"]["registerAgent"]["position"].is_string() == may_register {
                break;
            }
            assert!(start.elapsed() < TIMEOUT, "{may_register}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    start.elapsed()
}

/// In two processes, on new requests and on open connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_of_a_key_come_and_go_with_a_team_and_a_custom_role() {
    let installation = Installation::new().await;
    let admin = installation.key(tenant().as_str(), "admin", &[]).await;
    let servers = [installation.serve(&[]).await, installation.serve(&[]).await];
    let first = &servers[0];
    let account = new_account(first, &admin).await;
    let key = new_key(first, &admin, &account).await;
    let (team, role) = (new_team(first, &admin).await, new_role(first, &admin, &["command:agents"]).await);
    let bystander = new_team(first, &admin).await;
    until(&servers, &key, false).await;
    let grant = json!({ "holder": { "teamId": team }, "role": { "customId": role } });
    let member = json!({ "id": team, "member": { "serviceAccountId": account } });
    let change = |permissions: &[&str]| json!({ "id": role, "name": "of agents", "permissions": permissions });
    let steps = [
        ("grantRole", grant.clone(), false),
        ("addTeamMember", member.clone(), true),
        ("removeTeamMember", member.clone(), false),
        ("addTeamMember", member, true),
        ("changeRole", change(&["read:agents"]), false),
        ("changeRole", change(&["command:agents", "read:events"]), true),
        ("revokeRole", grant.clone(), false),
        ("grantRole", grant, true),
        ("closeTeam", json!({ "id": team, "reason": "merged" }), false),
    ];
    let mut times = Vec::new();
    for (field, input, may_register) in steps {
        // Connections of the key are open at both servers, those of another account too.
        let mut ends = tokio::task::JoinSet::new();
        for server in &servers {
            ends.spawn(websocket(server, &key).await);
        }
        let other = tokio::spawn(websocket(&servers[1], &admin).await);
        let changes_rights = field != "grantRole" || may_register;
        done(first, &admin, field, input, "position").await;
        let took = until(&servers, &key, may_register).await;
        let start = Instant::now();
        while changes_rights && let Some(end) = tokio::time::timeout(TIMEOUT, ends.join_next()).await.unwrap() {
            assert_eq!(end.unwrap(), 4403, "{field}");
        }
        times.push(took.max(start.elapsed()));
        if !changes_rights {
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert!(ends.try_join_next().is_none(), "{field} gave the account nothing, and closed its connection");
        }
        assert!(!other.is_finished(), "{field} closed the connection of another account");
        other.abort();
    }
    times.sort_unstable();
    println!("the changes took {times:?}");
    assert!(times[times.len() / 2] < LIMIT, "{times:?}");
    // A change of what a key has nothing to do with closes nothing.
    let mut open = tokio::task::JoinSet::new();
    open.spawn(websocket(first, &key).await);
    done(first, &admin, "renameTeam", json!({ "id": bystander, "name": "science" }), "team { name }").await;
    done(first, &admin, "withdrawRole", json!({ "id": role }), "role { withdrawn }").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(open.try_join_next().is_none());
    for server in servers {
        drop(server.terminate().await);
    }
}

/// The code with which a mutation was rejected.
async fn refusal(server: &Server, key: &str, field: &str, input: Value) -> String {
    let payload = mutate(server, key, field, input, "position").await;
    assert_eq!((&payload["outcome"], &payload["position"]), (&json!("REJECTED"), &Value::Null), "{field}: {payload}");
    payload["error"]["code"].as_str().unwrap().to_owned()
}

async fn events_of(installation: &Installation, tenant: &str) -> i64 {
    let count =
        sqlx::query_scalar("select count(*) from apex.events where tenant_id = $1 and category <> 'access_log'")
            .bind(tenant);
    count.fetch_one(&installation.database.pool).await.unwrap()
}

/// Every id of the other tenant in every operation, by an admin: nothing is read, nothing is changed, and nothing is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_another_tenant_give_nothing_and_change_nothing() {
    let installation = Installation::new().await;
    let own = installation.key(tenant().as_str(), "admin", &[]).await;
    let foreign = installation.key("acme", "admin", &[]).await;
    let server = installation.serve(&[]).await;
    let (account, team) = (new_account(&server, &own).await, new_team(&server, &own).await);
    let role = new_role(&server, &own, &["command:agents"]).await;
    let key = new_key(&server, &own, &account).await;
    let grant = json!({ "holder": { "teamId": team }, "role": { "customId": role } });
    done(&server, &own, "grantRole", grant.clone(), "position").await;
    let member = json!({ "id": team, "member": { "serviceAccountId": account } });
    done(&server, &own, "addTeamMember", member.clone(), "position").await;
    let before = (events_of(&installation, "acme").await, events_of(&installation, tenant().as_str()).await);
    let to_account = |role: Value| json!({ "holder": { "serviceAccountId": account }, "role": role });
    let permissions = json!({ "id": role, "name": "x", "permissions": ["read:agents"] });
    for (field, input, refused) in [
        ("renameTeam", json!({ "id": team, "name": "x" }), "NOT_CREATED"),
        ("addTeamMember", member.clone(), "ACCOUNT_NOT_ACTIVE"),
        ("removeTeamMember", member.clone(), "NOT_CREATED"),
        ("closeTeam", json!({ "id": team }), "NOT_CREATED"),
        ("changeRole", permissions, "NOT_CREATED"),
        ("withdrawRole", json!({ "id": role }), "NOT_CREATED"),
        ("grantRole", grant.clone(), "TEAM_NOT_ACTIVE"),
        ("grantRole", to_account(json!({ "builtIn": "VIEWER" })), "ACCOUNT_NOT_ACTIVE"),
        ("revokeRole", grant, "NOT_CREATED"),
        ("disableServiceAccount", json!({ "id": account }), "NOT_CREATED"),
        ("enableServiceAccount", json!({ "id": account }), "NOT_CREATED"),
    ] {
        assert_eq!(refusal(&server, &foreign, field, input).await, refused, "{field}");
    }
    // Half of it its own: a role of the other tenant for an account of its own, and the other way round.
    let (own_account, own_team) = (new_account(&server, &foreign).await, new_team(&server, &foreign).await);
    let own_role = new_role(&server, &foreign, &["command:agents"]).await;
    let after = events_of(&installation, "acme").await;
    let mixed = |holder: Value, role: &str| json!({ "holder": holder, "role": { "customId": role } });
    for (field, input, refused) in [
        ("grantRole", mixed(json!({ "serviceAccountId": own_account }), &role), "ROLE_NOT_ACTIVE"),
        ("grantRole", mixed(json!({ "teamId": team }), &own_role), "TEAM_NOT_ACTIVE"),
        ("addTeamMember", json!({ "id": own_team, "member": { "serviceAccountId": account } }), "ACCOUNT_NOT_ACTIVE"),
        ("addTeamMember", json!({ "id": team, "member": { "serviceAccountId": own_account } }), "NOT_CREATED"),
    ] {
        assert_eq!(refusal(&server, &foreign, field, input).await, refused, "{field}");
    }
    assert_eq!(events_of(&installation, "acme").await, after, "a rejected command has written something");
    assert_eq!(before.1, events_of(&installation, tenant().as_str()).await);
    assert_hidden(&server, (&own, &foreign), [&team, &role, &account]).await;
    // The key of the owner has kept its rights.
    assert!(ask(&server, &key, REGISTER).await.1["data"]["registerAgent"]["position"].is_string());
    drop(server.terminate().await);
}

/// By id and by every list: the owner finds a team, a role and an account, and the other tenant does not.
async fn assert_hidden(server: &Server, (own, foreign): (&str, &str), [team, role, account]: [&String; 3]) {
    for (id, kind) in [(team, "Team"), (role, "CustomRole"), (account, "ServiceAccount")] {
        let node = format!("{{ node(id: \"{id}\") {{ ... on {kind} {{ uuid name }} }} }}");
        assert_eq!(query(server, foreign, &node).await["node"], Value::Null);
        assert!(query(server, own, &node).await["node"]["uuid"].is_string());
    }
    let lists = "{ teams { nodes { id members { nodes { id } } } } roles { nodes { custom { id } } } accessReview { nodes {
        holder { id } } } roleAssignments { nodes { holder { id } role { customId } } } serviceAccounts { nodes { id } } }";
    let of_holder = format!(
        "{{ roleAssignments(filter: {{ holder: {{ teamId: \"{team}\" }}, role: {{ customId: \"{role}\" }} }}) {{
            nodes {{ extent holder {{ id }} role {{ customId }} }} }} }}"
    );
    let (seen, listed) = (query(server, foreign, lists).await.to_string(), query(server, own, lists).await.to_string());
    for id in [team, role, account] {
        assert!(!seen.contains(id.as_str()), "{id}: {seen}");
        assert!(listed.contains(id.as_str()), "{id}: {listed}");
    }
    assert_eq!(query(server, foreign, &of_holder).await["roleAssignments"]["nodes"], json!([]));
    let found = query(server, own, &of_holder).await;
    assert_eq!(found["roleAssignments"]["nodes"][0]["extent"], "TENANT", "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_granted_is_refused_with_its_cause() {
    let installation = Installation::new().await;
    let admin = installation.key(tenant().as_str(), "admin", &[]).await;
    let server = installation.serve(&[]).await;
    let (team, role) = (new_team(&server, &admin).await, new_role(&server, &admin, &["read:agents"]).await);
    let define = |permissions: &[&str]| json!({ "name": "x", "permissions": permissions });
    let change = |permissions: &[&str]| json!({ "id": role, "name": "x", "permissions": permissions });
    let to_team = |role: Value| json!({ "holder": { "teamId": team }, "role": role });
    let (user, unknown) = (new_user(&server, &admin).await, Uuid::now_v7());
    for (field, input, refused) in [
        ("createTeam", json!({ "name": "" }), "INVALID_INPUT"),
        ("renameTeam", json!({ "id": team, "name": "a\nb" }), "INVALID_INPUT"),
        ("renameTeam", json!({ "id": unknown, "name": "x" }), "NOT_CREATED"),
        ("addTeamMember", json!({ "id": team, "member": { "serviceAccountId": unknown } }), "ACCOUNT_NOT_ACTIVE"),
        ("addTeamMember", json!({ "id": team, "member": { "userId": unknown } }), "USER_NOT_ACTIVE"),
        ("defineRole", define(&[]), "NO_PERMISSIONS"),
        ("defineRole", define(&["read:everything"]), "INVALID_INPUT"),
        ("defineRole", define(&["read:agents", "operate_jobs:installation"]), "PERMISSION_OUTSIDE_TENANT"),
        ("defineRole", define(&["command:tenants"]), "PERMISSION_OUTSIDE_TENANT"),
        ("defineRole", define(&["read:agents"; 101]), "INVALID_INPUT"),
        ("changeRole", change(&[]), "NO_PERMISSIONS"),
        ("changeRole", change(&["maintain_log:installation"]), "PERMISSION_OUTSIDE_TENANT"),
        ("grantRole", to_team(json!({ "customId": unknown })), "ROLE_NOT_ACTIVE"),
        ("grantRole", json!({ "holder": { "teamId": unknown }, "role": { "builtIn": "VIEWER" } }), "TEAM_NOT_ACTIVE"),
        ("grantRole", json!({ "holder": { "userId": unknown }, "role": { "builtIn": "VIEWER" } }), "USER_NOT_ACTIVE"),
        ("revokeRole", to_team(json!({ "builtIn": "VIEWER" })), "NOT_CREATED"),
    ] {
        assert_eq!(refusal(&server, &admin, field, input).await, refused, "{field}");
    }
    // What was withdrawn or closed stays so, and a reason is not replaced.
    done(&server, &admin, "withdrawRole", json!({ "id": role, "reason": "unused" }), "role { withdrawn }").await;
    done(&server, &admin, "closeTeam", json!({ "id": team, "reason": "unused" }), "team { closed }").await;
    for (field, input, refused) in [
        ("changeRole", change(&["read:tasks"]), "ROLE_NOT_ACTIVE"),
        ("withdrawRole", json!({ "id": role, "reason": "other" }), "OTHER_REASON"),
        ("renameTeam", json!({ "id": team, "name": "x" }), "TEAM_NOT_ACTIVE"),
        ("addTeamMember", json!({ "id": team, "member": { "userId": user } }), "TEAM_NOT_ACTIVE"),
        ("closeTeam", json!({ "id": team, "reason": "other" }), "OTHER_REASON"),
        ("grantRole", to_team(json!({ "builtIn": "VIEWER" })), "TEAM_NOT_ACTIVE"),
    ] {
        assert_eq!(refusal(&server, &admin, field, input).await, refused, "{field}");
    }
    // A retry is told that it is one, and ids of other kinds are told apart.
    let command = json!({ "name": "once", "commandId": Uuid::now_v7() });
    let created = done(&server, &admin, "createTeam", command.clone(), "team { id }").await;
    let again = mutate(&server, &admin, "createTeam", command, "team { id }").await;
    assert_eq!((&again["outcome"], &again["team"]), (&json!("DUPLICATE"), &created["team"]), "{again}");
    let wrong = format!("mutation {{ closeTeam(input: {{ id: \"{role}\" }}) {{ outcome }} }}");
    assert_eq!(code(&ask(&server, &admin, &wrong).await.1), "BAD_USER_INPUT");
    // Without the right to it nothing is done, whatever the input.
    let viewer = installation.key(tenant().as_str(), "viewer", &[]).await;
    assert_eq!(code(&ask(&server, &viewer, &wrong).await.1), "FORBIDDEN");
    drop(server.terminate().await);
}

/// The limits of a member's teams and a holder's roles. They are told by their numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_teams_of_a_member_and_the_roles_of_a_holder_are_limited() {
    let process = Process::new().await;
    let account = process.account(&[]).await;
    let (member, at) = (domain::team::Member::ServiceAccount(account), Utc::now());
    let add = || domain::team::TeamCommand::AddMember { member, at };
    let mut last = None;
    for _ in 0..identity::MAX_TEAMS_OF_MEMBER {
        let team = process.identities.create_team(&process.context(), name("t"), at).await.unwrap().id;
        process.identities.command_team(&process.context(), team, add()).await.unwrap();
        last = Some(team);
    }
    let team = process.identities.create_team(&process.context(), name("t"), at).await.unwrap().id;
    let refused = process.identities.command_team(&process.context(), team, add()).await;
    assert!(matches!(rejection(refused), GrantRejection::TooManyTeams { limit: 64, .. }));
    // A member that is in the team already is no new one, and one team less makes room.
    let again = process.identities.command_team(&process.context(), last.unwrap(), add()).await.unwrap();
    assert_eq!(again.0, OutcomeKind::AlreadyDone);
    let close = domain::team::TeamCommand::Close { reason: None, at };
    process.identities.command_team(&process.context(), last.unwrap(), close).await.unwrap();
    process.identities.command_team(&process.context(), team, add()).await.unwrap();
    let permissions: domain::permissions::PermissionSet =
        [Role::Viewer].iter().flat_map(|role| domain::permissions::PermissionSet::of_roles(&[*role]).iter()).collect();
    let mut roles = Vec::new();
    for _ in 0..=identity::MAX_ROLES_OF_HOLDER {
        let definition = domain::custom_role::RoleDefinition { name: name("r"), permissions };
        roles.push(process.identities.define_role(&process.context(), definition, at).await.unwrap().id);
    }
    let grant = async |role| {
        let assignment = Assignment::on_tenant(Holder::ServiceAccount(account), AssignedRole::Custom(role));
        process.identities.grant_role(&process.context(), assignment, at).await
    };
    for role in &roles[1..] {
        grant(*role).await.unwrap();
    }
    assert!(matches!(rejection(grant(roles[0]).await), GrantRejection::TooManyRoles { limit: 64, .. }));
    assert_eq!(grant(roles[1]).await.unwrap().0, OutcomeKind::AlreadyDone);
    process.rooms.close().await.unwrap();
}

/// The commands of admins of a tenant in this process.
struct Process {
    _installation: Installation,
    rooms: apex::rooms::Rooms,
    identities: Identities,
}

impl Process {
    async fn new() -> Self {
        let installation = Installation::new().await;
        let rooms = installation.database.rooms().await;
        let opened = Identities::open(rooms.pool.clone(), rooms.commands.clone(), installation.key_file()).await;
        let process = Self { _installation: installation, rooms, identities: opened.unwrap() };
        let context = Context::new(operator().in_installation(), Uuid::now_v7());
        let create = TenantCommand::Create { tenant_id: tenant(), at: Utc::now() };
        process.rooms.commands.execute::<Tenant>(&context, tenant().stream_id(), create).await.unwrap();
        process
    }

    fn context(&self) -> Context {
        Context::new(with_roles(tenant(), "ada", vec![Role::Admin]), Uuid::now_v7())
    }

    async fn account(&self, roles: &[Role]) -> ServiceAccountId {
        let context = self.context();
        let created = self.identities.create_account(&context, name("importer"), roles, Utc::now());
        created.await.unwrap().id
    }

    async fn has_admin(&self) -> bool {
        let head = self.rooms.log.head().await.unwrap();
        self.identities.directory().refresh_to(head).await.unwrap();
        self.identities.directory().has_admin(&tenant())
    }
}

fn rejection<T: std::fmt::Debug>(result: Result<T, IdentityError>) -> GrantRejection {
    match result {
        Err(IdentityError::Grant(commands::Error::Rejected(rejection))) => rejection,
        other => panic!("{other:?}"),
    }
}

fn admin_of(account: ServiceAccountId) -> Assignment {
    Assignment::on_tenant(Holder::ServiceAccount(account), AssignedRole::BuiltIn(Role::Admin))
}

/// Two admins who revoke each other at the same moment: one of them stays. Without the check both are gone, which is the
/// control.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_admins_do_not_revoke_each_other_at_the_same_moment() {
    let process = Process::new().await;
    let (one, other) = (process.account(&[Role::Admin]).await, process.account(&[Role::Admin]).await);
    let (mut refused, at) = (0, Utc::now());
    for _ in 0..20 {
        let revoke =
            async |account| process.identities.revoke_role(&process.context(), admin_of(account), None, at).await;
        let (first, second) = tokio::join!(revoke(one), revoke(other));
        assert!(process.has_admin().await, "{first:?} {second:?}");
        refused += [first, second].into_iter().filter(Result::is_err).count();
        for account in [one, other] {
            process.identities.grant_role(&process.context(), admin_of(account), at).await.unwrap();
        }
    }
    assert!(refused >= 20, "{refused}");
    // Control: the same commands without the check.
    let revoke = async |account| {
        let (stream, revoke) = (admin_of(account).stream_id(), RoleAssignmentCommand::Revoke { reason: None, at });
        process.rooms.commands.execute::<RoleAssignment>(&process.context(), stream, revoke).await
    };
    let (first, second) = tokio::join!(revoke(one), revoke(other));
    assert!(first.is_ok() && second.is_ok() && !process.has_admin().await);
    process.rooms.close().await.unwrap();
}

/// By every way in which the last admin could be lost over the API. The command line may, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_admin_of_a_tenant_is_lost_at_the_command_line_only() {
    let installation = Installation::new().await;
    let tenant_id = tenant().to_string();
    installation.run(&["tenants", "create", &tenant_id]).await;
    let account = installation.run(&["accounts", "create", "admin"]).await;
    let team = installation.run(&["teams", "create", "admins"]).await;
    let role = installation
        .run(&["roles", "define", "manager", "--permission", "command:identities", "--permission", "read:identities"])
        .await;
    installation.run(&["teams", "add", &team, "--account", &account]).await;
    installation.run(&["roles", "grant", &role, "--team", &team]).await;
    let key = installation.run(&["keys", "create", "--account", &account, "--all-scopes"]).await;
    let server = installation.serve(&[]).await;
    let ways = [
        ("revokeRole", json!({ "holder": { "teamId": team }, "role": { "customId": role } })),
        ("removeTeamMember", json!({ "id": team, "member": { "serviceAccountId": account } })),
        ("closeTeam", json!({ "id": team })),
        ("changeRole", json!({ "id": role, "name": "manager", "permissions": ["read:identities"] })),
        ("withdrawRole", json!({ "id": role })),
        ("disableServiceAccount", json!({ "id": account })),
    ];
    for (field, input) in &ways {
        assert_eq!(refusal(&server, &key, field, input.clone()).await, "LAST_ADMIN", "{field}");
    }
    // What takes nothing from the last admin is done.
    let other = new_account(&server, &key).await;
    let viewer = json!({ "holder": { "serviceAccountId": other }, "role": { "builtIn": "VIEWER" } });
    done(&server, &key, "grantRole", viewer.clone(), "position").await;
    done(&server, &key, "revokeRole", viewer, "position").await;
    // A second admin makes it possible.
    let second = json!({ "holder": { "serviceAccountId": other }, "role": { "builtIn": "ADMIN" } });
    done(&server, &key, "grantRole", second.clone(), "position").await;
    done(&server, &key, "revokeRole", second.clone(), "position").await;
    done(&server, &key, "grantRole", second, "position").await;
    let (field, input) = &ways[0];
    done(&server, &key, field, input.clone(), "roleAssignment { extent }").await;
    assert_eq!(code(&ask(&server, &key, "{ teams { nodes { id } } }").await.1), "FORBIDDEN");
    drop(server.terminate().await);
    let uuid = installation.run(&["accounts", "list", "--format", "json"]).await;
    let listed: Value = serde_json::from_str(&uuid).unwrap();
    let other = listed.as_array().unwrap().iter().find(|row| row["roles"] == "admin").unwrap()["account"].clone();
    let key_file = installation.key_file();
    let arguments = ["accounts", "revoke", other.as_str().unwrap(), "admin", "--key-file", key_file.to_str().unwrap()];
    let revoked = installation.database.run(&arguments).await.assert_success();
    assert!(revoked.stderr.contains("can decide who may do what any more"), "{}", revoked.stderr);
}

/// Whether a key is allowed what a permission says, tried by a request.
async fn is_allowed(server: &Server, key: &str, permission: &str) -> bool {
    let request = match permission {
        "read:agents" => "{ agents(first: 1) { nodes { id } } }",
        "read:tasks" => "{ tasks(first: 1) { nodes { id } } }",
        "read:calls" => "{ calls(first: 1) { nodes { id } } }",
        "read:prices" => "{ prices(first: 1) { nodes { model } } }",
        "read:tag_keys" => "{ tagKeys { key } }",
        "read:budgets" => "{ budgets(first: 1) { nodes { id } } }",
        "read:memories" => "{ memories(first: 1) { nodes { id } } }",
        "read:identities" => "{ teams(first: 1) { nodes { id } } }",
        "read:events" => "{ events(first: 1) { nodes { id } } }",
        "command:agents" => REGISTER,
        "command:tag_keys" => "mutation { withdrawTagKey(input: { key: \"none\" }) { outcome } }",
        "command:identities" => "mutation { createTeam(input: { name: \"\" }) { outcome } }",
        other => panic!("{other}"),
    };
    let (status, answer) = ask(server, key, request).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["errors"].is_null()
}

/// The review over GraphQL, page by page, against requests with the keys; and the same review at the command line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_review_says_what_requests_are_allowed() {
    let installation = Installation::new().await;
    let admin = installation.key(tenant().as_str(), "admin", &[]).await;
    let server = installation.serve(&[]).await;
    let account = new_account(&server, &admin).await;
    // A name that a spreadsheet would run.
    let created = done(&server, &admin, "createTeam", json!({ "name": "=1+1" }), "team { id uuid }").await;
    let team = id_of(&created, "team");
    let role = new_role(&server, &admin, &["command:tag_keys", "read:tag_keys", "read:events"]).await;
    let to = |holder: Value, role: Value| json!({ "holder": holder, "role": role });
    let by_team = to(json!({ "teamId": team }), json!({ "customId": role }));
    done(&server, &admin, "grantRole", by_team, "position").await;
    let direct = to(json!({ "serviceAccountId": account }), json!({ "builtIn": "BILLING" }));
    done(&server, &admin, "grantRole", direct, "position").await;
    let user = new_user(&server, &admin).await;
    for member in [json!({ "serviceAccountId": account }), json!({ "userId": user })] {
        done(&server, &admin, "addTeamMember", json!({ "id": team, "member": member }), "position").await;
    }
    let key = new_key(&server, &admin, &account).await;
    let rows = review(&server, &admin).await;
    let of_key = |key: &str| {
        let prefix = key.rsplit_once('_').unwrap().0.to_owned();
        rows.iter().find(|row| row["key"]["prefix"] == prefix).unwrap_or_else(|| panic!("{rows:?}"))
    };
    for key in [&admin, &key] {
        let says: BTreeSet<_> = strings(&of_key(key)["permissions"]);
        for permission in [
            "read:agents",
            "read:tasks",
            "read:calls",
            "read:prices",
            "read:tag_keys",
            "read:budgets",
            "read:memories",
            "read:identities",
            "read:events",
            "command:agents",
            "command:tag_keys",
            "command:identities",
        ] {
            assert_eq!(is_allowed(&server, key, permission).await, says.contains(permission), "{permission}: {says:?}");
        }
    }
    assert!(of_key(&key)["key"]["apiKey"]["revoked"] == false);
    assert_ways(&rows, [&account, &user, &team, &role]);
    drop(server.terminate().await);
    assert_listed(&installation, &rows).await;
    let uuid = created["team"]["uuid"].as_str().unwrap();
    installation.run(&["teams", "close", uuid]).await;
    let table = installation.run(&["access", "review"]).await;
    assert!(table.contains("direct") && !table.contains(&format!("team {uuid}")), "{table}");
}

/// The review at the command line has the rows of the one over GraphQL.
async fn assert_listed(installation: &Installation, rows: &[Value]) {
    let listed = installation.run(&["access", "review", "--format", "json"]).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let of_server: Vec<_> = rows.iter().map(|row| strings(&row["permissions"])).collect();
    let of_program: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["permissions"].as_str().unwrap().split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>())
        .collect();
    assert_eq!(of_program, of_server);
    let used = listed.as_array().unwrap().iter().filter(|row| row["last_used_hour"] != "").count();
    assert_eq!(used, 2, "{listed:#}");
    let csv = installation.run(&["access", "review", "--format", "csv"]).await;
    assert_eq!(csv.lines().count(), rows.len() + 1);
    assert!(csv.contains(",'=1+1,") && !csv.contains(",=1+1"), "{csv}");
}

/// The grants of the account and of the user, each with its way.
fn assert_ways(rows: &[Value], [account, user, team, role]: [&String; 4]) {
    let of_account: Vec<_> =
        rows.iter().filter(|row| row["holder"]["id"] == *account && row["key"].is_null()).collect();
    assert_eq!(of_account.len(), 2, "{rows:#?}");
    assert_eq!(of_account[0]["grant"]["role"]["builtIn"], "BILLING");
    assert_eq!(of_account[0]["grant"]["team"], Value::Null);
    assert_eq!(of_account[1]["grant"]["team"]["id"], *team);
    assert_eq!(of_account[1]["grant"]["role"]["customId"], *role);
    assert!(of_account[1]["grant"]["grantedBy"].as_str().unwrap().starts_with("service_account:"));
    let of_user: Vec<_> = rows.iter().filter(|row| row["holder"]["uuid"] == *user).collect();
    assert_eq!(of_user.len(), 1);
    assert_eq!(
        strings(&of_user[0]["permissions"]),
        strings(&json!(["read:tag_keys", "read:events", "command:tag_keys"]))
    );
}

fn strings(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap_or_else(|| panic!("{list}")).iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// All rows of the access review, two a page.
async fn review(server: &Server, key: &str) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), Value::Null);
    loop {
        let query = format!(
            "{{ accessReview(first: 2, after: {after}) {{ pageInfo {{ hasNextPage endCursor }} nodes {{
                holder {{ kind id uuid name }} permissions
                extent grant {{ grantedAt grantedBy role {{ builtIn customId name }} team {{ id name memberSince addedBy }} }}
                key {{ prefix apiKey {{ id revoked agentId expiresAt lastUsedHour scopes {{ all }} }} }} }} }} }}"
        );
        let page = self::query(server, key, &query).await;
        rows.extend(page["accessReview"]["nodes"].as_array().unwrap().iter().cloned());
        if page["accessReview"]["pageInfo"]["hasNextPage"] == false {
            return rows;
        }
        after = page["accessReview"]["pageInfo"]["endCursor"].clone();
    }
}

/// Lists over several pages have everything once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_teams_roles_members_and_assignments_are_paged() {
    let installation = Installation::new().await;
    let admin = installation.key(tenant().as_str(), "admin", &[]).await;
    let server = installation.serve(&[]).await;
    let mut teams = Vec::new();
    for _ in 0..5 {
        teams.push(new_team(&server, &admin).await);
    }
    let role = new_role(&server, &admin, &["read:agents"]).await;
    for team in &teams {
        let grant = json!({ "holder": { "teamId": team }, "role": { "customId": role } });
        done(&server, &admin, "grantRole", grant, "roleAssignment { grantedAt }").await;
        let member = json!({ "id": teams[0], "member": { "userId": new_user(&server, &admin).await } });
        done(&server, &admin, "addTeamMember", member, "team { memberCount }").await;
    }
    let of_role = format!("filter: {{ role: {{ customId: \"{role}\" }} }},");
    let of_team = format!("filter: {{ holder: {{ teamId: \"{}\" }} }},", teams[0]);
    for (list, filter, fields, expected) in [
        ("teams", "", "uuid", 5),
        ("roles", "", "name builtIn custom { uuid }", 7),
        ("roleAssignments", "", "holder { uuid } role { name }", 6),
        ("roleAssignments", &of_role, "holder { uuid }", 5),
        ("roleAssignments", &of_team, "holder { uuid }", 1),
        ("serviceAccounts", "", "uuid", 1),
    ] {
        let nodes = pages(&server, &admin, list, filter, fields).await;
        assert_eq!(nodes.len(), expected, "{list}: {nodes:?}");
        let distinct: BTreeSet<_> = nodes.iter().map(Value::to_string).collect();
        assert_eq!(distinct.len(), expected, "{list}: {nodes:?}");
    }
    let members = format!(
        "{{ node(id: \"{}\") {{ ... on Team {{ memberCount members(first: 3) {{ pageInfo {{ endCursor hasNextPage }}
            nodes {{ kind uuid addedBy }} }} }} }} }}",
        teams[0]
    );
    let first = query(&server, &admin, &members).await;
    let (page, cursor) = (&first["node"]["members"], &first["node"]["members"]["pageInfo"]["endCursor"]);
    assert_eq!((&first["node"]["memberCount"], &page["pageInfo"]["hasNextPage"]), (&json!(5), &json!(true)), "{first}");
    let second = query(&server, &admin, &members.replace("first: 3", &format!("first: 3, after: {cursor}"))).await;
    let second = second["node"]["members"]["nodes"].as_array().unwrap().clone();
    let all: BTreeSet<_> =
        page["nodes"].as_array().unwrap().iter().chain(&second).map(|member| member["uuid"].to_string()).collect();
    assert_eq!((all.len(), second.len(), &second[0]["kind"]), (5, 2, &json!("USER")));
    // A cursor of another list is no cursor of this one.
    for list in ["teams", "roles", "roleAssignments", "accessReview"] {
        let wrong = format!("{{ {list}(after: \"bm90IG9uZQ\") {{ nodes {{ __typename }} }} }}");
        assert_eq!(code(&ask(&server, &admin, &wrong).await.1), "BAD_USER_INPUT", "{list}");
    }
    drop(server.terminate().await);
}

async fn pages(server: &Server, key: &str, list: &str, filter: &str, fields: &str) -> Vec<Value> {
    let (mut nodes, mut after) = (Vec::new(), Value::Null);
    loop {
        let query = format!(
            "{{ {list}({filter} first: 2, after: {after}) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ {fields} }} }} }}"
        );
        let page = self::query(server, key, &query).await[list].take();
        nodes.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            return nodes;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// Everything that GraphQL can do, at the command line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn teams_and_roles_are_managed_at_the_command_line() {
    let installation = Installation::new().await;
    let _admin = installation.key(tenant().as_str(), "admin", &[]).await;
    let account = installation.run(&["accounts", "create", "importer"]).await;
    let key = installation.run(&["keys", "create", "--account", &account, "--all-scopes"]).await;
    let team = installation.run(&["teams", "create", "research"]).await;
    let role = installation.run(&["roles", "define", "of agents", "--permission", "command:agents"]).await;
    installation.run(&["teams", "add", &team, "--account", &account]).await;
    let user = installation.run(&["users", "create", "ada@example.org"]).await;
    installation.run(&["teams", "add", &team, "--user", &user]).await;
    installation.run(&["roles", "grant", &role, "--team", &team]).await;
    installation.run(&["roles", "grant", "viewer", "--account", &account]).await;
    installation.run(&["teams", "rename", &team, "science"]).await;
    let servers = [installation.serve(&[]).await];
    until(&servers, &key, true).await;
    let teams = installation.run(&["teams", "list", "--format", "json"]).await;
    let teams: Value = serde_json::from_str(&teams).unwrap();
    assert_eq!(
        teams,
        json!([{ "team": team, "name": "science", "state": "active", "members": "2", "agents": "0", "roles": role }])
    );
    let members = installation.run(&["teams", "members", &team, "--format", "csv"]).await;
    assert!(members.lines().count() == 3 && members.contains(&account), "{members}");
    let roles = installation.run(&["roles", "list", "--format", "csv"]).await;
    assert!(
        roles.contains(&format!("{role},of agents,active,command:agents")) && roles.lines().count() == 8,
        "{roles}"
    );
    let assignments = installation.run(&["roles", "assignments", "--format", "csv"]).await;
    assert!(assignments.contains("command line") && assignments.lines().count() == 4, "{assignments}");
    installation.run(&["roles", "change", &role, "--permission", "read:agents"]).await;
    until(&servers, &key, false).await;
    installation.run(&["roles", "change", &role, "--permission", "command:agents", "--name", "x"]).await;
    until(&servers, &key, true).await;
    installation.run(&["teams", "remove", &team, "--account", &account]).await;
    until(&servers, &key, false).await;
    installation.run(&["accounts", "grant", &account, &role]).await;
    until(&servers, &key, true).await;
    installation.run(&["roles", "withdraw", &role, "--reason", "unused"]).await;
    until(&servers, &key, false).await;
    installation.run(&["roles", "revoke", "viewer", "--account", &account, "--reason", "unused"]).await;
    // What is refused, with the cause.
    let key_file = installation.key_file();
    for (arguments, cause) in [
        (vec!["roles", "grant", &role, "--account", &account], "does not exist or was withdrawn"),
        (vec!["roles", "grant", "system", "--account", &account], "is not a role"),
        (vec!["roles", "grant", "viewer"], "required"),
        (vec!["roles", "grant", "viewer", "--account", &account, "--team", &team], "cannot be used with"),
        (vec!["roles", "define", "x"], "--permission"),
        (vec!["roles", "define", "x", "--permission", "run:installation"], "not about the data of a tenant"),
        (vec!["teams", "members", &account], "does not exist"),
        (vec!["teams", "add", &account, "--account", &account], "does not exist"),
    ] {
        let arguments = [arguments.as_slice(), &["--key-file", key_file.to_str().unwrap()]].concat();
        let refused = installation.database.run(&arguments).await;
        assert!(refused.code != Some(0) && refused.stderr.contains(cause), "{arguments:?}: {}", refused.stderr);
    }
    let [server] = servers;
    drop(server.terminate().await);
}

/// A suspended tenant has no access to review.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_review_of_a_suspended_tenant_is_empty() {
    let installation = Installation::new().await;
    let acme: TenantId = "acme".parse().unwrap();
    installation.key(acme.as_str(), "admin", &[]).await;
    let review = ["access", "review", "--format", "csv", "--tenant", acme.as_str()];
    assert_eq!(installation.run(&review).await.lines().count(), 3);
    installation.run(&["tenants", "suspend", acme.as_str()]).await;
    assert_eq!(installation.run(&review).await.lines().count(), 1);
    assert!(LIMIT <= TIMEOUT);
}
