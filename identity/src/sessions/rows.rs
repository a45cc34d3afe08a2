//! The table of sessions.

use super::credentials::{SessionCredentials, UserCredentials};
use crate::client::Client;
use crate::error::IdentityError;
use crate::key_file::HASH_BYTES;
use chrono::{DateTime, Utc};
use domain::{SessionId, TenantId, UserId};
use sqlx::postgres::PgPool;
use std::time::Duration;
use uuid::Uuid;

/// The number of sessions of a user. The oldest ends when there is one more.
const MAX_SESSIONS_PER_USER: i64 = 50;

/// A new session.
pub(crate) struct NewRow<'a> {
    pub(crate) id: SessionId,
    pub(crate) tenant: &'a TenantId,
    pub(crate) user: UserId,
    /// The credentials of the user when it signed in.
    pub(crate) credentials: UserCredentials,
    pub(crate) client: &'a Client,
    pub(crate) refresh: (i32, [u8; HASH_BYTES]),
    pub(crate) refresh_lifetime: Duration,
    pub(crate) session_lifetime: Duration,
}

/// A session as it is stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) session_id: Uuid,
    pub(crate) tenant_id: String,
    pub(crate) user_id: Uuid,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) last_used_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) refresh_expires_at: DateTime<Utc>,
    pub(crate) refresh_number: i64,
    /// Whether it was neither revoked nor has expired.
    pub(crate) is_active: bool,
    pub(crate) user_agent: Option<String>,
    pub(crate) address: Option<String>,
    password_id: Option<Uuid>,
    totp_id: Option<Uuid>,
    next_password_id: Option<Uuid>,
    next_totp_id: Option<Uuid>,
}

impl Row {
    /// What the session rests on.
    pub(crate) fn credentials(&self) -> SessionCredentials {
        SessionCredentials {
            verified: UserCredentials { password: self.password_id, totp: self.totp_id },
            next: UserCredentials { password: self.next_password_id, totp: self.next_totp_id },
        }
    }
}

const COLUMNS: &str = "session_id, tenant_id, user_id, created_at, last_used_at, expires_at, refresh_expires_at,
    refresh_number, user_agent, address, password_id, totp_id, next_password_id, next_totp_id, revoked_at is null and expires_at > clock_timestamp() as is_active";

fn select(condition: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("select {COLUMNS} from apex.user_sessions where {condition}"))
}

/// Inserts a session, and ends the oldest ones of the user if there are too many. Returns when the refresh token expires.
pub(crate) async fn insert(pool: &PgPool, new: NewRow<'_>) -> Result<DateTime<Utc>, IdentityError> {
    let expires_at = sqlx::query_scalar(
        "insert into apex.user_sessions (session_id, tenant_id, user_id, key_encryption_key, refresh_hash, expires_at,
             refresh_expires_at, user_agent, address, password_id, totp_id, next_password_id, next_totp_id)
         select $1, $2, $3, $4, $5, now + make_interval(secs => $6), now + make_interval(secs => $7), $8, $9,
             $10, $11, $10, $11
         from clock_timestamp() as now
         returning refresh_expires_at",
    )
    .bind(new.id.0)
    .bind(new.tenant.as_str())
    .bind(new.user.0)
    .bind(new.refresh.0)
    .bind(new.refresh.1.as_slice())
    .bind(new.session_lifetime.as_secs_f64())
    .bind(new.refresh_lifetime.min(new.session_lifetime).as_secs_f64())
    .bind(new.client.user_agent())
    .bind(new.client.address().map(|address| address.to_string()))
    .bind(new.credentials.password)
    .bind(new.credentials.totp)
    .fetch_one(pool)
    .await?;
    sqlx::query(
        "update apex.user_sessions set revoked_at = clock_timestamp() where session_id in (
             select session_id from apex.user_sessions
             where user_id = $1 and revoked_at is null and expires_at > clock_timestamp()
             order by created_at desc offset $2)",
    )
    .bind(new.user.0)
    .bind(MAX_SESSIONS_PER_USER)
    .execute(pool)
    .await?;
    Ok(expires_at)
}

/// A session.
pub(crate) async fn read(pool: &PgPool, id: SessionId) -> Result<Option<Row>, IdentityError> {
    Ok(sqlx::query_as(select("session_id = $1")).bind(id.0).fetch_optional(pool).await?)
}

/// The sessions of a user that have not ended, newest first.
pub(crate) async fn of_user(pool: &PgPool, tenant: &TenantId, user: UserId) -> Result<Vec<Row>, IdentityError> {
    let condition = "tenant_id = $1 and user_id = $2 and revoked_at is null and expires_at > clock_timestamp()
                     order by created_at desc limit $3";
    let rows = sqlx::query_as(select(condition)).bind(tenant.as_str()).bind(user.0).bind(MAX_SESSIONS_PER_USER);
    Ok(rows.fetch_all(pool).await?)
}

/// Replaces the refresh token of a session by compare-and-set. Returns when the new one expires; none if the session has
/// ended or has another token.
pub(crate) async fn replace_refresh(
    pool: &PgPool,
    id: SessionId,
    (number, old): (i64, [u8; HASH_BYTES]),
    (key_version, new): (i32, [u8; HASH_BYTES]),
    lifetime: Duration,
    client: &Client,
) -> Result<Option<DateTime<Utc>>, IdentityError> {
    Ok(sqlx::query_scalar(
        "update apex.user_sessions
         set refresh_number = refresh_number + 1, key_encryption_key = $4, refresh_hash = $5,
             last_used_at = clock_timestamp(), user_agent = $7, address = $8,
             refresh_expires_at = least(expires_at, clock_timestamp() + make_interval(secs => $6))
         where session_id = $1 and refresh_number = $2 and refresh_hash = $3 and revoked_at is null
             and refresh_expires_at > clock_timestamp() and expires_at > clock_timestamp()
         returning refresh_expires_at",
    )
    .bind(id.0)
    .bind(number)
    .bind(old.as_slice())
    .bind(key_version)
    .bind(new.as_slice())
    .bind(lifetime.as_secs_f64())
    .bind(client.user_agent())
    .bind(client.address().map(|address| address.to_string()))
    .fetch_optional(pool)
    .await?)
}

/// Revokes a session. Returns whether it was active.
pub(crate) async fn revoke(pool: &PgPool, id: SessionId) -> Result<bool, IdentityError> {
    let revoked = sqlx::query(
        "update apex.user_sessions set revoked_at = clock_timestamp() where session_id = $1 and revoked_at is null",
    );
    Ok(revoked.bind(id.0).execute(pool).await?.rows_affected() == 1)
}

/// Revokes the sessions of a user, except for one. Returns their ids.
pub(crate) async fn revoke_all(
    pool: &PgPool,
    user: UserId,
    except: Option<SessionId>,
) -> Result<Vec<Uuid>, IdentityError> {
    Ok(sqlx::query_scalar(
        "update apex.user_sessions set revoked_at = clock_timestamp()
         where user_id = $1 and revoked_at is null and session_id is distinct from $2 returning session_id",
    )
    .bind(user.0)
    .bind(except.map(|id| id.0))
    .fetch_all(pool)
    .await?)
}

/// Stores the credentials that a session rests on after a change that it makes, before the event of the change is appended.
/// Nothing is stored unless the session rests on those before the change.
pub(crate) async fn set_next_credentials(
    pool: &PgPool,
    id: SessionId,
    before: UserCredentials,
    after: UserCredentials,
) -> Result<(), IdentityError> {
    sqlx::query(
        "update apex.user_sessions
         set password_id = $2, totp_id = $3, next_password_id = $4, next_totp_id = $5
         where session_id = $1 and revoked_at is null
             and ((password_id, totp_id) is not distinct from ($2, $3)
                 or (next_password_id, next_totp_id) is not distinct from ($2, $3))",
    )
    .bind(id.0)
    .bind(before.password)
    .bind(before.totp)
    .bind(after.password)
    .bind(after.totp)
    .execute(pool)
    .await?;
    Ok(())
}

/// Those of some sessions that were neither revoked nor have expired.
pub(crate) async fn active(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Row>, IdentityError> {
    let condition = "session_id = any ($1) and revoked_at is null and expires_at > clock_timestamp()";
    Ok(sqlx::query_as(select(condition)).bind(ids).fetch_all(pool).await?)
}
