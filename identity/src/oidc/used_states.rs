//! The table of sign-ins that came back: each may do so once.

use crate::error::IdentityError;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgPool;
use uuid::Uuid;

/// Notes that a sign-in came back. Returns whether it was the first time.
pub(super) async fn use_once(pool: &PgPool, id: Uuid, expires_at: DateTime<Utc>) -> Result<bool, IdentityError> {
    let inserted = sqlx::query(
        "insert into apex.used_sign_in_states (state_id, expires_at) values ($1, $2) on conflict (state_id) do nothing",
    );
    Ok(inserted.bind(id).bind(expires_at).execute(pool).await?.rows_affected() == 1)
}

/// Deletes those that are refused in any case, because they have expired. Returns how many.
pub(crate) async fn delete_expired(pool: &PgPool, limit: i64) -> Result<u64, IdentityError> {
    // The clocks of processes differ from that of the database.
    let deleted = sqlx::query(
        "delete from apex.used_sign_in_states where state_id in (
             select state_id from apex.used_sign_in_states
             where expires_at < clock_timestamp() - interval '1 hour' order by expires_at limit $1)",
    );
    Ok(deleted.bind(limit).execute(pool).await?.rows_affected())
}
