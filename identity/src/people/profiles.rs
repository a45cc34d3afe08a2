//! The tables of names, addresses and hashes of passwords.

use super::email::Email;
use crate::error::IdentityError;
use chrono::{DateTime, Utc};
use domain::{Name, TenantId, UserId};
use sqlx::postgres::PgPool;
use std::time::Duration;
use uuid::Uuid;

/// The constraint that an address belongs to one user of a tenant.
const UNIQUE_EMAIL: &str = "user_profiles_email";

/// What is stored about a person.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Profile {
    pub(crate) user_id: Uuid,
    /// The address; none of a user whom a provider names without a verified one.
    pub(crate) email: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) reset_requested_at: Option<DateTime<Utc>>,
}

/// The hash of a password, and who it may be of.
#[derive(sqlx::FromRow)]
pub(crate) struct PasswordRow {
    pub(crate) user_id: Uuid,
    pub(crate) credential_id: Option<Uuid>,
    pub(crate) hash: Option<String>,
    pub(crate) key_encryption_key: Option<i32>,
}

/// Inserts the profile of a new user. Nothing is changed if the same one is there.
///
/// # Errors
/// [`IdentityError::EmailTaken`] if another user of the tenant has the address, [`IdentityError::OtherProfile`] if the user
/// has another profile.
pub(crate) async fn insert(
    pool: &PgPool,
    tenant: &TenantId,
    id: UserId,
    email: Option<&Email>,
    display_name: Option<&Name>,
) -> Result<(), IdentityError> {
    let inserted = sqlx::query(
        "insert into apex.user_profiles (user_id, tenant_id, email, display_name) values ($1, $2, $3, $4)
         on conflict (user_id) do nothing",
    )
    .bind(id.0)
    .bind(tenant.as_str())
    .bind(email.map(Email::as_str))
    .bind(display_name.map(Name::as_str))
    .execute(pool)
    .await;
    let inserted = inserted.map_err(taken_or_failed)?;
    if inserted.rows_affected() == 1 {
        return Ok(());
    }
    let known = read(pool, tenant, &[id]).await?.pop();
    let is_same = known.is_some_and(|known| {
        known.email.as_deref() == email.map(Email::as_str)
            && known.display_name.as_deref() == display_name.map(Name::as_str)
    });
    if is_same { Ok(()) } else { Err(IdentityError::OtherProfile(id)) }
}

/// The user of a tenant who has an address.
pub(crate) async fn find(pool: &PgPool, tenant: &TenantId, email: &Email) -> Result<Option<UserId>, IdentityError> {
    let found: Option<Uuid> =
        sqlx::query_scalar("select user_id from apex.user_profiles where tenant_id = $1 and email = $2")
            .bind(tenant.as_str())
            .bind(email.as_str())
            .fetch_optional(pool)
            .await?;
    Ok(found.map(UserId))
}

/// Changes the address and the name of a user to those that a provider says now. What it does not say stays.
///
/// # Errors
/// [`IdentityError::EmailTaken`] if another user of the tenant has the address.
pub(crate) async fn update(
    pool: &PgPool,
    id: UserId,
    email: Option<&Email>,
    display_name: Option<&Name>,
) -> Result<(), IdentityError> {
    let updated = sqlx::query(
        "update apex.user_profiles set email = coalesce($2, email), display_name = coalesce($3, display_name)
         where user_id = $1
             and (email, display_name) is distinct from (coalesce($2, email), coalesce($3, display_name))",
    )
    .bind(id.0)
    .bind(email.map(Email::as_str))
    .bind(display_name.map(Name::as_str))
    .execute(pool)
    .await;
    updated.map(drop).map_err(taken_or_failed)
}

/// The error that another user has an address, if that is why a statement failed.
fn taken_or_failed(error: sqlx::Error) -> IdentityError {
    match &error {
        sqlx::Error::Database(cause) if cause.constraint() == Some(UNIQUE_EMAIL) => IdentityError::EmailTaken,
        _ => error.into(),
    }
}

/// The profiles of users of a tenant.
pub(crate) async fn read(pool: &PgPool, tenant: &TenantId, ids: &[UserId]) -> Result<Vec<Profile>, IdentityError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    Ok(sqlx::query_as(
        "select user_id, email, display_name, reset_requested_at from apex.user_profiles
         where tenant_id = $1 and user_id = any ($2)",
    )
    .bind(tenant.as_str())
    .bind(ids)
    .fetch_all(pool)
    .await?)
}

/// The hashes of passwords that belong to an address: in one statement, whether there are any or not.
pub(crate) async fn passwords(
    pool: &PgPool,
    tenant: &TenantId,
    email: &Email,
) -> Result<Vec<PasswordRow>, IdentityError> {
    Ok(sqlx::query_as(
        "select p.user_id, w.credential_id, w.hash, w.key_encryption_key
         from apex.user_profiles p left join apex.user_passwords w on w.user_id = p.user_id
         where p.tenant_id = $1 and p.email = $2",
    )
    .bind(tenant.as_str())
    .bind(email.as_str())
    .fetch_all(pool)
    .await?)
}

/// Notes that the person with an address asked for a link to set the password anew. Returns the user, if there is one.
pub(crate) async fn note_reset_request(
    pool: &PgPool,
    tenant: &TenantId,
    email: &Email,
) -> Result<Option<UserId>, IdentityError> {
    let user: Option<Uuid> = sqlx::query_scalar(
        "update apex.user_profiles set reset_requested_at = clock_timestamp() where tenant_id = $1 and email = $2
         returning user_id",
    )
    .bind(tenant.as_str())
    .bind(email.as_str())
    .fetch_optional(pool)
    .await?;
    Ok(user.map(UserId))
}

/// Inserts the hash of a password. Its event names it.
pub(crate) async fn insert_password(
    pool: &PgPool,
    tenant: &TenantId,
    user: UserId,
    id: Uuid,
    (key_version, hash): (i32, &str),
) -> Result<(), IdentityError> {
    sqlx::query(
        "insert into apex.user_passwords (credential_id, user_id, tenant_id, key_encryption_key, hash)
         values ($1, $2, $3, $4, $5) on conflict (credential_id) do nothing",
    )
    .bind(id)
    .bind(user.0)
    .bind(tenant.as_str())
    .bind(key_version)
    .bind(hash)
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes that the event of a password is in the log, and deletes the hash that the event replaced. Others stay: an event may
/// name them at this moment. The sweeper deletes those that no event names.
pub(crate) async fn confirm_password(
    pool: &PgPool,
    user: UserId,
    id: Uuid,
    replaced: Option<Uuid>,
) -> Result<(), IdentityError> {
    sqlx::query("update apex.user_passwords set is_confirmed = true where credential_id = $1")
        .bind(id)
        .execute(pool)
        .await?;
    if let Some(replaced) = replaced.filter(|replaced| *replaced != id) {
        delete_password(pool, replaced).await?;
    }
    sqlx::query("update apex.user_profiles set reset_requested_at = null where user_id = $1")
        .bind(user.0)
        .execute(pool)
        .await?;
    Ok(())
}

/// Notes that the event of a new user is in the log.
pub(crate) async fn confirm(pool: &PgPool, tenant: &TenantId, id: UserId) -> Result<(), IdentityError> {
    sqlx::query("update apex.user_profiles set is_confirmed = true where user_id = $1 and tenant_id = $2")
        .bind(id.0)
        .bind(tenant.as_str())
        .execute(pool)
        .await?;
    Ok(())
}

/// Deletes the hash of a password that is of no use.
pub(crate) async fn delete_password(pool: &PgPool, id: Uuid) -> Result<(), IdentityError> {
    sqlx::query("delete from apex.user_passwords where credential_id = $1").bind(id).execute(pool).await?;
    Ok(())
}

/// Deletes the profile of a user who was not created: not if another request with the same command has created it.
pub(crate) async fn delete_unconfirmed(pool: &PgPool, tenant: &TenantId, id: UserId) -> Result<(), IdentityError> {
    sqlx::query(
        "delete from apex.user_profiles where user_id = $1 and not is_confirmed
             and not exists (select from apex.streams
                 where tenant_id = $2 and category = 'user' and stream_id = $1)",
    )
    .bind(id.0)
    .bind(tenant.as_str())
    .execute(pool)
    .await?;
    Ok(())
}

/// Deletes the profile of a user who was erased, which a retry of its creation has stored again.
pub(crate) async fn delete_erased(pool: &PgPool, id: UserId) -> Result<(), IdentityError> {
    sqlx::query("delete from apex.user_profiles where user_id = $1").bind(id.0).execute(pool).await?;
    Ok(())
}

/// Deletes everything that is stored about some users beside the log, in one transaction.
pub(crate) async fn erase(pool: &PgPool, ids: &[UserId]) -> Result<u64, IdentityError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut transaction = pool.begin().await?;
    let mut deleted = 0;
    for statement in [
        "delete from apex.user_profiles where user_id = any ($1)",
        "delete from apex.user_passwords where user_id = any ($1)",
        "delete from apex.user_totp_secrets where user_id = any ($1)",
        "delete from apex.user_links where user_id = any ($1)",
        "delete from apex.program_sign_ins where user_id = any ($1)",
        "delete from apex.user_identities where user_id = any ($1)",
        // Where the sessions came from, unless others came from there too. Before the sessions, which lead to it.
        "delete from apex.access_origins o using apex.credential_origins c
         where c.credential_id in (select s.session_id from apex.user_sessions s where s.user_id = any ($1))
             and (o.tenant_id, o.origin_id) = (c.tenant_id, c.origin_id)
             and not exists (
                 select from apex.credential_origins other
                 where (other.tenant_id, other.origin_id) = (c.tenant_id, c.origin_id)
                     and other.credential_id not in
                         (select s.session_id from apex.user_sessions s where s.user_id = any ($1)))",
        "delete from apex.credential_origins c using apex.user_sessions s
         where c.credential_id = s.session_id and s.user_id = any ($1)",
        "delete from apex.user_sessions where user_id = any ($1)",
    ] {
        deleted += sqlx::query(statement).bind(&ids).execute(&mut *transaction).await?.rows_affected();
    }
    transaction.commit().await?;
    Ok(deleted)
}

/// Marks confirmed credentials of users for the sweeper, other than those that count: the process that replaced them ended
/// before it deleted them.
pub(crate) async fn unconfirm_replaced(
    pool: &PgPool,
    table: UnconfirmedTable,
    (users, current): (&[Uuid], &[Uuid]),
) -> Result<(), IdentityError> {
    let (name, id, user) = table.columns();
    let unconfirm = format!(
        "update {name} set is_confirmed = false
         where is_confirmed and {user} = any ($1) and {id} <> all ($2)"
    );
    sqlx::query(sqlx::AssertSqlSafe(unconfirm)).bind(users).bind(current).execute(pool).await?;
    Ok(())
}

/// The rows without a known event that are older than an age, the oldest up to a limit: ids of credentials with those of
/// their users, and tenants.
pub(crate) async fn unconfirmed(
    pool: &PgPool,
    table: UnconfirmedTable,
    age: Duration,
    limit: i64,
) -> Result<Vec<(Uuid, Uuid, TenantId)>, IdentityError> {
    let (name, id, user) = table.columns();
    let found = format!(
        "select {id}, {user}, tenant_id from {name}
         where not is_confirmed and created_at < clock_timestamp() - make_interval(secs => $1)
         order by created_at limit $2"
    );
    let rows: Vec<(Uuid, Uuid, String)> =
        sqlx::query_as(sqlx::AssertSqlSafe(found)).bind(age.as_secs_f64()).bind(limit).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(id, user, tenant)| (id, user, TenantId::from_stored(tenant))).collect())
}

/// Confirms or deletes rows.
pub(crate) async fn decide_unconfirmed(
    pool: &PgPool,
    table: UnconfirmedTable,
    confirmed: &[Uuid],
    useless: &[Uuid],
) -> Result<u64, IdentityError> {
    let (name, id, _) = table.columns();
    let confirm = format!("update {name} set is_confirmed = true where {id} = any ($1)");
    sqlx::query(sqlx::AssertSqlSafe(confirm)).bind(confirmed).execute(pool).await?;
    let delete = format!("delete from {name} where {id} = any ($1) and not is_confirmed");
    Ok(sqlx::query(sqlx::AssertSqlSafe(delete)).bind(useless).execute(pool).await?.rows_affected())
}

/// A table whose rows are inserted before their events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnconfirmedTable {
    Profiles,
    Passwords,
    Totp,
    Links,
    Identities,
}

impl UnconfirmedTable {
    pub(crate) const ALL: [Self; 5] = [Self::Profiles, Self::Passwords, Self::Totp, Self::Links, Self::Identities];

    /// The name, the id of a row, and the user that it is about; of an invitation, its own id.
    fn columns(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Profiles => ("apex.user_profiles", "user_id", "user_id"),
            Self::Passwords => ("apex.user_passwords", "credential_id", "user_id"),
            Self::Totp => ("apex.user_totp_secrets", "credential_id", "user_id"),
            Self::Links => ("apex.user_links", "link_id", "coalesce(user_id, link_id)"),
            Self::Identities => ("apex.user_identities", "identity_id", "user_id"),
        }
    }
}
