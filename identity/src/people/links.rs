//! The tokens in links, `PREFIX_ID_SECRET`, and the table of their hashes. Whether a link is still valid, the log says.

use super::email::Email;
use crate::error::IdentityError;
use crate::key_text::{KeySecret, SecretText, parse_with_prefix};
use crate::secrets::Secrets;
use chrono::{DateTime, Utc};
use domain::{InvitationId, TenantId, UserId};
use uuid::Uuid;

/// How the tokens of invitations, and those that set a password, begin.
const INVITATION_PREFIX: &str = "apexin_";
const RESET_PREFIX: &str = "apexpw_";
/// What a hash is for.
const INVITATION: &[u8] = b"apex invitation v1";
const RESET: &[u8] = b"apex password reset v1";

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose<'a> {
    /// Becoming a user, under an address.
    Invitation(&'a Email),
    /// Setting the password of a user.
    Reset(UserId),
}

/// The row of a link whose token was presented.
#[derive(sqlx::FromRow)]
struct Row {
    tenant_id: String,
    user_id: Option<Uuid>,
    email: Option<String>,
    key_encryption_key: i32,
    hash: Vec<u8>,
}

/// Stores the hash of a new token, and returns the token. None if there is one for the id already.
pub(crate) async fn insert(
    secrets: &Secrets,
    tenant: &TenantId,
    id: Uuid,
    purpose: Purpose<'_>,
    expires_at: DateTime<Utc>,
) -> Result<Option<SecretText>, IdentityError> {
    let (newest, secret) = (secrets.newest_key().await?, KeySecret::generate()?);
    let (prefix, hashed_for, user, email) = match purpose {
        Purpose::Invitation(email) => (INVITATION_PREFIX, INVITATION, None, Some(email.as_str())),
        Purpose::Reset(user) => (RESET_PREFIX, RESET, Some(user.0), None),
    };
    let inserted = sqlx::query(
        "insert into apex.user_links (link_id, tenant_id, user_id, email, key_encryption_key, hash, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (link_id) do nothing",
    )
    .bind(id)
    .bind(tenant.as_str())
    .bind(user)
    .bind(email)
    .bind(newest.version)
    .bind(newest.key.keyed_hash(hashed_for, &[id.as_bytes(), secret.bytes()])?.as_slice())
    .bind(expires_at)
    .execute(&secrets.pool)
    .await?;
    Ok((inserted.rows_affected() == 1).then(|| SecretText::with_prefix(prefix, id, &secret)))
}

/// The row of a token, if its secret is right.
async fn find(
    secrets: &Secrets,
    prefix: &str,
    purpose: &[u8],
    text: &str,
) -> Result<Option<(Uuid, Row)>, IdentityError> {
    let Some((id, secret)) = parse_with_prefix(prefix, text) else { return Ok(None) };
    let row: Option<Row> = sqlx::query_as(
        "select tenant_id, user_id, email, key_encryption_key, hash from apex.user_links
         where link_id = $1 and expires_at > clock_timestamp()",
    )
    .bind(id)
    .fetch_optional(&secrets.pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let Some(key) = secrets.key(row.key_encryption_key).await? else { return Ok(None) };
    let is_right = key.has_keyed_hash(purpose, &[id.as_bytes(), secret.bytes()], &row.hash)?;
    Ok(is_right.then_some((id, row)))
}

/// An invitation whose token was presented.
pub(crate) struct PresentedInvitation {
    pub(crate) tenant: TenantId,
    pub(crate) id: InvitationId,
    pub(crate) email: Email,
}

/// The invitation that a token is of; none if it is of none.
pub(crate) async fn find_invitation(
    secrets: &Secrets,
    text: &str,
) -> Result<Option<PresentedInvitation>, IdentityError> {
    let found = find(secrets, INVITATION_PREFIX, INVITATION, text).await?;
    Ok(found.and_then(|(id, row)| {
        let email = Email::parse(&row.email?).ok()?;
        Some(PresentedInvitation { tenant: TenantId::from_stored(row.tenant_id), id: InvitationId(id), email })
    }))
}

/// A link that sets a password, whose token was presented.
pub(crate) struct PresentedReset {
    pub(crate) tenant: TenantId,
    pub(crate) id: Uuid,
    pub(crate) user: UserId,
}

/// The link that a token is of; none if it is of none.
pub(crate) async fn find_reset(secrets: &Secrets, text: &str) -> Result<Option<PresentedReset>, IdentityError> {
    let found = find(secrets, RESET_PREFIX, RESET, text).await?;
    Ok(found.and_then(|(id, row)| {
        Some(PresentedReset { tenant: TenantId::from_stored(row.tenant_id), id, user: UserId(row.user_id?) })
    }))
}

/// Notes that the event of a link is in the log.
pub(crate) async fn confirm(secrets: &Secrets, id: Uuid) -> Result<(), IdentityError> {
    sqlx::query("update apex.user_links set is_confirmed = true where link_id = $1")
        .bind(id)
        .execute(&secrets.pool)
        .await?;
    Ok(())
}

/// Deletes a link that is of no more use, with the address of the person who was invited.
pub(crate) async fn delete(secrets: &Secrets, id: Uuid) -> Result<(), IdentityError> {
    sqlx::query("delete from apex.user_links where link_id = $1").bind(id).execute(&secrets.pool).await?;
    Ok(())
}

/// The addresses of persons who are invited.
pub(crate) async fn invited(
    secrets: &Secrets,
    tenant: &TenantId,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, String)>, IdentityError> {
    Ok(sqlx::query_as(
        "select link_id, email from apex.user_links where tenant_id = $1 and link_id = any ($2) and email is not null",
    )
    .bind(tenant.as_str())
    .bind(ids)
    .fetch_all(&secrets.pool)
    .await?)
}
