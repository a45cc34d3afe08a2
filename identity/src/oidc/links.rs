//! The table of identities: which user a subject of an issuer is. Which of the rows count, the log says.

use crate::error::IdentityError;
use domain::{ProviderId, TenantId, UserId};
use sqlx::postgres::PgPool;
use uuid::Uuid;

/// An identity that is stored for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Row {
    pub(super) identity_id: Uuid,
    pub(super) user_id: Uuid,
}

/// Who is to be stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) issuer: &'a str,
    pub(super) subject: &'a str,
}

/// The user that a subject of an issuer is stored for.
pub(super) async fn find(pool: &PgPool, of: Subject<'_>) -> Result<Option<Row>, IdentityError> {
    Ok(sqlx::query_as(
        "select identity_id, user_id from apex.user_identities where tenant_id = $1 and issuer = $2 and subject = $3",
    )
    .bind(of.tenant.as_str())
    .bind(of.issuer)
    .bind(of.subject)
    .fetch_optional(pool)
    .await?)
}

/// Stores a subject of an issuer for a user, unless it is stored for one. Returns the row that is there then; none if it was
/// deleted at this moment.
pub(super) async fn insert(
    pool: &PgPool,
    of: Subject<'_>,
    provider: ProviderId,
    user: UserId,
) -> Result<Option<Row>, IdentityError> {
    sqlx::query(
        "insert into apex.user_identities (identity_id, tenant_id, user_id, provider, issuer, subject)
         values ($1, $2, $3, $4, $5, $6) on conflict (tenant_id, issuer, subject) do nothing",
    )
    .bind(Uuid::new_v4())
    .bind(of.tenant.as_str())
    .bind(user.0)
    .bind(provider.as_str())
    .bind(of.issuer)
    .bind(of.subject)
    .execute(pool)
    .await?;
    find(pool, of).await
}

/// Notes that the event of an identity is in the log.
pub(super) async fn confirm(pool: &PgPool, id: Uuid) -> Result<(), IdentityError> {
    sqlx::query("update apex.user_identities set is_confirmed = true where identity_id = $1")
        .bind(id)
        .execute(pool)
        .await?;
    Ok(())
}

/// Deletes an identity that was not linked.
pub(super) async fn delete_unconfirmed(pool: &PgPool, id: Uuid) -> Result<(), IdentityError> {
    sqlx::query("delete from apex.user_identities where identity_id = $1 and not is_confirmed")
        .bind(id)
        .execute(pool)
        .await?;
    Ok(())
}
