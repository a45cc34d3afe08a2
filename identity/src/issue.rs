//! Creating, replacing and revoking API keys.

use crate::error::{IdentityError, KeyRejection};
use crate::identities::Identities;
use crate::key_text::{KeySecret, SecretText};
use crate::secrets::Inserted;
use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use commands::{Context, Error, Outcome, OutcomeKind, Position, States, Undecided};
use domain::api_key::{ApiKey, ApiKeyCommand, ApiKeyError, KeyTerms};
use domain::permissions::SendCommand;
use domain::service_account::ServiceAccount;
use domain::team::Team;
use domain::{ACCEPTED_YEARS, Aggregate as _, ApiKeyId, Body, ServiceAccountId, TenantId, derived_id};
use std::path::PathBuf;
use streams::AppendError;

/// The last year of the times that events may have.
const MAX_YEAR: i32 = ACCEPTED_YEARS.end - 1;

/// An API key that was created.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The id of the key.
    pub id: ApiKeyId,
    /// The text of the key, which is shown once.
    pub text: SecretText,
    /// The position of the event.
    pub position: Position,
    /// The absolute path of the file of key-encryption keys, if it was created with this key. It has to be backed up.
    pub created_key_file: Option<PathBuf>,
}

/// The hash of a new secret is in the database.
struct StoredText {
    text: SecretText,
    created_key_file: Option<PathBuf>,
}

impl StoredText {
    fn created(self, id: ApiKeyId, position: Position) -> NewKey {
        NewKey { id, text: self.text, position, created_key_file: self.created_key_file }
    }
}

impl Identities {
    /// Creates an API key of a service account. Its id is derived from that of the command, so that a retry does not
    /// create a second one.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, the tenant or the account is not active, or the command is not
    /// executed; [`IdentityError::AlreadyCreated`] for a retry of a command that was.
    pub async fn create_key(
        &self,
        context: &Context,
        terms: KeyTerms,
        at: DateTime<Utc>,
    ) -> Result<NewKey, IdentityError> {
        let id = new_key_id(context);
        context.principal.authorise_on::<SendCommand>(ApiKey::CATEGORY, id.0)?;
        terms.expires_at.map_or(Ok(()), check_year)?;
        let stored = self.store_secret(context, id).await?;
        let created: Result<Outcome<ApiKey>, Error<KeyRejection>> = self
            .commands
            .decide_on(context, id.0, |key: &ApiKey, mut others| {
                check_account(&*others.get::<ServiceAccount>(terms.service_account_id.0)?, terms.service_account_id)?;
                if let Some(team) = terms.team_id
                    && !others.get::<Team>(team.0)?.is_active()
                {
                    return Err(Undecided::Rejected(KeyRejection::TeamNotActive(team)));
                }
                key.decide(ApiKeyCommand::Create { terms: terms.clone(), at }).map_err(rejected)
            })
            .await;
        let outcome = self.confirm_secret(id, created).await?;
        self.follow_to(outcome.position).await;
        Ok(stored.created(id, outcome.position))
    }

    /// Creates an API key with the account and the scopes of another one, and lets both be used during an overlap. The new
    /// key expires at `expires_at`, if at all.
    ///
    /// # Errors
    /// As for [`Identities::create_key`].
    pub async fn rotate_key(
        &self,
        context: &Context,
        old: ApiKeyId,
        overlap: TimeDelta,
        expires_at: Option<DateTime<Utc>>,
        at: DateTime<Utc>,
    ) -> Result<NewKey, IdentityError> {
        let id = new_key_id(context);
        context.principal.authorise_on::<SendCommand>(ApiKey::CATEGORY, old.0)?;
        // Before the secret is stored.
        let max_year = MAX_YEAR;
        let overlap_ends = at.checked_add_signed(overlap).ok_or(IdentityError::TooLate { max_year })?;
        check_year(overlap_ends)?;
        expires_at.map_or(Ok(()), check_year)?;
        let stored = self.store_secret(context, id).await?;
        let rotate = ApiKeyCommand::Rotate { successor: id, expires_at: overlap_ends, at };
        let rotated: Result<Outcome<ApiKey>, Error<KeyRejection>> = self
            .commands
            .decide(context, id.0, |states| rotate_to(states, old, id, rotate.clone(), expires_at, at))
            .await;
        let outcome = self.confirm_secret(id, rotated).await?;
        self.follow_to(outcome.position).await;
        Ok(stored.created(id, outcome.position))
    }

    /// Revokes an API key, and deletes the hash of its secret. Returns whether that was done now, and the position of the
    /// event.
    ///
    /// # Errors
    /// [`IdentityError`] if the principal may not do it, or the command is not executed.
    pub async fn revoke_key(
        &self,
        context: &Context,
        id: ApiKeyId,
        reason: Option<Body>,
        at: DateTime<Utc>,
    ) -> Result<(OutcomeKind, Position), IdentityError> {
        let revoke = ApiKeyCommand::Revoke { reason, at };
        let revoked: Result<Outcome<ApiKey>, Error<KeyRejection>> = self
            .commands
            .decide_on(context, id.0, |key: &ApiKey, _| key.decide(revoke.clone()).map_err(rejected))
            .await;
        let revoked = revoked?;
        self.forget(id);
        self.follow_to(revoked.position).await;
        // The event is what counts, and is committed: a row that stays is of no use to anyone.
        if let Err(error) = self.secrets().delete(id).await {
            tracing::warn!(error = &error as &dyn std::error::Error, key = %id, "a revoked secret cannot be deleted");
        }
        Ok((revoked.kind, revoked.position))
    }

    /// Checks that a tenant exists and is not suspended. Its stream is in another tenant, so that no decision can rest on
    /// it; a tenant that is suspended meanwhile has keys that are refused.
    pub(crate) async fn check_tenant(&self, tenant: &TenantId) -> Result<(), IdentityError> {
        let head = self.commands.log().head().await?;
        self.directory().refresh_to(head).await?;
        if self.directory().is_active(tenant) {
            return Ok(());
        }
        Err(IdentityError::TenantNotActive(tenant.clone()))
    }

    /// Lets this process see the effect of its own command at once. The command was executed in any case, and the event is
    /// read later if it cannot be read now.
    pub(crate) async fn follow_to(&self, position: Position) {
        if let Err(error) = self.directory().refresh_to(position).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the effect of a command cannot be read yet");
        }
    }

    /// Stores the hash of a new secret.
    async fn store_secret(&self, context: &Context, id: ApiKeyId) -> Result<StoredText, IdentityError> {
        let tenant = context.principal.tenant();
        self.check_tenant(tenant).await?;
        let secret = KeySecret::generate()?;
        let Inserted { is_new, created_file } = self.secrets().insert(tenant, id, &secret).await?;
        if !is_new {
            return Err(IdentityError::AlreadyCreated(id));
        }
        Ok(StoredText { text: SecretText::of(id, &secret), created_key_file: created_file })
    }

    /// Deletes the hash that was stored for a key if the key was not created. If that is not known, the row stays: it is
    /// swept if there is no event.
    async fn confirm_secret(
        &self,
        id: ApiKeyId,
        created: Result<Outcome<ApiKey>, Error<KeyRejection>>,
    ) -> Result<Outcome<ApiKey>, IdentityError> {
        let (stored, result) = match created {
            // A retry whose first execution was revoked since: its row had been deleted.
            Ok(outcome) if outcome.aggregate.state.is_revoked => {
                (self.secrets().delete(id).await, Err(IdentityError::AlreadyCreated(id)))
            }
            Ok(outcome) => (self.secrets().confirm(id).await, Ok(outcome)),
            Err(source @ Error::Append(AppendError::Indeterminate(_))) => {
                (Ok(()), Err(IdentityError::CreationUnknown { id, source }))
            }
            Err(error) => (self.secrets().delete(id).await, Err(error.into())),
        };
        // The sweeper does the same later.
        if let Err(error) = stored {
            tracing::warn!(error = &error as &dyn std::error::Error, key = %id, "a row of secrets cannot be changed");
        }
        result
    }
}

fn new_key_id(context: &Context) -> ApiKeyId {
    let (tenant, command_id) = (context.principal.tenant().as_str(), context.command_id.to_string());
    ApiKeyId(derived_id(&["api_key", tenant, &command_id]))
}

/// Checks that a time can be in an event.
fn check_year(at: DateTime<Utc>) -> Result<(), IdentityError> {
    if at.year() <= MAX_YEAR { Ok(()) } else { Err(IdentityError::TooLate { max_year: MAX_YEAR }) }
}

fn rejected(error: ApiKeyError) -> Undecided<KeyRejection> {
    Undecided::Rejected(error.into())
}

fn check_account(account: &ServiceAccount, id: ServiceAccountId) -> Result<(), Undecided<KeyRejection>> {
    if account.is_active() { Ok(()) } else { Err(Undecided::Rejected(KeyRejection::AccountNotActive(id))) }
}

fn rotate_to(
    states: &mut States<'_>,
    old: ApiKeyId,
    new: ApiKeyId,
    rotate: ApiKeyCommand,
    expires_at: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
) -> Result<(), Undecided<KeyRejection>> {
    let (replaced, successor) = (states.get::<ApiKey>(old.0), states.get::<ApiKey>(new.0));
    let (replaced, successor) = (replaced?, successor?);
    let rotated = replaced.decide(rotate).map_err(rejected)?;
    let Some(terms) = &replaced.terms else { return Err(rejected(ApiKeyError::NotCreated)) };
    check_account(&*states.get::<ServiceAccount>(terms.service_account_id.0)?, terms.service_account_id)?;
    let terms = KeyTerms { expires_at, ..terms.clone() };
    let created = successor.decide(ApiKeyCommand::Create { terms, at }).map_err(rejected)?;
    states.append::<ApiKey, _>(old.0, rotated)?;
    states.append::<ApiKey, _>(new.0, created)
}
