//! Who acts: the principal that every request, subcommand and component of Apex runs as.

use domain::permissions::{
    Access, Action, ActionType, Forbidden, Grants, Level, Resource, Role, Scopes, authorise, check,
};
use domain::{Name, TenantId};
use thiserror::Error;
use uuid::Uuid;

/// Actor names that only this program itself uses.
const RESERVED_ACTORS: [&str; 4] = ["apex", COMMAND_LINE, "demo", "simulation"];
/// The actor of the operator at the command line.
const COMMAND_LINE: &str = "command line";
/// Prefixes of the names of its components, such as `policy:budget-alerts` and `import:otlp`. Those without a component
/// are reserved for later.
const RESERVED_ACTOR_PREFIXES: [&str; 4] = ["apex:", "import:", "policy:", "system:"];

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
}

/// Whose credential it is, or which component acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The holder of a token that several people and programs share. The holder declares the actor.
    SharedToken {
        /// The actor as the holder declares it. Nothing proves it.
        declared: Name,
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
            Self::CommandLine => COMMAND_LINE.to_owned(),
            Self::Component(Component::Apex) => "apex".to_owned(),
            Self::Component(Component::Demo) => "demo".to_owned(),
            Self::Component(Component::Simulation) => "simulation".to_owned(),
            Self::Component(Component::Import(format)) => format!("import:{format}"),
            Self::Component(Component::Policy(name)) => format!("policy:{name}"),
        }
    }
}

/// The name that a holder of a shared token declares is reserved for Apex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "is reserved for Apex itself; send a name that is not `apex`, `command line`, `demo` or `simulation` and does not begin \
     with `apex:`, `import:`, `policy:` or `system:`"
)]
pub struct ReservedActor;

/// Who acts, in which tenant, and with which rights. An authenticator makes it from a credential.
#[derive(Debug, Clone)]
pub struct Principal {
    tenant: TenantId,
    subject: Subject,
    roles: Vec<Role>,
    scopes: Scopes,
}

impl Principal {
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
        Ok(Self { tenant, subject: Subject::SharedToken { declared }, roles, scopes })
    }

    /// The operator at the command line, in a tenant.
    #[must_use]
    pub fn command_line(tenant: TenantId) -> Self {
        Self { tenant, subject: Subject::CommandLine, roles: vec![Role::Operator], scopes: Scopes::All }
    }

    /// A component of Apex, in a tenant.
    #[must_use]
    pub fn component(tenant: TenantId, component: Component) -> Self {
        Self { tenant, subject: Subject::Component(component), roles: vec![Role::System], scopes: Scopes::All }
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

    /// The actor that is recorded in the metadata of events.
    #[must_use]
    pub fn actor(&self) -> String {
        self.subject.actor()
    }

    fn grants(&self) -> Grants<'_> {
        Grants { tenant: &self.tenant, roles: &self.roles, scopes: &self.scopes }
    }

    /// The principal's own tenant or the installation, whichever an action is about.
    fn resource_of(&self, action: Action) -> Resource<'_> {
        match action.level() {
            Level::Tenant => Resource::Tenant(&self.tenant),
            Level::Installation => Resource::Installation,
        }
    }

    /// Authorises an action on the principal's own tenant, or on the installation if the action is about that.
    ///
    /// # Errors
    /// [`Forbidden`] if the principal may not do it.
    pub fn authorise<A: ActionType>(&self) -> Result<Access<A>, Forbidden> {
        authorise(self.grants(), self.resource_of(A::ACTION))
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
        check(self.grants(), action, self.resource_of(action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::permissions::ReadData;

    fn shared(declared: &str, roles: Vec<Role>) -> Result<Principal, ReservedActor> {
        Principal::shared_token("default".parse().unwrap(), Name::new(declared).unwrap(), roles, Scopes::All)
    }

    #[test]
    fn reserved_actors_are_refused() {
        for claimed in ["policy:budget-alerts", "Policy:x", "import:otlp", "apex", "APEX", "system:x", "apex:x", "demo"]
        {
            assert_eq!(shared(claimed, vec![Role::User]).unwrap_err(), ReservedActor, "{claimed}");
        }
        for fine in ["policy", "ada", "team:ada", "my-policy:x", "apexer"] {
            assert_eq!(shared(fine, vec![Role::User]).unwrap().actor(), fine);
        }
    }

    #[test]
    fn no_credential_has_the_role_of_a_component() {
        assert!(shared("ada", vec![Role::System]).unwrap().authorise::<ReadData>().is_err());
        assert!(shared("ada", vec![Role::User]).unwrap().authorise::<ReadData>().is_ok());
    }

    #[test]
    fn components_act_under_reserved_names() {
        let components = [
            Component::Apex,
            Component::Demo,
            Component::Simulation,
            Component::Import("otlp"),
            Component::Policy("budget-alerts"),
        ];
        for component in components {
            let actor = Principal::component("default".parse().unwrap(), component).actor();
            assert!(is_reserved_actor(&actor), "{actor}");
        }
        assert!(is_reserved_actor(&Subject::CommandLine.actor()));
    }
}
