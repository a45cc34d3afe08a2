//! Attempts to prove who one is, and what the access log records of those that fail.

use crate::access::Refusal;
use crate::client::Client;
use crate::identities::Identities;
use crate::sign_in_error::SignInError;
use chrono::Utc;
use commands::{Principal, current_trace_id};
use domain::access_log::RefusalReason;
use domain::{ProviderId, TenantId, UserId};

/// An attempt to prove who one is, with what is known of it so far.
pub(crate) struct Attempt<'a> {
    client: &'a Client,
    /// The tenant that the person names, or that the credential is of.
    tenant: Option<TenantId>,
    /// Whom the attempt is about, as in the metadata of events.
    subject: Option<String>,
    /// Whether the password was right, so that what fails is the second factor.
    has_password: bool,
}

impl<'a> Attempt<'a> {
    /// An attempt of a person who is not known.
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client, tenant: None, subject: None, has_password: false }
    }

    /// An attempt of a principal that acts on its own account.
    pub(super) fn of(principal: &Principal, client: &'a Client) -> Self {
        let (tenant, subject) = (Some(principal.tenant().clone()), Some(principal.actor()));
        Self { client, tenant, subject, has_password: false }
    }

    /// An attempt of a person by an identity provider, if it is known which.
    pub(crate) fn by_provider(provider: Option<(&TenantId, ProviderId)>, client: &'a Client) -> Self {
        let tenant = provider.map(|(tenant, _)| tenant.clone());
        let subject = provider.map(|(_, provider)| format!("oidc:{provider}"));
        Self { client, tenant, subject, has_password: false }
    }

    /// Says which tenant it is about.
    pub(super) fn set_tenant(&mut self, tenant: &TenantId) {
        self.tenant = Some(tenant.clone());
    }

    /// Says whom it is about, if that was not known.
    pub(crate) fn set_user(&mut self, tenant: &TenantId, user: UserId) {
        self.set_tenant(tenant);
        self.subject.get_or_insert_with(|| format!("user:{user}"));
    }

    /// Says that the password is right.
    pub(super) fn set_has_password(&mut self) {
        self.has_password = true;
    }

    /// Why it was refused, for the access log; none if it was not, or not because of what the person presented.
    fn reason(&self, error: &SignInError) -> Option<RefusalReason> {
        match error {
            SignInError::Refused if self.has_password => Some(RefusalReason::SecondFactor),
            SignInError::Refused => Some(RefusalReason::SignIn),
            SignInError::Throttled(_) => Some(RefusalReason::TooManyAttempts),
            SignInError::RegistrationFull { .. } => Some(RefusalReason::RegistrationFull),
            // A person who is asked for a code has begun to sign in.
            SignInError::CodeRequired
            | SignInError::Invalid { .. }
            | SignInError::Busy
            | SignInError::Unavailable(_) => None,
        }
    }
}

impl Identities {
    /// Notes for the access log that an attempt failed, and returns its result. One that names a tenant that does not exist
    /// is recorded in that of the settings: the number of logs that a stranger can write to is that of the tenants.
    pub(crate) fn note_attempt<T>(
        &self,
        attempt: Attempt<'_>,
        result: Result<T, SignInError>,
    ) -> Result<T, SignInError> {
        if let Some(reason) = result.as_ref().err().and_then(|error| attempt.reason(error)) {
            self.note_refused_attempt(attempt, reason);
        }
        result
    }

    /// Notes for the access log that an attempt was refused for a reason.
    pub(crate) fn note_refused_attempt(&self, attempt: Attempt<'_>, reason: RefusalReason) {
        let Attempt { client, tenant, subject, .. } = attempt;
        let known = tenant.filter(|tenant| self.directory().is_active(tenant));
        let Some(tenant) = known.or_else(|| self.sessions().config.home.clone()) else { return };
        let (client, trace_id) = (client.clone(), current_trace_id());
        let refusal = Refusal { tenant, reason, subject, client, permission: None, trace_id };
        self.access().refused(refusal, Utc::now());
    }
}
