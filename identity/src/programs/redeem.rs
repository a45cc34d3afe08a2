//! A program presents its code for a session.

use super::decide::{DEVICE, DEVICE_PREFIX, LOOPBACK, LOOPBACK_PREFIX};
use super::rows::{self, Person};
use crate::client::Client;
use crate::directory::NoPrincipal;
use crate::error::IdentityError;
use crate::identities::Identities;
use crate::key_text::parse_with_prefix;
use crate::sessions::SessionTokens;
use crate::sign_in_error::{SignInError, Throttled};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use uuid::Uuid;

/// The lengths that a verifier may have (RFC 7636).
const VERIFIER_BYTES: std::ops::RangeInclusive<usize> = 43..=128;

/// Why a program gets no session, in the words of RFC 8628.
#[derive(Debug, Error)]
pub enum RedeemError {
    /// The person has not decided yet.
    #[error("the person has not decided yet")]
    Pending,
    /// The program asks too often.
    #[error("wait longer between two questions")]
    SlowDown,
    /// The person has refused.
    #[error("the person has refused")]
    Denied,
    /// The person has not decided in time.
    #[error("the code has expired")]
    Expired,
    /// The code is unknown or was used, the verifier is not that of the challenge, or the session in which the person agreed has ended.
    #[error("the code is not valid")]
    Invalid,
    /// It cannot be found out at the moment, or there were too many attempts.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

impl From<IdentityError> for RedeemError {
    fn from(error: IdentityError) -> Self {
        Self::SignIn(error.into())
    }
}

impl From<Throttled> for RedeemError {
    fn from(throttled: Throttled) -> Self {
        Self::SignIn(throttled.into())
    }
}

impl Identities {
    /// The session of a program whose code a person has typed.
    ///
    /// # Errors
    /// [`RedeemError`] if there is none, or not yet.
    pub async fn redeem_device_sign_in(
        &self,
        device_code: &str,
        client: &Client,
    ) -> Result<SessionTokens, RedeemError> {
        let (id, row) = self.presented(device_code, (DEVICE_PREFIX, DEVICE, "device"), client).await?;
        if row.is_expired {
            return Err(RedeemError::Expired);
        }
        let polled = rows::poll(&self.secrets().pool, id).await?.ok_or(RedeemError::Invalid)?;
        match polled.is_approved {
            _ if polled.is_early => Err(RedeemError::SlowDown),
            None => Err(RedeemError::Pending),
            Some(false) => Err(RedeemError::Denied),
            Some(true) => self.session_of_program(id, client).await,
        }
    }

    /// The session of a program to which a browser has handed a code.
    ///
    /// # Errors
    /// [`RedeemError`] if there is none.
    pub async fn redeem_loopback_sign_in(
        &self,
        code: &str,
        verifier: &str,
        client: &Client,
    ) -> Result<SessionTokens, RedeemError> {
        let (id, row) = self.presented(code, (LOOPBACK_PREFIX, LOOPBACK, "loopback"), client).await?;
        let is_right = VERIFIER_BYTES.contains(&verifier.len())
            && row.challenge.as_deref() == Some(&Sha256::digest(verifier.as_bytes())[..]);
        if !is_right || row.is_expired {
            return Err(RedeemError::Invalid);
        }
        self.session_of_program(id, client).await
    }

    /// The row of a code, if the code is right. Wrong ones are counted as attempts of the address.
    async fn presented(
        &self,
        text: &str,
        (prefix, purpose, kind): (&str, &[u8], &str),
        client: &Client,
    ) -> Result<(Uuid, rows::Row), RedeemError> {
        let found = async {
            let Some((id, secret)) = parse_with_prefix(prefix, text) else { return Ok::<_, IdentityError>(None) };
            let Some(row) = rows::read(&self.secrets().pool, id, kind).await? else { return Ok(None) };
            let Some(key) = self.secrets().key(row.key_encryption_key).await? else { return Ok(None) };
            let is_right = key.has_keyed_hash(purpose, &[id.as_bytes(), secret.bytes()], &row.code_hash)?;
            Ok(is_right.then_some((id, row)))
        };
        match found.await? {
            Some(found) => Ok(found),
            None => {
                self.throttle().take_address(client.address())?;
                Err(RedeemError::Invalid)
            }
        }
    }

    /// The session rests on the credentials of the session in which the person agreed, which must not have ended, and ends with
    /// it at the latest: a provider that lets people sign in for a day does not let their programs stay for longer.
    async fn session_of_program(&self, id: Uuid, client: &Client) -> Result<SessionTokens, RedeemError> {
        let redeemed = rows::redeem(&self.secrets().pool, id).await?;
        let Person { tenant, user: id, session } = redeemed.ok_or(RedeemError::Invalid)?;
        self.directory().refresh().await?;
        match self.directory().active_user(&tenant, id) {
            Ok(user) => {
                let known = self.credentials_of_session(session, &user).await?;
                let (credentials, remaining) = known.ok_or(RedeemError::Invalid)?;
                Ok(self.start_session_of(&tenant, (id, credentials), client, remaining).await?)
            }
            Err(NoPrincipal::Refused) => Err(RedeemError::Invalid),
            Err(NoPrincipal::Unreadable) => Err(IdentityError::Unreadable.into()),
        }
    }
}
