//! The tables of secrets of one-time codes and of recovery codes.

use super::totp::TotpSecret;
use crate::error::IdentityError;
use crate::key_file::EncryptionKey;
use crate::sealed;
use crate::secrets::Secrets;
use crate::sign_in_error::Throttled;
use domain::{TenantId, UserId};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use std::time::Duration;
use uuid::Uuid;

/// What the key that encrypts secrets, and the hash of a recovery code, are for.
const TOTP: &[u8] = b"apex totp secret v1";
const RECOVERY: &[u8] = b"apex recovery code v1";
/// How long a new secret can be confirmed. It is less than the age at which rows without an event are swept.
const MAX_UNCONFIRMED_AGE: Duration = Duration::from_mins(30);
/// The number of wrong codes and recovery codes of a secret after which the next attempt has to wait.
const FREE_FAILURES: i32 = 5;
/// The time to wait after so many, and at the most.
const FIRST_WAIT: Duration = Duration::from_secs(30);
const MAX_WAIT: Duration = Duration::from_hours(1);
/// The number of recovery codes of a user.
const RECOVERY_CODES: usize = 10;
/// The length of a recovery code in characters, without its hyphens: 80 bits.
const RECOVERY_CHARACTERS: usize = 16;
const RECOVERY_GROUP: usize = 4;
/// The characters of recovery codes: without those that are easily confused.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A secret that is stored, and the key that it and its recovery codes are stored under.
pub(crate) struct StoredTotp {
    pub(crate) secret: TotpSecret,
    pub(crate) key: EncryptionKey,
}

/// Inserts a secret. It is of no use before its event is in the log.
pub(crate) async fn insert(
    secrets: &Secrets,
    tenant: &TenantId,
    user: UserId,
    id: Uuid,
    secret: &TotpSecret,
) -> Result<(), IdentityError> {
    let newest = secrets.newest_key().await?;
    sqlx::query(
        "insert into apex.user_totp_secrets (credential_id, user_id, tenant_id, key_encryption_key, sealed)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(id)
    .bind(user.0)
    .bind(tenant.as_str())
    .bind(newest.version)
    .bind(sealed::seal(&newest.key, TOTP, id, secret.bytes())?)
    .execute(&secrets.pool)
    .await?;
    Ok(())
}

/// The secret of a user with an id; none if there is none.
pub(crate) async fn read(secrets: &Secrets, user: UserId, id: Uuid) -> Result<Option<StoredTotp>, IdentityError> {
    find(secrets, user, id, None).await
}

/// As [`read`], for a secret whose codes are not demanded yet. It has to be confirmed long before the sweeper would delete it.
pub(crate) async fn read_new(secrets: &Secrets, user: UserId, id: Uuid) -> Result<Option<StoredTotp>, IdentityError> {
    find(secrets, user, id, Some(MAX_UNCONFIRMED_AGE)).await
}

async fn find(
    secrets: &Secrets,
    user: UserId,
    id: Uuid,
    max_age: Option<Duration>,
) -> Result<Option<StoredTotp>, IdentityError> {
    let row: Option<(i32, Vec<u8>)> = sqlx::query_as(
        "select key_encryption_key, sealed from apex.user_totp_secrets where credential_id = $1 and user_id = $2
             and ($3::float8 is null or created_at > clock_timestamp() - make_interval(secs => $3))",
    )
    .bind(id)
    .bind(user.0)
    .bind(max_age.map(|age| age.as_secs_f64()))
    .fetch_optional(&secrets.pool)
    .await?;
    let Some((version, sealed)) = row else { return Ok(None) };
    let key = secrets.key(version).await?.ok_or(IdentityError::Damaged(id))?;
    let secret = TotpSecret::from_bytes(sealed::open(&key, TOTP, id, &sealed)?);
    Ok(Some(StoredTotp { secret, key }))
}

/// Counts a code or a recovery code as wrong before it is checked, so that requests at the same moment do not have more
/// attempts than one after the other.
///
/// # Errors
/// In the inner result how long to wait: after [`FREE_FAILURES`] wrong ones the time between two attempts is
/// [`FIRST_WAIT`], and doubles with each further one up to [`MAX_WAIT`].
pub(crate) async fn count_failure(secrets: &Secrets, id: Uuid) -> Result<Result<(), Throttled>, IdentityError> {
    let wait = "make_interval(secs => least($4, $3 * 2 ^ least(greatest(failures - $2, 0), 30)))";
    let counted = format!(
        "update apex.user_totp_secrets set failures = failures + 1, last_failure_at = clock_timestamp()
         where credential_id = $1
             and (failures < $2 or last_failure_at is null or last_failure_at + {wait} <= clock_timestamp())"
    );
    let left = format!(
        "select extract(epoch from last_failure_at + {wait} - clock_timestamp())::float8 from apex.user_totp_secrets
         where credential_id = $1 and failures >= $2"
    );
    let counted = sqlx::query(sqlx::AssertSqlSafe(counted))
        .bind(id)
        .bind(FREE_FAILURES)
        .bind(FIRST_WAIT.as_secs_f64())
        .bind(MAX_WAIT.as_secs_f64())
        .execute(&secrets.pool)
        .await?;
    if counted.rows_affected() == 1 {
        return Ok(Ok(()));
    }
    let left: Option<Option<f64>> = sqlx::query_scalar(sqlx::AssertSqlSafe(left))
        .bind(id)
        .bind(FREE_FAILURES)
        .bind(FIRST_WAIT.as_secs_f64())
        .bind(MAX_WAIT.as_secs_f64())
        .fetch_optional(&secrets.pool)
        .await?;
    let seconds = left.flatten().unwrap_or_default().clamp(0.0, MAX_WAIT.as_secs_f64());
    Ok(Err(Throttled { retry_after: Duration::try_from_secs_f64(seconds).unwrap_or(MAX_WAIT) }))
}

/// Notes that a code or a recovery code was right.
pub(crate) async fn clear_failures(secrets: &Secrets, id: Uuid) -> Result<(), IdentityError> {
    sqlx::query("update apex.user_totp_secrets set failures = 0, last_failure_at = null where credential_id = $1")
        .bind(id)
        .execute(&secrets.pool)
        .await?;
    Ok(())
}

/// Uses the first code of a secret, by compare-and-set: false if one was used before.
pub(crate) async fn use_first_step(secrets: &Secrets, id: Uuid, step: i64) -> Result<bool, IdentityError> {
    let used = sqlx::query(
        "update apex.user_totp_secrets set last_step = $2 where credential_id = $1 and last_step = 0 and not is_confirmed",
    );
    Ok(used.bind(id).bind(step).execute(&secrets.pool).await?.rows_affected() == 1)
}

/// Uses the code of a time step, by compare-and-set: false if it, or that of a later step, was used before.
pub(crate) async fn use_step(secrets: &Secrets, id: Uuid, step: i64) -> Result<bool, IdentityError> {
    let used =
        sqlx::query("update apex.user_totp_secrets set last_step = $2 where credential_id = $1 and last_step < $2")
            .bind(id)
            .bind(step)
            .execute(&secrets.pool)
            .await?;
    Ok(used.rows_affected() == 1)
}

/// Replaces the recovery codes that belong to a secret by new ones.
pub(crate) async fn replace_recovery_codes(
    secrets: &Secrets,
    id: Uuid,
    key: &EncryptionKey,
) -> Result<Vec<String>, IdentityError> {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect::<Result<_, _>>()?;
    let hashes: Vec<Vec<u8>> = codes.iter().map(|code| hash(key, id, code)).collect::<Result<_, _>>()?;
    let mut transaction = secrets.pool.begin().await?;
    sqlx::query("delete from apex.user_recovery_codes where credential_id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("insert into apex.user_recovery_codes (credential_id, hash) select $1, unnest($2::bytea[])")
        .bind(id)
        .bind(hashes)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(codes)
}

/// Uses a recovery code: false if it is not one, or was used before.
pub(crate) async fn use_recovery_code(
    secrets: &Secrets,
    id: Uuid,
    key: &EncryptionKey,
    code: &str,
) -> Result<bool, IdentityError> {
    let used = sqlx::query("delete from apex.user_recovery_codes where credential_id = $1 and hash = $2")
        .bind(id)
        .bind(hash(key, id, code)?)
        .execute(&secrets.pool)
        .await?;
    Ok(used.rows_affected() == 1)
}

/// Notes that the event of a secret is in the log, and deletes the one that the event replaced. Others stay: an event may name
/// them at this moment. The sweeper deletes those that no event names.
pub(crate) async fn confirm(secrets: &Secrets, id: Uuid, replaced: Option<Uuid>) -> Result<(), IdentityError> {
    sqlx::query("update apex.user_totp_secrets set is_confirmed = true where credential_id = $1")
        .bind(id)
        .execute(&secrets.pool)
        .await?;
    delete(secrets, replaced.filter(|replaced| *replaced != id)).await
}

/// Deletes a secret that an event replaced, with its recovery codes.
pub(crate) async fn delete(secrets: &Secrets, id: Option<Uuid>) -> Result<(), IdentityError> {
    sqlx::query("delete from apex.user_totp_secrets where credential_id = $1").bind(id).execute(&secrets.pool).await?;
    Ok(())
}

/// Lets the sweeper look at the secrets of a user: it deletes those that no event names.
pub(crate) async fn unconfirm(secrets: &Secrets, user: UserId) -> Result<(), IdentityError> {
    sqlx::query("update apex.user_totp_secrets set is_confirmed = false where user_id = $1")
        .bind(user.0)
        .execute(&secrets.pool)
        .await?;
    Ok(())
}

fn recovery_code() -> Result<String, IdentityError> {
    let mut bytes = [0; RECOVERY_CHARACTERS];
    OsRng.try_fill_bytes(&mut bytes)?;
    // 256 is a multiple of the number of characters, so that each is as likely.
    let characters: Vec<char> = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    let groups = characters.chunks(RECOVERY_GROUP).map(|group| group.iter().collect::<String>());
    Ok(groups.collect::<Vec<_>>().join("-"))
}

/// The keyed hash of a recovery code, however it is spelled.
fn hash(key: &EncryptionKey, id: Uuid, code: &str) -> Result<Vec<u8>, IdentityError> {
    let is_part = |c: &char| !c.is_whitespace() && *c != '-';
    let plain: String = code.chars().take(256).filter(is_part).collect::<String>().to_lowercase();
    Ok(key.keyed_hash(RECOVERY, &[id.as_bytes(), plain.as_bytes()])?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_codes_are_random_and_can_be_typed() {
        let (one, other) = (recovery_code().unwrap(), recovery_code().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), RECOVERY_CHARACTERS + 3);
        let key = EncryptionKey::decoy();
        let hash = |code: &str| hash(&key, Uuid::nil(), code).unwrap();
        assert_eq!(hash(&one), hash(&one.to_uppercase().replace('-', " ")));
        assert_ne!(hash(&one), hash(&other));
    }
}
