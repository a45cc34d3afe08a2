//! What is mailed to people: links by which they set a password, and invitations.
//!
//! A mail is sent by others, in the background, as a job. A job outlives the process, so that it has ids and no address, and the
//! token of an invitation is sealed in it. A link that sets a password is issued when it is sent.

use super::email::Email;
use super::links;
use super::mail_queue::PendingMail;
use super::profiles;
use crate::directory::NoPrincipal;
use crate::error::IdentityError;
use crate::identities::Identities;
use crate::key_text::SecretText;
use crate::sealed;
use chrono::{DateTime, TimeDelta, Utc};
use commands::{Context, Principal};
use domain::{InvitationId, TenantId, UserId};
use uuid::Uuid;

/// What the key of a sealed token is for.
const MAILED: &[u8] = b"apex mailed token v1";
/// How long a link that was asked for is accepted.
const RESET_LIFETIME: TimeDelta = TimeDelta::hours(1);

/// What a person is mailed.
#[derive(Debug, Clone)]
pub struct MailedToken {
    /// The address of the person.
    pub address: MailAddress,
    /// The token of the link.
    pub token: SecretText,
    /// The time from which it is refused; none where it is not known.
    pub expires_at: Option<DateTime<Utc>>,
}

/// An address, which is redacted in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct MailAddress(String);

impl MailAddress {
    /// The text of the address.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for MailAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Identities {
    /// Queues a mail, if mail is sent. That it cannot be queued is logged: the token was returned, and can be handed over.
    pub(super) async fn mail(&self, mail: PendingMail) {
        let Some(queue) = self.mail_queue() else { return };
        if let Err(error) = queue.enqueue(mail).await {
            tracing::error!(error = &*error as &dyn std::error::Error, "a mail cannot be queued, and is not sent");
        }
    }

    /// Queues the mail of an invitation.
    pub(super) async fn mail_invitation(&self, tenant: &TenantId, id: InvitationId, token: &SecretText) {
        if self.mail_queue().is_none() {
            return;
        }
        let sealing = async {
            let newest = self.secrets().newest_key().await?;
            let sealed = sealed::seal(&newest.key, MAILED, id.0, token.reveal().as_bytes())?;
            Ok::<_, IdentityError>((newest.version, sealed))
        };
        match sealing.await {
            Ok((key_version, sealed)) => {
                self.mail(PendingMail::Invitation { tenant: tenant.clone(), id, key_version, sealed }).await;
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "an invitation cannot be mailed: hand its token over");
            }
        }
    }

    /// Notes that the person with an address asks for a link, and queues the mail with it if there is such a user.
    pub(super) async fn note_reset(&self, tenant: &TenantId, email: &Email) -> Result<(), IdentityError> {
        if let Some(user) = profiles::note_reset_request(&self.secrets().pool, tenant, email).await? {
            self.mail(PendingMail::Reset { tenant: tenant.clone(), user }).await;
        }
        Ok(())
    }

    /// Issues a link to set the password of a user, to be mailed; none if the user is not active any more, or signs in by an
    /// identity provider alone: with a password of its own, it could sign in when the provider refuses it. An administrator
    /// can issue a link even so. An earlier link is refused from then on.
    ///
    /// # Errors
    /// [`IdentityError`] if that cannot be done at the moment.
    pub async fn reset_to_mail(
        &self,
        tenant: &TenantId,
        user: UserId,
        command_id: Uuid,
    ) -> Result<Option<MailedToken>, IdentityError> {
        self.directory().refresh().await?;
        match self.directory().active_user(tenant, user) {
            Ok(known) if known.password.is_none() && !known.identities.is_empty() => return Ok(None),
            Ok(_) => {}
            Err(NoPrincipal::Refused) => return Ok(None),
            Err(NoPrincipal::Unreadable) => return Err(IdentityError::Unreadable),
        }
        let profile = profiles::read(&self.secrets().pool, tenant, &[user]).await?.pop();
        let Some(email) = profile.and_then(|profile| profile.email) else { return Ok(None) };
        let context = Context::new(Principal::sign_in(tenant.clone()), command_id);
        let link = self.issue_reset_link(&context, user, RESET_LIFETIME, Utc::now()).await?;
        let (address, expires_at) = (MailAddress(email), Some(link.expires_at));
        Ok(Some(MailedToken { address, token: link.token, expires_at }))
    }

    /// The token of an invitation that is to be mailed; none if the invitation was accepted or revoked, or has expired.
    ///
    /// # Errors
    /// [`IdentityError`] if it cannot be read at the moment, or was changed.
    pub async fn invitation_to_mail(
        &self,
        tenant: &TenantId,
        id: InvitationId,
        (key_version, sealed): (i32, &[u8]),
    ) -> Result<Option<MailedToken>, IdentityError> {
        let invited = links::invited(self.secrets(), tenant, &[id.0]).await?.pop();
        let Some((_, address)) = invited else { return Ok(None) };
        let key = self.secrets().key(key_version).await?.ok_or(IdentityError::Damaged(id.0))?;
        let token = sealed::open(&key, MAILED, id.0, sealed)?;
        let token = String::from_utf8(token).map_err(|_| IdentityError::Damaged(id.0))?;
        let address = MailAddress(address);
        Ok(Some(MailedToken { address, token: SecretText::new(token), expires_at: None }))
    }
}
