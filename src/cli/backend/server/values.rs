//! Values in the answers of a server.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use commands::OutcomeKind;
use domain::permissions::{Permission, PermissionSet, Role, Scopes};
use domain::role_assignment::{AssignedRole, Holder, RoleExtent};
use domain::{AgentId, RoleId, ServiceAccountId, TeamId, UserId};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

/// The outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Outcome {
    Done,
    AlreadyDone,
    Duplicate,
    Rejected,
}

impl From<Outcome> for OutcomeKind {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::AlreadyDone => Self::AlreadyDone,
            Outcome::Duplicate => Self::Duplicate,
            // A rejection is an error before it comes to this.
            Outcome::Done | Outcome::Rejected => Self::Done,
        }
    }
}

/// A number of seconds as GraphQL takes it. A longer time is refused, as it is on the database.
pub(super) fn seconds(time: TimeDelta) -> i32 {
    i32::try_from(time.num_seconds()).unwrap_or(i32::MAX)
}

/// The UUID in a global id: base64url of a type, a colon and the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct GlobalId(pub(in crate::cli) Uuid);

impl<'d> Deserialize<'d> for GlobalId {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(&id).map_err(D::Error::custom)?;
        let text = String::from_utf8(bytes).map_err(D::Error::custom)?;
        let key = text.split_once(':').map(|(_, key)| key).ok_or_else(|| D::Error::custom("no global id"))?;
        Uuid::try_parse(key).map(Self).map_err(D::Error::custom)
    }
}

/// A built-in role, in the letters of GraphQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BuiltIn(pub(super) Role);

impl<'d> Deserialize<'d> for BuiltIn {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?.to_lowercase();
        name.parse().map(Self).map_err(|_| D::Error::custom("not a built-in role"))
    }
}

/// The roles of an account or a user, in their order.
pub(super) fn assigned(built_in: Vec<BuiltIn>, custom: Vec<GlobalId>) -> Vec<AssignedRole> {
    let built_in = built_in.into_iter().map(|role| AssignedRole::BuiltIn(role.0));
    built_in.chain(custom.into_iter().map(|id| AssignedRole::Custom(RoleId(id.0)))).collect()
}

/// A role that was granted, with its name.
#[derive(Debug)]
pub(super) struct NamedRole {
    pub(super) role: AssignedRole,
    pub(super) name: String,
}

impl<'d> Deserialize<'d> for NamedRole {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            built_in: Option<BuiltIn>,
            custom_id: Option<GlobalId>,
            name: String,
        }
        let Wire { built_in, custom_id, name } = Wire::deserialize(deserializer)?;
        let role = match (built_in, custom_id) {
            (Some(role), None) => AssignedRole::BuiltIn(role.0),
            (None, Some(id)) => AssignedRole::Custom(RoleId(id.0)),
            (None, None) | (Some(_), Some(_)) => return Err(D::Error::custom("neither a built-in nor a custom role")),
        };
        Ok(Self { role, name })
    }
}

/// What a role is granted on. A server names an agent or a team, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "AgentOrTeam")]
pub(super) struct GrantedOn(pub(super) RoleExtent);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AgentOrTeam {
    agent_id: Option<GlobalId>,
    team_id: Option<GlobalId>,
}

impl TryFrom<AgentOrTeam> for GrantedOn {
    type Error = &'static str;

    fn try_from(on: AgentOrTeam) -> Result<Self, Self::Error> {
        let (agent, team) = (on.agent_id.map(|id| AgentId(id.0)), on.team_id.map(|id| TeamId(id.0)));
        RoleExtent::of(agent, team).map(Self).ok_or("both an agent and a team")
    }
}

/// The kind of a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum HolderKind {
    ServiceAccount,
    User,
    Team,
}

/// A holder of roles, with its name.
#[derive(Debug, Deserialize)]
pub(super) struct NamedHolder {
    kind: HolderKind,
    uuid: Uuid,
    pub(super) name: Option<String>,
}

impl NamedHolder {
    pub(super) fn holder(&self) -> Holder {
        match self.kind {
            HolderKind::ServiceAccount => Holder::ServiceAccount(ServiceAccountId(self.uuid)),
            HolderKind::User => Holder::User(UserId(self.uuid)),
            HolderKind::Team => Holder::Team(TeamId(self.uuid)),
        }
    }
}

/// A permission by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named(Permission);

impl<'d> Deserialize<'d> for Named {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map(Self).map_err(|_| D::Error::custom("not a permission that this program knows"))
    }
}

/// A set of permissions.
pub(super) fn permissions(names: Vec<Named>) -> PermissionSet {
    names.into_iter().map(|named| named.0).collect()
}

/// The scopes of an API key.
#[derive(Debug, Deserialize)]
pub(super) struct KeyScopes {
    all: bool,
    only: Option<Vec<Named>>,
}

impl From<KeyScopes> for Scopes {
    fn from(scopes: KeyScopes) -> Self {
        if scopes.all { Self::All } else { Self::Only(permissions(scopes.only.unwrap_or_default())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn values_of_answers_are_those_of_the_domain() {
        let id = Uuid::from_u128(7);
        let global = URL_SAFE_NO_PAD.encode(format!("CustomRole:{id}"));
        assert_eq!(from_value::<GlobalId>(json!(global)).unwrap(), GlobalId(id));
        let custom: NamedRole = from_value(json!({ "builtIn": null, "customId": global, "name": "x" })).unwrap();
        assert_eq!(custom.role, AssignedRole::Custom(RoleId(id)));
        let admin: NamedRole = from_value(json!({ "builtIn": "ADMIN", "customId": null, "name": "admin" })).unwrap();
        assert_eq!(admin.role, AssignedRole::BuiltIn(Role::Admin));
        let team = URL_SAFE_NO_PAD.encode(format!("Team:{id}"));
        let on = |agent: Option<&str>, team: Option<&str>| {
            from_value::<GrantedOn>(json!({ "agentId": agent, "teamId": team })).ok().map(|on| on.0)
        };
        assert_eq!(on(None, None), Some(RoleExtent::Tenant));
        assert_eq!(on(Some(&global), None), Some(RoleExtent::Agent(AgentId(id))));
        assert_eq!(on(None, Some(&team)), Some(RoleExtent::Team(TeamId(id))));
        assert_eq!(on(Some(&global), Some(&team)), None, "an answer with both is refused");
        for wrong in [json!({ "name": "x" }), json!({ "builtIn": "EMPEROR", "name": "x" })] {
            assert!(from_value::<NamedRole>(wrong).is_err());
        }
        assert!(from_value::<GlobalId>(json!("x")).is_err() && from_value::<Named>(json!("read:everything")).is_err());
    }
}
