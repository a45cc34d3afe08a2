//! Roles: named sets of permissions. The table says which.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A named set of permissions.
///
/// Roles of a tenant are granted by an event and can be written; the others come with a shared token, the command line or
/// a component, and cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Manages everything in a tenant, and who may do what in it.
    Admin,
    /// Operates agents, tasks, budgets and prices in a tenant.
    Operator,
    /// Reads everything in a tenant but the texts that agents work with.
    Viewer,
    /// Works in a tenant as an agent does: takes tasks, reports calls, stores memories. It reads the objects of the agent that
    /// its key is bound to.
    Agent,
    /// Manages budgets and prices in a tenant, and reads what was spent.
    Billing,
    /// Reads everything in a tenant, to examine it.
    Auditor,
    /// Reads the status of the read models of an installation, which tells nothing of any tenant.
    #[serde(skip)]
    InstallationViewer,
    /// Operates an installation, and manages its tenants.
    #[serde(skip)]
    InstallationOperator,
    /// A component of Apex, such as a policy or an importer. No credential has this role.
    #[serde(skip)]
    System,
}

/// The text is not the name of a role that can be granted in a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a role: use admin, operator, viewer, agent, billing or auditor")]
pub struct UnknownRole(String);

impl Role {
    /// All roles, in the order of the columns of the permission table.
    pub const ALL: [Self; 9] = [
        Self::Admin,
        Self::Operator,
        Self::Viewer,
        Self::Agent,
        Self::Billing,
        Self::Auditor,
        Self::InstallationViewer,
        Self::InstallationOperator,
        Self::System,
    ];

    /// The role as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
            Self::Agent => "agent",
            Self::Billing => "billing",
            Self::Auditor => "auditor",
            Self::InstallationViewer => "installation viewer",
            Self::InstallationOperator => "installation operator",
            Self::System => "system",
        }
    }

    /// Whether the role can be granted in a tenant.
    #[must_use]
    pub const fn is_of_tenant(self) -> bool {
        match self {
            Self::Admin | Self::Operator | Self::Viewer | Self::Agent | Self::Billing | Self::Auditor => true,
            Self::InstallationViewer | Self::InstallationOperator | Self::System => false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.is_of_tenant() && role.as_str() == text);
        found.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_of_a_tenant_can_be_written_and_read() {
        for role in Role::ALL {
            let written = serde_json::to_string(&role);
            assert_eq!(written.is_ok(), role.is_of_tenant(), "{role}");
            assert_eq!(role.as_str().parse::<Role>().is_ok(), role.is_of_tenant(), "{role}");
            if let Ok(written) = written {
                assert_eq!(written, format!("\"{role}\""));
                assert_eq!(serde_json::from_str::<Role>(&written).unwrap(), role);
            }
        }
        assert!("installation_operator".parse::<Role>().is_err());
        assert!(serde_json::from_str::<Role>("\"system\"").is_err());
    }
}
