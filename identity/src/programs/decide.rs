//! A program asks, and a person decides.

use super::rows::{self, Binding, Person};
use super::user_code::UserCode;
use crate::client::Client;
use crate::error::IdentityError;
use crate::identities::Identities;
use crate::key_file::EncryptionKey;
use crate::key_text::{KeySecret, SecretText};
use crate::sign_in_error::SignInError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use commands::{Principal, Subject};
use std::time::Duration;
use uuid::Uuid;

/// How the secrets of programs begin.
pub(super) const DEVICE_PREFIX: &str = "apexdc_";
pub(super) const LOOPBACK_PREFIX: &str = "apexlc_";
/// What a hash is for.
pub(super) const DEVICE: &[u8] = b"apex device code v1";
pub(super) const LOOPBACK: &[u8] = b"apex loopback code v1";
const USER_CODE: &[u8] = b"apex user code v1";
/// How long a person may take to type a code, and a program to present one that the browser handed to it.
const DEVICE_LIFETIME: Duration = Duration::from_mins(10);
const LOOPBACK_LIFETIME: Duration = Duration::from_mins(1);
/// How long a program waits between two questions.
const INTERVAL: Duration = Duration::from_secs(5);

/// A program that waits for a person who types a code.
#[derive(Debug, Clone)]
pub struct NewDeviceSignIn {
    /// The secret that the program presents.
    pub device_code: SecretText,
    /// The code that the person types.
    pub user_code: SecretText,
    /// How long both are accepted.
    pub lifetime: Duration,
    /// How long the program waits between two questions.
    pub interval: Duration,
}

/// A program that a person is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramSignIn {
    id: Uuid,
    /// The name of the program, as it says.
    pub user_agent: Option<String>,
    /// The address that it connects from.
    pub address: Option<String>,
    /// When it asked.
    pub created_at: DateTime<Utc>,
}

impl Identities {
    /// Begins the device flow of a program.
    ///
    /// # Errors
    /// [`SignInError::Throttled`] if its address has begun too many, [`SignInError::Busy`] if too many programs wait.
    pub async fn start_device_sign_in(&self, client: &Client) -> Result<NewDeviceSignIn, SignInError> {
        self.throttle().take_address(client.address())?;
        let (secret, id) = (KeySecret::generate().map_err(IdentityError::from)?, Uuid::new_v4());
        let user_code = UserCode::generate().map_err(IdentityError::from)?;
        let newest = self.secrets().newest_key().await?;
        let code_hash = hash(&newest.key, DEVICE, &[id.as_bytes(), secret.bytes()])?;
        let binding = Binding::UserCode(hash(&newest.key, USER_CODE, &[user_code.as_bytes()])?);
        let code = (newest.version, code_hash);
        if !rows::insert(&self.secrets().pool, id, code, binding, client, DEVICE_LIFETIME).await? {
            return Err(SignInError::Busy);
        }
        Ok(NewDeviceSignIn {
            device_code: SecretText::with_prefix(DEVICE_PREFIX, id, &secret),
            user_code: SecretText::new(user_code.shown()),
            lifetime: DEVICE_LIFETIME,
            interval: INTERVAL,
        })
    }

    /// The program that shows the code that a person typed.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if there is none, and [`SignInError::Throttled`] if the person has typed too many.
    pub async fn device_sign_in(&self, principal: &Principal, user_code: &str) -> Result<ProgramSignIn, SignInError> {
        self.throttle().take_code(person(principal)?.user)?;
        let user_code = UserCode::parse(user_code).ok_or(SignInError::Refused)?;
        // A code that was made under an older key is typed again: the file of keys is changed rarely.
        let newest = self.secrets().newest_key().await?;
        let hash = hash(&newest.key, USER_CODE, &[user_code.as_bytes()])?;
        let found = rows::waiting(&self.secrets().pool, hash).await?.ok_or(SignInError::Refused)?;
        let rows::Waiting { sign_in_id: id, user_agent, address, created_at } = found;
        Ok(ProgramSignIn { id, user_agent, address, created_at })
    }

    /// Notes what a person decided about the program that shows a code.
    ///
    /// # Errors
    /// As [`Identities::device_sign_in`].
    pub async fn decide_device_sign_in(
        &self,
        principal: &Principal,
        user_code: &str,
        is_approved: bool,
    ) -> Result<(), SignInError> {
        let found = self.device_sign_in(principal, user_code).await?;
        let is_decided = rows::decide(&self.secrets().pool, found.id, &person(principal)?, is_approved).await?;
        if is_decided { Ok(()) } else { Err(SignInError::Refused) }
    }

    /// A code that the browser of a person who has agreed hands to a program. It is accepted with the verifier of the
    /// challenge alone.
    ///
    /// # Errors
    /// [`SignInError::Invalid`] if the challenge is not one, and [`SignInError::Refused`] if the principal is no user.
    pub async fn approve_loopback_sign_in(
        &self,
        principal: &Principal,
        challenge: &str,
        client: &Client,
    ) -> Result<SecretText, SignInError> {
        let challenge = parse_challenge(challenge)?;
        let person = person(principal)?;
        self.throttle().take_code(person.user)?;
        let (secret, id) = (KeySecret::generate().map_err(IdentityError::from)?, Uuid::new_v4());
        let newest = self.secrets().newest_key().await?;
        let code = (newest.version, hash(&newest.key, LOOPBACK, &[id.as_bytes(), secret.bytes()])?);
        let binding = Binding::Challenge(challenge, person);
        rows::insert(&self.secrets().pool, id, code, binding, client, LOOPBACK_LIFETIME).await?;
        Ok(SecretText::with_prefix(LOOPBACK_PREFIX, id, &secret))
    }

    /// Checks the challenge of a program that a person is to be asked about.
    ///
    /// # Errors
    /// [`SignInError::Invalid`] if it is not one.
    pub fn check_challenge(challenge: &str) -> Result<(), SignInError> {
        parse_challenge(challenge).map(|_| ())
    }
}

fn hash(key: &EncryptionKey, purpose: &[u8], parts: &[&[u8]]) -> Result<[u8; 32], SignInError> {
    Ok(key.keyed_hash(purpose, parts).map_err(IdentityError::from)?)
}

/// The person whose session a principal is of.
fn person(principal: &Principal) -> Result<Person, SignInError> {
    match *principal.subject() {
        Subject::User { id: user, session } => Ok(Person { tenant: principal.tenant().clone(), user, session }),
        Subject::SharedToken { .. } | Subject::ServiceAccount { .. } | Subject::CommandLine | Subject::Component(_) => {
            Err(SignInError::Refused)
        }
    }
}

/// The hash in a challenge of the method S256.
fn parse_challenge(text: &str) -> Result<[u8; 32], SignInError> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok();
    let hash = decoded.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    hash.ok_or_else(|| SignInError::invalid("code_challenge", "expected a SHA-256 hash in base64url"))
}
