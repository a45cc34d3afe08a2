//! The sums of a trace.

use super::Totals;
use super::sums;
use super::usage_source::UsageSource;
use domain::TenantId;
use domain::call::TraceId;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, FromRow as _, Row as _};
use uuid::Uuid;

/// Sums up the calls of a trace that some agents made; all of its calls, if no agents are given. None if the trace has more than
/// `limit` calls, of any agent: then no more than these are read.
pub(crate) async fn sums_of_trace(
    connection: &mut PgConnection,
    tenant: &TenantId,
    trace_id: TraceId,
    agents: Option<Vec<Uuid>>,
    limit: i64,
) -> Result<Option<Totals>, sqlx::Error> {
    let calls = UsageSource::Calls.rows("null");
    // The calls that are read are those that the index by trace finds.
    let text = format!(
        "with read as (select * from {calls} where u.tenant_id = $1 and u.trace_id = $2 limit $4 + 1)
         select {}, (select count(*) > $4 from read) as is_too_many
         from read u where $3::uuid[] is null or u.agent_id = any($3)",
        sums::of_cells(false)
    );
    let sums =
        sqlx::query(AssertSqlSafe(text)).bind(tenant.as_str()).bind(trace_id.to_string()).bind(agents).bind(limit);
    let sums = sums.fetch_one(connection).await?;
    Ok(if sums.try_get("is_too_many")? { None } else { Some(Totals::from_row(&sums)?) })
}
