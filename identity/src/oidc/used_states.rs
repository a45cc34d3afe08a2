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
