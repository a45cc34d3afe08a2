//! Who may do what: actions, the roles that allow them, and the proof that an action was authorised.
//!
//! [`authorise`] is the one place that decides. It returns an [`Access`], which nothing else can make. Functions that read
//! or change data take one of the right kind, so that code that forgets to authorise does not compile. Deliberately
//! absent: where roles come from. An authenticator finds them before it makes a principal.

use crate::TenantId;
use std::fmt;
use std::marker::PhantomData;
use thiserror::Error;
use uuid::Uuid;

/// The kind of resource that an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Data of one tenant.
    Tenant,
    /// What all tenants of an installation share: the log, the read models, the workers.
    Installation,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident: $level:ident, $text:literal;)+) => {
        /// Everything that can be allowed or refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)+
        }

        impl Action {
            /// All actions.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The kind of resource that the action is about.
            #[must_use]
            pub fn level(self) -> Level {
                match self { $(Self::$name => Level::$level),+ }
            }
        }

        impl fmt::Display for Action {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text),+ })
            }
        }

        $(
            $(#[$doc])*
            ///
            /// The type of [`Action`]'s variant of the same name, for [`Access`].
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl ActionType for $name {
                const ACTION: Action = Action::$name;
            }
        )+
    };
}

/// An action as a type, so that the compiler tells an [`Access`] for one action from that for another.
pub trait ActionType {
    /// The action.
    const ACTION: Action;
}

actions! {
    /// Read the objects, events and reports of a tenant, and follow its events.
    ReadData: Tenant, "read data";
    /// Send commands to the aggregates of a tenant.
    SendCommand: Tenant, "send commands";
    /// Read the progress of the read models, and their parked events.
    ReadProjections: Installation, "read the status of read models";
    /// Build, compare, switch and drop versions of read models, and decide about parked events.
    OperateProjections: Installation, "operate read models";
    /// List, retry and drop the jobs of policies.
    OperateJobs: Installation, "operate jobs";
    /// Read the metrics of a process.
    ReadMetrics: Installation, "read metrics";
    /// Read, verify and archive the log of all tenants.
    MaintainLog: Installation, "maintain the log";
    /// Run the server, projection workers, policies or the relay, and migrate the database.
    RunInstallation: Installation, "run Apex";
}

/// A named set of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Uses the API in a tenant.
    User,
    /// Operates the installation, in addition to what a user may do.
    Operator,
    /// A component of Apex, such as a policy or an importer. No credential has this role.
    System,
}

impl Role {
    /// Whether the role allows an action.
    #[must_use]
    pub fn allows(self, action: Action) -> bool {
        match self {
            Self::User => match action {
                Action::ReadData | Action::SendCommand | Action::ReadProjections | Action::ReadMetrics => true,
                Action::OperateProjections | Action::OperateJobs | Action::MaintainLog | Action::RunInstallation => {
                    false
                }
            },
            Self::Operator => true,
            Self::System => matches!(action, Action::ReadData | Action::SendCommand),
        }
    }
}

/// Restriction of a credential to some actions. It never adds to what the roles allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// Everything that the roles allow.
    All,
    /// Only these actions, if the roles allow them.
    Only(Vec<Action>),
}

impl Scopes {
    /// Whether an action is within the scopes.
    #[must_use]
    pub fn contain(&self, action: Action) -> bool {
        match self {
            Self::All => true,
            Self::Only(actions) => actions.contains(&action),
        }
    }
}

/// What an action is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// All data of a tenant.
    Tenant(&'a TenantId),
    /// One aggregate of a tenant.
    Aggregate {
        /// The tenant that owns the aggregate.
        tenant: &'a TenantId,
        /// The kind of aggregate.
        category: &'a str,
        /// The id of the aggregate.
        id: Uuid,
    },
    /// What all tenants of the installation share.
    Installation,
}

/// Continues the text of an action, as in "read data in the tenant NAME".
impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(tenant) => write!(f, "in the tenant {tenant}"),
            Self::Aggregate { category, id, .. } => write!(f, "for {category} {id}"),
            Self::Installation => f.write_str("in this installation"),
        }
    }
}

/// What a principal may do: the tenant, the roles in it, and the scopes of the credential.
#[derive(Debug, Clone, Copy)]
pub struct Grants<'a> {
    /// The tenant in which the roles hold.
    pub tenant: &'a TenantId,
    /// The roles.
    pub roles: &'a [Role],
    /// The scopes of the credential.
    pub scopes: &'a Scopes,
}

/// An action is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not allowed to {action} {resource}: {remedy}")]
pub struct Forbidden {
    /// The action.
    pub action: Action,
    resource: String,
    remedy: &'static str,
}

/// Proof that the action `A` was authorised. Only [`authorise`] makes one.
#[derive(Debug)]
pub struct Access<A> {
    tenant: TenantId,
    action: PhantomData<fn() -> A>,
}

impl<A> Clone for Access<A> {
    fn clone(&self) -> Self {
        Self { tenant: self.tenant.clone(), action: PhantomData }
    }
}

impl<A> Access<A> {
    /// The tenant of the principal that was authorised, to whose data the access is limited.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }
}

/// Decides whether an action on a resource is allowed: a role must allow it, the scopes must contain it, and a resource of
/// a tenant must belong to the tenant of the grants.
///
/// # Errors
/// [`Forbidden`] if the action is not allowed.
pub fn authorise<A: ActionType>(grants: Grants<'_>, resource: Resource<'_>) -> Result<Access<A>, Forbidden> {
    check(grants, A::ACTION, resource)?;
    Ok(Access { tenant: grants.tenant.clone(), action: PhantomData })
}

/// As [`authorise`], for an action that is known at run time only. It gives no proof.
///
/// # Errors
/// [`Forbidden`] if the action is not allowed.
pub fn check(grants: Grants<'_>, action: Action, resource: Resource<'_>) -> Result<(), Forbidden> {
    let forbidden = |remedy| Err(Forbidden { action, resource: resource.to_string(), remedy });
    let (level, owner) = match resource {
        Resource::Tenant(tenant) | Resource::Aggregate { tenant, .. } => (Level::Tenant, Some(tenant)),
        Resource::Installation => (Level::Installation, None),
    };
    if level != action.level() || owner.is_some_and(|owner| owner != grants.tenant) {
        return forbidden("it belongs to another tenant or to the installation");
    }
    if !grants.scopes.contain(action) {
        return forbidden("it is outside the scopes of the credential");
    }
    if grants.roles.iter().any(|role| role.allows(action)) {
        return Ok(());
    }
    match action.level() {
        Level::Tenant => forbidden("use a credential of a user of the tenant"),
        Level::Installation => forbidden("use the credential of an operator of the installation"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    /// The actions that the grants allow on a tenant's data, or on the installation.
    fn allowed(roles: &[Role], scopes: &Scopes) -> Vec<Action> {
        let tenant = tenant("default");
        let resource = |action: Action| match action.level() {
            Level::Tenant => Resource::Tenant(&tenant),
            Level::Installation => Resource::Installation,
        };
        let grants = Grants { tenant: &tenant, roles, scopes };
        Action::ALL.iter().copied().filter(|&action| check(grants, action, resource(action)).is_ok()).collect()
    }

    #[test]
    fn each_role_is_a_set_of_actions() {
        let user = [Action::ReadData, Action::SendCommand, Action::ReadProjections, Action::ReadMetrics];
        assert_eq!(allowed(&[Role::User], &Scopes::All), user);
        assert_eq!(allowed(&[Role::User, Role::Operator], &Scopes::All), Action::ALL);
        assert_eq!(allowed(&[Role::System], &Scopes::All), [Action::ReadData, Action::SendCommand]);
        assert_eq!(allowed(&[], &Scopes::All), []);
    }

    #[test]
    fn scopes_take_away_and_never_add() {
        let metrics = Scopes::Only(vec![Action::ReadMetrics, Action::OperateProjections]);
        assert_eq!(allowed(&[Role::User], &metrics), [Action::ReadMetrics]);
        assert_eq!(allowed(&[], &metrics), []);
    }

    #[test]
    fn no_role_reaches_another_tenant() {
        let (own, other) = (tenant("default"), tenant("other"));
        let grants = Grants { tenant: &own, roles: &[Role::Operator], scopes: &Scopes::All };
        let agent = |tenant| Resource::Aggregate { tenant, category: "agent", id: Uuid::nil() };
        for (resource, is_allowed) in [
            (Resource::Tenant(&own), true),
            (agent(&own), true),
            (Resource::Tenant(&other), false),
            (agent(&other), false),
            (Resource::Installation, false),
        ] {
            assert_eq!(check(grants, Action::ReadData, resource).is_ok(), is_allowed, "{resource}");
        }
        assert_eq!(authorise::<ReadData>(grants, Resource::Tenant(&own)).unwrap().tenant(), &own);
    }

    #[test]
    fn a_refusal_names_the_action_the_resource_and_the_remedy() {
        let tenant = tenant("default");
        let grants = Grants { tenant: &tenant, roles: &[Role::User], scopes: &Scopes::All };
        let refused = authorise::<OperateProjections>(grants, Resource::Installation).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "not allowed to operate read models in this installation: use the credential of an operator of the installation"
        );
    }

    /// Every text that a refusal can have, for a reader to judge.
    #[test]
    fn every_refusal_reads_well() {
        let tenant = tenant("default");
        let grants = Grants { tenant: &tenant, roles: &[], scopes: &Scopes::All };
        let texts = Action::ALL.iter().flat_map(|&action| {
            let resources = match action.level() {
                Level::Tenant => vec![
                    Resource::Tenant(&tenant),
                    Resource::Aggregate { tenant: &tenant, category: "agent", id: Uuid::nil() },
                ],
                Level::Installation => vec![Resource::Installation],
            };
            resources.into_iter().map(move |resource| check(grants, action, resource).unwrap_err().to_string())
        });
        let texts: Vec<_> = texts.map(|text| text.split_once(": ").unwrap().0.to_owned()).collect();
        assert_eq!(
            texts,
            [
                "not allowed to read data in the tenant default",
                "not allowed to read data for agent 00000000-0000-0000-0000-000000000000",
                "not allowed to send commands in the tenant default",
                "not allowed to send commands for agent 00000000-0000-0000-0000-000000000000",
                "not allowed to read the status of read models in this installation",
                "not allowed to operate read models in this installation",
                "not allowed to operate jobs in this installation",
                "not allowed to read metrics in this installation",
                "not allowed to maintain the log in this installation",
                "not allowed to run Apex in this installation",
            ]
        );
    }
}
