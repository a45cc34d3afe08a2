//! Where alerts are sent: addresses, which are sealed in rows beside the log, and secrets, which are derived.
//!
//! The secret of an endpoint is a keyed hash of ids by the key-encryption key that the event names. So it is stored nowhere, and
//! a command that is given again returns the same one.

mod target;

pub use target::{AlertTarget, AlertTargetError};

use crate::error::IdentityError;
use crate::identities::Identities;
use crate::key_text::SecretText;
use crate::sealed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use commands::Context;
use domain::alert_endpoints::{AlertEndpoints, SigningKey};
use domain::permissions::SendCommand;
use domain::{Aggregate as _, AlertEndpointId, TenantId, derived_id};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::time::Duration;
use uuid::Uuid;

/// What the key that seals addresses, and the one that secrets are derived with, are for.
const DESTINATION: &[u8] = b"apex alert destination v1";
const SIGNING: &[u8] = b"apex webhook secret v1";
/// How the text of a secret begins, by the Standard Webhooks specification.
const SECRET_PREFIX: &str = "whsec_";
/// The age from which a row that no endpoint has is deleted: longer than a command takes.
const MIN_SWEPT_AGE: Duration = Duration::from_hours(1);
/// The number of rows that one statement of a sweep reads.
const MAX_SWEPT: i64 = 1_000;

impl Identities {
    /// Stores where alerts are sent, before the command that names it. Returns the id, which is derived from that of the command,
    /// so that a retry stores no other one.
    ///
    /// # Errors
    /// [`IdentityError::Forbidden`] if the principal may not give the command; else if the row cannot be written.
    pub async fn store_alert_target(&self, context: &Context, target: &AlertTarget) -> Result<Uuid, IdentityError> {
        context.principal.authorise_on::<SendCommand>(AlertEndpoints::CATEGORY, AlertEndpoints::id())?;
        let tenant = context.principal.tenant();
        let id = derived_id(&["alert_destination", tenant.as_str(), &context.command_id.to_string()]);
        let newest = self.secrets().newest_key().await?;
        let sealed = sealed::seal(&newest.key, DESTINATION, id, target.encode().as_bytes())?;
        sqlx::query(
            "insert into apex.alert_destinations (destination_id, tenant_id, key_encryption_key, sealed)
             values ($1, $2, $3, $4) on conflict (destination_id) do update set created_at = excluded.created_at",
        )
        .bind(id)
        .bind(tenant.as_str())
        .bind(newest.version)
        .bind(sealed)
        .execute(&self.secrets().pool)
        .await?;
        Ok(id)
    }

    /// Where alerts are sent that have a destination; none if it was deleted.
    ///
    /// # Errors
    /// [`IdentityError`] if it cannot be read, or was changed.
    pub async fn alert_target(&self, tenant: &TenantId, id: Uuid) -> Result<Option<AlertTarget>, IdentityError> {
        let row: Option<(i32, Vec<u8>)> = sqlx::query_as(
            "select key_encryption_key, sealed from apex.alert_destinations where destination_id = $1 and tenant_id = $2",
        )
        .bind(id)
        .bind(tenant.as_str())
        .fetch_optional(&self.secrets().pool)
        .await?;
        let Some((version, sealed)) = row else { return Ok(None) };
        let key = self.secrets().key(version).await?.ok_or(IdentityError::Damaged(id))?;
        let opened = sealed::open(&key, DESTINATION, id, &sealed)?;
        AlertTarget::decode(&opened).map(Some).ok_or(IdentityError::Damaged(id))
    }

    /// A new key for the signatures of an endpoint, derived from the id of the command, by the newest key-encryption key.
    ///
    /// # Errors
    /// [`IdentityError`] if there is no key-encryption key.
    pub async fn new_signing_key(&self, context: &Context) -> Result<SigningKey, IdentityError> {
        let secret_id = derived_id(&["webhook_secret", &context.command_id.to_string()]);
        Ok(SigningKey { secret_id, key_version: self.secrets().newest_key().await?.version })
    }

    /// The secret of an endpoint as its receiver needs it: `whsec_` and 32 bytes in Base64.
    ///
    /// # Errors
    /// [`IdentityError`] if the key-encryption key is not in the file.
    pub async fn webhook_secret(
        &self,
        tenant: &TenantId,
        endpoint: AlertEndpointId,
        key: SigningKey,
    ) -> Result<SecretText, IdentityError> {
        let secret = self.signing_secret(tenant, endpoint, key).await?;
        Ok(SecretText::new(format!("{SECRET_PREFIX}{}", STANDARD.encode(secret))))
    }

    async fn signing_secret(
        &self,
        tenant: &TenantId,
        endpoint: AlertEndpointId,
        key: SigningKey,
    ) -> Result<[u8; 32], IdentityError> {
        let by = self.secrets().key(key.key_version).await?.ok_or(IdentityError::Damaged(key.secret_id))?;
        let parts: [&[u8]; 3] = [tenant.as_str().as_bytes(), endpoint.0.as_bytes(), key.secret_id.as_bytes()];
        Ok(by.keyed_hash(SIGNING, &parts)?)
    }

    /// The value of the header `webhook-signature` of a delivery: a signature by each of the keys.
    ///
    /// # Errors
    /// [`IdentityError`] if a key-encryption key is not in the file.
    pub async fn webhook_signature(
        &self,
        tenant: &TenantId,
        endpoint: AlertEndpointId,
        keys: impl IntoIterator<Item = SigningKey> + Send,
        (id, timestamp, body): (&str, i64, &str),
    ) -> Result<String, IdentityError> {
        let keys: Vec<_> = keys.into_iter().collect();
        let mut signatures = Vec::with_capacity(keys.len());
        for key in keys {
            let secret = self.signing_secret(tenant, endpoint, key).await?;
            signatures.push(signature(&secret, id, timestamp, body)?);
        }
        Ok(signatures.join(" "))
    }

    /// Addresses that are an hour old or older, after one in the order of their ids, each with its tenant. The caller deletes those
    /// that no endpoint has.
    ///
    /// # Errors
    /// [`IdentityError::Database`].
    pub async fn stored_alert_targets(&self, after: Uuid) -> Result<Vec<(Uuid, String)>, IdentityError> {
        let query = sqlx::query_as(
            "select destination_id, tenant_id from apex.alert_destinations
             where destination_id > $1 and created_at < clock_timestamp() - make_interval(secs => $2)
             order by destination_id limit $3",
        );
        let query = query.bind(after).bind(MIN_SWEPT_AGE.as_secs_f64()).bind(MAX_SWEPT);
        Ok(query.fetch_all(&self.secrets().pool).await?)
    }

    /// Deletes addresses that no endpoint has. One whose command was given again since it was listed stays.
    ///
    /// # Errors
    /// [`IdentityError::Database`].
    pub async fn delete_alert_targets(&self, ids: &[Uuid]) -> Result<(), IdentityError> {
        let delete = sqlx::query(
            "delete from apex.alert_destinations
             where destination_id = any ($1) and created_at < clock_timestamp() - make_interval(secs => $2)",
        );
        delete.bind(ids).bind(MIN_SWEPT_AGE.as_secs_f64()).execute(&self.secrets().pool).await?;
        Ok(())
    }
}

/// The signature of a message by the scheme `v1` of the Standard Webhooks specification.
fn signature(secret: &[u8], id: &str, timestamp: i64, body: &str) -> Result<String, IdentityError> {
    let mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| crate::error::KeyFileError::Unusable)?;
    let mac = mac.chain_update(format!("{id}.{timestamp}.")).chain_update(body).finalize();
    Ok(format!("v1,{}", STANDARD.encode(mac.into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification and its libraries.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let of = |body| signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).unwrap();
        assert_eq!(of(r#"{"test": 2432232314}"#), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_ne!(of(r#"{"test": 2432232315}"#), of(r#"{"test": 2432232314}"#));
    }
}
