//! Sends the mails that are due.

use super::queue::{KIND, Payload};
use super::transport::{SendError, Transport};
use domain::{InvitationId, TenantId, UserId, derived_id};
use futures::future::BoxFuture;
use identity::{Identities, IdentityError, MailedToken};
use policies::{Job, JobHandler, JobOutcome};

/// Sends mails. A mail that was handed to the mail server is not sent again, unless the process dies before that is noted.
pub struct MailHandler {
    identities: Identities,
    transport: Transport,
    /// The address of the server in links.
    public_url: String,
}

/// Why a job is of no use.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("the job has no tenant")]
    NoTenant,
    #[error("the payload of the job is not that of a mail")]
    Payload,
}

impl MailHandler {
    /// A handler that sends links to a server.
    #[must_use]
    pub fn new(identities: Identities, transport: Transport, public_url: String) -> Self {
        Self { identities, transport, public_url }
    }

    async fn send(&self, job: &Job) -> JobOutcome {
        let Some(tenant) = &job.tenant else { return JobOutcome::DeadLetter(Unusable::NoTenant.into()) };
        let Ok(payload) = serde_json::from_value::<Payload>(job.payload.clone()) else {
            return JobOutcome::DeadLetter(Unusable::Payload.into());
        };
        // Before a link is issued, which makes earlier ones useless.
        if let Err(error) = self.transport.check().await {
            return outcome(error);
        }
        let prepared = match payload {
            Payload::Reset { user_id } => self.reset(job, tenant, user_id).await,
            Payload::Invitation { invitation_id, key_version, sealed } => {
                self.invitation(tenant, invitation_id, (key_version, &sealed)).await
            }
        };
        match prepared {
            // The person is gone, or does not need it any more.
            Ok(None) => JobOutcome::Done,
            Ok(Some((mailed, subject, text))) => {
                match self.transport.send(mailed.address.reveal(), subject, text, None).await {
                    Ok(()) => JobOutcome::Done,
                    Err(error) => outcome(error),
                }
            }
            Err(error) => JobOutcome::Retry(error.into()),
        }
    }

    async fn reset(&self, job: &Job, tenant: &TenantId, user_id: UserId) -> Prepared {
        // The token of a link is known once, so that each attempt issues another link.
        let command_id = derived_id(&["reset_mail", &job.id.to_string(), &job.attempt.to_string()]);
        let mailed = self.identities.reset_to_mail(tenant, user_id, command_id).await?;
        Ok(mailed.map(|mailed| {
            let until =
                mailed.expires_at.map(|at| at.format(" until %Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default();
            let text = format!(
                "Someone, probably you, asked to set a new password for your account at {url}.\n\n\
                 Set it here, once{until}:\n\n{url}/auth/set-password?token={token}\n\n\
                 If it was not you, do nothing: your password is as it was.\n",
                url = self.public_url,
                token = mailed.token.reveal()
            );
            (mailed, "Set your password", text)
        }))
    }

    async fn invitation(
        &self,
        tenant: &TenantId,
        invitation_id: InvitationId,
        (key_version, sealed): (i32, &str),
    ) -> Prepared {
        use base64::Engine as _;
        let sealed = base64::engine::general_purpose::STANDARD.decode(sealed);
        let sealed = sealed.map_err(|_| IdentityError::Damaged(invitation_id.0))?;
        let mailed = self.identities.invitation_to_mail(tenant, invitation_id, (key_version, &sealed)).await?;
        Ok(mailed.map(|mailed| {
            let text = format!(
                "You are invited to {url}.\n\nAccept the invitation, and choose a password, here:\n\n\
                 {url}/auth/invitation?token={token}\n\n\
                 If you do not expect an invitation, do nothing.\n",
                url = self.public_url,
                token = mailed.token.reveal()
            );
            (mailed, "You are invited", text)
        }))
    }
}

/// A mail that can be sent; none if it is not needed any more.
type Prepared = Result<Option<(MailedToken, &'static str, String)>, IdentityError>;

fn outcome(error: SendError) -> JobOutcome {
    if error.is_permanent() { JobOutcome::DeadLetter(error.into()) } else { JobOutcome::Retry(error.into()) }
}

impl JobHandler for MailHandler {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, JobOutcome> {
        Box::pin(self.send(job))
    }
}
