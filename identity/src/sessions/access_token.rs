//! Access tokens: JSON Web Tokens (RFC 7519) signed with Ed25519, with the session and whose it is, and no rights.

use super::signing_keys::{SigningKey, VerifyingKey};
use crate::error::IdentityError;
use crate::key_text::SecretText;
use chrono::{DateTime, Utc};
use domain::{SessionId, TenantId, UserId};
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// The longest token that is looked at, in bytes. One that is issued has about 400.
const MAX_TOKEN_BYTES: usize = 2048;

/// What an access token says. Nothing else is accepted in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    /// The user.
    pub(crate) sub: UserId,
    /// The session.
    pub(crate) sid: SessionId,
    /// The tenant of the user.
    pub(crate) tenant: TenantId,
    /// When the token was issued, in seconds.
    pub(crate) iat: i64,
    /// When it expires, in seconds.
    pub(crate) exp: i64,
}

/// Whether a text has the form of an access token, valid or not: three parts, of which the first is the header of a JSON Web
/// Token.
#[must_use]
pub fn looks_like_access_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Signs a token that expires after a time.
pub(crate) fn sign(
    key: &SigningKey,
    (tenant, user, session): (&TenantId, UserId, SessionId),
    now: DateTime<Utc>,
    lifetime: Duration,
) -> Result<SecretText, IdentityError> {
    let iat = now.timestamp();
    let exp = iat.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
    let claims = Claims { sub: user, sid: session, tenant: tenant.clone(), iat, exp };
    let header = Header { kid: Some(key.id.simple().to_string()), ..Header::new(Algorithm::EdDSA) };
    Ok(SecretText::new(encode(&header, &claims, &key.encoding)?))
}

/// The id of the key that a token says it is signed with; none if it says none, or another algorithm.
pub(crate) fn key_id(text: &str) -> Option<Uuid> {
    if text.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let header = decode_header(text).ok()?;
    (header.alg == Algorithm::EdDSA).then_some(())?;
    Uuid::try_parse(&header.kid?).ok()
}

/// What a token says, if the key signed it and it has not expired.
pub(crate) fn verify(key: &VerifyingKey, text: &str, now: DateTime<Utc>) -> Option<Claims> {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.leeway = 0;
    validation.set_required_spec_claims(&["exp", "sub"]);
    let claims = decode::<Claims>(text, &key.decoding, &validation).ok()?.claims;
    // The library accepts a token in the second in which it expires.
    (claims.exp > now.timestamp()).then_some(claims)
}
