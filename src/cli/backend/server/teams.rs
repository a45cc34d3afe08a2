//! Teams and the access review at a server.

use super::grants::{Key, holder, text};
use super::values::{GlobalId, GrantedOn, Named, NamedHolder, NamedRole, permissions};
use super::{OnServer, documents};
use crate::cli::backend::operations::{Listed, ReviewOperations, TeamOperations};
use chrono::{DateTime, Utc};
use domain::role_assignment::Holder;
use domain::team::Member;
use domain::{AgentId, Body, Name, TeamId};
use identity::{Basis, GrantBasis, MemberSummary, Origin, ReviewRow, TeamAgentSummary, TeamBasis, TeamSummary};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Team {
    uuid: Uuid,
    name: String,
    closed: bool,
    member_count: usize,
    agent_count: usize,
}

impl From<Team> for TeamSummary {
    fn from(team: Team) -> Self {
        let Team { uuid, name, closed, member_count, agent_count } = team;
        Self { id: TeamId(uuid), name, is_closed: closed, members: member_count, agents: agent_count }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    #[serde(flatten)]
    holder: NamedHolder,
    added_at: Option<DateTime<Utc>>,
    added_by: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedAgent {
    uuid: Uuid,
    added_at: Option<DateTime<Utc>>,
    added_by: Option<String>,
}

impl From<ListedAgent> for TeamAgentSummary {
    fn from(agent: ListedAgent) -> Self {
        let added = agent.added_at.zip(agent.added_by).map(|(at, by)| Origin { at, by });
        Self { agent_id: AgentId(agent.uuid), added }
    }
}

/// The global id of a team.
fn global_id(id: TeamId) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("Team:{id}"))
}

/// An account or a user; none for a team, which is no member.
fn member_of(holder: Holder) -> Option<Member> {
    match holder {
        Holder::ServiceAccount(id) => Some(Member::ServiceAccount(id)),
        Holder::User(id) => Some(Member::User(id)),
        Holder::Team(_) => None,
    }
}

impl Listing {
    fn summary(self) -> Option<MemberSummary> {
        let member = member_of(self.holder.holder())?;
        let added = self.added_at.zip(self.added_by).map(|(at, by)| Origin { at, by });
        Some(MemberSummary { member, name: self.holder.name, added })
    }
}

impl OnServer {
    /// The list at a path of the data of a team; none if there is no such team.
    async fn of_team<W: DeserializeOwned, T: From<W>>(
        &self,
        document: &str,
        id: TeamId,
        path: &str,
    ) -> anyhow::Result<Option<Vec<T>>> {
        let global = global_id(id);
        let found: Value = self.client.execute(document, json!({ "id": global, "first": 1 })).await?;
        if found.pointer("/node").is_none_or(Value::is_null) {
            return Ok(None);
        }
        Ok(Some(self.list::<W, T>(document, json!({ "id": global }), path).await?.items))
    }
}

impl TeamOperations for OnServer {
    async fn teams(&self) -> anyhow::Result<Listed<TeamSummary>> {
        self.list::<Team, _>(documents::TEAMS, json!({}), "/teams").await
    }

    async fn members(&self, id: TeamId) -> anyhow::Result<Option<Vec<MemberSummary>>> {
        let listed = self.of_team::<Listing, Listing>(documents::MEMBERS, id, "/node/members").await?;
        Ok(listed.map(|listed| listed.into_iter().filter_map(Listing::summary).collect()))
    }

    async fn create_team(&self, name: Name) -> anyhow::Result<TeamId> {
        let input = json!({ "name": name.as_str() });
        Ok(TeamId(self.created(documents::CREATE_TEAM, input, ("/createTeam", "/team/uuid")).await?))
    }

    async fn rename_team(&self, id: TeamId, name: Name) -> anyhow::Result<()> {
        let input = json!({ "id": id.0, "name": name.as_str() });
        self.done(documents::RENAME_TEAM, input, "/renameTeam").await.map(|_| ())
    }

    async fn add_member(&self, id: TeamId, added: Member) -> anyhow::Result<()> {
        let input = json!({ "id": id.0, "member": holder(added.into()) });
        self.done(documents::ADD_MEMBER, input, "/addTeamMember").await.map(|_| ())
    }

    async fn remove_member(&self, id: TeamId, removed: Member) -> anyhow::Result<()> {
        let input = json!({ "id": id.0, "member": holder(removed.into()) });
        self.done(documents::REMOVE_MEMBER, input, "/removeTeamMember").await.map(|_| ())
    }

    async fn agents_of_team(&self, id: TeamId) -> anyhow::Result<Option<Vec<TeamAgentSummary>>> {
        self.of_team::<ListedAgent, _>(documents::TEAM_AGENTS, id, "/node/agents").await
    }

    async fn add_agent(&self, id: TeamId, added: AgentId) -> anyhow::Result<()> {
        let input = json!({ "id": id.0, "agentId": added.0 });
        self.done(documents::ADD_AGENT, input, "/addTeamAgent").await.map(|_| ())
    }

    async fn remove_agent(&self, id: TeamId, removed: AgentId) -> anyhow::Result<()> {
        let input = json!({ "id": id.0, "agentId": removed.0 });
        self.done(documents::REMOVE_AGENT, input, "/removeTeamAgent").await.map(|_| ())
    }

    async fn close_team(&self, id: TeamId, reason: Option<Body>) -> anyhow::Result<()> {
        let input = json!({ "id": id.0, "reason": text(reason.as_ref()) });
        self.done(documents::CLOSE_TEAM, input, "/closeTeam").await.map(|_| ())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    holder: NamedHolder,
    permissions: Vec<Named>,
    #[serde(flatten)]
    on: GrantedOn,
    grant: Option<Grant>,
    key: Option<KeyBasis>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grant {
    role: NamedRole,
    granted_at: DateTime<Utc>,
    granted_by: String,
    team: Option<TeamWay>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TeamWay {
    id: GlobalId,
    name: String,
    member_since: DateTime<Utc>,
    added_by: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyBasis {
    api_key: Key,
}

impl From<Grant> for GrantBasis {
    fn from(grant: Grant) -> Self {
        let team = grant.team.map(|team| TeamBasis {
            id: TeamId(team.id.0),
            name: team.name,
            member: Origin { at: team.member_since, by: team.added_by },
        });
        let granted = Origin { at: grant.granted_at, by: grant.granted_by };
        Self { role: grant.role.role, role_name: grant.role.name, team, granted }
    }
}

impl Row {
    fn row(self) -> Option<ReviewRow> {
        let basis = match (self.grant, self.key) {
            (Some(grant), None) => Basis::Grant(grant.into()),
            (None, Some(key)) => Basis::Key(key.api_key.into()),
            (None, None) | (Some(_), Some(_)) => return None,
        };
        let (holder, permissions) = (member_of(self.holder.holder())?, permissions(self.permissions));
        Some(ReviewRow { holder, name: self.holder.name, permissions, extent: self.on.0, basis })
    }
}

impl ReviewOperations for OnServer {
    type Cursor = String;

    async fn review(&self, after: Option<String>) -> anyhow::Result<(Vec<ReviewRow>, Option<String>)> {
        let (rows, next) = self.page::<Row>(documents::REVIEW, json!({}), "/accessReview", after).await?;
        let rows: Option<Vec<_>> = rows.into_iter().map(Row::row).collect();
        Ok((rows.ok_or_else(|| self.client.incomplete("row of the review"))?, next))
    }

    /// The server refuses the credentials of such a tenant, or does not say.
    fn inactive_tenant(&self) -> Option<String> {
        None
    }
}
