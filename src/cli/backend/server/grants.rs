//! Service accounts, API keys and roles at a server.

use super::values::{
    BuiltIn, GlobalId, GrantedOn, KeyScopes, Named, NamedHolder, NamedRole, assigned, permissions, seconds,
};
use super::{OnServer, documents, role_names};
use crate::cli::backend::operations::{AccountOperations, IssuedKey, KeyOperations, Listed, RoleOperations};
use crate::config::Secret;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::api_key::KeyTerms;
use domain::custom_role::RoleDefinition;
use domain::permissions::{Permission, PermissionSet, Role, Scopes};
use domain::role_assignment::{AssignedRole, Assignment, Holder};
use domain::{AgentId, ApiKeyId, Body, Name, RoleId, ServiceAccountId, TeamId};
use identity::{AccountSummary, AssignmentSummary, KeySummary, Origin, RoleSummary};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) fn text(body: Option<&Body>) -> Option<&str> {
    body.map(Body::as_str)
}

/// A time as GraphQL takes it.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    uuid: Uuid,
    name: String,
    disabled: bool,
    roles: Vec<BuiltIn>,
    custom_role_ids: Vec<GlobalId>,
}

impl From<Account> for AccountSummary {
    fn from(account: Account) -> Self {
        let (id, roles) = (ServiceAccountId(account.uuid), assigned(account.roles, account.custom_role_ids));
        Self { id, name: account.name, is_disabled: account.disabled, roles }
    }
}

impl AccountOperations for OnServer {
    async fn accounts(&self) -> anyhow::Result<Listed<AccountSummary>> {
        self.list::<Account, _>(documents::ACCOUNTS, json!({}), "/serviceAccounts").await
    }

    async fn create_account(&self, name: Name, roles: &[Role]) -> anyhow::Result<ServiceAccountId> {
        let input = json!({ "name": name.as_str(), "roles": role_names(roles) });
        let path = ("/createServiceAccount", "/serviceAccount/uuid");
        Ok(ServiceAccountId(self.created(documents::CREATE_ACCOUNT, input, path).await?))
    }

    async fn disable_account(&self, id: ServiceAccountId, reason: Option<Body>) -> anyhow::Result<()> {
        let input = json!({ "id": id.0, "reason": text(reason.as_ref()) });
        self.done(documents::DISABLE_ACCOUNT, input, "/disableServiceAccount").await.map(|_| ())
    }

    async fn enable_account(&self, id: ServiceAccountId) -> anyhow::Result<()> {
        self.done(documents::ENABLE_ACCOUNT, json!({ "id": id.0 }), "/enableServiceAccount").await.map(|_| ())
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    uuid: Uuid,
    service_account_id: GlobalId,
    scopes: KeyScopes,
    agent_id: Option<GlobalId>,
    team_id: Option<GlobalId>,
    expires_at: Option<DateTime<Utc>>,
    revoked: bool,
    last_used_hour: Option<DateTime<Utc>>,
}

impl From<Key> for KeySummary {
    fn from(key: Key) -> Self {
        Self {
            id: ApiKeyId(key.uuid),
            service_account_id: ServiceAccountId(key.service_account_id.0),
            scopes: key.scopes.into(),
            agent_id: key.agent_id.map(|id| AgentId(id.0)),
            team_id: key.team_id.map(|id| TeamId(id.0)),
            expires_at: key.expires_at,
            is_revoked: key.revoked,
            last_used_at: key.last_used_hour,
        }
    }
}

fn lifetime(expires_at: Option<DateTime<Utc>>) -> Value {
    expires_at.map_or_else(|| json!({ "neverExpires": true }), |at| json!({ "expiresAt": time(at) }))
}

impl OnServer {
    async fn issued(&self, document: &str, input: Value, path: &str) -> anyhow::Result<IssuedKey> {
        let (_, mut payload) = self.command(document, input, path).await?;
        let (id, text): (_, String) = (self.value(&mut payload, "/apiKey/uuid")?, self.value(&mut payload, "/secret")?);
        Ok(IssuedKey { id: ApiKeyId(id), text: Secret::from(text), created_key_file: None })
    }
}

impl KeyOperations for OnServer {
    async fn keys(&self) -> anyhow::Result<Listed<KeySummary>> {
        self.list::<Key, _>(documents::KEYS, json!({}), "/apiKeys").await
    }

    async fn create_key(&self, terms: KeyTerms) -> anyhow::Result<IssuedKey> {
        let scopes = match terms.scopes {
            Scopes::All => json!({ "all": true }),
            Scopes::Only(permissions) => json!({ "only": names(permissions) }),
        };
        let (account, lifetime) = (terms.service_account_id.0, lifetime(terms.expires_at));
        let (agent, team) = (terms.agent_id.map(|id| id.0), terms.team_id.map(|id| id.0));
        let mut input = json!({ "serviceAccountId": account, "scopes": scopes, "lifetime": lifetime });
        (input["agentId"], input["teamId"]) = (json!(agent), json!(team));
        self.issued(documents::CREATE_KEY, input, "/createApiKey").await
    }

    async fn rotate_key(
        &self,
        id: ApiKeyId,
        overlap: TimeDelta,
        expires_at: Option<DateTime<Utc>>,
    ) -> anyhow::Result<IssuedKey> {
        let overlap = seconds(overlap);
        let input = json!({ "id": id.0, "overlapSeconds": overlap, "lifetime": lifetime(expires_at) });
        self.issued(documents::ROTATE_KEY, input, "/rotateApiKey").await
    }

    async fn revoke_key(&self, id: ApiKeyId, reason: Option<Body>) -> anyhow::Result<()> {
        let input = json!({ "id": id.0, "reason": text(reason.as_ref()) });
        self.done(documents::REVOKE_KEY, input, "/revokeApiKey").await.map(|_| ())
    }
}

/// A role, of which built-in ones have no custom definition.
#[derive(Deserialize)]
struct AnyRole {
    custom: Option<Custom>,
}

#[derive(Deserialize)]
struct Custom {
    uuid: Uuid,
    name: String,
    permissions: Vec<Named>,
    withdrawn: bool,
}

impl From<Custom> for RoleSummary {
    fn from(role: Custom) -> Self {
        let (id, permissions) = (RoleId(role.uuid), permissions(role.permissions));
        Self { id, name: role.name, permissions, is_withdrawn: role.withdrawn }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Granted {
    holder: NamedHolder,
    role: NamedRole,
    #[serde(flatten)]
    on: GrantedOn,
    granted_at: DateTime<Utc>,
    granted_by: String,
}

impl From<Granted> for AssignmentSummary {
    fn from(found: Granted) -> Self {
        Self {
            holder: found.holder.holder(),
            holder_name: found.holder.name,
            role: found.role.role,
            role_name: Some(found.role.name),
            extent: found.on.0,
            granted: Origin { at: found.granted_at, by: found.granted_by },
        }
    }
}

fn names(permissions: PermissionSet) -> Vec<String> {
    permissions.iter().map(|permission: Permission| permission.to_string()).collect()
}

pub(super) fn holder(holder: Holder) -> Value {
    match holder {
        Holder::ServiceAccount(id) => json!({ "serviceAccountId": id.0 }),
        Holder::User(id) => json!({ "userId": id.0 }),
        Holder::Team(id) => json!({ "teamId": id.0 }),
    }
}

fn granted(assignment: Assignment) -> Value {
    let role = match assignment.role {
        AssignedRole::BuiltIn(role) => json!({ "builtIn": role.to_string().to_uppercase() }),
        AssignedRole::Custom(id) => json!({ "customId": id.0 }),
    };
    let agent = assignment.extent.agent().map(|agent| agent.0);
    let team = assignment.extent.team().map(|team| team.0);
    json!({ "holder": holder(assignment.holder), "role": role, "agentId": agent, "teamId": team })
}

impl RoleOperations for OnServer {
    async fn roles(&self) -> anyhow::Result<Listed<RoleSummary>> {
        let listed: Listed<AnyRole> = self.list::<AnyRole, _>(documents::ROLES, json!({}), "/roles").await?;
        let items = listed.items.into_iter().filter_map(|role| role.custom).map(RoleSummary::from).collect();
        Ok(Listed { items, is_cut: listed.is_cut })
    }

    async fn assignments(&self, of: Option<Holder>) -> anyhow::Result<Listed<AssignmentSummary>> {
        let variables = json!({ "filter": of.map(|of| json!({ "holder": holder(of) })) });
        self.list::<Granted, _>(documents::ASSIGNMENTS, variables, "/roleAssignments").await
    }

    async fn define_role(&self, definition: RoleDefinition) -> anyhow::Result<RoleId> {
        let input = json!({ "name": definition.name.as_str(), "permissions": names(definition.permissions) });
        Ok(RoleId(self.created(documents::DEFINE_ROLE, input, ("/defineRole", "/role/uuid")).await?))
    }

    async fn change_role(&self, id: RoleId, definition: RoleDefinition) -> anyhow::Result<()> {
        let permissions = names(definition.permissions);
        let input = json!({ "id": id.0, "name": definition.name.as_str(), "permissions": permissions });
        self.done(documents::CHANGE_ROLE, input, "/changeRole").await.map(|_| ())
    }

    async fn withdraw_role(&self, id: RoleId, reason: Option<Body>) -> anyhow::Result<()> {
        let input = json!({ "id": id.0, "reason": text(reason.as_ref()) });
        self.done(documents::WITHDRAW_ROLE, input, "/withdrawRole").await.map(|_| ())
    }

    async fn grant_role(&self, assignment: Assignment) -> anyhow::Result<()> {
        self.done(documents::GRANT_ROLE, granted(assignment), "/grantRole").await.map(|_| ())
    }

    async fn revoke_role(&self, assignment: Assignment, reason: Option<Body>) -> anyhow::Result<()> {
        let mut input = granted(assignment);
        input["reason"] = text(reason.as_ref()).into();
        self.done(documents::REVOKE_ROLE, input, "/revokeRole").await.map(|_| ())
    }
}
