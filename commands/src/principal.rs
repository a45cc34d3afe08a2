//! Who acts: the principal that every request, subcommand and component of Apex runs as.

use domain::permissions::{
    Access, Action, ActionType, AgentPermissions, Extent, Forbidden, Grants, HeldPermissions, Level, Permission,
    PermissionSet, Resource, ResourceKind, Role, Scopes, authorise, check, check_agent, is_limited_to_agents,
};
use domain::schedule::ScheduleOwner;
use domain::{AgentId, ApiKeyId, Name, ProviderId, ServiceAccountId, SessionId, TenantId, UserId};
use std::collections::BTreeSet;
use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

/// Actor names that only this program itself uses.
const RESERVED_ACTORS: [&str; 4] = ["apex", COMMAND_LINE, "demo", "simulation"];
/// The actor of the operator at the command line.
const COMMAND_LINE: &str = "command line";
/// Prefixes of the names of its components, such as `policy:budget-alerts` and `import:otlp`, and of subjects that a
/// credential names. Those without either are reserved for later.
const RESERVED_ACTOR_PREFIXES: [&str; 7] =
    ["apex:", "import:", "oidc:", "policy:", "service_account:", "system:", "user:"];

/// Whether an actor name is reserved for this program. No caller may use it: otherwise the log would attribute the
/// caller's command to a component such as a policy.
#[must_use]
pub fn is_reserved_actor(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    RESERVED_ACTORS.contains(&name.as_str()) || RESERVED_ACTOR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A component of Apex that acts on its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// Apex itself, such as when it sets the shipped prices.
    Apex,
    /// The import of the samples.
    Demo,
    /// The simulated fleet of agents.
    Simulation,
    /// The importer of a format.
    Import(&'static str),
    /// A policy, by its name.
    Policy(&'static str),
    /// What creates users who accept an invitation or register, and sets a password by a link: there is no session yet.
    SignIn,
    /// As [`Component::SignIn`], on the word of an identity provider: creates users, links identities, and grants and revokes
    /// the roles of groups.
    SignInProvider(ProviderId),
}

/// Whose credential it is, or which component acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The holder of a token that several people and programs share. The holder declares the actor.
    SharedToken {
        /// The actor as the holder declares it. Nothing proves it.
        declared: Name,
    },
    /// A service account, by one of its API keys.
    ServiceAccount {
        /// The account.
        id: ServiceAccountId,
        /// The key that was presented.
        key: ApiKeyId,
    },
    /// A user, by a session.
    User {
        /// The user.
        id: UserId,
        /// The session whose token was presented.
        session: SessionId,
    },
    /// The operator at the command line of a machine that has the credentials of the database.
    CommandLine,
    /// A component of Apex.
    Component(Component),
}

impl Subject {
    /// The actor that is recorded in the metadata of events.
    #[must_use]
    pub fn actor(&self) -> String {
        match self {
            Self::SharedToken { declared } => declared.to_string(),
            Self::ServiceAccount { id, key } => format!("service_account:{id}/key:{key}"),
            Self::User { id, session } => format!("user:{id}/session:{session}"),
            Self::CommandLine => COMMAND_LINE.to_owned(),
            Self::Component(Component::Apex) => "apex".to_owned(),
            Self::Component(Component::Demo) => "demo".to_owned(),
            Self::Component(Component::Simulation) => "simulation".to_owned(),
            Self::Component(Component::Import(format)) => format!("import:{format}"),
            Self::Component(Component::Policy(name)) => format!("policy:{name}"),
            Self::Component(Component::SignIn) => "apex:sign-in".to_owned(),
            Self::Component(Component::SignInProvider(provider)) => format!("oidc:{provider}"),
        }
    }
}

/// The name that a holder of a shared token declares is reserved for Apex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "is reserved for Apex itself; send a name that is not `apex`, `command line`, `demo` or `simulation` and does not begin \
     with `apex:`, `import:`, `oidc:`, `policy:`, `service_account:`, `system:` or `user:`"
)]
pub struct ReservedActor;

/// Who acts, in which tenant, and with which rights. An authenticator makes it from a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    tenant: TenantId,
    subject: Subject,
    permissions: PermissionSet,
    /// The permissions of roles on single agents.
    on_agents: Arc<AgentPermissions>,
    scopes: Scopes,
    /// The agent that the credential is bound to.
    agent: Option<AgentId>,
    /// The agents that the credential is bound to, in the order of their ids: that agent, or those of a team.
    bound_to: Option<Arc<[AgentId]>>,
}

impl Principal {
    fn new(tenant: TenantId, subject: Subject, permissions: PermissionSet, scopes: Scopes) -> Self {
        Self { tenant, subject, permissions, on_agents: Arc::default(), scopes, agent: None, bound_to: None }
    }

    /// The holder of a shared token. It never has [`Role::System`], which no credential gives.
    ///
    /// # Errors
    /// [`ReservedActor`] if the declared actor is reserved for this program: the log would attribute the command to a
    /// component such as a policy.
    pub fn shared_token(
        tenant: TenantId,
        declared: Name,
        mut roles: Vec<Role>,
        scopes: Scopes,
    ) -> Result<Self, ReservedActor> {
        if is_reserved_actor(declared.as_str()) {
            return Err(ReservedActor);
        }
        roles.retain(|&role| role != Role::System);
        let permissions = PermissionSet::of_roles(&roles);
        Ok(Self::new(tenant, Subject::SharedToken { declared }, permissions, scopes))
    }

    /// A service account that presented an API key, which may be bound to an agent. The permissions are those of its roles in
    /// the tenant.
    #[must_use]
    pub fn service_account(
        tenant: TenantId,
        id: ServiceAccountId,
        key: ApiKeyId,
        permissions: impl Into<HeldPermissions>,
        scopes: Scopes,
        agent: Option<AgentId>,
    ) -> Self {
        let HeldPermissions { on_tenant, on_agents } = permissions.into();
        let (on_agents, bound_to) = (Arc::new(on_agents), agent.map(|agent| Arc::from([agent])));
        Self { on_agents, agent, bound_to, ..Self::new(tenant, Subject::ServiceAccount { id, key }, on_tenant, scopes) }
    }

    /// The same principal with a credential that is bound to the agents of a team: it reaches nothing that belongs to others.
    #[must_use]
    pub fn bound_to_team(self, agents: impl Iterator<Item = AgentId>) -> Self {
        let agents: BTreeSet<_> = agents.collect();
        Self { bound_to: Some(agents.into_iter().collect()), ..self }
    }

    /// A user who presented a token of a session. The permissions are those of its roles in the tenant.
    #[must_use]
    pub fn user(tenant: TenantId, id: UserId, session: SessionId, permissions: impl Into<HeldPermissions>) -> Self {
        let HeldPermissions { on_tenant, on_agents } = permissions.into();
        let on_agents = Arc::new(on_agents);
        Self { on_agents, ..Self::new(tenant, Subject::User { id, session }, on_tenant, Scopes::All) }
    }

    /// What creates users who accept an invitation or register, and sets a password by a link, in a tenant. It may give
    /// commands about identities and nothing else.
    #[must_use]
    pub fn sign_in(tenant: TenantId) -> Self {
        Self::new(tenant, Subject::Component(Component::SignIn), command_identities(), Scopes::All)
    }

    /// What an identity provider says of people who sign in by it, in a tenant. It may give commands about identities and
    /// nothing else.
    #[must_use]
    pub fn sign_in_provider(tenant: TenantId, provider: ProviderId) -> Self {
        let subject = Subject::Component(Component::SignInProvider(provider));
        Self::new(tenant, subject, command_identities(), Scopes::All)
    }

    /// The same user with the right to commands about identities, for code that gives them to the user's own account only,
    /// such as a change of its password. None if the principal is no user.
    #[must_use]
    pub fn on_own_account(&self) -> Option<(UserId, Self)> {
        match self.subject {
            Subject::User { id, .. } => {
                let (tenant, subject) = (self.tenant.clone(), self.subject.clone());
                Some((id, Self::new(tenant, subject, command_identities(), self.scopes)))
            }
            Subject::SharedToken { .. }
            | Subject::ServiceAccount { .. }
            | Subject::CommandLine
            | Subject::Component(_) => None,
        }
    }

    /// The operator at the command line, in a tenant.
    #[must_use]
    pub fn command_line(tenant: TenantId) -> Self {
        let permissions = PermissionSet::of_roles(&[Role::Admin, Role::InstallationOperator]);
        Self::new(tenant, Subject::CommandLine, permissions, Scopes::All)
    }

    /// A component of Apex, in a tenant.
    #[must_use]
    pub fn component(tenant: TenantId, component: Component) -> Self {
        let permissions = PermissionSet::of_roles(&[Role::System]);
        Self::new(tenant, Subject::Component(component), permissions, Scopes::All)
    }

    /// What looks up prices and tag keys for the calls that the principal reports: Apex itself, in the same tenant. It is no
    /// reading by the principal, who may have a role on one agent only and need not see all prices.
    #[must_use]
    pub fn charging(&self) -> Self {
        Self::component(self.tenant.clone(), Component::Apex)
    }

    /// The same principal in the reserved tenant of the installation, where the streams of tenants are. Permissions on the
    /// data of its own tenant do not hold there.
    #[must_use]
    pub fn in_installation(&self) -> Self {
        let permissions = self.permissions.iter().filter(|permission| !permission.is_of_tenant()).collect();
        Self { tenant: TenantId::installation(), permissions, on_agents: Arc::default(), ..self.clone() }
    }

    /// The tenant in which the principal acts.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Whose credential it is, or which component acts.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What the principal may do: the permissions of its roles on the whole tenant, restricted to the scopes of its credential.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        self.permissions.iter().filter(|permission| self.scopes.contain(*permission)).collect()
    }

    /// The agent that the credential is bound to; none if it is bound to none, or to the agents of a team.
    #[must_use]
    pub const fn agent(&self) -> Option<AgentId> {
        self.agent
    }

    /// With whose permissions what the principal schedules runs. None if the log has none that could be checked later: of the
    /// holder of a shared token, and of a component.
    #[must_use]
    pub fn schedule_owner(&self) -> Option<ScheduleOwner> {
        match self.subject {
            Subject::User { id, session } => Some(ScheduleOwner::User { user_id: id, session_id: session }),
            Subject::ServiceAccount { id, key } => {
                Some(ScheduleOwner::ServiceAccount { service_account_id: id, api_key_id: key })
            }
            Subject::CommandLine => Some(ScheduleOwner::CommandLine),
            Subject::SharedToken { .. } | Subject::Component(_) => None,
        }
    }

    /// The actor that is recorded in the metadata of events.
    #[must_use]
    pub fn actor(&self) -> String {
        self.subject.actor()
    }

    fn grants(&self) -> Grants<'_> {
        Grants {
            tenant: &self.tenant,
            permissions: self.permissions,
            on_agents: &self.on_agents,
            scopes: self.scopes,
            bound_to: self.bound_to.as_deref(),
        }
    }

    /// The principal's own tenant or the installation, whichever an action is about.
    fn resource_of(&self, action: Action, extent: Extent) -> Resource<'_> {
        match action.level() {
            Level::Tenant => Resource::Tenant(&self.tenant, extent),
            Level::Installation => Resource::Installation,
        }
    }

    /// Authorises an action on the principal's own tenant, or on the installation if the action is about that.
    ///
    /// # Errors
    /// [`Forbidden`] if the principal may not do it.
    pub fn authorise<A: ActionType>(&self) -> Result<Access<A>, Forbidden> {
        authorise(self.grants(), self.resource_of(A::ACTION, A::EXTENT))
    }

    /// Authorises an action on one aggregate of the principal's tenant.
    ///
    /// # Errors
    /// [`Forbidden`] if the principal may not do it.
    pub fn authorise_on<A: ActionType>(&self, category: &str, id: Uuid) -> Result<Access<A>, Forbidden> {
        authorise(self.grants(), Resource::Aggregate { tenant: &self.tenant, category, id })
    }

    /// Checks an action that is known at run time only.
    ///
    /// # Errors
    /// [`Forbidden`] if the principal may not do it.
    pub fn check(&self, action: Action) -> Result<(), Forbidden> {
        check(self.grants(), action, self.resource_of(action, Extent::Whole))
    }

    /// The permissions on the data of the tenant that the principal is allowed to use by its roles on the whole tenant, decided
    /// one by one as [`authorise`] decides. If its credential is bound to agents, they are about those agents and what all
    /// agents share.
    #[must_use]
    pub fn allowed(&self) -> PermissionSet {
        let none = AgentPermissions::new();
        self.allowed_by(Grants { on_agents: &none, ..self.grants() })
    }

    /// Those of some permissions that the principal is allowed to use by a role that has them on some agents: none if its
    /// credential is bound to other agents.
    #[must_use]
    pub fn allowed_on(&self, agents: impl IntoIterator<Item = AgentId>, permissions: PermissionSet) -> PermissionSet {
        let is_reached =
            |agent: &AgentId| self.bound_to.as_ref().is_none_or(|bound| bound.binary_search(agent).is_ok());
        let on_agents = agents.into_iter().find(is_reached).map(|agent| (agent, permissions)).into_iter().collect();
        self.allowed_by(Grants { permissions: PermissionSet::default(), on_agents: &on_agents, ..self.grants() })
    }

    fn allowed_by(&self, grants: Grants<'_>) -> PermissionSet {
        let is_allowed = |permission: &Permission| {
            let resource = Resource::Tenant(&self.tenant, Extent::Kind(permission.kind()));
            permission.is_of_tenant() && check(grants, permission.action(), resource).is_ok()
        };
        Permission::all().filter(is_allowed).collect()
    }

    /// Whether the principal's commands to aggregates of a category are limited to what belongs to some agents.
    pub(crate) fn is_limited_to_agents(&self, category: &str, id: Uuid) -> bool {
        is_limited_to_agents(self.grants(), Resource::Aggregate { tenant: &self.tenant, category, id })
    }

    /// Checks that an aggregate is changed in the name of agents that the principal's commands are limited to, if they are.
    ///
    /// # Errors
    /// [`Forbidden`] if it is not.
    pub(crate) fn check_agent(&self, category: &str, id: Uuid, agents: &[Option<AgentId>]) -> Result<(), Forbidden> {
        check_agent(self.grants(), Resource::Aggregate { tenant: &self.tenant, category, id }, agents)
    }
}

/// The permission for commands about identities, alone.
fn command_identities() -> PermissionSet {
    Permission::of(Action::SendCommand, ResourceKind::Identities).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::permissions::{ReadData, SendCommand};

    fn shared(declared: &str, roles: Vec<Role>) -> Result<Principal, ReservedActor> {
        Principal::shared_token("default".parse().unwrap(), Name::new(declared).unwrap(), roles, Scopes::All)
    }

    #[test]
    fn reserved_actors_are_refused() {
        for claimed in [
            "policy:budget-alerts",
            "Policy:x",
            "import:otlp",
            "apex",
            "APEX",
            "system:x",
            "apex:x",
            "demo",
            "oidc:okta",
            "service_account:x",
        ] {
            assert_eq!(shared(claimed, vec![Role::Operator]).unwrap_err(), ReservedActor, "{claimed}");
        }
        for fine in ["policy", "ada", "team:ada", "my-policy:x", "apexer"] {
            assert_eq!(shared(fine, vec![Role::Operator]).unwrap().actor(), fine);
        }
    }

    #[test]
    fn no_credential_has_the_role_of_a_component() {
        assert!(shared("ada", vec![Role::System]).unwrap().authorise::<ReadData>().is_err());
        assert!(shared("ada", vec![Role::Admin]).unwrap().authorise::<ReadData>().is_ok());
    }

    #[test]
    fn permissions_of_a_tenant_do_not_hold_in_the_installation() {
        let commands = |principal: &Principal, category| principal.authorise_on::<SendCommand>(category, Uuid::nil());
        let admin = shared("ada", vec![Role::Admin]).unwrap();
        assert!(commands(&admin, "api_key").is_ok() && commands(&admin, "tenant").is_err());
        let admin = admin.in_installation();
        assert!(admin.tenant().is_reserved());
        assert!(commands(&admin, "api_key").is_err() && commands(&admin, "tenant").is_err());
        let operator = Principal::command_line("default".parse().unwrap()).in_installation();
        assert!(commands(&operator, "api_key").is_err() && commands(&operator, "tenant").is_ok());
    }

    #[test]
    fn components_act_under_reserved_names() {
        let components = [
            Component::Apex,
            Component::Demo,
            Component::Simulation,
            Component::Import("otlp"),
            Component::Policy("budget-alerts"),
            Component::SignIn,
            Component::SignInProvider("okta".parse().unwrap()),
        ];
        for component in components {
            let actor = Principal::component("default".parse().unwrap(), component).actor();
            assert!(is_reserved_actor(&actor), "{actor}");
        }
        assert!(is_reserved_actor(&Subject::CommandLine.actor()));
        let (id, key) = (ServiceAccountId(Uuid::nil()), ApiKeyId(Uuid::nil()));
        assert!(is_reserved_actor(&Subject::ServiceAccount { id, key }.actor()));
        let (id, session) = (UserId(Uuid::nil()), SessionId(Uuid::nil()));
        assert!(is_reserved_actor(&Subject::User { id, session }.actor()));
    }

    #[test]
    fn sign_in_and_users_on_their_own_account_give_commands_about_identities_only() {
        let tenant: TenantId = "default".parse().unwrap();
        let (id, session) = (UserId(Uuid::nil()), SessionId(Uuid::nil()));
        let user = Principal::user(tenant.clone(), id, session, PermissionSet::of_roles(&[Role::Viewer]));
        assert!(user.authorise_on::<SendCommand>("user", id.0).is_err());
        let (own, account) = user.on_own_account().unwrap();
        assert_eq!((own, account.actor()), (id, user.actor()));
        for principal in [account, Principal::sign_in(tenant.clone())] {
            assert!(principal.authorise_on::<SendCommand>("user", id.0).is_ok());
            assert!(principal.authorise_on::<SendCommand>("task", id.0).is_err());
            assert!(principal.authorise_on::<ReadData>("user", id.0).is_err());
        }
        assert!(Principal::command_line(tenant).on_own_account().is_none());
    }
}
