//! The table of programs that sign in.

use crate::client::Client;
use crate::error::IdentityError;
use crate::key_file::HASH_BYTES;
use chrono::{DateTime, Utc};
use domain::{SessionId, TenantId, UserId};
use sqlx::postgres::PgPool;
use std::time::Duration;
use uuid::Uuid;

/// The most programs that wait for a person at the same time.
const MAX_WAITING: i64 = 10_000;
/// By how much the interval grows when a program asks too soon, and its maximum, in seconds.
const SLOW_DOWN_SECONDS: i32 = 5;
const MAX_INTERVAL_SECONDS: i32 = 60;

/// What a code is bound to.
pub(super) enum Binding {
    /// The keyed hash of the code that a person types.
    UserCode([u8; HASH_BYTES]),
    /// The hash of the program's verifier, and the person who has agreed.
    Challenge([u8; HASH_BYTES], Person),
}

/// A person who decides, in a session.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) tenant: TenantId,
    pub(super) user: UserId,
    pub(super) session: SessionId,
}

/// A row whose code is presented.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    pub(super) key_encryption_key: i32,
    pub(super) code_hash: Vec<u8>,
    pub(super) challenge: Option<Vec<u8>>,
    pub(super) is_expired: bool,
}

/// The outcome of a question about a row.
#[derive(sqlx::FromRow)]
pub(super) struct Polled {
    pub(super) is_early: bool,
    pub(super) is_approved: Option<bool>,
}

/// Inserts a program that signs in. False if too many wait for a person.
pub(super) async fn insert(
    pool: &PgPool,
    id: Uuid,
    (key_version, code_hash): (i32, [u8; HASH_BYTES]),
    binding: Binding,
    client: &Client,
    lifetime: Duration,
) -> Result<bool, IdentityError> {
    let (kind, user_code, challenge, person) = match &binding {
        Binding::UserCode(hash) => ("device", Some(hash.as_slice()), None, None),
        Binding::Challenge(hash, person) => ("loopback", None, Some(hash.as_slice()), Some(person)),
    };
    let inserted = sqlx::query(
        "insert into apex.program_sign_ins (sign_in_id, kind, key_encryption_key, code_hash, user_code_hash, challenge,
             user_agent, address, expires_at, tenant_id, user_id, session_id, is_approved)
         select $1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + make_interval(secs => $9), $10, $11, $12, $13
         where $2 = 'loopback' or (select count(*) from (
             select from apex.program_sign_ins where expires_at > clock_timestamp() limit $14) waiting) < $14",
    )
    .bind(id)
    .bind(kind)
    .bind(key_version)
    .bind(code_hash.as_slice())
    .bind(user_code)
    .bind(challenge)
    .bind(client.user_agent())
    .bind(client.address().map(|address| address.to_string()))
    .bind(lifetime.as_secs_f64())
    .bind(person.map(|person| person.tenant.as_str()))
    .bind(person.map(|person| person.user.0))
    .bind(person.map(|person| person.session.0))
    .bind(person.map(|_| true))
    .bind(MAX_WAITING)
    .execute(pool)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// A program that waits for the person who types a code.
#[derive(sqlx::FromRow)]
pub(super) struct Waiting {
    pub(super) sign_in_id: Uuid,
    pub(super) user_agent: Option<String>,
    pub(super) address: Option<String>,
    pub(super) created_at: DateTime<Utc>,
}

pub(super) async fn waiting(pool: &PgPool, user_code: [u8; HASH_BYTES]) -> Result<Option<Waiting>, IdentityError> {
    Ok(sqlx::query_as(
        "select sign_in_id, user_agent, address, created_at from apex.program_sign_ins
         where user_code_hash = $1 and is_approved is null and expires_at > clock_timestamp()",
    )
    .bind(user_code.as_slice())
    .fetch_optional(pool)
    .await?)
}

/// Notes what a person decided about a program, once. False if it was decided or has expired meanwhile.
pub(super) async fn decide(pool: &PgPool, id: Uuid, person: &Person, is_approved: bool) -> Result<bool, IdentityError> {
    let decided = sqlx::query(
        "update apex.program_sign_ins set tenant_id = $2, user_id = $3, session_id = $4, is_approved = $5
         where sign_in_id = $1 and is_approved is null and expires_at > clock_timestamp()",
    );
    let decided = decided.bind(id).bind(person.tenant.as_str()).bind(person.user.0).bind(person.session.0);
    let decided = decided.bind(is_approved).execute(pool).await?;
    Ok(decided.rows_affected() == 1)
}

/// The row of a code that is presented for the first time.
pub(super) async fn read(pool: &PgPool, id: Uuid, kind: &str) -> Result<Option<Row>, IdentityError> {
    Ok(sqlx::query_as(
        "select key_encryption_key, code_hash, challenge, expires_at <= clock_timestamp() as is_expired
         from apex.program_sign_ins where sign_in_id = $1 and kind = $2 and redeemed_at is null",
    )
    .bind(id)
    .bind(kind)
    .fetch_optional(pool)
    .await?)
}

/// Notes that a program asks, and whether it does so too soon: then it has to wait longer from now on.
pub(super) async fn poll(pool: &PgPool, id: Uuid) -> Result<Option<Polled>, IdentityError> {
    Ok(sqlx::query_as(
        "update apex.program_sign_ins s
         set last_polled_at = asked.at,
             interval_seconds = case when asked.is_early then least(s.interval_seconds + $2, $3)
                 else s.interval_seconds end
         from (select sign_in_id, clock_timestamp() as at,
                   coalesce(last_polled_at + make_interval(secs => interval_seconds) > clock_timestamp(), false)
                       as is_early
               from apex.program_sign_ins where sign_in_id = $1 for update) asked
         where s.sign_in_id = asked.sign_in_id
         returning asked.is_early, s.is_approved",
    )
    .bind(id)
    .bind(SLOW_DOWN_SECONDS)
    .bind(MAX_INTERVAL_SECONDS)
    .fetch_optional(pool)
    .await?)
}

/// Uses the code of a program, once. Returns the person who has agreed.
pub(super) async fn redeem(pool: &PgPool, id: Uuid) -> Result<Option<Person>, IdentityError> {
    let redeemed: Option<(String, Uuid, Uuid)> = sqlx::query_as(
        "update apex.program_sign_ins set redeemed_at = clock_timestamp()
         where sign_in_id = $1 and redeemed_at is null and is_approved and expires_at > clock_timestamp()
         returning tenant_id, user_id, session_id",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    Ok(redeemed.map(|(tenant, user, session)| Person {
        tenant: TenantId::from_stored(tenant),
        user: UserId(user),
        session: SessionId(session),
    }))
}
