//! How the projections are doing, and the numbers that dashboards show.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use sqlx::postgres::PgPool;

/// Where a projection stands.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct ProjectionStatus {
    /// Its name.
    pub name: String,
    /// The last position that all of its shards have applied.
    pub position: i64,
    /// How many events it is behind.
    pub lag_events: i64,
    /// When a shard last moved; none before its first batch.
    pub updated_at: Option<DateTime<Utc>>,
    /// How many events are parked.
    pub parked_events: i64,
    /// Where its events come from: `log` or `kafka`.
    pub source: String,
    /// The version of this program's code.
    pub code_version: i32,
    /// The version of the live tables; none before the first batch.
    pub version: Option<i32>,
    /// The version under construction, if there is one.
    pub next_version: Option<i32>,
    /// How far that one is built.
    pub next_position: Option<i64>,
    /// The version that was live before, if it is kept.
    pub old_version: Option<i32>,
}

impl ProjectionStatus {
    /// Whether the live tables are those of this program's code. Where they are not, it writes nothing.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.version.is_none_or(|version| version == self.code_version)
    }
}

/// The status of every projection.
///
/// # Errors
/// The database's.
pub async fn statuses(pool: &PgPool) -> Result<Vec<ProjectionStatus>, sqlx::Error> {
    let names: Vec<_> = crate::all().iter().map(|projection| projection.name()).collect();
    let versions: Vec<_> = crate::all().iter().map(|projection| projection.version()).collect();
    sqlx::query_as(
        "with followers as (
             select follower, min(position) as position, max(updated_at) as updated_at, max(version) as version,
                    max(source) as source
             from apex.checkpoints group by follower
         )
         select n.name, coalesce(c.position, 0) as position, h.position - coalesce(c.position, 0) as lag_events,
                c.updated_at, (select count(*) from apex.parked_events p where p.projection = n.name) as parked_events,
                coalesce(c.source, 'log') as source, n.version as code_version, c.version, b.version as next_version, b.position as next_position,
                o.version as old_version
         from unnest($1::text[], $2::int[]) with ordinality as n (name, version, place)
         cross join apex.head h
         left join followers c on c.follower = n.name
         left join followers b on b.follower = n.name || '@next'
         left join apex.old_projections o on o.projection = n.name
         order by n.place",
    )
    .bind(names)
    .bind(versions)
    .fetch_all(pool)
    .await
}

/// Numbers that are states of the read models rather than counts of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct GaugeValues {
    /// Agents that may take work.
    pub active_agents: i64,
    /// Agents with a running task.
    pub busy_agents: i64,
    /// Tasks that wait to be started.
    pub queued_tasks: i64,
}

/// The gauges of all tenants.
///
/// # Errors
/// The database's.
pub async fn gauges(pool: &PgPool) -> Result<GaugeValues, sqlx::Error> {
    sqlx::query_as(
        "select (select count(*) from apex.agents where status = 'active') as active_agents,
                (select count(distinct (tenant_id, agent_id)) from apex.tasks where status = 'running') as busy_agents,
                (select count(*) from apex.tasks where status = 'submitted') as queued_tasks",
    )
    .fetch_one(pool)
    .await
}
