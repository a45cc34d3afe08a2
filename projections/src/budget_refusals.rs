//! The read model of what budgets refused: counts by minute, budget, reason, agent and credential.
//!
//! A refusal is an event on the stream of its reservation alone. Counts are kept for a time before the last refusal of a tenant, by the
//! clock of the log, so that a rebuild keeps the same ones.

use crate::page::clamp_limit;
use crate::projection::{Applied, ApplyError, Projection};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use domain::budget::{Attributes, BudgetDimension};
use domain::permissions::{Access, ReadSpending};
use domain::reservation::{RefusalReason, Reservation, ReservationEvent, ReservationRefused};
use domain::{Aggregate, Event};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;
use streams::{DatabaseError, TenantReads};
use uuid::Uuid;

/// How long counts are kept before the last refusal of their tenant.
pub const RETENTION: TimeDelta = TimeDelta::days(90);

/// What refusals are counted by. The order is that of lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, FromRow, Serialize, Deserialize)]
pub struct RefusalKey {
    /// The minute in which they were recorded.
    pub minute: DateTime<Utc>,
    /// The budget that refused.
    pub budget_id: Uuid,
    /// Why: `exceeded`, `counting`, `unpriced` or `undeclared`.
    pub reason: String,
    /// The dimension that had no value; empty unless the reason is `undeclared`.
    pub dimension: String,
    /// The agent of the calls; empty if it was not stated.
    pub agent: String,
    /// The credential: `key:UUID`, `user:UUID`, or empty if it is neither an API key nor a user.
    pub credential: String,
}

/// A number of refusals.
#[derive(Debug, Clone, PartialEq, FromRow, Serialize)]
pub struct RefusalRow {
    /// The tenant that the budget belongs to.
    pub tenant_id: String,
    /// What they are counted by.
    #[sqlx(flatten)]
    #[serde(flatten)]
    pub key: RefusalKey,
    /// How many there are.
    pub refusals: i64,
    /// The position of the last one.
    pub position: i64,
}

/// Which refusals to list.
#[derive(Debug, Clone, Default)]
pub struct RefusalFilter {
    /// Only those by this budget.
    pub budget_id: Option<Uuid>,
    /// Only those recorded in this minute or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those recorded in a minute before this time.
    pub to: Option<DateTime<Utc>>,
}

macro_rules! columns {
    () => {
        "tenant_id, budget_id, minute, reason, dimension, agent, credential, refusals, position"
    };
}

impl RefusalKey {
    /// The API key that asked; none if none did.
    #[must_use]
    pub fn api_key_id(&self) -> Option<Uuid> {
        self.credential_of(&BudgetDimension::Key)
    }

    /// The user who asked; none if none did.
    #[must_use]
    pub fn user_id(&self) -> Option<Uuid> {
        self.credential_of(&BudgetDimension::User)
    }

    fn credential_of(&self, dimension: &BudgetDimension) -> Option<Uuid> {
        let (of, id) = self.credential.split_once(':')?;
        Uuid::try_parse(id).ok().filter(|_| of == dimension.name())
    }

    fn of(applied: &Applied, refused: &ReservationRefused) -> Result<Self, ApplyError> {
        let ReservationRefused { fixed, declared, refusal, .. } = refused;
        let minute = applied.recorded.recorded_at.duration_trunc(TimeDelta::minutes(1)).map_err(ApplyError::row)?;
        let dimension = match &refusal.reason {
            RefusalReason::Undeclared { dimension } => dimension.to_string(),
            RefusalReason::Exceeded | RefusalReason::Counting | RefusalReason::Unpriced => String::new(),
        };
        let agent = fixed.get(&BudgetDimension::Agent).or_else(|| declared.get(&BudgetDimension::Agent));
        Ok(Self {
            minute,
            budget_id: refusal.budget_id.0,
            reason: refusal.reason.as_str().to_owned(),
            dimension,
            agent: agent.map(ToString::to_string).unwrap_or_default(),
            credential: credential(fixed),
        })
    }
}

/// The credential of a call, from what it says itself.
fn credential(fixed: &Attributes) -> String {
    let of = |dimension: BudgetDimension| Some(format!("{}:{}", dimension.name(), fixed.get(&dimension)?));
    of(BudgetDimension::Key).or_else(|| of(BudgetDimension::User)).unwrap_or_default()
}

/// The counts of a batch.
fn counts(events: &[Applied]) -> Result<Vec<RefusalRow>, ApplyError> {
    let mut counts: BTreeMap<(&str, RefusalKey), (i64, i64)> = BTreeMap::new();
    for applied in events {
        let Event::Reservation(ReservationEvent::Refused(refused)) = &*applied.event else { continue };
        let count = counts.entry((applied.tenant(), RefusalKey::of(applied, refused)?)).or_default();
        *count = (count.0 + 1, applied.position());
    }
    let row = |((tenant, key), (refusals, position)): ((&str, RefusalKey), (i64, i64))| RefusalRow {
        tenant_id: tenant.to_owned(),
        key,
        refusals,
        position,
    };
    Ok(counts.into_iter().map(row).collect())
}

/// The minute of the last refusal in a batch, by tenant. Positions and times rise together.
fn last_minutes(rows: &[RefusalRow]) -> BTreeMap<&str, DateTime<Utc>> {
    let mut last = BTreeMap::new();
    for row in rows {
        let minute = last.entry(row.tenant_id.as_str()).or_insert(row.key.minute);
        *minute = row.key.minute.max(*minute);
    }
    last
}

async fn save(connection: &mut PgConnection, rows: &[RefusalRow]) -> Result<(), ApplyError> {
    const ADD: &str = concat!(
        "insert into budget_refusals (",
        columns!(),
        ") select ",
        columns!(),
        " from jsonb_populate_recordset(null::budget_refusals, $1)
         on conflict (tenant_id, budget_id, minute, reason, dimension, agent, credential) do update set
             refusals = budget_refusals.refusals + excluded.refusals, position = excluded.position"
    );
    const DELETE: &str = "delete from budget_refusals where tenant_id = $1 and minute < $2";
    if rows.is_empty() {
        return Ok(());
    }
    let added = serde_json::to_value(rows).map_err(ApplyError::row)?;
    sqlx::query(ADD).bind(added).execute(&mut *connection).await?;
    for (tenant, minute) in last_minutes(rows) {
        sqlx::query(DELETE).bind(tenant).bind(minute - RETENTION).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) struct BudgetRefusals;

impl Projection for BudgetRefusals {
    fn name(&self) -> &'static str {
        "budget_refusals"
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Reservation::CATEGORY]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[("budget_refusals", "tenant_id, budget_id, minute, reason, dimension, agent, credential")]
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move { save(connection, &counts(events)?).await })
    }
}

/// Lists the refusals of a tenant, the last minute first, after a row if its key is given; at most one more than a page has.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn list(
    reads: &TenantReads,
    access: &Access<ReadSpending>,
    filter: &RefusalFilter,
    after: Option<&RefusalKey>,
    limit: i64,
) -> Result<Vec<RefusalRow>, DatabaseError> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from apex.budget_refusals
         where tenant_id = $1 and ($2::uuid is null or budget_id = $2)
             and ($3::timestamptz is null or minute >= date_trunc('minute', $3, 'UTC'))
             and ($4::timestamptz is null or minute < $4)
             and ($5::timestamptz is null
                 or (minute, budget_id, reason, dimension, agent, credential) < ($5, $6::uuid, $7, $8, $9, $10))
         order by minute desc, budget_id desc, reason desc, dimension desc, agent desc, credential desc limit $11"
    );
    let query = sqlx::query_as(LIST).bind(access.tenant().as_str()).bind(filter.budget_id).bind(filter.from);
    let query = query.bind(filter.to).bind(after.map(|key| key.minute)).bind(after.map(|key| key.budget_id));
    let query = query.bind(after.map(|key| key.reason.as_str())).bind(after.map(|key| key.dimension.as_str()));
    let query = query.bind(after.map(|key| key.agent.as_str())).bind(after.map(|key| key.credential.as_str()));
    Ok(query.bind(clamp_limit(limit)).fetch_all(&mut *reads.acquire(access).await?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 1_700_000_040;

    fn row(tenant: &str, second: i64) -> RefusalRow {
        let key = RefusalKey {
            minute: DateTime::from_timestamp(second, 0).unwrap(),
            budget_id: Uuid::nil(),
            reason: "exceeded".to_owned(),
            dimension: String::new(),
            agent: String::new(),
            credential: String::new(),
        };
        RefusalRow { tenant_id: tenant.to_owned(), key, refusals: 1, position: 1 }
    }

    #[test]
    fn what_is_kept_depends_on_the_last_refusal_of_the_tenant() {
        let rows = [row("a", MINUTE), row("a", MINUTE + 60), row("b", MINUTE)];
        let minute = |second| DateTime::from_timestamp(second, 0).unwrap();
        let expected = BTreeMap::from([("a", minute(MINUTE + 60)), ("b", minute(MINUTE))]);
        assert_eq!(last_minutes(&rows), expected);
    }

    #[test]
    fn the_credential_is_the_key_or_the_user() {
        let name = |text: &str| domain::Name::new(text).unwrap();
        let of = |dimension| Attributes::from([(dimension, name("x"))]);
        assert_eq!(credential(&of(BudgetDimension::Key)), "key:x");
        assert_eq!(credential(&of(BudgetDimension::User)), "user:x");
        assert_eq!(credential(&of(BudgetDimension::Agent)), "");
    }

    #[test]
    fn a_row_has_the_columns_of_the_table() {
        let value = serde_json::to_value(row("a", MINUTE)).unwrap();
        let names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let mut columns: Vec<_> = columns!().split(", ").collect();
        columns.sort_unstable();
        let mut sorted = names;
        sorted.sort_unstable();
        assert_eq!(sorted, columns);
    }
}
