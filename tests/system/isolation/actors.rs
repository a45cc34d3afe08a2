//! Who sends the requests: a credential of each role, and what the permission table allows it in its own tenant.

use super::client::Client;
use super::operations::ANY;
use super::seeding::sign_in;
use super::world::World;
use super::{Matrix, OPERATOR_TOKEN};
use crate::authorisation::reads_when_bound;
use domain::permissions::{Action, Permission, PermissionSet, ResourceKind, Role, WhenBound};
use serde_json::{Value, json};

/// What of the own tenant the permissions of an actor hold for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActorExtent {
    /// All of it.
    Tenant,
    /// What an API key that is bound to an agent reaches.
    BoundKey,
    /// What belongs to an agent on which the role was granted.
    OneAgent,
}

/// Who sends requests.
pub(super) struct Actor {
    pub(super) name: String,
    pub(super) credential: String,
    pub(super) permissions: PermissionSet,
    pub(super) extent: ActorExtent,
    /// Whether it is a person, with a session.
    pub(super) is_user: bool,
}

impl Actor {
    fn new(name: &str, credential: &str, roles: &[Role]) -> Self {
        Self {
            name: name.to_owned(),
            credential: credential.to_owned(),
            permissions: PermissionSet::of_roles(roles),
            extent: ActorExtent::Tenant,
            is_user: false,
        }
    }

    /// The same actor without one of its permissions.
    pub(super) fn without(&self, left_out: Permission) -> Self {
        let permissions = self.permissions.iter().filter(|permission| *permission != left_out).collect();
        Self { name: self.name.clone(), credential: String::new(), permissions, ..*self }
    }

    /// Whether the permission table allows what takes a permission, in the own tenant.
    ///
    /// # Panics
    /// If there is no such permission.
    pub(super) fn may(&self, taken: &str) -> bool {
        if taken == ANY {
            let mut reads = Permission::all().filter(|one| one.action() == Action::ReadData && one.is_of_tenant());
            return reads.any(|permission| self.may(&permission.to_string()));
        }
        let permission: Permission = taken.parse().unwrap_or_else(|error| panic!("{error}"));
        let (action, kind) = (permission.action(), permission.kind());
        let has = |permission| self.permissions.contains(permission);
        let reads_own = action == Action::ReadData && Permission::of(Action::ReadOwnData, kind).is_some_and(has);
        match self.extent {
            ActorExtent::Tenant => has(permission),
            ActorExtent::BoundKey if action == Action::ReadData => reads_when_bound(self.permissions, kind.key()),
            ActorExtent::BoundKey => {
                let changes = kind.when_bound() == WhenBound::OwnObjects || kind == ResourceKind::Spending;
                action == Action::SendCommand && has(permission) && changes
            }
            ActorExtent::OneAgent => kind.is_of_one_agent() && (has(permission) || reads_own),
        }
    }

    /// Whether a command, or a call that is reported, may be refused although the actor may give some of its kind: it is not
    /// about the agent of the actor.
    pub(super) fn is_limited_to_an_agent(&self) -> bool {
        self.extent != ActorExtent::Tenant
    }
}

/// Asks as the operator of the installation, and returns the answer of one field.
async fn operate(client: &Client, query: &str, variables: Value, field: &str) -> Value {
    let answer = client.ask(OPERATOR_TOKEN, &json!({ "query": query, "variables": variables })).await;
    let found = answer.json["data"][field].clone();
    assert!(found.is_object() && found["error"].is_null(), "{field}: {}", answer.text);
    found
}

/// An API key of a new account of the own tenant.
async fn key(client: &Client, roles: &[Role], bound_to: Option<&str>, on_agent: Option<(Role, &str)>) -> String {
    let written = |role: &Role| role.to_string().to_uppercase();
    let create = "mutation ($roles: [Role!]) { createServiceAccount(input: { name: \"actor\", roles: $roles }) {
        serviceAccount { id } error { message } } }";
    let roles: Vec<_> = roles.iter().map(written).collect();
    let created = operate(client, create, json!({ "roles": roles }), "createServiceAccount").await;
    let account = &created["serviceAccount"]["id"];
    if let Some((role, agent)) = on_agent {
        let grant = "mutation ($account: ID!, $role: Role!, $agent: ID) { grantRole(input: {
            holder: { serviceAccountId: $account }, role: { builtIn: $role }, agentId: $agent }) { error { message } } }";
        let variables = json!({ "account": account, "role": written(&role), "agent": agent });
        operate(client, grant, variables, "grantRole").await;
    }
    let create =
        "mutation ($account: ID!, $agent: ID) { createApiKey(input: { serviceAccountId: $account, agentId: $agent,
        scopes: { all: true }, lifetime: { neverExpires: true } }) { secret error { message } } }";
    let created = operate(client, create, json!({ "account": account, "agent": bound_to }), "createApiKey").await;
    created["secret"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned()
}

/// The access token of a new user of the own tenant. It is nobody whom commands are given to.
async fn user(client: &Client, role: Role) -> String {
    let create = "mutation ($roles: [Role!]) { createUser(input: { email: \"actor@example.org\", roles: $roles }) {
        user { id } error { message } } }";
    let roles = [role.to_string().to_uppercase()];
    let created = operate(client, create, json!({ "roles": roles }), "createUser").await;
    let id = created["user"]["id"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
    let person = (testkit::tenant().to_string(), "actor@example.org".to_owned());
    let session = sign_in(client, OPERATOR_TOKEN, &id, person, "the device of an actor").await;
    session["accessToken"].as_str().unwrap_or_else(|| panic!("{session}")).to_owned()
}

/// An actor of each role of a tenant; of no role; with a key that is bound to an agent; with a role on one agent; a user; and
/// both tokens of the settings.
pub(super) async fn all(matrix: &Matrix) -> Vec<Actor> {
    let (client, own): (&Client, &World) = (&matrix.client, &matrix.own);
    let agent = own.id("Agent").global;
    let mut actors = Vec::new();
    for role in Role::ALL.into_iter().filter(|role| role.is_of_tenant()) {
        actors.push(Actor::new(role.as_str(), &key(client, &[role], None, None).await, &[role]));
    }
    actors.push(Actor::new("no role", &key(client, &[], None, None).await, &[]));
    let bound = key(client, &[Role::Agent], Some(&agent), None).await;
    actors.push(Actor { extent: ActorExtent::BoundKey, ..Actor::new("agent, bound key", &bound, &[Role::Agent]) });
    let on_agent = key(client, &[], None, Some((Role::Operator, &agent))).await;
    actors.push(Actor {
        extent: ActorExtent::OneAgent,
        ..Actor::new("operator on one agent", &on_agent, &[Role::Operator])
    });
    actors.push(Actor { is_user: true, ..Actor::new("user", &user(client, Role::Viewer).await, &[Role::Viewer]) });
    actors.push(Actor::new("shared token", "tea", &[Role::Operator, Role::InstallationViewer]));
    actors.push(Actor::new("operator token", OPERATOR_TOKEN, &[Role::Admin, Role::InstallationOperator]));
    actors
}

#[test]
fn an_actor_may_do_what_the_table_says_of_its_role_and_reach() {
    let admin = Actor::new("admin", "", &[Role::Admin]);
    assert!(admin.may("command:identities") && admin.may(ANY) && !admin.may("read_projections:installation"));
    let reads = Permission::of(Action::ReadData, ResourceKind::Agents).unwrap();
    assert!(!admin.without(reads).may("read:agents") && admin.without(reads).may("read:tasks"));
    assert!(!Actor::new("no role", "", &[]).may(ANY));
    let bound = Actor { extent: ActorExtent::BoundKey, ..Actor::new("bound", "", &[Role::Agent]) };
    assert!(bound.may("read:tasks") && bound.may("command:calls") && bound.may("read:prices") && bound.may(ANY));
    assert!(bound.may("command:spending") && !bound.may("command:budgets"));
    assert!(!bound.may("read:events") && !bound.may("command:agents"));
    let one = Actor { extent: ActorExtent::OneAgent, ..Actor::new("one", "", &[Role::Operator]) };
    assert!(one.may("read:tasks") && one.may("command:agents") && one.may("read:contents") && one.may(ANY));
    assert!(!one.may("read:prices") && !one.may("read:events") && !one.may("command:budgets"));
}
