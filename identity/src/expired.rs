//! Deleting rows that have expired: they are refused in any case, and some of them are of strangers.

use crate::error::IdentityError;
use sqlx::postgres::PgPool;
use std::time::Duration;

/// The clocks of processes differ from that of the database by less.
const CLOCK_DIFFERENCE: Duration = Duration::from_hours(1);
/// How long the row of a session that ended is kept.
const SESSION_RETENTION: Duration = Duration::from_hours(30 * 24);

/// A table whose rows have a time from which they are refused, `expires_at`, with an index.
struct Expiring {
    table: &'static str,
    id: &'static str,
    /// How long after that time a row is kept.
    grace: Duration,
}

const TABLES: [Expiring; 4] = [
    Expiring { table: "apex.user_links", id: "link_id", grace: Duration::ZERO },
    Expiring { table: "apex.user_sessions", id: "session_id", grace: SESSION_RETENTION },
    Expiring { table: "apex.program_sign_ins", id: "sign_in_id", grace: CLOCK_DIFFERENCE },
    Expiring { table: "apex.used_sign_in_states", id: "state_id", grace: CLOCK_DIFFERENCE },
];

/// Deletes all rows that have expired, at most `limit` by one transaction. Returns how many.
pub(crate) async fn delete_expired(pool: &PgPool, limit: i64) -> Result<u64, IdentityError> {
    let mut deleted = 0;
    for Expiring { table, id, grace } in TABLES {
        let statement = format!(
            "delete from {table} where {id} in (
                 select {id} from {table}
                 where expires_at < clock_timestamp() - make_interval(secs => $1) order by expires_at limit $2)"
        );
        loop {
            let batch = sqlx::query(sqlx::AssertSqlSafe(statement.clone())).bind(grace.as_secs_f64()).bind(limit);
            let rows = batch.execute(pool).await?.rows_affected();
            deleted += rows;
            // After a full batch there may be more, and anyone can add rows: a batch for each sweep would leave ever more of them.
            if rows == 0 || rows < limit.unsigned_abs() {
                break;
            }
        }
    }
    Ok(deleted)
}
